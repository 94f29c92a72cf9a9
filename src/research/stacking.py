"""A stacked average: what several models say, weighted by what predicted best for customers whom they hadn't seen."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from research.unseen import score_unseen

Array = np.ndarray
EDGE = 1e-6
FOLDS = 3


class StackedAverage(ClassifierMixin, BaseEstimator):
    """Weights of at least 0 that add up to 1, least log-loss on folds of the training customers (van der Laan et al. 2007, doi:10.2202/1544-6115.1309).

    Parameters
    ----------
    members : classifiers by name
    timed : names of the survival models, which learn from the outcome as ``horizon.frame_outcome`` gives it
    seed : draws the folds
    """

    def __init__(self, members: dict[str, ClassifierMixin], timed: tuple[str, ...] = (), seed: int = 0):
        self.members = members
        self.timed = timed
        self.seed = seed

    def fit(self, columns: pd.DataFrame, churned: Array, groups: Array, outcome: Array | None = None) -> "StackedAverage":
        """Find the weights on folds that keep rows of one of ``groups`` (customers) together, then fit every member on all rows."""
        churned = np.asarray(churned, bool)
        needs = {name: {"outcome": outcome} if name in self.timed else {} for name in self.members}
        unseen = [score_unseen(model, columns, churned, groups, FOLDS, self.seed, needs[name]) for name, model in self.members.items()]
        self.weights_ = weigh(np.column_stack(unseen), churned)
        self.members_ = {name: clone(model).fit(columns, churned, **needs[name]) for name, model in self.members.items()}
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> Array:
        """Return the average's probabilities of both classes."""
        churn = np.column_stack([model.predict_proba(columns)[:, 1] for model in self.members_.values()]) @ self.weights_
        return np.column_stack([1 - churn, churn])


def weigh(scores: Array, churned: Array) -> Array:
    """Return the weights of the average with the least log-loss; the problem is convex."""
    scores = np.clip(scores, EDGE, 1 - EDGE)
    sign = np.where(churned, 1.0, -1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        right = np.where(churned, 0.0, 1.0) + sign * (scores @ weights)
        return -np.log(right).mean(), -(sign / right) @ scores / len(scores)

    even = np.full(scores.shape[1], 1 / scores.shape[1])
    whole = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones_like(weights)}
    found = minimize(loss, even, jac=True, method="SLSQP", bounds=[(0, 1)] * len(even), constraints=[whole]).x
    return np.clip(found, 0, None) / np.clip(found, 0, None).sum()
