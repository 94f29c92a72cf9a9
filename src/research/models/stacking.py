"""Stacking: several models' out-of-fold scores, weighted by what predicted best."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin

from research.models.log_odds import clip_probabilities


class StackedAverage(ClassifierMixin, BaseEstimator):
    """A sum of the models' log-odds with weights of at least 0 and an intercept, of least log-loss.

    The weights needn't add up to 1: models that are too cautious together are sharpened, and where
    none predicts anything everybody gets the base rate (van der Laan et al. 2007,
    doi:10.2202/1544-6115.1309).
    """

    def fit(self, scores: pd.DataFrame, churned: np.ndarray) -> "StackedAverage":
        """Fit the weights.

        Parameters
        ----------
        scores : one column of out-of-fold probabilities per model, see
            ``out_of_fold.predict_out_of_fold``; rows without them teach nothing
        """
        known = scores.notna().all(axis=1).to_numpy()
        churned = np.asarray(churned, bool)[known]
        self.intercept_, weights = fit_weights(scores[known].to_numpy(float), churned)
        self.weights_ = pd.Series(weights, index=scores.columns)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, scores: pd.DataFrame) -> np.ndarray:
        """Return the average's probabilities of both classes."""
        log_odds = _to_log_odds(scores[self.weights_.index].to_numpy(float))
        churn = expit(self.intercept_ + log_odds @ self.weights_.to_numpy())
        return np.column_stack([1 - churn, churn])


def _to_log_odds(scores: np.ndarray) -> np.ndarray:
    return logit(clip_probabilities(scores))


def fit_weights(scores: np.ndarray, churned: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the intercept and the weights of the log-odds with the least log-loss.

    The problem is convex, so there is one minimum.
    """
    rows = np.column_stack([np.ones(len(scores)), _to_log_odds(scores)])
    sign = np.where(churned, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (rows @ weights)
        return np.logaddexp(0, -margin).mean(), -(sign * expit(-margin)) @ rows / len(rows)

    start = np.r_[0.0, np.full(scores.shape[1], 1 / scores.shape[1])]
    bounds = [(None, None)] + [(0, None)] * scores.shape[1]
    fitted = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-12, "gtol": 1e-8},
    ).x
    return float(fitted[0]), fitted[1:]
