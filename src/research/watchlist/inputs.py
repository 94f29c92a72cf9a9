"""Features of a scored day in the form in which a model learned them, and what was done to them.

A model knows its features by name, kind and category. Where the data of the scored day differ, each
difference has a defined result and a sentence: nothing is scored on silently changed columns.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from research.errors import StudyError

SHOWN = 3  # categories that a sentence names


@dataclass
class Differences:
    """What the scored rows had otherwise than those that a model learned from.

    Attributes
    ----------
    missing : features that the data lack
    unreadable : by feature, rows whose text is no number
    numbers : texts that have become numbers
    unseen : by feature, rows of each category that the model doesn't know
    rows : that were looked at
    """

    missing: list[str] = field(default_factory=list)
    unreadable: Counter = field(default_factory=Counter)
    numbers: list[str] = field(default_factory=list)
    unseen: dict[str, Counter] = field(default_factory=dict)
    rows: int = 0

    def describe(self) -> list[str]:
        """Return one sentence for each feature that differs."""
        sentences = [
            f"the model knows the feature {name}, which the data lack: it was taken as empty for"
            f" all {self.rows:,} customers; train again without it, or bring it back"
            for name in self.missing
        ]
        sentences += [
            f"the feature {name} was a number when the model learned, and is a text now: of"
            f" {self.rows:,} values {count:,} can't be read as a number and were taken as empty"
            for name, count in self.unreadable.items()
        ]
        sentences += [
            f"the feature {name} was a text when the model learned, and is a number now: it was"
            " taken as text"
            for name in self.numbers
        ]
        return sentences + [self._describe_unseen(name) for name in self.unseen]

    def _describe_unseen(self, name: str) -> str:
        counts = self.unseen[name]
        named = ", ".join(repr(value) for value, _ in counts.most_common(SHOWN))
        more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
        return (
            f"the feature {name} has values that the model has not seen, {named}{more}, of"
            f" {counts.total():,} customers: they were scored as rare ones; train again once their"
            " windows have closed"
        )


def conform(
    frame: pd.DataFrame, features: list[dict[str, Any]], differences: Differences
) -> pd.DataFrame:
    """Return the columns that a model learned, each of the kind in which it learned it.

    Parameters
    ----------
    frame : features of customers
    features : of the model's card: feature, kind, categories
    differences : which this adds to

    Raises
    ------
    StudyError
        If the data lack every feature that the model looks at.
    """
    names = [each["feature"] for each in features]
    differences.missing = [name for name in names if name not in frame]
    differences.rows += len(frame)
    if names and len(differences.missing) == len(names):
        raise StudyError(
            f"expected the features of the kept model ({', '.join(names[:SHOWN])}), got none of"
            " them; run 'research train', so that a model learns from the features at hand"
        )
    columns = {each["feature"]: _conform_one(frame, each, differences) for each in features}
    return pd.DataFrame(columns, index=frame.index)


def _conform_one(
    frame: pd.DataFrame, feature: dict[str, Any], differences: Differences
) -> pd.Series:
    name, number = feature["feature"], feature["kind"] == "number"
    if name not in frame:
        return pd.Series(float("nan") if number else None, frame.index, float if number else object)
    column = frame[name]
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if number:
        return column if is_number else _read_numbers(column, differences)
    if is_number:
        differences.numbers = [*dict.fromkeys([*differences.numbers, name])]
        column = column.astype(object).where(column.notna(), None).map(_write, "ignore")
    _count_unseen(column, feature, differences)
    return column


def _read_numbers(column: pd.Series, differences: Differences) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    differences.unreadable[column.name] += int((numbers.isna() & column.notna()).sum())
    return numbers


def _write(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _count_unseen(column: pd.Series, feature: dict[str, Any], differences: Differences) -> None:
    """Count values that aren't among the categories of a card; of many it lists none."""
    if not feature["categories"]:
        return
    texts = column.dropna().astype(str)
    unseen = texts[~texts.isin(feature["categories"])]
    if len(unseen):
        counts = differences.unseen.setdefault(feature["feature"], Counter())
        counts.update(unseen.value_counts().to_dict())
