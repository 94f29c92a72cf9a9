"""The one place where time is cut: evidence, population, labels and durations at a snapshot.

A snapshot T is a day. Evidence is what was known by the end of T. The label window is half-open,
``(T + lead, T + lead + horizon]``. Everything here is an Ibis expression with a column
``snapshot``, so that one snapshot and a panel of many are the same code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.panel.spells import is_purchase

NUMBER = ibis.util.gen_name("number")  # as no company names a column of its own
RESOLVED_LATER = {
    "contracts": ("ended_at", ("end_reason", "voluntary")),
    "contacts": ("resolved_at", ()),
}


def cut(table: ir.Table, name: str, snapshots: Sequence[date]) -> ir.Table:
    """Return the rows of one contract table that were known by the end of each snapshot.

    A row is known from the later of its own day and, where the table has it, ``known_at``; a row
    whose ``known_at`` is empty was never known. What a row says of a later day (a contract's end
    with its reason, a contact's resolution) is empty until that day.

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
        known = table.filter(*_known(table, name, stamp(snapshots[0])))
        return _hide_later(known.mutate(snapshot=stamp(snapshots[0])), name)
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
    return evidence.mutate(
        **{
            column: happened.ifelse(evidence[column], ibis.null(evidence[column].type()))
            for column in hidden
        }
    )


def follow(table: ir.Table, name: str, last: date) -> ir.Table:
    """Return the rows of one contract table that were known by the end of a day, each once, with
    the day from which it was known.

    Many snapshots can share one pass over these rows: what a snapshot may count is what was dated
    and known by its end.

    Parameters
    ----------
    table : contract table ``name``
    last : day, inclusive

    Returns
    -------
    table with the columns of ``table``, ``day`` and, where the table has ``known_at``, ``known``:
    both days
        Without ``known_at``, and without what a row says of a later day than its own.
    """
    table = table.drop(
        *(column for column in table.columns if column.lower() in ("day", "known"))
    )  # a company's own would be taken for ours
    rows = table.filter(*_known(table, name, stamp(last)))
    known = {"known": rows.known_at.truncate("D")} if "known_at" in rows.columns else {}
    rows = rows.mutate(day=rows[CONTRACTS[name].dated].truncate("D"), **known)
    resolved, details = RESOLVED_LATER.get(name, ("", ()))
    return rows.drop(
        *(column for column in ("known_at", resolved, *details) if column in rows.columns)
    )


class Evidence(Mapping):
    """What was known by the end of each snapshot; made by ``cut_evidence`` alone, and the only
    thing that features are made from.

    ``evidence[name]`` is the table as ``cut`` leaves it, one row per row known and snapshot;
    ``evidence.follow(name)`` has each row once.
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
        """Return each row known by the last snapshot once; see ``follow`` of this module. At one
        snapshot all of them are known alike.
        """
        rows = follow(self._tables[name], name, self.snapshots[-1])
        return rows.drop("known") if len(self.snapshots) == 1 and "known" in rows.columns else rows

    def follow_active(self, name: str) -> ir.Table:
        """Return of the rows of ``follow`` those that show a customer alive: purchases of orders,
        all of another table.
        """
        rows = self.follow(name)
        return rows.filter(is_purchase(rows)) if name == "orders" else rows

    def list_days(self, name: str) -> ir.Table:
        """Return each customer's days with a row of ``follow_active``, once: customer_id, day and,
        as in ``follow``, known.
        """
        if name not in self._days:
            real = self.follow_active(name)
            known = {"known": real.known.min()} if "known" in real.columns else {}
            self._days[name] = (
                real.group_by(["customer_id", "day"]).agg(**known)
                if known
                else real.select("customer_id", "day").distinct()
            )
        return self._days[name]

    def lay_down_days(self, name: str, keep: Callable[[ir.Table, str], ir.Table]) -> None:
        """Let ``keep`` compute the days of a table once, for all who ask for them."""
        self._days[name] = keep(self.list_days(name), "days")

    def among(self, people: ir.Table) -> "Evidence":
        """Return the evidence of some customers, in which a number stands for each, which engines
        group faster than a text; see ``number``.

        ``whole`` remains the evidence of all.
        """
        return Evidence(
            {name: number(table, people) for name, table in self._tables.items()},
            self.snapshots,
            self.whole,
        )

    def only(self, snapshot: date) -> "Evidence":
        """Return the evidence of one of the snapshots."""
        if snapshot not in self.snapshots:
            raise ValueError(
                f"expected one of the snapshots {', '.join(map(str, self.snapshots))}, got"
                f" {snapshot}; cut the evidence there"
            )
        return Evidence(self._tables, [snapshot])


def number(table: ir.Table, people: ir.Table) -> ir.Table:
    """Return the rows of some customers, with their numbers as customer_id; ``people`` has columns
    customer_id and ``NUMBER``.
    """
    found = table.join(people, "customer_id")
    return found.select(
        NUMBER, *(column for column in table.columns if column != "customer_id")
    ).rename(customer_id=NUMBER)


def cut_evidence(tables: Tables, snapshots: Sequence[date]) -> Evidence:
    """Return what was known by the end of each snapshot, for every dated table; see ``cut``."""
    return Evidence(tables, snapshots)


def stamp(day: date) -> ir.Value:
    return ibis.literal(pd.Timestamp(day).to_pydatetime())
