"""Evidence: point-in-time data, what was known by the end of each snapshot.

A snapshot T is a day. A row is known from its own day, or from ``known_at`` where that is later.
This is the one place where time is cut off. Everything here is an Ibis expression with a column
``snapshot``, so that one snapshot and a panel of many are the same code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.panel.spells import find_active

NUMBER = ibis.util.gen_name("number")  # as no company names a column of its own


def filter_as_of(table: ir.Table, name: str, snapshots: Sequence[date]) -> ir.Table:
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
        day = as_timestamp(snapshots[0])
        known = table.filter(*_is_known(table, name, day)).mutate(snapshot=day)
        return _hide_later(known, name)
    days = ibis.memtable({"snapshot": pd.to_datetime(list(snapshots)).astype("datetime64[us]")})
    return _hide_later(table.join(days, _is_known(table, name, days.snapshot)), name)


def _is_known(table: ir.Table, name: str, day: ir.Value) -> list[ir.BooleanValue]:
    """Return the conditions that a row had happened, and was known, by the end of the day."""
    columns = [CONTRACTS[name].dated, *(["known_at"] if "known_at" in table.columns else [])]
    return [table[column] < day + ibis.interval(days=1) for column in columns]


def _hide_later(evidence: ir.Table, name: str) -> ir.Table:
    """Empty what a row says of a day after its snapshot."""
    later = [column for column in CONTRACTS[name].later if column in evidence.columns]
    if not later or later[0] != CONTRACTS[name].resolved.at:
        return evidence
    happened = evidence[later[0]] < evidence.snapshot + ibis.interval(days=1)
    return evidence.mutate(
        **{
            column: happened.ifelse(evidence[column], ibis.null(evidence[column].type()))
            for column in later
        }
    )


def find_known_rows(table: ir.Table, name: str, last: date) -> ir.Table:
    """Return the rows of one contract table that were known by the end of a day, each once.

    Many snapshots can share one pass over these rows: what a snapshot may count is what was dated
    and known by its end.

    Parameters
    ----------
    table : contract table ``name``
    last : day, inclusive

    Returns
    -------
    table with the columns of ``table``, ``day`` and, where the table has ``known_at``, ``known``
        Both are days. Without ``known_at``, and without what a row says of a later day than its
        own.
    """
    table = table.drop(
        *(column for column in table.columns if column.lower() in ("day", "known"))
    )  # a company's own would be taken for ours
    rows = table.filter(*_is_known(table, name, as_timestamp(last)))
    known = {"known": rows.known_at.truncate("D")} if "known_at" in rows.columns else {}
    rows = rows.mutate(day=rows[CONTRACTS[name].dated].truncate("D"), **known)
    hidden = ("known_at", *CONTRACTS[name].later)
    return rows.drop(*(column for column in hidden if column in rows.columns))


class Evidence(Mapping):
    """Point-in-time data of a study at snapshots, and the only thing that features are made from.

    ``evidence[name]`` is the table as ``filter_as_of`` returns it, one row per row known and
    snapshot; ``evidence.find_rows(name)`` has each row once. ``evidence_as_of`` makes it.
    """

    def __init__(
        self, tables: Tables, snapshots: Sequence[date], all_customers: "Evidence | None" = None
    ):
        self.snapshots = tuple(sorted(set(snapshots)))
        self.all_customers = all_customers or self
        self._tables = {name: table for name, table in tables.items() if CONTRACTS[name].dated}
        self._filtered: Tables = {}
        self._days: Tables = {}

    def __getitem__(self, name: str) -> ir.Table:
        if name not in self._filtered:
            self._filtered[name] = filter_as_of(self._tables[name], name, self.snapshots)
        return self._filtered[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def find_rows(self, name: str) -> ir.Table:
        """Return each row known by the last snapshot once; see ``find_known_rows``.

        At one snapshot all of them are known, and none has the column ``known``.
        """
        rows = find_known_rows(self._tables[name], name, self.snapshots[-1])
        return rows.drop("known") if len(self.snapshots) == 1 and "known" in rows.columns else rows

    def find_active_rows(self, name: str) -> ir.Table:
        """Return the rows of ``find_rows`` that show a customer active; see ``find_active``."""
        rows = self.find_rows(name)
        active = find_active(rows, name)
        return rows if active is None else rows.filter(active)

    def find_active_days(self, name: str) -> ir.Table:
        """Return each customer's days with a row of ``find_active_rows``, once.

        Returns
        -------
        table with columns customer_id, day and, as in ``find_known_rows``, known
        """
        if name not in self._days:
            rows = self.find_active_rows(name)
            known = {"known": rows.known.min()} if "known" in rows.columns else {}
            self._days[name] = (
                rows.group_by(["customer_id", "day"]).agg(**known)
                if known
                else rows.select("customer_id", "day").distinct()
            )
        return self._days[name]

    def keep_active_days(self, name: str, keep: Callable[[ir.Table, str], ir.Table]) -> None:
        """Let ``keep`` compute the active days of a table once, for all who ask for them."""
        self._days[name] = keep(self.find_active_days(name), "days")

    def number_customers(self, people: ir.Table) -> "Evidence":
        """Return the evidence of some customers, whose ids are replaced by numbers.

        Engines group numbers faster than texts; see ``number_rows``. ``all_customers`` remains the
        evidence of all.
        """
        tables = {name: number_rows(table, people) for name, table in self._tables.items()}
        return Evidence(tables, self.snapshots, self.all_customers)

    def at(self, snapshot: date) -> "Evidence":
        """Return the evidence of one of the snapshots."""
        if snapshot not in self.snapshots:
            raise ValueError(
                f"expected one of the snapshots {', '.join(map(str, self.snapshots))}, got"
                f" {snapshot}; make the evidence as of that day"
            )
        return Evidence(self._tables, [snapshot])


def number_rows(table: ir.Table, people: ir.Table) -> ir.Table:
    """Return the rows of some customers, with their numbers as customer_id.

    Parameters
    ----------
    people : table with columns customer_id and ``NUMBER``
    """
    rows = table.join(people, "customer_id")
    others = (column for column in table.columns if column != "customer_id")
    return rows.select(NUMBER, *others).rename(customer_id=NUMBER)


def evidence_as_of(tables: Tables, snapshots: Sequence[date]) -> Evidence:
    """Return what was known by the end of each snapshot, for every dated table.

    See ``filter_as_of``.
    """
    return Evidence(tables, snapshots)


def as_timestamp(day: date) -> ir.Value:
    """Return a day as a literal of the engine."""
    return ibis.literal(pd.Timestamp(day).to_pydatetime())
