"""Gradient boosting for outcomes and effects, on features that are binned once.

A cross-fitting fits hundreds of small models on parts of the same rows. Binning takes as long as
boosting does, and looks at no outcome: it is done once for all rows, and each model takes its part.
"""

from functools import cached_property

import lightgbm as lgb
import numpy as np

STEPS, RATE = 25, 0.14  # a constant comes within 1 - 0.86^25 = 98 % of the target
TYPICAL_COLUMNS = 30  # that each tree sees of many
BINNING = {
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}


class BinnedFeatures:
    """Rows of features with the bins of all of them.

    Parts are taken like those of an array: ``features[rows]`` has the same bins.

    Attributes
    ----------
    values : (all rows, columns)
    rows : (rows,), which of them these are
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.rows, self._whole = values, np.arange(len(values)), self

    def __getitem__(self, part: np.ndarray) -> "BinnedFeatures":
        """Return some of the rows."""
        taken = BinnedFeatures.__new__(BinnedFeatures)
        taken.values, taken.rows, taken._whole = self.values, self.rows[part], self._whole
        return taken

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __array__(self, dtype: type | None = None, copy: bool | None = None) -> np.ndarray:
        """Return the features themselves."""
        return np.asarray(self.values[self.rows], dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), self.values.shape[1]

    @cached_property
    def bins(self) -> lgb.Dataset:
        """The bins of all rows."""
        return lgb.Dataset(self.values, params=BINNING).construct()

    def select(self, target: np.ndarray, weights: np.ndarray | None) -> lgb.Dataset:
        """Return the rows with a target, as boosting takes them."""
        part = self._whole.bins.subset(self.rows).construct()
        part.set_label(target)
        return part.set_weight(weights)


Features = np.ndarray | BinnedFeatures
Boosted = lgb.Booster | float  # a model, or the same number for all


def bin_features(features: Features) -> BinnedFeatures:
    """Return features with their bins; those that have some keep them."""
    if isinstance(features, BinnedFeatures):
        return features
    binned = BinnedFeatures(np.asarray(features))
    if binned.shape[1]:
        _ = binned.bins  # before several threads ask for them
    return binned


def fit_boosting(
    features: Features,
    target: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
    steps: int = STEPS,
) -> Boosted:
    """Return cautious gradient boosting: effects are small, and noise is large.

    Without columns, or where the target is the same for all, it is the (weighted) mean. More steps
    are smaller, and reach as far together.
    """
    rows, columns = features.shape
    if not columns or np.ptp(target) == 0:
        return float(np.average(target, weights=weights))
    parameters = {
        **BINNING,
        "objective": "regression",
        "learning_rate": RATE * STEPS / steps,
        "num_leaves": 8,
        "min_data_in_leaf": max(20, rows // 100),
        "feature_fraction": min(1.0, max(0.2, TYPICAL_COLUMNS / columns)),
        "lambda_l2": 10.0,
        "seed": seed,
    }
    return lgb.train(parameters, bin_features(features).select(target, weights), steps)


def predict_boosting(model: Boosted, features: Features) -> np.ndarray:
    """Return predictions for rows: (rows,)."""
    if isinstance(model, float):
        return np.full(len(features), model)
    return model.predict(np.asarray(features), num_threads=1)


def fit_predict(
    features: Features,
    target: np.ndarray,
    new_features: Features,
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return predictions of ``fit_boosting`` for new rows."""
    return predict_boosting(fit_boosting(features, target, seed, weights), new_features)
