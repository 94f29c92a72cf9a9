"""What a study's tables hold: run facts, counts, missing values, duplicates, freshness, all counted
by the engine.
"""

import ibis
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.coverage import find_data_end
from research.data.fetch import data_hash
from research.study import Study

FRESHNESS = ["table", "last", "days_before_snapshot", "days_before_data_end", "verdict"]


def describe_run(study: Study, tables: Tables, **parameters) -> pd.DataFrame:
    """Return the facts that identify a run, one row each: study, parameters, rows, customers, first
    and last day, data hash.

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
    rows = []
    for name, table in tables.items():
        dated = CONTRACTS[name].dated
        times = [
            column
            for column, spec in CONTRACTS[name].columns.items()
            if spec.kind == "time" and column != "known_at" and column in table.columns
        ]
        latest = [table[column].max() for column in times]
        days = (
            {
                "first": table[dated].min(),
                "last": ibis.greatest(*latest) if len(latest) > 1 else latest[0],
            }
            if dated
            else {}
        )
        found = (
            table.agg(rows=table.count(), customers=table.customer_id.nunique(), **days)
            .execute()
            .iloc[0]
        )
        distinct = table.distinct().count().execute()
        rows.append(
            (
                name,
                found.rows,
                found.customers,
                found.rows - distinct,
                found.get("first"),
                found.get("last"),
            )
        )
    counts = pd.DataFrame(
        rows, columns=["table", "rows", "customers", "duplicates", "first", "last"]
    )
    return counts.astype({"rows": "int64", "customers": "int64", "duplicates": "int64"}).assign(
        first=pd.to_datetime(counts["first"]), last=pd.to_datetime(counts["last"])
    )


def count_missing(tables: Tables) -> pd.DataFrame:
    """Return the share of empty values of every column.

    Returns
    -------
    DataFrame with columns table, column, missing_share, distinct
    """
    rows = []
    for name, table in tables.items():
        shares = (
            table.agg(
                **{f"m{i}": table[column].isnull().mean() for i, column in enumerate(table.columns)}
            )
            .execute()
            .iloc[0]
        )
        distinct = (
            table.agg(
                **{f"d{i}": table[column].nunique() for i, column in enumerate(table.columns)}
            )
            .execute()
            .iloc[0]
        )
        rows += [
            (name, column, float(shares[f"m{i}"]), int(distinct[f"d{i}"]))
            for i, column in enumerate(table.columns)
        ]
    return pd.DataFrame(rows, columns=["table", "column", "missing_share", "distinct"])


def count_by_month(tables: Tables) -> pd.DataFrame:
    """Return how many rows of each dated table fall into each calendar month, months without rows
    included as 0.

    Returns
    -------
    DataFrame with columns table, month (first day), rows
    """
    parts = []
    for name, table in tables.items():
        dated = CONTRACTS[name].dated
        if dated:
            month = (
                table.group_by(month=table[dated].truncate("M"))
                .agg(rows=lambda t: t.count())
                .order_by("month")
                .execute()
            )
            parts.append(
                month.set_index("month").asfreq("MS", fill_value=0).reset_index().assign(table=name)
            )
    return (
        pd.concat(parts, ignore_index=True)[["table", "month", "rows"]]
        if parts
        else pd.DataFrame(columns=["table", "month", "rows"])
    )


def find_marks(tables: Tables, study: Study) -> dict[str, pd.Timestamp]:
    """Return the days that a picture over time marks; none for a flat study."""
    if study.kind == "flat":
        return {}
    days = {"last snapshot": study.snapshots.last, "data end": find_data_end(tables, study)}
    return {name: pd.Timestamp(day) for name, day in days.items()}


def freshness_table(tables: Tables, study: Study) -> pd.DataFrame:
    """Return how long before the last snapshot and before the data's end each dated table falls
    silent; a flat study has no such table.

    Returns
    -------
    DataFrame with columns table, last, days_before_snapshot, days_before_data_end, verdict
        ``days_before_snapshot`` is 0 where rows reach the snapshot. A table is stale where it stops
        more than a month before it: its recent windows would say "nothing happened" where nothing
        was recorded. Campaigns come when the company decides, so their silence says nothing: they
        are left out.
    """
    if study.kind == "flat":
        return pd.DataFrame(columns=FRESHNESS)
    ends_at, snapshot = (
        pd.Timestamp(find_data_end(tables, study)),
        pd.Timestamp(study.snapshots.last),
    )
    counts = count_rows(tables).dropna(subset="last").query("table != 'campaigns'")
    last = counts["last"].dt.normalize()
    table = counts[["table"]].assign(
        last=last,
        days_before_snapshot=(snapshot - last).dt.days.clip(lower=0),
        days_before_data_end=(ends_at - last).dt.days.clip(lower=0),
    )
    stale = table.days_before_snapshot > 30
    return table.assign(
        verdict=stale.map({True: "stale at the snapshot", False: "fresh at the snapshot"})
    ).reset_index(drop=True)
