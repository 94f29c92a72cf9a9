"""The feature dictionary: what each feature is in plain words, its unit, its window and the table it comes from.

A feature's words are written where the feature is made, so that the two can't drift apart. A study may say them in its own.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import ibis.expr.types as ir
import pandas as pd

from research.studies import Study, StudyError

COLUMNS = ["feature", "description", "unit", "window_days", "source", "when_nothing"]
THINGS = {
    "orders": "order lines",
    "usage": "uses",
    "contacts": "contacts with service",
    "feedback": "answers",
    "referrals": "referrals",
    "campaigns": "campaigns",
}
ACTIVE_DAYS = {"orders": "days with a purchase", "usage": "days with use"}


@dataclass(frozen=True)
class Feature:
    """One feature in words.

    ``window_days``: how far it looks back, none for the whole history. ``zero``: a customer without any row has 0, not nothing.
    """

    name: str
    words: str
    unit: str
    source: str
    window_days: int | None = None
    zero: bool = False


@dataclass(frozen=True)
class Block:
    """Features of one source: a table with columns snapshot, customer_id and those of ``features``."""

    table: ir.Table
    features: tuple[Feature, ...]


def name_things(study: Study, table: str) -> str:
    """Return what the rows of a table are called, in the study's own words where it has them."""
    return study.features.words.get(table, THINGS[table])


def reword(features: Iterable[Feature], study: Study) -> list[Feature]:
    """Put the study's own words in place of the usual ones.

    Raises
    ------
    StudyError
        If ``features.words`` names neither a table with features nor a feature: misspelt, the words would never be read.
    """
    features, words = list(features), study.features.words
    known = {feature.name for feature in features} | {*THINGS}
    wrong = [name for name in words if name not in known]
    if wrong:
        hints = [f"{name} (did you mean {close[0]}?)" if (close := difflib.get_close_matches(name, known, n=1)) else name for name in wrong]
        raise StudyError(f"study.yml of {study.name}, key features.words: required tables or features, arrived {', '.join(hints)}; correct or remove them")
    return [replace(feature, words=words.get(feature.name, feature.words)) for feature in features]


def tabulate(features: Sequence[Feature]) -> pd.DataFrame:
    """Return the dictionary as a table.

    Returns
    -------
    DataFrame with columns feature, description, unit, window_days, source, when_nothing
        One row per feature, in the order of the columns that models see. ``window_days`` is empty where the whole history counts;
        ``when_nothing`` is what a customer without any row has: 0 or empty.
    """
    rows = [(f.name, f.words, f.unit, f.window_days, f.source, "0" if f.zero else "empty") for f in features]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"window_days": "Int64"})
