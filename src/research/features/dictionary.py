"""The feature dictionary: what each feature is in plain words, its unit, its window and the table
it comes from.

A feature's words are written where the feature is made, so that the two can't drift apart. A study
may replace them by its own. Reports and personas take the words for a feature from here.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, list_event_tables
from research.errors import StudyError
from research.study import Study

COLUMNS = ["feature", "description", "unit", "window_days", "source", "when_nothing"]
EXAMPLES = 2
LAST_DAYS = re.compile(r",? (in the )?last \d+ days")


@dataclass(frozen=True)
class Feature:
    """One feature in words.

    ``window_days``: how far it looks back, none for the whole history. ``zero``: a customer without
    any row has 0, not nothing.
    """

    name: str
    words: str
    unit: str
    source: str
    window_days: int | None = None
    zero: bool = False


@dataclass(frozen=True)
class Block:
    """Features of one source: a table with columns snapshot, customer_id and those of
    ``features``.
    """

    table: ir.Table
    features: tuple[Feature, ...]


def name_rows(study: Study, table: str) -> str:
    """Return what the rows of an event table are called, in the study's own words where it has
    them.
    """
    return study.features.words.get(table, CONTRACTS[table].words.rows)


def is_tenure(feature: Feature) -> bool:
    """Return whether a feature says how long somebody has been a customer."""
    first = {
        f"days_since_first_{table}"
        for table in list_event_tables()
        if not CONTRACTS[table].by_company
    }
    return feature.name in {"tenure_days", "contract_age_days"} | first


def describe_never(table: str) -> str:
    """Return in words that a customer has no row in an event table; "" for other tables."""
    words = CONTRACTS[table].words if table in CONTRACTS else None
    return words.never if words else ""


def reword(features: Iterable[Feature], study: Study) -> list[Feature]:
    """Put the study's own words in place of the usual ones.

    Raises
    ------
    StudyError
        If ``features.words`` names neither a table with features nor a feature: misspelt, the words
        would never be read.
    """
    features, words = list(features), study.features.words
    known = {feature.name for feature in features} | {*list_event_tables()}
    wrong = [name for name in words if name not in known]
    if wrong:
        hints = [
            (
                f"{name} (did you mean {close[0]}?)"
                if (close := difflib.get_close_matches(name, known, n=1))
                else name
            )
            for name in wrong
        ]
        raise StudyError(
            f"study.yml of {study.name}, key features.words: expected tables or features, got"
            f" {', '.join(hints)}; correct or remove them"
        )
    return [replace(feature, words=words.get(feature.name, feature.words)) for feature in features]


def tabulate(features: Sequence[Feature]) -> pd.DataFrame:
    """Return the dictionary as a table.

    Returns
    -------
    DataFrame with columns feature, description, unit, window_days, source, when_nothing
        One row per feature, in the order of the columns that models see. ``window_days`` is empty
        where the whole history counts; ``when_nothing`` is what a customer without any row has: 0
        or empty.
    """
    rows = [
        (f.name, f.words, f.unit, f.window_days, f.source, "0" if f.zero else "empty")
        for f in features
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"window_days": "Int64"})


def read_features(dictionary: pd.DataFrame) -> dict[str, Feature]:
    """Return the features of a dictionary by their names; see ``tabulate``."""
    rows = dictionary[COLUMNS].itertuples(index=False)
    return {
        name: Feature(name, words, unit, source, None if pd.isna(days) else int(days), zero == "0")
        for name, words, unit, days, source, zero in rows
    }


def find_stem(feature: Feature) -> str:
    """Return a feature's name without windows, which features over several windows share."""
    return re.sub(r"(_\d+d)+$", "", feature.name) if feature.window_days else feature.name


def split_scale(feature: Feature) -> tuple[str, str]:
    """Return what a feature is, and what its numbers mean: the words after a colon, or ""."""
    words, _, scale = feature.words.partition(": ")
    return words, scale


def summarise(dictionary: pd.DataFrame, history: dict[str, int] | None = None) -> pd.DataFrame:
    """Return one row per source: how many features there are, over which windows, with examples.

    Parameters
    ----------
    dictionary : see ``tabulate``
    history : days of rows before the first training snapshot, by table; see ``measure_history``

    Returns
    -------
    DataFrame with columns source, features, windows, history_days, too_long and examples; the two
    on history only where it is given
        ``too_long`` names the windows that look back further than the table's rows do.
    """
    rows = []
    for source, part in dictionary.groupby("source", sort=False):
        windows, days = sorted(part.window_days.dropna().unique()), (history or {}).get(source)
        long = [window for window in windows if days is not None and window > days]
        stems = {
            find_stem(feature): LAST_DAYS.sub("", split_scale(feature)[0])
            for feature in read_features(part).values()
        }
        rows.append(
            (
                source,
                len(part),
                _list_days(windows),
                days,
                _list_days(long),
                "; ".join([*stems.values()][:EXAMPLES]),
            )
        )
    table = pd.DataFrame(
        rows, columns=["source", "features", "windows", "history_days", "too_long", "examples"]
    ).astype({"history_days": "Int64"})
    return table if history else table.drop(columns=["history_days", "too_long"])


def _list_days(windows: Sequence[int]) -> str:
    return ", ".join(str(days) for days in windows)


def measure_history(first_days: pd.Series, snapshot: date | None) -> dict[str, int]:
    """Return how many days a window can look back from a snapshot, it included, before a table runs
    out of rows; 0 where rows begin later.

    Tables whose rows come when the company decides are left out: days before the first campaign are
    no gap.
    """
    dated = {
        table: first.normalize()
        for table, first in first_days.items()
        if snapshot and not CONTRACTS[table].by_company and pd.notna(first)
    }
    return {
        table: max((pd.Timestamp(snapshot) - first).days + 1, 0) for table, first in dated.items()
    }


def explain_short_history(summary: pd.DataFrame, snapshot: date | None) -> str:
    """Return a sentence that names the windows longer than the history before the first training
    snapshot; see ``summarise``. None where no history was measured.
    """
    if "too_long" not in summary:
        return ""
    short = summary[summary.too_long != ""]
    if short.empty:
        return (
            "No window looks back further than the rows before the first training snapshot"
            f" ({snapshot}) do."
        )
    named = "; ".join(
        f"{row.source} has {row.history_days} days, windows of {row.too_long} days contain no more"
        for row in short.itertuples()
    )
    return (
        f"**Windows longer than the history** before the first training snapshot ({snapshot}):"
        f" {named}. There a longer window means the same as the history, and at a later snapshot"
        " something else: shorten `features.windows` in `study.yml`."
    )


def measure_fill(frame: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Return how much features vary between customers.

    Returns
    -------
    DataFrame with columns feature, empty_share, commonest_share
        Shares of the rows of ``frame`` without a value, and with the commonest value, emptiness
        being one.
    """
    rows = [
        (
            name,
            frame[name].isna().mean(),
            frame[name].value_counts(normalize=True, dropna=False).max(),
        )
        for name in features
    ]
    return pd.DataFrame(rows, columns=["feature", "empty_share", "commonest_share"])
