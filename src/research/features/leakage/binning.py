"""The values of one column in groups: categories or ranges."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

MAX_CATEGORIES = 50  # text with more distinct values is no category
RANGES = 10


@dataclass(frozen=True)
class Grouping:
    """Rows in groups: ``codes`` number them, below 0 for a row in none, and ``labels`` say in words
    what each holds.
    """

    codes: np.ndarray
    labels: list[str]


def group_values(values: pd.Series, groups: int) -> np.ndarray:
    """Return numbers of at most ``groups`` groups, 0 where the value is empty.

    Ranges of equally many, or the commonest texts and the rest.
    """
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > groups:
        numbers = values.to_numpy(float)
        edges = np.unique(np.nanquantile(numbers, np.arange(1, groups) / groups, method="lower"))
        codes = np.searchsorted(edges, numbers, side="left") + 1
    else:
        common = values.value_counts().index
        codes = common[: groups - 1 if len(common) > groups else groups].get_indexer(values) + 1
        codes[codes == 0] = groups
    return np.where(values.isna(), 0, codes)


def list_groupings(values: pd.Series, column: str) -> Iterator[Grouping]:
    """Yield rows in groups: with a value or without, like the commonest value or other, and value
    by value or range by range.
    """
    yield Grouping(values.notna().to_numpy(np.int64), [f"no {column}", f"any {column}"])
    codes, uniques = pd.factorize(values)
    if len(uniques):
        common = np.bincount(codes[codes >= 0]).argmax()
        yield Grouping(
            np.where(codes < 0, -1, codes == common),
            [f"{column} other than {uniques[common]}", f"{column} = {uniques[common]}"],
        )
        if len(uniques) <= (MAX_CATEGORIES if values.dtype == object else RANGES):
            yield Grouping(codes, [f"{column} = {value}" for value in uniques])
        elif values.dtype != object:
            yield _group_ranges(values.to_numpy(float), column)


def _group_ranges(values: np.ndarray, column: str) -> Grouping:
    edges = np.unique(np.nanquantile(values, np.arange(RANGES + 1) / RANGES, method="lower"))
    inside = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, None)
    labels = [f"{low:g} < {column} ≤ {high:g}" for low, high in zip(edges, edges[1:], strict=False)]
    return Grouping(
        np.where(np.isnan(values), -1, inside), [labels[0].replace(" < ", " ≤ ", 1), *labels[1:]]
    )
