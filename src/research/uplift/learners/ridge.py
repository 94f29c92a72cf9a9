"""Ridge regressions of many columns, fast enough to be fitted hundreds of times.

Both give what scikit-learn's give, to the tolerance; the arms of the logistic one share their
coefficients up to a shift of their own, which a general solver would take for a design several
times as wide and mostly 0.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

GRADIENT = 1e-3  # of the loss by a coefficient in its standard errors, at which the search ends
MAX_STEPS = 200


def fit_ridge(
    features: np.ndarray, targets: np.ndarray, penalties: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return intercepts and coefficients of least squares with a ridge, its penalty chosen for each
    target by leaving one out.

    Parameters
    ----------
    features : (rows, columns)
    targets : (rows, targets)

    Returns
    -------
    intercepts : (targets,)
    coefficients : (columns, targets)
    """
    means, target_means = features.mean(axis=0), targets.mean(axis=0)
    centred, change = features - means, targets - target_means
    variances, axes = np.linalg.eigh(centred.T @ centred)
    turned, shrunk = centred @ axes, 1 / (np.maximum(variances, 0)[:, None] + penalties)
    along = turned.T @ change
    own = turned**2 @ shrunk + 1 / len(turned)  # weight of a row in its own prediction
    predicted = np.einsum("nc,cp,ct->pnt", turned, shrunk, along, optimize=True)
    left_out = ((change - predicted) / (1 - own.T[:, :, None])) ** 2
    best = left_out.mean(axis=1).argmin(axis=0)
    coefficients = axes @ (along * shrunk[:, best])
    return target_means - means @ coefficients, coefficients


def fit_logistic(
    features: np.ndarray,
    outcome: np.ndarray,
    penalties: np.ndarray,
    shift_penalties: np.ndarray | None = None,
    arm: np.ndarray | None = None,
) -> np.ndarray:
    """Return coefficients of a logistic regression with a ridge, for each arm: (columns, arms).

    Those of an arm are those of control plus a shift. All rows are one arm unless given.

    Parameters
    ----------
    features : (rows, columns), a constant among them for an intercept
    outcome : (rows,), 0 or 1
    penalties, shift_penalties : (columns,), of a squared coefficient and of the square of its shift
    arm : (rows,), 0 for control
    """
    arm = np.zeros(len(outcome), int) if arm is None else arm
    codes = range(arm.max() + 1)
    parts = [(features[arm == code], outcome[arm == code]) for code in codes]
    shifts = [np.asarray(shift_penalties)] * (len(codes) - 1)
    penalty = np.column_stack([penalties, *shifts])
    scale = _find_scale([part for part, _ in parts], outcome.mean(), penalty)

    def compute_loss(steps: np.ndarray) -> tuple[float, np.ndarray]:
        shift = np.einsum("cab,cb->ca", scale, steps.reshape(penalty.shape))
        own, loss = add_shifts(shift), (penalty * shift**2).sum() / 2
        slopes = np.empty_like(own)
        for code, (part, known) in enumerate(parts):
            log_odds = part @ own[:, code]
            loss += np.logaddexp(0, log_odds).sum() - known @ log_odds
            slopes[:, code] = part.T @ (expit(log_odds) - known)
        slopes[:, 0] = slopes.sum(axis=1)
        return loss, np.einsum("cab,ca->cb", scale, slopes + penalty * shift).ravel()

    found = minimize(
        compute_loss,
        np.zeros(penalty.size),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": GRADIENT, "ftol": 1e-10, "maxiter": MAX_STEPS},
    )
    return add_shifts(np.einsum("cab,cb->ca", scale, found.x.reshape(penalty.shape)))


def add_shifts(shift: np.ndarray) -> np.ndarray:
    """Return the coefficients of each arm: those of control, and with the shift of the arm."""
    return np.column_stack([shift[:, 0], shift[:, :1] + shift[:, 1:]])


def _find_scale(parts: list[np.ndarray], share: float, penalty: np.ndarray) -> np.ndarray:
    """Return steps in which the loss is nearly a sum of squares, column by column: (columns, arms,
    arms). Columns that go together hold up the search, but don't change what it finds.
    """
    weight = max(share * (1 - share), 1e-3)
    squares = weight * np.column_stack([(part**2).sum(axis=0) for part in parts])
    codes = np.arange(penalty.shape[1])
    curvature = np.zeros((*penalty.shape, len(codes)))
    curvature[:, codes, codes] = squares
    curvature[:, 0, :] = curvature[:, :, 0] = squares
    curvature[:, 0, 0] = squares.sum(axis=1)
    curvature[:, codes, codes] += np.maximum(penalty, 1e-9)
    return np.linalg.cholesky(np.linalg.inv(curvature))
