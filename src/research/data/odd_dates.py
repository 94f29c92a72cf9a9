"""Remarks on dates that mislead: placeholders, customers who joined after their first contract,
contracts that were ended by the export, and midnights of another time zone.
"""

from collections.abc import Iterator
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.coverage import find_data_end
from research.data.remark import Remark
from research.data.terms import end_day
from research.study import Study

PLACEHOLDERS = (datetime(1900, 1, 1), datetime(1970, 1, 1))  # a program's zero
LEAST, LEAST_SHARE = 20, 0.05  # customers who joined after their first event, and of all
SAME_DAYS = 1  # a day apart is one day, of two clocks
MIDNIGHTS = 0.98  # of the starts of contracts, in two full hours: summer and winter
RARER = 0.1  # of them in the rarer of the two
TIMES_AS_MANY = 5  # ends on the last day as on any other: more than chance or a month's end


def find_placeholders(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark for each column of times with days that programs write for none."""
    for name, table in tables.items():
        for column, spec in CONTRACTS[name].columns.items():
            if spec.kind == "time" and column in table.columns:
                days = table[column].truncate("D")
                counts = {f"n{i}": (days == day).sum() for i, day in enumerate(PLACEHOLDERS)}
                found = table.agg(**counts).to_pandas().astype(float).iloc[0].fillna(0)
                for day, rows in zip(PLACEHOLDERS, found, strict=True):
                    if rows:
                        yield _describe_placeholder(name, column, day, rows)


def _describe_placeholder(name: str, column: str, day: datetime, rows: float) -> Remark:
    return Remark(
        f"table {name}, column {column}",
        f"{rows:,.0f} row{'s are' if rows > 1 else ' is'} of {day:%Y-%m-%d}, which programs write"
        " where there is no date",
        f"where it is one, write NULLIF({column}, DATE '{day:%Y-%m-%d}') in {name}.sql and fill"
        " what must not be empty",
    )


def find_late_joins(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when customers joined after their first contract or order began.

    They are in no snapshot before they joined.
    """
    name = "contracts" if "contracts" in tables else "orders"
    column = "started_at" if "contracts" in tables else "ordered_at"
    if name not in tables:
        return
    first = tables[name].group_by("customer_id").agg(first=lambda t: t[column].min())
    joined = first.join(tables["customers"].select("customer_id", "joined_at"), "customer_id")
    days = joined.joined_at.truncate("D").delta(joined["first"].truncate("D"), unit="day")
    late = joined.agg(
        customers=joined.count(),
        late=(days > SAME_DAYS).sum(),
        middle=days.median(where=days > SAME_DAYS),
    )
    row = late.to_pandas().astype(float).fillna(0).iloc[0]
    if row.late >= max(LEAST, LEAST_SHARE * row.customers):
        yield Remark(
            "table customers, column joined_at",
            f"{row.late:,.0f} of {row.customers:,.0f} customers joined after their first row in"
            f" {name}, by {row.middle:,.0f} days in the median, and are in no snapshot before",
            "if joined_at is the day of a new account or of a migration, select the earlier day in"
            " customers.sql",
        )


def find_ends_by_export(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when far more contracts end on the last day of the data than on any other."""
    contracts = tables.get("contracts")
    if study.kind != "contractual" or "ended_at" not in contracts.columns:
        return
    last = pd.Timestamp(find_data_end(tables, study))
    ends = _count_ends(contracts)
    on_last, others = int(ends.get(last, 0)), ends[ends.index < last]
    if on_last >= max(LEAST, TIMES_AS_MANY * int(others.max() if len(others) else 0)):
        yield Remark(
            "table contracts, column ended_at",
            f"{on_last:,} of {int(ends[ends.index <= last].sum()):,} ends are of {last:%Y-%m-%d},"
            " the data end",
            "if these contracts still ran at the export, make ended_at empty there in"
            " contracts.sql, or each counts as a leave",
        )


def _count_ends(contracts: ir.Table) -> pd.Series:
    days = contracts.select(day=end_day(contracts)).filter(ibis._.day.notnull())
    counts = days.group_by("day").agg(ends=lambda t: t.count()).to_pandas()
    return counts.set_index(pd.to_datetime(counts.day)).ends


def find_shifted_midnights(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when contracts start at two hours next to each other, as local midnights do in UTC."""
    if "contracts" not in tables or study.time_zone:
        return
    started = tables["contracts"].started_at.cast("timestamp")
    clock = started.hour() * 60 + started.minute()
    counts = clock.name("clock").as_table().group_by("clock").agg(rows=lambda t: t.count())
    shares = counts.to_pandas().set_index("clock").rows.sort_values(ascending=False)
    total, hours = shares.sum(), sorted(int(each) for each in shares.index[:2])
    if total < LEAST or len(hours) < 2 or 0 in hours or hours[1] - hours[0] != 60:
        return
    if shares.iloc[:2].sum() >= MIDNIGHTS * total and shares.iloc[1] >= RARER * total:
        first, second = (f"{each // 60:02}:{each % 60:02}" for each in hours)
        yield Remark(
            "table contracts, column started_at",
            f"{shares.iloc[:2].sum():,} of {total:,} terms begin at {first} or {second}, as"
            " midnights of a time zone with summer time do in UTC, so that days begin too early or"
            " too late",
            "if they are, write the zone in study.yml, such as 'time_zone: Europe/Berlin'",
        )
