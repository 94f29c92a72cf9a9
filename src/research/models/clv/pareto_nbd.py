"""Pareto/NBD, a buy-till-you-die model of repeat purchases (Schmittlein, Morrison & Colombo 1987).

A customer may drop out at any time, not only after a purchase. While alive, it buys at random with
a rate of its own (gamma distributed, shape r, rate alpha) and drops out at random with another
(gamma, shape s, rate beta). The functions are those of ``beta_geo``, which is BG/NBD.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln

from research.models.clv.beta_geo import NEAR_ONE, count_histories, require_histories
from research.models.clv.max_likelihood import MAX_LOG, Fit, compute_covariance, numeric_hessian
from research.panel.purchase_history import HISTORY

NAMES = ("r", "alpha", "s", "beta")
NODES = 20  # of integrals over time
NEGLIGIBLE = 30.0  # a power of e that is nothing


def fit_transactions(histories: pd.DataFrame) -> Fit:
    """Fit Pareto/NBD by maximum likelihood; equal histories are counted, not repeated.

    Parameters and errors as for ``beta_geo.fit_transactions``.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2005), A Note on Deriving the Pareto/NBD Model and Related
    Expressions, brucehardie.com/notes/009.
    """
    repeats, recency, age, rows = count_histories(histories)
    unit = np.average(age, weights=rows)
    arguments = (repeats, recency / unit, age / unit, rows / rows.sum())
    bounds, options = [(-MAX_LOG, MAX_LOG)] * 4, {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8}
    fitted = minimize(
        _loss, np.zeros(4), arguments, "L-BFGS-B", jac=True, bounds=bounds, options=options
    )
    covariance = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments, 1e-4), rows.sum()
    )
    parameters = np.exp(fitted.x) * [1, unit, 1, unit]
    return Fit(
        parameters,
        covariance,
        float(rows @ evaluate_history(parameters, repeats, recency, age)[0]),
        int(rows.sum()),
        NAMES,
    )


def evaluate_history(
    parameters: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of each history, and the probability of being alive at its end.

    alpha and beta may be one for each.
    """
    return evaluate_gradient(parameters, repeats, recency, age, False)[:2]


