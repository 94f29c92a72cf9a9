"""Buy till you die, told apart from the first day on: Pareto/NBD in which the amount of the first
purchase moves how often, and how long, a customer buys.

The rates of buying and of dropping out are multiplied by a power of the first amount, so the scales
are alpha z^-b and beta z^-d with z the first amount. The functions are those of
``research.pareto``; histories have one more column, ``first_amount``.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from research.errors import StudyError
from research.models.clv import pareto_nbd
from research.models.clv.beta_geo import require_histories
from research.models.clv.max_likelihood import REACH, Fit, find_covariance, measure_curve
from research.panel.purchase_history import HISTORY

FIRST = "first_amount"
NAMES = ("r", "alpha", "s", "beta", "buys_more", "leaves_sooner")
CENT = 0.01  # the least amount that is told apart: a power of 0 would be none


def fit_rhythm(histories: pd.DataFrame) -> Fit:
    """Fit the model by maximum likelihood, beginning where Pareto/NBD without the first amount
    ends.

    Parameters
    ----------
    histories : DataFrame with columns n_repeat, recency_days, age_days, first_amount
        As for ``alive.fit_rhythm``; an amount that is empty or below a cent counts as a cent.

    Returns
    -------
    Fit with parameters r, alpha, s, beta, buys_more, leaves_sooner
        ``alpha`` and ``beta`` are those of a first amount of 1. ``buys_more`` is by how much the
        rate of buying is multiplied where the first amount is e = 2.718 times as large,
        ``leaves_sooner`` the same of the rate of dropping out; 1: the first amount tells nothing.

    Raises
    ------
    StudyError
        As ``alive.fit_rhythm``, and where all first amounts are equal.

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
    plain, middle = pareto_nbd.fit_rhythm(histories), logs.mean()
    repeats, recency, age, z, rows = _count(histories, logs - middle)
    unit = np.average(age, weights=rows)
    arguments = (repeats, recency / unit, age / unit, z, rows / rows.sum())
    start = np.r_[np.log(plain.parameters / [1, unit, 1, unit]), 0, 0]
    bounds, options = [(-REACH, REACH)] * 6, {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7}
    found = minimize(_loss, start, arguments, "L-BFGS-B", jac=True, bounds=bounds, options=options)
    covariance = find_covariance(
        found.x, lambda: measure_curve(_slope, found.x, arguments, 1e-4), rows.sum()
    )
    turn = np.eye(6)
    turn[1, 4] = turn[3, 5] = middle  # from the mean of the logarithms to a first amount of 1
    parameters = np.exp(turn @ found.x) * [1, unit, 1, unit, 1, 1]
    likelihood = rows @ weigh_history(parameters, repeats, recency, age, z + middle)[0]
    return Fit(parameters, turn @ covariance @ turn.T, float(likelihood), int(rows.sum()), NAMES)


def read_first(histories: pd.DataFrame) -> np.ndarray:
    """Return the logarithms of the first amounts; what is empty or below a cent counts as one."""
    return np.log(np.maximum(np.nan_to_num(histories[FIRST].to_numpy(float), nan=CENT), CENT))


def _count(histories: pd.DataFrame, logs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the different histories, the logarithms of their first amounts, and how many customers
    have each.
    """
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


def weigh_history(
    parameters: np.ndarray,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    logs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of each history given the logarithm of its first amount, and the
    probability that the customer is alive at its end.
    """
    return pareto_nbd.weigh_history(_scale(parameters, logs), repeats, recency, age)


def _loss(
    logs: np.ndarray,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    z: np.ndarray,
    shares: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood and its gradient by the logarithms of the
    parameters.
    """
    likelihood, _, (by_r, by_alpha, by_s, by_beta) = pareto_nbd.weigh_slopes(
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


def _slope(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return _loss(logs, *arguments)[1]


def predict_alive(histories: pd.DataFrame, rhythm: Fit) -> np.ndarray:
    """Return the probability that each customer is alive at T: (rows,)."""
    require_histories(histories)
    return weigh_history(
        rhythm.parameters,
        *(histories[column].to_numpy(float) for column in HISTORY),
        read_first(histories),
    )[1]


def predict_purchases(histories: pd.DataFrame, rhythm: Fit, span: np.ndarray) -> np.ndarray:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,); ``span`` as in
    ``pareto.predict_purchases``.
    """
    return pareto_nbd.expect_purchases(
        _scale(rhythm.parameters, read_first(histories)),
        histories,
        predict_alive(histories, rhythm),
        span,
    )


def predict_silence(
    histories: pd.DataFrame, rhythm: Fit, lead: float, horizon: float
) -> np.ndarray:
    """Return the probability of no purchase in ``(T + lead, T + lead + horizon]``: (rows,); see
    ``pareto.expect_silence``.
    """
    return pareto_nbd.expect_silence(
        _scale(rhythm.parameters, read_first(histories)),
        histories,
        predict_alive(histories, rhythm),
        lead,
        horizon,
    )


def simulate_purchases(
    histories: pd.DataFrame, rhythm: Fit, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return other histories of the same ages and first amounts, and the purchases of the span
    after them, by the model's own story.
    """
    return pareto_nbd.draw_purchases(
        _scale(rhythm.parameters, read_first(histories)), histories, span, seed
    )
