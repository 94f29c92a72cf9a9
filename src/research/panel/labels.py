"""Who can churn after a snapshot, and who did."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.panel.evidence import Evidence, stamp
from research.panel.spells import is_purchase, join_terms
from research.study import Study


def find_population(evidence: Evidence, study: Study) -> ir.Table:
    """Return who can churn after each snapshot.

    Contractual: customers with a contract that runs at the end of the snapshot. Non-contractual:
    customers with an order of a positive amount on one of the last ``active_days`` days, the
    snapshot's own day included. Both must be known in the table customers.

    Returns
    -------
    table with columns snapshot, customer_id
        One row per snapshot and customer.
    """
    if study.kind == "contractual":
        contracts = evidence["contracts"]
        active = (
            contracts.filter(contracts.ended_at.isnull())
            if "ended_at" in contracts.columns
            else contracts
        )
    else:
        orders = evidence["orders"]
        opens = orders.snapshot - ibis.interval(days=study.churn.active_days - 1)
        active = orders.filter(is_purchase(orders), orders.ordered_at >= opens)
    keys = ["snapshot", "customer_id"]
    return active.select(keys).distinct().semi_join(evidence["customers"], keys)


def label(
    tables: Tables, population: ir.Table, study: Study, known_by: date | None = None
) -> ir.Table:
    """Label a population with what happened after its snapshots.

    Contractual: the customer leaves on the day on which unbroken cover by contracts ends; churned
    is an end in ``(T + lead, T + lead + horizon]``, and an end in ``(T, T + lead]`` is told apart
    as ``left_in_lead``. Non-contractual: churned is no order of a positive amount in the window.

    Parameters
    ----------
    tables : contract tables, uncut
    population : table with columns snapshot, customer_id
    known_by : date, optional
        Rows that reached the company after this day are unknown to the label: what a model trained
        on that day could have learned from.

    Returns
    -------
    table with columns snapshot, customer_id, churned, left_in_lead, duration_days, event,
    wait_days, waited, leaves_in_data
        One row per row of the population. ``duration_days`` runs from T to the event, or to the end
        of what can be known (``event`` false): the end of the data, or ``known_by`` before it, for
        lapses ``inactive_days`` before that. ``wait_days`` runs from T + lead to what decides
        churn: the end of cover, or the first purchase; ``waited`` says whether it was seen, else
        the wait is cut off. ``leaves_in_data`` says whether the event lies in the data at all, also
        after ``known_by``: for the leak gate, and never for a model.
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


def _add_days(column: ir.Value, days: int) -> ir.Value:
    return column + ibis.interval(days=days)


def _label_ends(
    contracts: ir.Table, population: ir.Table, study: Study, ends_at: date, sight: date
) -> ir.Table:
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
        duration_days=seen.fill_null(stamp(sight)).delta(at.snapshot, unit="day"),
        event=seen.notnull(),
        **_wait(seen, opens, sight),
        leaves_in_data=at.left.notnull(),
    )


def _hide_after(day: ir.Value, sight: date) -> ir.Value:
    return (day <= stamp(sight)).ifelse(day, ibis.null(day.type()))


def _wait(seen: ir.Value, opens: ir.Value, sight: date) -> dict[str, ir.Value]:
    """Return the days from the end of the lead to what is waited for, or to where sight ends, and
    whether it was seen.
    """
    days = seen.fill_null(stamp(sight)).delta(opens, unit="day")
    return {"wait_days": ibis.greatest(days, 0), "waited": seen.notnull()}


def _label_lapses(
    orders: ir.Table, population: ir.Table, study: Study, ends_at: date, sight: date
) -> ir.Table:
    keys = ["snapshot", "customer_id"]
    bought = orders.filter(
        is_purchase(orders), orders.ordered_at < stamp(ends_at + timedelta(days=1))
    )
    bought = bought.select("customer_id", day=bought.ordered_at.truncate("D")).distinct()
    after = population.join(
        bought, [population.customer_id == bought.customer_id, bought.day > population.snapshot]
    )
    after = after.select(population.snapshot, population.customer_id, bought.day)
    back = (
        after.filter(after.day > _add_days(after.snapshot, study.churn.lead_days))
        .group_by(keys)
        .agg(back=lambda t: t.day.min())
    )
    at = population.left_join(back, keys).select(population, "back")
    opens = _add_days(at.snapshot, study.churn.lead_days)
    in_window = (at.back <= _add_days(opens, study.churn.horizon_days)).fill_null(False)
    durations = _lapse_durations(population, after, study, ends_at, sight)
    labels = at.select(
        *keys,
        churned=~in_window,
        left_in_lead=False,
        **_wait(_hide_after(at.back, sight), opens, sight),
    )
    order = [
        "churned",
        "left_in_lead",
        "duration_days",
        "event",
        "wait_days",
        "waited",
        "leaves_in_data",
    ]
    return labels.join(durations, keys).select(*keys, *order)


def _lapse_durations(
    population: ir.Table, after: ir.Table, study: Study, ends_at: date, sight: date
) -> ir.Table:
    """Return the days from T to the first day, T included, that ``inactive_days`` without an order
    follow; censored where unknown.
    """
    starts = population.mutate(day=population.snapshot)
    days = starts.union(after.select(starts.columns).cast(starts.schema()))
    following = days.day.lead().over(
        ibis.window(group_by=["snapshot", "customer_id"], order_by="day")
    )
    gap = following.fill_null(stamp(date(9999, 1, 1))).delta(days.day, unit="day")
    silent = days.mutate(
        lapse=(gap > study.churn.inactive_days).ifelse(days.day, ibis.null("timestamp(6)"))
    )
    lapses = silent.group_by(["snapshot", "customer_id"]).agg(lapse=silent.lapse.min())
    latest, limit = (
        stamp(day - timedelta(days=study.churn.inactive_days)) for day in (ends_at, sight)
    )
    known = (lapses.lapse <= limit).fill_null(False)
    duration = ibis.ifelse(known, lapses.lapse, limit).delta(lapses.snapshot, unit="day")
    ever = (lapses.lapse <= latest).fill_null(False)
    return lapses.select(
        "snapshot",
        "customer_id",
        duration_days=ibis.greatest(duration, 0),
        event=known,
        leaves_in_data=ever,
    )
