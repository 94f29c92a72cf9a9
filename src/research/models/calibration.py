"""Recalibration: a map from scores to probabilities, learned on the past only and kept only where
it helps there.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from research.models.out_of_fold import FOLDS

EDGE = 1e-6  # scores are kept off 0 and 1 by as much


class Sigmoid(BaseEstimator):
    """Logistic regression on the log-odds of the score (Platt 1999), with slopes of at least 0: a
    map may flatten a ranking, never turn it around.
    """

    def fit(self, scores: np.ndarray, churned: np.ndarray) -> "Sigmoid":
        """Learn slopes and intercept; what would fall is left out, and where nothing rises
        everybody gets the share of churners.
        """
        bent, self.share_ = self._bend(scores), np.mean(churned)
        self.kept_, falling = np.arange(bent.shape[1]), np.ones(bent.shape[1], bool)
        while len(self.kept_) and falling.any():
            self.model_ = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(
                bent[:, self.kept_], churned
            )
            falling = self.model_.coef_[0] < 0
            self.kept_ = self.kept_[~falling]
        return self

    def _bend(self, scores: np.ndarray) -> np.ndarray:
        p = np.clip(scores, EDGE, 1 - EDGE)
        return np.log(p / (1 - p))[:, None]

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        if not len(self.kept_):
            return np.full(len(scores), self.share_)
        return self.model_.predict_proba(self._bend(scores)[:, self.kept_])[:, 1]


class Beta(Sigmoid):
    """Logistic regression on both logarithms (Kull, Silva Filho & Flach 2017,
    doi:10.1214/17-EJS1338SI): also mends scores that are too timid on one side.
    """

    def _bend(self, scores: np.ndarray) -> np.ndarray:
        p = np.clip(scores, EDGE, 1 - EDGE)
        return np.column_stack([np.log(p), -np.log1p(-p)])


class Isotonic(BaseEstimator):
    """The best rising staircase (Zadrozny & Elkan 2002, doi:10.1145/775047.775151), kept off 0 and
    1 by one customer's weight.
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


def judge_maps(scores: np.ndarray, churned: np.ndarray, groups: np.ndarray, seed: int) -> pd.Series:
    """Return the log-loss in nats of each map on folds of customers that it was not learned
    from.
    """
    p = {name: np.empty(len(scores)) for name in MAPS}
    for learn, rest in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(
        scores[:, None], churned, groups
    ):
        for name, map_ in MAPS.items():
            p[name][rest] = clone(map_).fit(scores[learn], churned[learn]).predict(scores[rest])
    edges = {name: np.clip(values, EDGE, 1 - EDGE) for name, values in p.items()}
    return pd.Series(
        {
            name: -np.where(churned, np.log(values), np.log1p(-values)).mean()
            for name, values in edges.items()
        }
    )


class Calibrated(ClassifierMixin, BaseEstimator):
    """The map from a model's scores to probabilities that predicted best on the past.

    It learns from scores of customers whom the model had not seen (see ``unseen.score_unseen``);
    the maps are judged on folds of these, and the best is learned from all of them.

    Parameters
    ----------
    seed : draws the folds
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, scores: pd.DataFrame, churned: np.ndarray, groups: np.ndarray) -> "Calibrated":
        """Choose and learn the map from one column of scores; rows of one of ``groups`` (customers)
        stay in one fold.
        """
        given, churned = scores.iloc[:, 0].to_numpy(float), np.asarray(churned, bool)
        self.losses_ = judge_maps(given, churned, groups, self.seed)
        self.map_name_ = self.losses_.idxmin()
        self.map_ = clone(MAPS[self.map_name_]).fit(given, churned)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, scores: pd.DataFrame) -> np.ndarray:
        """Return the mapped probabilities of both classes."""
        churn = self.map_.predict(scores.iloc[:, 0].to_numpy(float))
        return np.column_stack([1 - churn, churn])
