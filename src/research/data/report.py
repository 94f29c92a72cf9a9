"""Sentences of ``10_data``, each made from the tables that the page shows."""

import pandas as pd

from research.data.profile import STALE, STALE_NOW
from research.data.remarks import describe_remarks

MOST_REMARKS = 3  # told in full


def describe_data(
    counts: pd.DataFrame,
    checked: pd.DataFrame,
    freshness: pd.DataFrame,
    leaks: pd.DataFrame,
    remarks: pd.DataFrame,
) -> str:
    """Return the verdict on the data: checks, duplicates, freshness, target leakage, remarks.

    Parameters
    ----------
    counts : see ``profile.count_rows``
    checked : see ``checks.check``
    freshness : see ``profile.freshness_table``; without rows nothing is said of it
    leaks : see ``check_leakage``
    remarks : see ``find_remarks``; those on features that leak are told once
    """
    failed = int((checked.rows_failing > 0).sum())
    duplicates = f"{counts.duplicates.sum():,} of {counts.rows.sum():,} rows are exact duplicates."
    return " ".join(
        sentence
        for sentence in (
            f"**{len(checked) - failed} of {len(checked)} checks passed.**",
            duplicates,
            _describe_freshness(freshness),
            _describe_leaks(leaks),
            _describe_remarks(remarks),
        )
        if sentence
    )


def _describe_freshness(freshness: pd.DataFrame) -> str:
    """Return which tables are stale, on the day that is judged and on the last day of the data."""
    if freshness.empty:
        return ""
    stale = freshness.verdict == STALE
    since = ~stale & (freshness.at_data_end == STALE_NOW)
    if not (stale | since).any():
        return "No dated table is stale, at the last snapshot or at the data end."
    places = {"the last snapshot": freshness[stale], "the data end": freshness[since]}
    return " ".join(
        f"Stale at {place}: {', '.join(rows.table)}." for place, rows in places.items() if len(rows)
    )


def _describe_leaks(leaks: pd.DataFrame) -> str:
    excluded = leaks.column[leaks.decision == "excluded"]
    if excluded.empty:
        return "The leakage checks exclude no feature."
    return f"Excluded from every model for target leakage: {', '.join(excluded)}."


def _describe_remarks(remarks: pd.DataFrame) -> str:
    """Name what may mislead: the first remarks in full, the others by their number."""
    others = remarks[~remarks.place.str.startswith("feature ")]
    if others.empty:
        return ""
    more = len(others) - MOST_REMARKS
    ending = f" {more} more remarks are listed above." if more > 0 else ""
    sentences = " ".join(f"{sentence}." for sentence in describe_remarks(others[:MOST_REMARKS]))
    return f"**May mislead:** {sentences}{ending}"
