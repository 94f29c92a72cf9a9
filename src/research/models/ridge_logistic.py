"""Logistic regression with a ridge penalty on many dense columns, in single precision.

The optimum is that of scikit-learn's ``LogisticRegression``. Columns in single precision take half
the memory, and the curvature is computed once, on some of the rows, instead of in every step.
"""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from research.models.log_odds import LOG_ODDS_SD

CURVATURE_ROWS = 4_000  # from which the scale of the steps is learned
TOLERANCE = 0.01  # of a coefficient, in standard deviations of its posterior
MOST_STEPS = 300


class LinearLogOdds(ClassifierMixin, BaseEstimator):
    """A classifier whose log-odds are ``intercept_`` and a weighted sum of the columns."""

    def decision_function(self, columns: np.ndarray) -> np.ndarray:
        """Return the log-odds of churn."""
        check_is_fitted(self)
        rows = np.asarray(columns, "float32")
        return (rows @ self.coef_.astype("float32")).astype(float) + self.intercept_

    def predict_proba(self, columns: np.ndarray) -> np.ndarray:
        """Return the probabilities of both classes."""
        churn = expit(self.decision_function(columns))
        return np.column_stack([1 - churn, churn])

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Return the likelier class."""
        return self.decision_function(columns) > 0


class RidgeLogistic(LinearLogOdds):
    """Logistic regression with a normal prior of mean 0 for every coefficient but the intercept.

    The prior's variance falls with the number of columns, so that before the data are seen the
    log-odds of a customer have the standard deviation ``spread`` around the base rate, however many
    columns of variance 1 there are.

    Parameters
    ----------
    spread : standard deviation of the log-odds before the data are seen
    """

    def __init__(self, spread: float = LOG_ODDS_SD):
        self.spread = spread

    def fit(self, columns: np.ndarray, churned: np.ndarray) -> "RidgeLogistic":
        """Maximise the posterior; quasi-Newton steps in coordinates of curvature about 1."""
        rows = np.asarray(columns, "float32")
        labels = np.asarray(churned, float)
        penalty = rows.shape[1] / self.spread**2
        share = labels.mean()
        root = _find_root(rows, share, penalty)
        scale = np.sqrt(len(rows) * share * (1 - share))

        def lose(point: np.ndarray) -> tuple[float, np.ndarray]:
            slopes = solve_triangular(root, point[:-1], lower=True, trans="T")
            odds = (rows @ slopes.astype("float32")).astype(float) + centre + point[-1] / scale
            loss = np.logaddexp(0, odds).sum() - labels @ odds + penalty * slopes @ slopes / 2
            pull = expit(odds) - labels
            of_slopes = (pull.astype("float32") @ rows).astype(float) + penalty * slopes
            whitened = solve_triangular(root, of_slopes, lower=True)
            return loss, np.r_[whitened, pull.sum() / scale]

        centre = logit(share)
        options = {"maxiter": MOST_STEPS, "gtol": TOLERANCE, "ftol": 1e-12}
        start = np.zeros(rows.shape[1] + 1)
        found = minimize(lose, start, method="L-BFGS-B", jac=True, options=options).x
        self.coef_ = solve_triangular(root, found[:-1], lower=True, trans="T")
        self.intercept_ = float(centre + found[-1] / scale)
        self.classes_ = np.array([False, True])
        return self


def _find_root(rows: np.ndarray, share: float, penalty: float) -> np.ndarray:
    """Return the lower Cholesky factor of the curvature where everybody has the base rate.

    Of about ``CURVATURE_ROWS`` rows, evenly spaced. It only scales the steps: where they end
    doesn't depend on it.
    """
    some = rows[:: -(-len(rows) // CURVATURE_ROWS)]
    curvature = (some.T @ some).astype(float) * share * (1 - share) * len(rows) / len(some)
    return np.linalg.cholesky(curvature + penalty * np.eye(len(curvature)))
