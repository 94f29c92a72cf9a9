"""Columns as models take them: numbers on splines, scaled or unchanged; texts as categories.

All is learned in the training part, inside each model's pipeline.
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

EMPTY_NUMBER = -1e9  # in place of an empty number, for forests that take none
LEAST_VARIANCE = 1e-4  # of a column between 0 and 1: fewer than one row in 10,000 differs
LEAST_CATEGORY_ROWS = 20  # rows that a category, or emptiness, needs for a column of its own
MAX_CATEGORIES = 8  # of a text that are kept where columns are few, the commonest
MAX_DEVIATIONS = 5  # standard deviations from the mean beyond which a number is cut off
NUMBERS = make_column_selector(dtype_include="number")
TEXTS = make_column_selector(dtype_exclude="number")


class DropConstant(TransformerMixin, BaseEstimator):
    """Leave out columns that hardly vary in the training part.

    The first one stays where none varies.
    """

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "DropConstant":
        """Find the columns that vary."""
        varying = np.flatnonzero(columns.var(axis=0) > LEAST_VARIANCE)
        self.kept_ = varying if len(varying) else np.arange(1)
        return self

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return the columns that vary."""
        return columns[:, self.kept_]


class FillUnknown(TransformerMixin, BaseEstimator):
    """Put 0 into columns without any value in the training part, which some trees can't split."""

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "FillUnknown":
        """Find the columns."""
        self.unknown_ = np.isnan(columns).all(axis=0)
        return self

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return all columns, those without a value to learn from at 0 in every row."""
        return np.where(self.unknown_, 0.0, columns) if self.unknown_.any() else columns


class Splines(TransformerMixin, BaseEstimator):
    """Put every number on a cubic spline whose columns have mean 0 and variance 1.

    Splines have 5 knots at quantiles and are flat beyond the training range; columns that hardly
    vary are left out. One number is put on its spline at a time, and only the result is held, in
    single precision: of a hundred thousand customers all at once would take gigabytes.
    """

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "Splines":
        """Learn knots, means and deviations."""
        self.fit_transform(columns)
        return self

    def fit_transform(self, columns: np.ndarray, churned: np.ndarray | None = None) -> np.ndarray:
        """Learn them, and return the columns of the splines."""
        self.splines_ = [_fit_spline(values) for values in columns.T]
        if not any(len(kept) for _, kept, _, _ in self.splines_):
            spline, _, mean, deviation = self.splines_[0]
            self.splines_[0] = (spline, np.arange(1), mean, deviation)
        return self.transform(columns)

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return the columns of all splines, in single precision."""
        blocks = [
            _scale_spline(values, *spline)
            for values, spline in zip(columns.T, self.splines_, strict=True)
        ]
        return np.hstack(blocks)


Spline = tuple[SplineTransformer, np.ndarray, np.ndarray, np.ndarray]


def _fit_spline(values: np.ndarray) -> Spline:
    """Return a number's spline, the columns of it that vary, and their means and deviations."""
    spline = SplineTransformer(n_knots=5, knots="quantile", extrapolation="constant")
    columns = spline.fit_transform(values[:, None])
    variances = columns.var(axis=0)
    deviations = np.where(variances > 0, np.sqrt(variances), 1.0)
    return spline, np.flatnonzero(variances > LEAST_VARIANCE), columns.mean(axis=0), deviations


def _scale_spline(
    values: np.ndarray,
    spline: SplineTransformer,
    kept: np.ndarray,
    means: np.ndarray,
    deviations: np.ndarray,
) -> np.ndarray:
    columns = spline.transform(values[:, None])[:, kept]
    return ((columns - means[kept]) / deviations[kept]).astype("float32")


def prepare_splines() -> ColumnTransformer:
    """Return every number on a cubic spline, each category as a column, in single precision."""
    splines = make_pipeline(_fill(), Splines())
    return make_column_transformer((splines, NUMBERS), (_one_hot("float32"), TEXTS))


def prepare_scaled() -> ColumnTransformer:
    """Return every number in standard deviations from its mean, each category as a column.

    Numbers stay within 5 standard deviations; columns that hardly vary are left out.
    """
    bounded = make_pipeline(
        _fill(),
        StandardScaler(),
        FunctionTransformer(np.clip, kw_args={"a_min": -MAX_DEVIATIONS, "a_max": MAX_DEVIATIONS}),
        DropConstant(),
    )
    return make_column_transformer(
        (bounded, NUMBERS), (make_pipeline(_one_hot(), DropConstant()), TEXTS)
    )


def prepare_for_trees() -> Pipeline:
    """Return numbers unchanged, empty ones included, and texts as the numbers of their categories.

    Trees split both.
    """
    categories = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-2,
        min_frequency=LEAST_CATEGORY_ROWS,
    )
    codes = make_pipeline(FunctionTransformer(_none_for_missing), categories)
    return make_pipeline(
        make_column_transformer(("passthrough", NUMBERS), (codes, TEXTS)),
        FunctionTransformer(np.asarray),
        FillUnknown(),
    )


def _fill() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _one_hot(dtype: str = "float64") -> Pipeline:
    """Return one column per category.

    Rare and unseen categories share a column, an empty value is a category of its own.
    """
    filled = SimpleImputer(
        strategy="constant", fill_value="missing", missing_values=None, keep_empty_features=True
    )
    return make_pipeline(
        FunctionTransformer(_none_for_missing),
        filled,
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=LEAST_CATEGORY_ROWS,
            sparse_output=False,
            dtype=dtype,
        ),
    )


def _none_for_missing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None)
