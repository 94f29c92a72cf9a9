"""The one place where time is cut: evidence, population, labels and durations at a snapshot.

A snapshot T is a day. Evidence is what was known by the end of T. The label window is half-open, ``(T + lead, T + lead + horizon]``.
Everything here is an Ibis expression with a column ``snapshot``, so that one snapshot and a panel of many are the same code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.contracts import CONTRACTS
from research.spells import is_purchase, join_terms
from research.studies import Study, StudyError

Tables = dict[str, ir.Table]

NUMBER = ibis.util.gen_name("number")  # as no company names a column of its own
RESOLVED_LATER = {"contracts": ("ended_at", ("end_reason", "voluntary")), "contacts": ("resolved_at", ())}


def cut(table: ir.Table, name: str, snapshots: Sequence[date]) -> ir.Table:
    """Return the rows of one contract table that were known by the end of each snapshot.

    A row is known from the later of its own day and, where the table has it, ``known_at``; a row whose ``known_at`` is empty was never
    known. What a row says of a later day (a contract's end with its reason, a contact's resolution) is empty until that day.

    Parameters
    ----------
    table : contract table ``name``
    snapshots : days, each inclusive

    Returns
    -------
    table with the columns of ``table`` and ``snapshot``
        One row per row known and snapshot.
    """
    if len(snapshots) == 1:
        known = table.filter(*_known(table, name, _stamp(snapshots[0])))
        return _hide_later(known.mutate(snapshot=_stamp(snapshots[0])), name)
    days = ibis.memtable({"snapshot": pd.to_datetime(list(snapshots)).astype("datetime64[us]")})
    return _hide_later(table.join(days, _known(table, name, days.snapshot)), name)


def _known(table: ir.Table, name: str, day: ir.Value) -> list[ir.BooleanValue]:
    """Say which rows had happened, and had reached the company, by the end of the day."""
    columns = [CONTRACTS[name].dated, *(["known_at"] if "known_at" in table.columns else [])]
    return [table[column] < day + ibis.interval(days=1) for column in columns]


def _hide_later(evidence: ir.Table, name: str) -> ir.Table:
    if name not in RESOLVED_LATER or RESOLVED_LATER[name][0] not in evidence.columns:
        return evidence
    resolved, details = RESOLVED_LATER[name]
    happened = evidence[resolved] < evidence.snapshot + ibis.interval(days=1)
    hidden = (resolved, *(column for column in details if column in evidence.columns))
    return evidence.mutate(**{column: happened.ifelse(evidence[column], ibis.null(evidence[column].type())) for column in hidden})


def follow(table: ir.Table, name: str, last: date) -> ir.Table:
    """Return the rows of one contract table that were known by the end of a day, each once, with the day from which it was known.

    Many snapshots can share one pass over these rows: what a snapshot may count is what was dated and known by its end.

    Parameters
    ----------
    table : contract table ``name``
    last : day, inclusive

    Returns
    -------
    table with the columns of ``table``, ``day`` and, where the table has ``known_at``, ``known``: both days
        Without ``known_at``, and without what a row says of a later day than its own.
    """
    table = table.drop(*(column for column in table.columns if column.lower() in ("day", "known")))  # a company's own would be taken for ours
    rows = table.filter(*_known(table, name, _stamp(last)))
    known = {"known": rows.known_at.truncate("D")} if "known_at" in rows.columns else {}
    rows = rows.mutate(day=rows[CONTRACTS[name].dated].truncate("D"), **known)
    resolved, details = RESOLVED_LATER.get(name, ("", ()))
    return rows.drop(*(column for column in ("known_at", resolved, *details) if column in rows.columns))


class Evidence(Mapping):
    """What was known by the end of each snapshot; made by ``cut_evidence`` alone, and the only thing that features are made from.

    ``evidence[name]`` is the table as ``cut`` leaves it, one row per row known and snapshot; ``evidence.follow(name)`` has each row once.
    """

    def __init__(self, tables: Tables, snapshots: Sequence[date], whole: "Evidence | None" = None):
        self.snapshots = tuple(sorted(set(snapshots)))
        self.whole = whole or self
        self._tables = {name: table for name, table in tables.items() if CONTRACTS[name].dated}
        self._cut: Tables = {}
        self._days: Tables = {}

    def __getitem__(self, name: str) -> ir.Table:
        if name not in self._cut:
            self._cut[name] = cut(self._tables[name], name, self.snapshots)
        return self._cut[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def follow(self, name: str) -> ir.Table:
        """Return each row known by the last snapshot once; see ``follow`` of this module. At one snapshot all of them are known alike."""
        rows = follow(self._tables[name], name, self.snapshots[-1])
        return rows.drop("known") if len(self.snapshots) == 1 and "known" in rows.columns else rows

    def follow_active(self, name: str) -> ir.Table:
        """Return of the rows of ``follow`` those that show a customer alive: purchases of orders, all of another table."""
        rows = self.follow(name)
        return rows.filter(is_purchase(rows)) if name == "orders" else rows

    def list_days(self, name: str) -> ir.Table:
        """Return each customer's days with a row of ``follow_active``, once: customer_id, day and, as in ``follow``, known."""
        if name not in self._days:
            real = self.follow_active(name)
            known = {"known": real.known.min()} if "known" in real.columns else {}
            self._days[name] = real.group_by(["customer_id", "day"]).agg(**known) if known else real.select("customer_id", "day").distinct()
        return self._days[name]

    def lay_down_days(self, name: str, keep: Callable[[ir.Table, str], ir.Table]) -> None:
        """Let ``keep`` compute the days of a table once, for all who ask for them."""
        self._days[name] = keep(self.list_days(name), "days")

    def among(self, people: ir.Table) -> "Evidence":
        """Return the evidence of some customers, in which a number stands for each, which engines group faster than a text; see ``number``.

        ``whole`` remains the evidence of all.
        """
        return Evidence({name: number(table, people) for name, table in self._tables.items()}, self.snapshots, self.whole)

    def only(self, snapshot: date) -> "Evidence":
        """Return the evidence of one of the snapshots."""
        if snapshot not in self.snapshots:
            raise ValueError(f"required one of the snapshots {', '.join(map(str, self.snapshots))}, arrived {snapshot}; cut the evidence there")
        return Evidence(self._tables, [snapshot])


