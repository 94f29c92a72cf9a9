"""Logistic regression with an elastic net, on many dense columns in single precision.

The optimum is that of scikit-learn's ``LogisticRegression``. Each step solves a lasso under a
quadratic approximation of the loss (proximal Newton: Lee, Sun & Saunders 2014,
doi:10.1137/130921428), by scikit-learn's coordinate descent.
"""

import warnings

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit, logit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path

from research.models.ridge_logistic import LinearLogOdds

TOLERANCE = 1e-3  # change of the loss in a step, in nats of all rows, below which steps end
MOST_STEPS, HALVINGS = 60, 12
CURVATURE_ROWS = 16_000  # from which the scale of the steps is learned; where they end, from all
INNER_STEPS = 100  # sweeps of coordinate descent in a step


class ElasticNetLogistic(LinearLogOdds):
    """Logistic regression with a penalty on absolute values, which leaves columns out, and squares.

    Parameters
    ----------
    C : inverse strength of the penalty
    l1_ratio : share of the penalty that is on absolute values
    """

    def __init__(self, C: float = 0.05, l1_ratio: float = 0.5):
        self.C = C
        self.l1_ratio = l1_ratio

    def fit(self, columns: np.ndarray, churned: np.ndarray) -> "ElasticNetLogistic":
        """Minimise the penalised loss; the seed plays no part, since nothing is drawn."""
        rows, labels = np.asarray(columns, "float32"), np.asarray(churned, float)
        problem = _Problem(rows, labels, self.l1_ratio / self.C, (1 - self.l1_ratio) / self.C)
        slopes, centre = np.zeros(rows.shape[1]), float(logit(labels.mean()))
        loss, odds = problem.lose(slopes, centre)
        for _ in range(MOST_STEPS):
            step, before = problem.propose(slopes, odds), loss
            slopes, centre, loss, odds = problem.search(slopes, centre, loss, odds, step)
            if before - loss < TOLERANCE:
                break
        self.coef_, self.intercept_ = slopes, centre - float(problem.means @ slopes)
        self.classes_ = np.array([False, True])
        return self


class _Problem:
    """The penalised loss of centred columns, and steps towards its least value."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray, absolute: float, squares: float):
        self.rows, self.labels = rows, labels
        self.absolute, self.squares = absolute, squares
        self.means = rows.mean(axis=0, dtype=float)
        some = rows[:: -(-len(rows) // CURVATURE_ROWS)] - self.means.astype("float32")
        self.gram = (some.T @ some).astype(float) * len(rows) / len(some)

    def lose(self, slopes: np.ndarray, centre: float) -> tuple[float, np.ndarray]:
        """Return the penalised loss, and the log-odds of each row."""
        odds = self._multiply(slopes) + centre
        return self._lose_at(odds, slopes), odds

    def propose(self, slopes: np.ndarray, odds: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the change of slopes and intercept to where the approximation is least."""
        risks = expit(odds)
        pull, weight = risks - self.labels, float((risks * (1 - risks)).mean())
        slope = (pull.astype("float32") @ self.rows).astype(float) - pull.sum() * self.means
        curvature = weight * self.gram
        aim = curvature @ slopes - slope
        curvature[np.diag_indices_from(curvature)] += self.squares
        root = np.linalg.cholesky(curvature)
        aimed = solve_triangular(root, aim, lower=True)
        found = self._solve(root.T, aimed, curvature, aim, slopes)
        return found - slopes, -pull.mean() / weight

    def search(
        self,
        slopes: np.ndarray,
        centre: float,
        loss: float,
        odds: np.ndarray,
        step: tuple[np.ndarray, float],
    ) -> tuple[np.ndarray, float, float, np.ndarray]:
        """Return slopes, intercept, loss and log-odds after the step, halved until it helps."""
        change = self._multiply(step[0]) + step[1]
        for share in 0.5 ** np.arange(HALVINGS):
            further = slopes + share * step[0], centre + share * step[1]
            found = self._lose_at(odds + share * change, further[0])
            if found < loss:
                return *further, found, odds + share * change
        return slopes, centre, loss, odds

    def _lose_at(self, odds: np.ndarray, slopes: np.ndarray) -> float:
        penalty = self.absolute * np.abs(slopes).sum() + self.squares * slopes @ slopes / 2
        return float(np.logaddexp(0, odds).sum() - self.labels @ odds + penalty)

    def _multiply(self, slopes: np.ndarray) -> np.ndarray:
        return (self.rows @ slopes.astype("float32")).astype(float) - self.means @ slopes

    def _solve(
        self,
        root: np.ndarray,
        aimed: np.ndarray,
        curvature: np.ndarray,
        aim: np.ndarray,
        slopes: np.ndarray,
    ) -> np.ndarray:
        """Return the lasso's coefficients: the least of |root b - aimed|²/2 + absolute · |b|."""
        with warnings.catch_warnings():  # a step needn't be exact: others follow
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, found, _ = lasso_path(
                root,
                aimed,
                alphas=[self.absolute / len(root)],
                precompute=curvature,
                Xy=aim,
                coef_init=slopes.copy(),  # filled in place
                max_iter=INNER_STEPS,
                check_input=False,
            )
        return found[:, 0]
