"""A stacked average: what several models say, weighted by what predicted best for customers whom
they hadn't seen.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin

EDGE = 1e-6


class StackedAverage(ClassifierMixin, BaseEstimator):
    """A sum of the models' log-odds, with weights of at least 0 and an intercept of least log-loss
    (van der Laan et al. 2007, doi:10.2202/1544-6115.1309).

    The weights needn't add up to 1: models that are too cautious together are sharpened, and where
    none knows anything everybody gets the base rate.
    """

    def fit(self, scores: pd.DataFrame, churned: np.ndarray) -> "StackedAverage":
        """Find the weights from one column of probabilities per model, of customers whom it had not
        seen (see ``unseen.score_unseen``).
        """
        self.intercept_, weights = weigh(scores.to_numpy(float), np.asarray(churned, bool))
        self.weights_ = pd.Series(weights, index=scores.columns)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, scores: pd.DataFrame) -> np.ndarray:
        """Return the average's probabilities of both classes."""
        churn = expit(
            self.intercept_
            + _take_odds(scores[self.weights_.index].to_numpy(float)) @ self.weights_.to_numpy()
        )
        return np.column_stack([1 - churn, churn])


def _take_odds(scores: np.ndarray) -> np.ndarray:
    return logit(np.clip(scores, EDGE, 1 - EDGE))


def weigh(scores: np.ndarray, churned: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the intercept and the weights of the log-odds with the least log-loss; the problem is
    convex.
    """
    rows = np.column_stack([np.ones(len(scores)), _take_odds(scores)])
    sign = np.where(churned, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        lean = sign * (rows @ weights)
        return np.logaddexp(0, -lean).mean(), -(sign * expit(-lean)) @ rows / len(rows)

    start = np.r_[0.0, np.full(scores.shape[1], 1 / scores.shape[1])]
    bounds = [(None, None)] + [(0, None)] * scores.shape[1]
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-12, "gtol": 1e-8},
    ).x
    return float(found[0]), found[1:]
