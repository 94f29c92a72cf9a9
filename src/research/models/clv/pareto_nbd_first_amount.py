"""Pareto/NBD with the amount of the first purchase as a covariate of both rates.

The rates of buying and of dropping out are multiplied by a power of the first amount, so the scales
are alpha z^-b and beta z^-d with z the first amount. The functions are those of
``pareto_nbd``; histories have one more column, ``first_amount``.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from research.errors import StudyError
from research.models.clv import pareto_nbd
from research.models.clv.beta_geo import require_histories
from research.models.clv.max_likelihood import MAX_LOG, Fit, compute_covariance, numeric_hessian
from research.panel.purchase_history import HISTORY

FIRST = "first_amount"
NAMES = ("r", "alpha", "s", "beta", "buys_more", "leaves_sooner")
CENT = 0.01  # the least amount: a power of 0 would be none


def fit_transactions(histories: pd.DataFrame) -> Fit:
    """Fit the model by maximum likelihood, starting from Pareto/NBD without the covariate.

    Parameters
    ----------
    histories : DataFrame with columns n_repeat, recency_days, age_days, first_amount
        As for ``beta_geo.fit_transactions``; an empty amount or one below a cent counts as a cent.

    Returns
    -------
    Fit with parameters r, alpha, s, beta, buys_more, leaves_sooner
        ``alpha`` and ``beta`` are those of a first amount of 1. ``buys_more`` is by how much the
        rate of buying is multiplied where the first amount is e = 2.718 times as large,
        ``leaves_sooner`` the same of the rate of dropping out; 1: no effect.

    Raises
    ------
    StudyError
        As ``beta_geo.fit_transactions``, and where all first amounts are equal.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007), Incorporating Time-Invariant Covariates into the
    Pareto/NBD and BG/NBD Models, brucehardie.com/notes/019; the first amount as a covariate: Abe,
    M. (2009), doi:10.1287/mksc.1090.0502.
    """
    logs = read_first(histories)
    if np.ptp(logs) == 0:
        raise StudyError(
            f"expected first amounts that differ, got {len(histories)} equal ones; use a model"
            " without them"
        )
    plain, middle = pareto_nbd.fit_transactions(histories), logs.mean()
    repeats, recency, age, z, rows = _count(histories, logs - middle)
    unit = np.average(age, weights=rows)
    arguments = (repeats, recency / unit, age / unit, z, rows / rows.sum())
    start = np.r_[np.log(plain.parameters / [1, unit, 1, unit]), 0, 0]
    bounds, options = [(-MAX_LOG, MAX_LOG)] * 6, {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7}
    fitted = minimize(_loss, start, arguments, "L-BFGS-B", jac=True, bounds=bounds, options=options)
    covariance = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments, 1e-4), rows.sum()
    )
    turn = np.eye(6)
    turn[1, 4] = turn[3, 5] = middle  # from the mean of the logarithms to a first amount of 1
    parameters = np.exp(turn @ fitted.x) * [1, unit, 1, unit, 1, 1]
    likelihood = rows @ evaluate_history(parameters, repeats, recency, age, z + middle)[0]
    return Fit(parameters, turn @ covariance @ turn.T, float(likelihood), int(rows.sum()), NAMES)


def read_first(histories: pd.DataFrame) -> np.ndarray:
    """Return the logarithms of the first amounts; an empty one counts as a cent, the least."""
    return np.log(np.maximum(np.nan_to_num(histories[FIRST].to_numpy(float), nan=CENT), CENT))


def _count(histories: pd.DataFrame, logs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the different histories, their log first amounts, and how many customers have each."""
    return tuple(
        histories[HISTORY]
        .assign(z=logs)
        .value_counts(sort=False)
        .reset_index(name="rows")
        .to_numpy(float)
        .T
    )


def _scale(parameters: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the four parameters of Pareto/NBD, the scales one for each customer."""
    r, alpha, s, beta, buys, leaves = parameters
    return r, alpha * buys**-logs, s, beta * leaves**-logs


def evaluate_history(
    parameters: np.ndarray,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    logs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of each history, and the probability of being alive at its end.

    Given the logarithm of its first amount.
    """
    return pareto_nbd.evaluate_history(_scale(parameters, logs), repeats, recency, age)


def _loss(
    logs: np.ndarray,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    z: np.ndarray,
    shares: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood and its gradient by the log parameters."""
    likelihood, _, (by_r, by_alpha, by_s, by_beta) = pareto_nbd.evaluate_gradient(
        _scale(np.exp(logs), z), repeats, recency, age
    )
    slopes = [
        by_r * np.exp(logs[0]),
        by_alpha,
        by_s * np.exp(logs[2]),
        by_beta,
        -z * by_alpha,
        -z * by_beta,
    ]
    return -shares @ likelihood, -np.array([shares @ slope for slope in slopes])


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return _loss(logs, *arguments)[1]


def predict_alive(histories: pd.DataFrame, fit: Fit) -> np.ndarray:
    """Return the probability that each customer is alive at T: (rows,)."""
    require_histories(histories)
    return evaluate_history(
        fit.parameters,
        *(histories[column].to_numpy(float) for column in HISTORY),
        read_first(histories),
    )[1]


def predict_purchases(histories: pd.DataFrame, fit: Fit, span: np.ndarray) -> np.ndarray:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,).

    ``span`` as in ``pareto_nbd.predict_purchases``.
    """
    return pareto_nbd.expect_purchases(
        _scale(fit.parameters, read_first(histories)),
        histories,
        predict_alive(histories, fit),
        span,
    )


def predict_inactivity(
    histories: pd.DataFrame, fit: Fit, lead: float, horizon: float
) -> np.ndarray:
    """Return the probability of no purchase in ``(T + lead, T + lead + horizon]``: (rows,)."""
    return pareto_nbd.expect_inactivity(
        _scale(fit.parameters, read_first(histories)),
        histories,
        predict_alive(histories, fit),
        lead,
        horizon,
    )


def simulate_purchases(
    histories: pd.DataFrame, fit: Fit, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories of the same ages drawn from the model, and the span's purchases."""
    return pareto_nbd.draw_purchases(
        _scale(fit.parameters, read_first(histories)), histories, span, seed
    )