def number(table: ir.Table, people: ir.Table) -> ir.Table:
    """Return the rows of some customers, with their numbers as customer_id; ``people`` has columns customer_id and ``NUMBER``."""
    found = table.join(people, "customer_id")
    return found.select(NUMBER, *(column for column in table.columns if column != "customer_id")).rename(customer_id=NUMBER)


def cut_evidence(tables: Tables, snapshots: Sequence[date]) -> Evidence:
    """Return what was known by the end of each snapshot, for every dated table; see ``cut``."""
    return Evidence(tables, snapshots)


def find_population(evidence: Evidence, study: Study) -> ir.Table:
    """Return who can churn after each snapshot.

    Contractual: customers with a contract that runs at the end of the snapshot. Non-contractual: customers with an order of a positive
    amount on one of the last ``active_days`` days, the snapshot's own day included. Both must be known in the table customers.

    Returns
    -------
    table with columns snapshot, customer_id
        One row per snapshot and customer.
    """
    if study.kind == "contractual":
        contracts = evidence["contracts"]
        active = contracts.filter(contracts.ended_at.isnull()) if "ended_at" in contracts.columns else contracts
    else:
        orders = evidence["orders"]
        opens = orders.snapshot - ibis.interval(days=study.churn.active_days - 1)
        active = orders.filter(is_purchase(orders), orders.ordered_at >= opens)
    keys = ["snapshot", "customer_id"]
    return active.select(keys).distinct().semi_join(evidence["customers"], keys)


def label(tables: Tables, population: ir.Table, study: Study, known_by: date | None = None) -> ir.Table:
    """Label a population with what happened after its snapshots.

    Contractual: the customer leaves on the day on which unbroken cover by contracts ends; churned is an end in
    ``(T + lead, T + lead + horizon]``, and an end in ``(T, T + lead]`` is told apart as ``left_in_lead``. Non-contractual: churned is
    no order of a positive amount in the window.

    Parameters
    ----------
    tables : contract tables, uncut
    population : table with columns snapshot, customer_id
    known_by : date, optional
        Rows that reached the company after this day are unknown to the label: what a model trained on that day could have learned from.

    Returns
    -------
    table with columns snapshot, customer_id, churned, left_in_lead, duration_days, event, wait_days, waited, leaves_in_data
        One row per row of the population. ``duration_days`` runs from T to the event, or to the end of what can be known (``event``
        false): the end of the data, or ``known_by`` before it, for lapses ``inactive_days`` before that. ``wait_days`` runs from T + lead to
        what decides churn: the end of cover, or the first purchase; ``waited`` says whether it was seen, else the wait is cut off.
        ``leaves_in_data`` says whether the event lies in the data at all, also after ``known_by``: for the leak gate, and never for a model.
    """
    ends_at = find_data_end(tables, study)
    sight = min(ends_at, known_by or ends_at)
    known = {name: _known_by(table, known_by) for name, table in tables.items()}
    if study.kind == "contractual":
        return _label_ends(known["contracts"], population, study, ends_at, sight)
    return _label_lapses(known["orders"], population, study, ends_at, sight)


def _known_by(table: ir.Table, known_by: date | None) -> ir.Table:
    if known_by is None or "known_at" not in table.columns:
        return table
    return table.filter(table.known_at < pd.Timestamp(known_by + timedelta(days=1)).to_pydatetime())


def _stamp(day: date) -> ir.Value:
    return ibis.literal(pd.Timestamp(day).to_pydatetime())


def _add_days(column: ir.Value, days: int) -> ir.Value:
    return column + ibis.interval(days=days)


