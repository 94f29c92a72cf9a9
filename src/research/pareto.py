"""Buy till you die by Pareto/NBD (Schmittlein, Morrison & Colombo 1987): a customer may drop out at any time, not only after a purchase.

While alive, a customer buys at random with a rate of its own (gamma distributed, shape r, rate alpha) and drops out at random with another (gamma,
shape s, rate beta). The functions are those of ``research.alive``, which holds BG/NBD.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, gammaln, hyp2f1

from research.alive import HISTORY, NEAR_ONE, count_histories, require_histories
from research.likelihood import REACH, Fit, find_covariance, measure_curve, measure_slope

Array = np.ndarray
NAMES = ("r", "alpha", "s", "beta")


def fit_rhythm(histories: pd.DataFrame) -> Fit:
    """Fit Pareto/NBD by maximum likelihood; equal histories are counted, not repeated.

    Parameters and errors as for ``alive.fit_rhythm``.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2005), A Note on Deriving the Pareto/NBD Model and Related Expressions, brucehardie.com/notes/009.
    """
    repeats, recency, age, rows = count_histories(histories)
    unit = np.average(age, weights=rows)
    arguments = (repeats, recency / unit, age / unit, rows / rows.sum())
    bounds, options = [(-REACH, REACH)] * 4, {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(_loss, np.zeros(4), arguments, "L-BFGS-B", jac=_slope, bounds=bounds, options=options)
    covariance = find_covariance(found.x, lambda: measure_curve(_slope, found.x, arguments), rows.sum())
    parameters = np.exp(found.x) * [1, unit, 1, unit]
    return Fit(parameters, covariance, float(rows @ weigh_history(parameters, repeats, recency, age)[0]), int(rows.sum()), NAMES)


def weigh_history(parameters: Array, repeats: Array, recency: Array, age: Array) -> tuple[Array, Array]:
    """Return the log-likelihood of each history, and the probability that the customer is alive at its end."""
    r, alpha, s, beta = parameters
    stays = -(r + repeats) * np.log(alpha + age) - s * np.log(beta + age)
    left = np.log(s) - np.log(r + s + repeats) + _integrate(parameters, repeats, recency, age)
    common = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return common + np.logaddexp(stays, left), expit(stays - left)


def _integrate(parameters: Array, repeats: Array, recency: Array, age: Array) -> Array:
    """Return the logarithm of (r + s + x) times the integral over the time of dropping out, from the last purchase to the end of the history."""
    r, alpha, s, beta = parameters
    power, slow, gap = r + s + repeats, max(alpha, beta), abs(alpha - beta)
    second = s + 1 if alpha >= beta else r + repeats

    def reach(time: Array) -> Array:
        return np.log(hyp2f1(power, second, power + 1, gap / (slow + time))) - power * np.log(slow + time)

    whole, rest = reach(recency), reach(age)
    with np.errstate(divide="ignore"):
        return whole + np.log(-np.expm1(np.minimum(rest - whole, 0)))


def _loss(logs: Array, repeats: Array, recency: Array, age: Array, shares: Array) -> float:
    return -shares @ weigh_history(np.exp(logs), repeats, recency, age)[0]


def _slope(logs: Array, *arguments: Array) -> Array:
    return measure_slope(_loss, logs, *arguments)


def predict_alive(histories: pd.DataFrame, rhythm: Fit) -> Array:
    """Return the probability that each customer is alive at T: (rows,)."""
    require_histories(histories)
    return weigh_history(rhythm.parameters, *(histories[column].to_numpy(float) for column in HISTORY))[1]


def predict_purchases(histories: pd.DataFrame, rhythm: Fit, span: float) -> Array:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,); eq. 41 of Fader & Hardie (2005)."""
    r, alpha, s, beta = rhythm.parameters
    s = s + 2 * NEAR_ONE if abs(s - 1) < NEAR_ONE else s
    repeats, _, age = (histories[column].to_numpy(float) for column in HISTORY)
    rate = (r + repeats) * (beta + age) / ((alpha + age) * (s - 1))
    return predict_alive(histories, rhythm) * rate * -np.expm1((s - 1) * np.log((beta + age) / (beta + age + span)))
