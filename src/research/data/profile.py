"""What a study's tables contain, counted by the engine.

Run facts, rows, missing values, duplicates, rows per month, and how recent each table is.
"""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.coverage import find_data_end
from research.data.fetch import data_hash
from research.study import Study

COUNTS = ["table", "rows", "customers", "duplicates", "first", "last"]
FRESHNESS = ["table", "last", "days_before_snapshot", "days_before_data_end", "verdict"]
FRESHNESS += ["at_data_end"]
STALE_DAYS = 30
FRESH, STALE = "fresh at the snapshot", "stale at the snapshot"
FRESH_NOW, STALE_NOW = "fresh at the data end", "stale at the data end"
BY_COMPANY = "not judged: the company decides when"


def facts_table(study: Study, tables: Tables, **parameters) -> pd.DataFrame:
    """Return the facts that identify a run, one row each.

    They are the study, rows, customers, first and last day, data hash and parameters.

    Returns
    -------
    DataFrame with columns fact, value (text)
    """
    counts = count_rows(tables)
    facts = {
        "study": f"{study.name}: {study.title}",
        "kind": study.kind.replace("_", "-"),
        "rows": f"{counts.rows.sum():,} in {len(counts)} table{'s' if len(counts) > 1 else ''}",
    }
    facts["customers"] = f"{counts[counts.table.isin(['customers', 'snapshot'])].rows.sum():,}"
    if counts["first"].notna().any():
        facts["first and last day"] = (
            f"{counts['first'].min():%Y-%m-%d} to {counts['last'].max():%Y-%m-%d}"
        )
    facts |= {
        "sensitive columns, never in a model": ", ".join(study.sensitive) or "none named",
        "data hash": data_hash(study)[:16],
    }
    facts |= {name: str(value) for name, value in parameters.items()}
    return pd.DataFrame(facts.items(), columns=["fact", "value"])


def count_rows(tables: Tables) -> pd.DataFrame:
    """Return one row per contract table: rows, customers, exact duplicates, first and last day.

    Returns
    -------
    DataFrame with columns table, rows, customers, duplicates, first, last
        ``duplicates`` counts the rows beyond the first of each set of equal ones; ``last`` is the
        last day that any column but ``known_at`` names. Days are empty for tables without dates.
    """
    counts = pd.DataFrame(
        [_count_table(name, table) for name, table in tables.items()], columns=COUNTS
    )
    return counts.astype({"rows": "int64", "customers": "int64", "duplicates": "int64"}).assign(
        first=pd.to_datetime(counts["first"]), last=pd.to_datetime(counts["last"])
    )


def _count_table(name: str, table: ir.Table) -> tuple:
    days = _first_and_last(name, table)
    counts = table.agg(rows=table.count(), customers=table.customer_id.nunique(), **days)
    counted = counts.execute().iloc[0]
    distinct = table.distinct().count().execute()
    first, last = counted.get("first"), counted.get("last")
    return name, counted.rows, counted.customers, counted.rows - distinct, first, last


def _first_and_last(name: str, table: ir.Table) -> dict[str, ir.Value]:
    """Return the first day of a dated table and the last that any column names, as expressions."""
    contract = CONTRACTS[name]
    if not contract.dated:
        return {}
    times = [
        table[column].max()
        for column, spec in contract.columns.items()
        if spec.kind == "time" and column != "known_at" and column in table.columns
    ]
    last = ibis.greatest(*times) if len(times) > 1 else times[0]
    return {"first": table[contract.dated].min(), "last": last}


def count_missing(tables: Tables) -> pd.DataFrame:
    """Return the share of empty values of every column.

    Returns
    -------
    DataFrame with columns table, column, missing_share, distinct
    """
    rows = []
    for name, table in tables.items():
        shares = _aggregate(table, lambda column: column.isnull().mean())
        distinct = _aggregate(table, lambda column: column.nunique())
        rows += [
            (name, column, float(share), int(values))
            for column, share, values in zip(table.columns, shares, distinct, strict=True)
        ]
    return pd.DataFrame(rows, columns=["table", "column", "missing_share", "distinct"])


def _aggregate(table: ir.Table, measure: Callable[[ir.Value], ir.Scalar]) -> list:
    """Return one measure of every column, in order."""
    values = {f"c{place}": measure(table[name]) for place, name in enumerate(table.columns)}
    return table.agg(**values).execute().iloc[0].to_list()


def count_by_month(tables: Tables) -> pd.DataFrame:
    """Return the rows of each dated table per calendar month, 0 for months without rows.

    Returns
    -------
    DataFrame with columns table, month (first day), rows
    """
    parts = [
        _count_months(table, CONTRACTS[name].dated).assign(table=name)
        for name, table in tables.items()
        if CONTRACTS[name].dated
    ]
    columns = ["table", "month", "rows"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _count_months(table: ir.Table, dated: str) -> pd.DataFrame:
    months = table.group_by(month=table[dated].truncate("M")).agg(rows=lambda t: t.count())
    counts = months.order_by("month").execute().set_index("month")
    return counts.asfreq("MS", fill_value=0).reset_index()


def find_marks(tables: Tables, study: Study) -> dict[str, pd.Timestamp]:
    """Return the days that a picture over time marks; none for a flat study."""
    if study.kind == "flat":
        return {}
    days = {"last snapshot": study.snapshots.last, "data end": find_data_end(tables, study)}
    return {name: pd.Timestamp(day) for name, day in days.items()}


def freshness_table(tables: Tables, study: Study) -> pd.DataFrame:
    """Return how long before the last snapshot and the end of the data each dated table ends.

    Returns
    -------
    DataFrame with columns table, last, days_before_snapshot, days_before_data_end, verdict,
    at_data_end
        No rows for a flat study. The days are 0 where rows reach the snapshot, or the data end. A
        table that ends more than 30 days before the snapshot is stale there (``verdict``): its
        recent windows would count zero where nothing was recorded. One that ends so before the data
        end is stale today (``at_data_end``), on the day on which customers are scored. Campaigns
        are listed and not judged, since the company decides when they are.
    """
    if study.kind == "flat":
        return pd.DataFrame(columns=FRESHNESS)
    ends_at = pd.Timestamp(find_data_end(tables, study))
    snapshot = pd.Timestamp(study.snapshots.last)
    counts = count_rows(tables).dropna(subset="last")
    last = counts["last"].dt.normalize()
    table = counts[["table"]].assign(
        last=last,
        days_before_snapshot=(snapshot - last).dt.days.clip(lower=0),
        days_before_data_end=(ends_at - last).dt.days.clip(lower=0),
    )
    judged = ~table.table.map({name: CONTRACTS[name].by_company for name in counts.table})
    return table.assign(
        verdict=_judge(table.days_before_snapshot, judged, FRESH, STALE),
        at_data_end=_judge(table.days_before_data_end, judged, FRESH_NOW, STALE_NOW),
    ).reset_index(drop=True)


def _judge(days: pd.Series, judged: pd.Series, fresh: str, stale: str) -> np.ndarray:
    return np.select([~judged, days > STALE_DAYS], [BY_COMPANY, stale], fresh)
