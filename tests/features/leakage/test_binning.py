"""Values of one column in groups."""

import numpy as np
import pandas as pd

from research.features.leakage.binning import MAX_CATEGORIES, group_values, list_groupings


def test_groups_are_numbered_from_one_and_empty_is_zero():
    assert list(group_values(pd.Series([1.0, 2, 3, 4, np.nan]), 2)) == [1, 1, 2, 2, 0]
    assert list(group_values(pd.Series(["a", "a", "b", None, "c"], dtype=object), 2)) == [
        1,
        1,
        2,
        0,
        2,
    ]
    assert list(group_values(pd.Series(["a", "b", None], dtype=object), 2)) == [1, 2, 0]


def test_every_row_with_a_value_is_in_one_range():
    grouping = [*list_groupings(pd.Series([np.nan, *range(100)]), "x")][-1]
    assert grouping.codes[0] == -1
    assert np.bincount(grouping.codes[1:]).sum() == 100
    assert len(grouping.labels) == grouping.codes.max() + 1
    assert grouping.labels[0].startswith("0 ≤ x ≤ ")


def test_a_column_is_grouped_by_presence_by_the_commonest_value_and_value_by_value():
    values = pd.Series(["a", "a", "b", None], dtype=object)
    groupings = [
        (grouping.codes.tolist(), grouping.labels) for grouping in list_groupings(values, "x")
    ]
    assert groupings == [
        ([1, 1, 1, 0], ["no x", "any x"]),
        ([1, 1, 0, -1], ["x other than a", "x = a"]),
        ([0, 0, 1, -1], ["x = a", "x = b"]),
    ]


def test_texts_of_too_many_values_are_not_grouped_value_by_value():
    values = pd.Series([f"text {number}" for number in range(MAX_CATEGORIES + 1)], dtype=object)
    assert len([*list_groupings(values, "x")]) == 2
