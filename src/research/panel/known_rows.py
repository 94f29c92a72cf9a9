"""Remarks on ``known_at``: rows that it hides from every snapshot, or from most of them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.remark import Remark
from research.study import Study

MOST_EMPTY = 0.1  # share of rows without known_at that a table may have without a remark
MOST_LATE = 0.5  # share of the rows dated by the last snapshot that may become known after it
ONE_LOAD = 0.2  # ... and share of these that may do so on one day: more, and it is that of a load
NEARLY_ALL = 0.95  # share of the rows of which the day doesn't matter


def find_hidden_rows(tables: Tables, study: Study, train: pd.DataFrame) -> Iterator[Remark]:
    """Yield a remark for each table whose ``known_at`` is often empty, or as late as a load."""
    for name, table in tables.items():
        if CONTRACTS[name].dated and "known_at" in table.columns:
            yield from _find_empty(table, name)
            if study.snapshots:
                yield from _find_late(table, name, study.snapshots.last)


def _find_empty(table: ir.Table, name: str) -> Iterator[Remark]:
    rows, empty = _count(table, table.known_at.isnull())
    if empty > MOST_EMPTY * rows:
        yield Remark(
            f"table {name}, known_at",
            f"it is empty in {empty:,} of {rows:,} rows ({empty / rows:.0%}), which no snapshot"
            " ever knows",
            f"where an empty one means known on the day itself, select COALESCE(known_at,"
            f" {CONTRACTS[name].dated}) AS known_at in {name}.sql",
        )


def _find_late(table: ir.Table, name: str, last: date) -> Iterator[Remark]:
    """Look for rows of the past that became known after the last snapshot, as by a first load."""
    after = datetime(last.year, last.month, last.day) + timedelta(days=1)
    past = table.filter(table[CONTRACTS[name].dated] < after, table.known_at.notnull())
    rows, late = _count(past, past.known_at >= after)
    if late <= MOST_LATE * rows:
        return
    days = past.filter(past.known_at >= after).mutate(day=past.known_at.truncate("D"))
    days = days.group_by("day").agg(rows=days.count())
    top = days.order_by([ibis.desc("rows"), "day"]).limit(1).execute().iloc[0]
    if late > NEARLY_ALL * rows or top.rows > ONE_LOAD * late:
        yield Remark(
            f"table {name}, known_at",
            f"{late:,} of {rows:,} rows dated by the last snapshot {last} became known after it,"
            f" {top.rows:,} of them on {top.day.date()}, so hardly any snapshot knows them",
            "if it is the day of the load into your warehouse, select the day on which a row first"
            f" reached the company, or leave known_at out of {name}.sql",
        )


def _count(table: ir.Table, which: ir.BooleanValue) -> tuple[int, int]:
    """Return the number of rows, and of those which fulfil a condition."""
    row = table.agg(rows=table.count(), found=which.sum().fill_null(0)).execute().iloc[0]
    return int(row.rows), int(row.found)
