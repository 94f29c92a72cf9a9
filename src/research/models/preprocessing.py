"""Columns as models take them: numbers bent, scaled or left as they are, texts as categories, empty
values kept apart.

All is learned in the training part and lies inside each candidate's pipeline.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
)

LEAST_VARIANCE = 1e-4  # of a column between 0 and 1: fewer than one row in 10,000 differs
RARE = 20  # rows that a category needs for a column of its own
NUMBERS = make_column_selector(dtype_include="number")
TEXTS = make_column_selector(dtype_exclude="number")


class DropConstant(TransformerMixin, BaseEstimator):
    """Leave out columns that hardly vary in the training part; the first stays where all would
    go.
    """

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "DropConstant":
        """Find the columns that vary."""
        varying = np.flatnonzero(columns.var(axis=0) > LEAST_VARIANCE)
        self.kept_ = varying if len(varying) else np.arange(1)
        return self

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return them."""
        return columns[:, self.kept_]


class FillUnknown(TransformerMixin, BaseEstimator):
    """Put 0 into the columns that hold no value at all in the training part, which some trees can't
    cut.
    """

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "FillUnknown":
        """Find them."""
        self.unknown_ = np.isnan(columns).all(axis=0)
        return self

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return all columns, those without a value to learn from at 0 in every row."""
        return np.where(self.unknown_, 0.0, columns) if self.unknown_.any() else columns


def prepare_splines() -> ColumnTransformer:
    """Every number by a cubic spline (5 knots at quantiles, flat beyond the training range), each
    category a column.
    """
    splines = make_pipeline(
        _fill(),
        SplineTransformer(n_knots=5, knots="quantile", extrapolation="constant"),
        DropConstant(),
        StandardScaler(),
    )
    return make_column_transformer((splines, NUMBERS), (_one_hot(), TEXTS))


def prepare_scaled() -> ColumnTransformer:
    """Every number in standard deviations from its mean, within 5 of them, each category a column;
    what hardly varies is left out.
    """
    bounded = make_pipeline(
        _fill(),
        StandardScaler(),
        FunctionTransformer(np.clip, kw_args={"a_min": -5, "a_max": 5}),
        DropConstant(),
    )
    return make_column_transformer(
        (bounded, NUMBERS), (make_pipeline(_one_hot(), DropConstant()), TEXTS)
    )


def prepare_for_trees() -> Pipeline:
    """Numbers as they are, empty ones included; each text as the number of its category: trees cut
    both.
    """
    categories = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-2,
        min_frequency=RARE,
    )
    codes = make_pipeline(FunctionTransformer(_none_for_missing), categories)
    return make_pipeline(
        make_column_transformer(("passthrough", NUMBERS), (codes, TEXTS)),
        FunctionTransformer(np.asarray),
        FillUnknown(),
    )


def _fill() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _one_hot() -> Pipeline:
    """One column per category; rare and unseen ones share a column, an empty value is a category of
    its own.
    """
    filled = SimpleImputer(
        strategy="constant", fill_value="missing", missing_values=None, keep_empty_features=True
    )
    return make_pipeline(
        FunctionTransformer(_none_for_missing),
        filled,
        OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=RARE, sparse_output=False
        ),
    )


def _none_for_missing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None)
