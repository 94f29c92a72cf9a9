"""Columns as models take them, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from research.models.preprocessing import (
    DropConstant,
    FillUnknown,
    prepare_for_trees,
    prepare_scaled,
    prepare_splines,
)


def test_rare_and_unseen_categories_share_a_column_and_an_empty_value_is_a_category():
    plan = pd.Series(["a"] * 30 + ["b"] * 25 + ["c"] * 5 + [None] * 40, dtype=object)
    prepared = prepare_scaled().fit(pd.DataFrame({"plan": plan}))
    new = pd.DataFrame({"plan": pd.Series(["a", "b", None, "c", "new"], dtype=object)})
    codes = prepared.transform(new)
    assert codes.shape == (5, 4)
    assert (codes.sum(axis=1) == 1).all()
    assert (codes[3] == codes[4]).all() and (codes[2] != codes[3]).any()


def test_numbers_are_scaled_and_cut_off_at_five_standard_deviations():
    values = np.r_[np.tile([-1.0, 1.0], 500), 1000.0]
    scaled = prepare_scaled().fit_transform(pd.DataFrame({"x": values}))
    assert scaled.shape == (1001, 1)
    assert scaled.max() == 5


def test_an_empty_number_is_the_median_and_marked():
    frame = pd.DataFrame({"x": [np.nan] * 100 + [-1.0, 0.0, 1.0] * 100})
    scaled = prepare_scaled().fit_transform(frame)
    assert scaled.shape == (400, 2)
    assert scaled[0, 0] == pytest.approx(0)
    assert len(np.unique(scaled[:100, 1])) == 1 and scaled[0, 1] != scaled[-1, 1]


def test_splines_are_flat_beyond_the_training_range():
    frame = pd.DataFrame({"x": np.linspace(0, 1, 500)})
    prepared = prepare_splines().fit(frame)
    inside, beyond = prepared.transform(pd.DataFrame({"x": [1.0, 7.0]}))
    np.testing.assert_allclose(inside, beyond)


def test_trees_get_numbers_unchanged_and_texts_as_codes():
    frame = pd.DataFrame(
        {
            "plan": pd.Series(["a"] * 30 + ["b"] * 30 + [None] * 30, dtype=object),
            "x": np.r_[np.nan, np.arange(89.0)],
            "unknown": np.nan,
        }
    )
    prepared = prepare_for_trees().fit(frame)
    rows = prepared.transform(frame)
    assert np.isnan(rows[0, 0]) and rows[1:, 0].tolist() == list(np.arange(89.0))
    assert (rows[:, 1] == 0).all()
    assert [len(np.unique(part)) for part in np.split(rows[:, 2], 3)] == [1, 1, 1]
    unseen = prepared.transform(frame.head(1).assign(plan="new"))
    assert unseen[0, 2] == -1


def test_where_no_column_varies_the_first_one_stays():
    columns = np.column_stack([np.ones(50), np.zeros(50)])
    assert DropConstant().fit(columns).transform(columns).tolist() == [[1.0]] * 50


def test_a_column_without_any_value_in_training_stays_zero_later():
    fitted = FillUnknown().fit(np.array([[np.nan, 1.0], [np.nan, np.nan]]))
    later = fitted.transform(np.array([[3.0, np.nan]]))
    assert later[0, 0] == 0 and np.isnan(later[0, 1])


def test_splines_are_those_of_scikit_learn_scaled_in_single_precision():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "n": rng.poisson(0.3, 300), "same": 1.0})
    frame.loc[:30, "x"] = np.nan
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    whole = make_pipeline(
        filled,
        SplineTransformer(n_knots=5, knots="quantile", extrapolation="constant"),
        DropConstant(),
        StandardScaler(),
    )
    ours, theirs = prepare_splines().fit_transform(frame), whole.fit_transform(frame)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_splines_of_numbers_that_do_not_vary_leave_one_column():
    frame = pd.DataFrame({"x": np.ones(50), "y": np.zeros(50)})
    assert prepare_splines().fit_transform(frame).shape == (50, 1)
