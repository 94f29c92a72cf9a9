"""Groups of an attribute's values."""

import numpy as np
import pandas as pd

from research.evaluation.groups import cut_attribute, is_measured


def test_small_groups_are_pooled_and_empty_values_have_a_name():
    names = cut_attribute(
        pd.Series(["x"] * 100 + ["y"] * 49 + ["z"] * 10 + [None] * 60, dtype=object)
    )
    assert names.value_counts().to_dict() == {"x": 100, "not known": 60, "others": 59}


def test_numbers_of_many_values_are_cut_into_quarters_and_few_stay_as_they_are():
    names = cut_attribute(pd.Series([*np.arange(400.0), *[np.nan] * 60]))
    assert names.value_counts().to_dict() == {
        "0 to 99": 100,
        "100 to 199": 100,
        "200 to 299": 100,
        "300 to 399": 100,
        "not known": 60,
    }
    assert {*cut_attribute(pd.Series([0, 1] * 100))} == {"0", "1"}


def test_numbers_are_measured_and_truth_values_and_texts_are_not():
    assert is_measured(pd.Series([1, 2])) and is_measured(pd.Series([0.5, np.nan]))
    assert not is_measured(pd.Series([True, False]))
    assert not is_measured(pd.Series(["1", "2"]))