def _label_ends(contracts: ir.Table, population: ir.Table, study: Study, ends_at: date, sight: date) -> ir.Table:
    spells = join_terms(contracts, ["customer_id"], ends_at)
    at = population.left_join(
        spells,
        [
            population.customer_id == spells.customer_id,
            spells.started <= population.snapshot,
            spells.ended.isnull() | (spells.ended > population.snapshot),
        ],
    ).select(population.snapshot, population.customer_id, left=spells.ended)
    opens = _add_days(at.snapshot, study.churn.lead_days)
    closes = _add_days(opens, study.churn.horizon_days)
    seen = _hide_after(at.left, sight)
    return at.select(
        "snapshot",
        "customer_id",
        churned=((at.left > opens) & (at.left <= closes)).fill_null(False),
        left_in_lead=(at.left <= opens).fill_null(False),
        duration_days=seen.fill_null(_stamp(sight)).delta(at.snapshot, unit="day"),
        event=seen.notnull(),
        **_wait(seen, opens, sight),
        leaves_in_data=at.left.notnull(),
    )


def _hide_after(day: ir.Value, sight: date) -> ir.Value:
    return (day <= _stamp(sight)).ifelse(day, ibis.null(day.type()))


def _wait(seen: ir.Value, opens: ir.Value, sight: date) -> dict[str, ir.Value]:
    """Return the days from the end of the lead to what is waited for, or to where sight ends, and whether it was seen."""
    days = seen.fill_null(_stamp(sight)).delta(opens, unit="day")
    return {"wait_days": ibis.greatest(days, 0), "waited": seen.notnull()}


def _label_lapses(orders: ir.Table, population: ir.Table, study: Study, ends_at: date, sight: date) -> ir.Table:
    keys = ["snapshot", "customer_id"]
    bought = orders.filter(is_purchase(orders), orders.ordered_at < _stamp(ends_at + timedelta(days=1)))
    bought = bought.select("customer_id", day=bought.ordered_at.truncate("D")).distinct()
    after = population.join(bought, [population.customer_id == bought.customer_id, bought.day > population.snapshot])
    after = after.select(population.snapshot, population.customer_id, bought.day)
    back = after.filter(after.day > _add_days(after.snapshot, study.churn.lead_days)).group_by(keys).agg(back=lambda t: t.day.min())
    at = population.left_join(back, keys).select(population, "back")
    opens = _add_days(at.snapshot, study.churn.lead_days)
    in_window = (at.back <= _add_days(opens, study.churn.horizon_days)).fill_null(False)
    durations = _lapse_durations(population, after, study, ends_at, sight)
    labels = at.select(*keys, churned=~in_window, left_in_lead=False, **_wait(_hide_after(at.back, sight), opens, sight))
    order = ["churned", "left_in_lead", "duration_days", "event", "wait_days", "waited", "leaves_in_data"]
    return labels.join(durations, keys).select(*keys, *order)


def _lapse_durations(population: ir.Table, after: ir.Table, study: Study, ends_at: date, sight: date) -> ir.Table:
    """Return the days from T to the first day, T included, that ``inactive_days`` without an order follow; censored where unknown."""
    starts = population.mutate(day=population.snapshot)
    days = starts.union(after.select(starts.columns).cast(starts.schema()))
    following = days.day.lead().over(ibis.window(group_by=["snapshot", "customer_id"], order_by="day"))
    gap = following.fill_null(_stamp(date(9999, 1, 1))).delta(days.day, unit="day")
    silent = days.mutate(lapse=(gap > study.churn.inactive_days).ifelse(days.day, ibis.null("timestamp(6)")))
    lapses = silent.group_by(["snapshot", "customer_id"]).agg(lapse=silent.lapse.min())
    latest, limit = (_stamp(day - timedelta(days=study.churn.inactive_days)) for day in (ends_at, sight))
    known = (lapses.lapse <= limit).fill_null(False)
    duration = ibis.ifelse(known, lapses.lapse, limit).delta(lapses.snapshot, unit="day")
    ever = (lapses.lapse <= latest).fill_null(False)
    return lapses.select("snapshot", "customer_id", duration_days=ibis.greatest(duration, 0), event=known, leaves_in_data=ever)


def find_data_end(tables: Tables, study: Study) -> date:
    """Return the last day on which the labelled event could have been seen: ``data_end`` of study.yml, else the last row's day."""
    if study.data_end is not None:
        _require_past(study)
        return study.data_end
    table = tables["contracts" if study.kind == "contractual" else "orders"]
    columns = [column for column in ("started_at", "ended_at", "ordered_at") if column in table.columns]
    last = table.agg(**{column: table[column].max() for column in columns}).execute().iloc[0]
    return last.max().date()


def _require_past(study: Study) -> None:
    if study.data_end > date.today():
        raise StudyError(
            f"study.yml of {study.name}, key data_end: required a day that has passed, arrived {study.data_end}; "
            f"name the last day on which the data would have shown an event"
        )


def find_data_start(tables: Tables, study: Study) -> date:
    """Return the day of the first row of the table that says who is a customer at a snapshot."""
    table = tables["contracts" if study.kind == "contractual" else "orders"]
    return table[CONTRACTS["contracts" if study.kind == "contractual" else "orders"].dated].min().execute().date()
