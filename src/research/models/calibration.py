"""Recalibration: a map from scores to probabilities, learned on the past, used where it helps."""

import warnings

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgWarning
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from research.models.log_odds import clip_probabilities
from research.models.out_of_fold import FOLDS


class Sigmoid(BaseEstimator):
    """Logistic regression on the log-odds of the score, with slopes of at least 0 (Platt 1999).

    So the map may flatten a ranking, but never reverses it.
    """

    def fit(self, scores: np.ndarray, churned: np.ndarray) -> "Sigmoid":
        """Learn slopes and intercept.

        Terms with a negative slope are left out; where none is left, everybody gets the share of
        churners.
        """
        terms, self.share_ = self._transform(scores), np.mean(churned)
        self.kept_, falling = np.arange(terms.shape[1]), np.ones(terms.shape[1], bool)
        while len(self.kept_) and falling.any():
            with warnings.catch_warnings():  # of nearly equal terms: it goes on with lbfgs
                warnings.simplefilter("ignore", LinAlgWarning)
                self.model_ = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(
                    terms[:, self.kept_], churned
                )
            falling = self.model_.coef_[0] < 0
            self.kept_ = self.kept_[~falling]
        return self

    def _transform(self, scores: np.ndarray) -> np.ndarray:
        p = clip_probabilities(scores)
        return np.log(p / (1 - p))[:, None]

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        if not len(self.kept_):
            return np.full(len(scores), self.share_)
        return self.model_.predict_proba(self._transform(scores)[:, self.kept_])[:, 1]


class Beta(Sigmoid):
    """Beta calibration: logistic regression on log p and log(1 - p).

    Also recalibrates scores that are too cautious on one side only (Kull, Silva Filho & Flach 2017,
    doi:10.1214/17-EJS1338SI).
    """

    def _transform(self, scores: np.ndarray) -> np.ndarray:
        p = clip_probabilities(scores)
        return np.column_stack([np.log(p), -np.log1p(-p)])


class Isotonic(BaseEstimator):
    """Isotonic regression (Zadrozny & Elkan 2002, doi:10.1145/775047.775151).

    Probabilities stay off 0 and 1 by one customer's weight.
    """

    def fit(self, scores: np.ndarray, churned: np.ndarray) -> "Isotonic":
        """Learn the steps."""
        self.edge_ = 1 / (len(scores) + 2)
        self.model_ = IsotonicRegression(out_of_bounds="clip").fit(scores, churned)
        return self

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        return np.clip(self.model_.predict(scores), self.edge_, 1 - self.edge_)


class Unchanged(BaseEstimator):
    """Scores as they are."""

    def fit(self, scores: np.ndarray, churned: np.ndarray) -> "Unchanged":
        """Learn nothing."""
        return self

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores."""
        return scores


MAPS = {"none": Unchanged(), "sigmoid": Sigmoid(), "beta": Beta(), "isotonic": Isotonic()}


def compare_maps(
    scores: np.ndarray, churned: np.ndarray, groups: np.ndarray, seed: int
) -> pd.Series:
    """Return the out-of-fold log-loss of each map, in nats; folds keep customers together."""
    mapped = {name: np.empty(len(scores)) for name in MAPS}
    for learn, rest in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(
        scores[:, None], churned, groups
    ):
        for name, map_ in MAPS.items():
            fitted = clone(map_).fit(scores[learn], churned[learn])
            mapped[name][rest] = fitted.predict(scores[rest])
    return pd.Series(
        {name: _mean_log_loss(clip_probabilities(p), churned) for name, p in mapped.items()}
    )


def _mean_log_loss(p: np.ndarray, churned: np.ndarray) -> float:
    return -np.where(churned, np.log(p), np.log1p(-p)).mean()


class Calibrated(ClassifierMixin, BaseEstimator):
    """The map from a model's scores to probabilities that predicted best out of fold.

    It learns from the model's own out-of-fold scores (see ``out_of_fold.predict_out_of_fold``): the
    maps are compared on folds of these, and the best is learned from all of them.

    Parameters
    ----------
    seed : draws the folds
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, scores: pd.DataFrame, churned: np.ndarray, groups: np.ndarray) -> "Calibrated":
        """Choose and learn the map.

        Parameters
        ----------
        scores : one column; rows without a score teach nothing, see ``predict_out_of_fold``
        groups : the customer of each row; a customer's rows stay in one fold
        """
        known = scores.iloc[:, 0].notna().to_numpy()
        given, churned = scores.iloc[known, 0].to_numpy(float), np.asarray(churned, bool)[known]
        self.losses_ = compare_maps(given, churned, np.asarray(groups)[known], self.seed)
        self.map_name_ = self.losses_.idxmin()
        self.map_ = clone(MAPS[self.map_name_]).fit(given, churned)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, scores: pd.DataFrame) -> np.ndarray:
        """Return the mapped probabilities of both classes."""
        churn = self.map_.predict(scores.iloc[:, 0].to_numpy(float))
        return np.column_stack([1 - churn, churn])
