"""A stacked average: what several models say, weighted by what predicted best for customers whom they hadn't seen."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin

Array = np.ndarray
EDGE = 1e-6


class StackedAverage(ClassifierMixin, BaseEstimator):
    """Weights of at least 0 that add up to 1, with the least log-loss (van der Laan et al. 2007, doi:10.2202/1544-6115.1309)."""

    def fit(self, scores: pd.DataFrame, churned: Array) -> "StackedAverage":
        """Find the weights from one column of probabilities per model, of customers whom it had not seen (see ``unseen.score_unseen``)."""
        self.weights_ = pd.Series(weigh(scores.to_numpy(float), np.asarray(churned, bool)), index=scores.columns)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, scores: pd.DataFrame) -> Array:
        """Return the average's probabilities of both classes."""
        churn = scores[self.weights_.index].to_numpy(float) @ self.weights_.to_numpy()
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