def evaluate_gradient(
    parameters: np.ndarray,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    slopes: bool = True,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """Return what ``evaluate_history`` does, and the gradient of each log-likelihood.

    By r, log alpha, s and log beta; empty unless ``slopes``.
    """
    r, alpha, s, beta = parameters
    stays = -(r + repeats) * np.log(alpha + age) - s * np.log(beta + age)
    integral, means = _integrate(parameters, repeats, recency, age, slopes)
    left = np.log(s) + integral
    common = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    alive = expit(stays - left)
    if not slopes:
        return common + np.logaddexp(stays, left), alive, ()
    gone, (log_fast, fast, log_slow, slow) = 1 - alive, means
    gradient = (
        digamma(r + repeats)
        - digamma(r)
        + np.log(alpha)
        - alive * np.log(alpha + age)
        - gone * log_fast,
        r - alpha * (r + repeats) * (alive / (alpha + age) + gone * fast),
        np.log(beta) - alive * np.log(beta + age) + gone * (1 / s - log_slow),
        s - beta * (alive * s / (beta + age) + gone * (s + 1) * slow),
    )
    return common + np.logaddexp(stays, left), alive, gradient


def _integrate(
    parameters: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray, means: bool
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return the log of the integral over the time t of dropping out.

    From the last purchase to the end of the history, of (alpha + t)^-(r + x) (beta + t)^-(s + 1),
    by Gauss and Legendre over log(alpha + t), cut where it has fallen to e^-30: the published form,
    a hypergeometric function, needs very many terms where alpha and beta lie far apart, as they do
    where hardly anybody drops out. If asked for, also the means under this density of log(alpha +
    t), 1 / (alpha + t), log(beta + t) and 1 / (beta + t), from which the gradient follows.
    """
    r, alpha, s, beta = parameters
    begins, ends = np.log(alpha + recency), np.log(alpha + age)
    slowest = np.minimum((alpha + recency) / (beta + recency), (alpha + age) / (beta + age))
    power, first = r + repeats - 1, np.log(beta + recency)
    length = np.minimum(ends - begins, NEGLIGIBLE / np.maximum(power + (s + 1) * slowest, 1e-3))
    total, sums = 0.0, np.zeros((4, len(repeats)))
    for node, weight in zip(*np.polynomial.legendre.leggauss(NODES), strict=True):
        u = length * (1 + node) / 2
        fast = np.exp(begins + u)
        slow = beta - alpha + fast
        log_slow = np.log(slow)
        share = weight / 2 * np.exp(-power * u - (s + 1) * (log_slow - first))
        total = total + share
        if means:
            sums += share * np.stack([begins + u, 1 / fast, log_slow, 1 / slow])
    with np.errstate(divide="ignore"):
        return np.log(length * total) - power * begins - (s + 1) * first, tuple(sums / total)


def _loss(
    logs: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray, shares: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood and its gradient by the log parameters."""
    likelihood, _, slopes = evaluate_gradient(np.exp(logs), repeats, recency, age)
    return -shares @ likelihood, -np.array([shares @ slope for slope in slopes]) * [
        np.exp(logs[0]),
        1,
        np.exp(logs[2]),
        1,
    ]


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return _loss(logs, *arguments)[1]


def predict_alive(histories: pd.DataFrame, fit: Fit) -> np.ndarray:
    """Return the probability that each customer is alive at T: (rows,)."""
    require_histories(histories)
    return evaluate_history(
        fit.parameters, *(histories[column].to_numpy(float) for column in HISTORY)
    )[1]


def predict_purchases(histories: pd.DataFrame, fit: Fit, span: np.ndarray) -> np.ndarray:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,).

    ``span`` is one number, one for each customer, or (spans, 1): then the answer is (spans, rows).
    """
    return expect_purchases(tuple(fit.parameters), histories, predict_alive(histories, fit), span)


def expect_purchases(
    parameters: tuple[np.ndarray, ...], histories: pd.DataFrame, alive: np.ndarray, span: np.ndarray
) -> np.ndarray:
    """Return what ``predict_purchases`` does, given the probability of being alive.

    alpha and beta may be one for each customer.

    References
    ----------
    Fader & Hardie (2005), brucehardie.com/notes/009, eq. 41.
    """
    r, alpha, s, beta = parameters
    s = s + 2 * NEAR_ONE if abs(s - 1) < NEAR_ONE else s
    repeats, _, age = (histories[column].to_numpy(float) for column in HISTORY)
    rate = (r + repeats) * (beta + age) / ((alpha + age) * (s - 1))
    return alive * rate * -np.expm1((s - 1) * np.log((beta + age) / (beta + age + span)))


def predict_inactivity(
    histories: pd.DataFrame, fit: Fit, lead: float, horizon: float
) -> np.ndarray:
    """Return the probability of no purchase in ``(T + lead, T + lead + horizon]``: (rows,)."""
    return expect_inactivity(
        tuple(fit.parameters), histories, predict_alive(histories, fit), lead, horizon
    )


def expect_inactivity(
    parameters: tuple[np.ndarray, ...],
    histories: pd.DataFrame,
    alive: np.ndarray,
    lead: float,
    horizon: float,
) -> np.ndarray:
    """Return what ``predict_inactivity`` does, given the probability of being alive.

    Given the history and that the customer is alive at T, both rates are gamma and independent: of
    (r + x, alpha + T) and (s, beta + T). The first purchase after the lead comes u days after it
    with the density l exp(-l u), if the customer has not dropped out by then: exp(-m (lead + u)).
    The mean over both rates is a product of two powers; over u it is taken by Gauss and Legendre.
    """
    r, alpha, s, beta = parameters
    repeats, _, age = (histories[column].to_numpy(float) for column in HISTORY)
    fast, slow, comes = alpha + age, beta + age, 0.0
    for node, weight in zip(*np.polynomial.legendre.leggauss(NODES), strict=True):
        u = horizon * (1 + node) / 2
        comes = (
            comes
            + weight
            * horizon
            / 2
            * (r + repeats)
            / fast
            * (fast / (fast + u)) ** (r + repeats + 1)
            * (slow / (slow + lead + u)) ** s
        )
    return np.clip(1 - alive * comes, 0, 1)


def simulate_purchases(
    histories: pd.DataFrame, fit: Fit, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories of the same ages drawn from the model, and the span's purchases."""
    return draw_purchases(tuple(fit.parameters), histories, span, seed)


def draw_purchases(
    parameters: tuple[np.ndarray, ...], histories: pd.DataFrame, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what ``simulate_purchases`` does; alpha and beta may be one for each customer.

    Of histories, only n_repeat and recency_days are redrawn.
    """
    (r, alpha, s, beta), rng = parameters, np.random.default_rng(seed)
    age = histories.age_days.to_numpy(float)
    rate, drop = rng.gamma(r, 1, len(age)) / alpha, rng.gamma(s, 1, len(age)) / beta
    end = rng.exponential(1, len(age)) / np.maximum(drop, 1e-300)
    bought = rng.poisson(rate * np.minimum(end, age))
    # the latest of so many random moments
    last = np.minimum(end, age) * rng.random(len(age)) ** (1 / np.maximum(bought, 1))
    later = rng.poisson(rate * np.clip(np.minimum(end, age + span) - age, 0, None))
    return (
        histories.assign(
            n_repeat=bought.astype(float), recency_days=np.where(bought > 0, last, 0.0)
        ),
        later,
    )
