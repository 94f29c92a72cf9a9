"""BG/NBD, a buy-till-you-die model of repeat purchases (Fader, Hardie & Lee 2005).

While alive, a customer buys at random with a rate of its own; after each repeat purchase it drops
out for good with a probability of its own. Rates vary between customers by a gamma distribution
(shape r, rate alpha), dropout probabilities by a beta distribution (a, b). The history of a
customer is the number of repeat purchases, the time of the last one, and the time observed; it
can't drop out before its first repeat purchase.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, digamma, expit, gammaln, hyp2f1

from research.errors import StudyError
from research.models.clv.max_likelihood import MAX_LOG, Fit, compute_covariance, numeric_hessian
from research.panel.purchase_history import HISTORY

NAMES = ("r", "alpha", "a", "b")
NEAR_ONE = 1e-6  # expected purchases have a removable singularity at a = 1
NODES = 48  # of the mean over dropout probabilities
LEAST_FLOAT = 1e-290  # a factor below it has left the range of floating point


def fit_transactions(histories: pd.DataFrame) -> Fit:
    """Fit BG/NBD by maximum likelihood; equal histories are counted, not repeated.

    Parameters
    ----------
    histories : DataFrame with columns n_repeat, recency_days, age_days
        One row per customer, at one snapshot: histories of the same customer at two snapshots
        repeat one another, and would count as twice as many customers. Any unit of time will do in
        place of days; alpha has the same.

    Raises
    ------
    StudyError
        If histories contradict themselves, or nobody ever came back: then the parameters are not
        identified.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), doi:10.1287/mksc.1040.0098, eq. 6.
    """
    repeats, recency, age, rows = count_histories(histories)
    unit = np.average(age, weights=rows)
    arguments = (repeats, recency / unit, age / unit, rows / rows.sum())
    bounds = [(-MAX_LOG, MAX_LOG)] * 4
    fitted = minimize(
        _loss,
        np.zeros(4),
        arguments,
        "L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9},
    )
    parameters = np.exp(fitted.x) * [1, unit, 1, 1]
    covariance = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments, 1e-4), rows.sum()
    )
    likelihood, _ = evaluate_history(parameters, repeats, recency, age)
    return Fit(parameters, covariance, float(rows @ likelihood), int(rows.sum()), NAMES)


def count_histories(
    histories: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the different histories, and how many customers have each: four arrays.

    n_repeat, recency_days, age_days and the number; see ``fit_transactions`` for what is refused.
    """
    require_histories(histories)
    repeats, recency, age, rows = (
        histories[HISTORY].value_counts(sort=False).reset_index(name="rows").to_numpy(float).T
    )
    if not repeats.any():
        raise StudyError(
            f"expected some customers with a repeat purchase, got {len(histories)} without any;"
            " use a later snapshot or another model"
        )
    return repeats, recency, age, rows


def require_histories(histories: pd.DataFrame) -> None:
    """Refuse histories that contradict themselves.

    Raises
    ------
    StudyError
        With the number of such rows.
    """
    x, last, age = (histories[column].to_numpy(float) for column in HISTORY)
    sound = (
        (x >= 0)
        & (x == np.floor(x))
        & (last >= 0)
        & (last <= age)
        & ((x > 0) == (last > 0))
        & np.isfinite(age)
    )
    if not (len(histories) and sound.all()):
        raise StudyError(
            "expected histories with whole n_repeat of 0 or more, recency_days up to age_days, and"
            f" both 0 or neither for n_repeat and recency_days, got {(~sound).sum()} of"
            f" {len(histories)} rows that are not; make them by summarise_orders"
        )


def evaluate_history(
    parameters: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of each history, and the probability of being alive at its end.

    Eq. 6 and its first term's share.
    """
    r, alpha, a, b = parameters
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(
            repeats > 0,
            np.log(a) - np.log(b + repeats - 1) - (r + repeats) * np.log(alpha + recency),
            -np.inf,
        )
    stays = -(r + repeats) * np.log(alpha + age)
    common = (
        gammaln(r + repeats)
        - gammaln(r)
        + r * np.log(alpha)
        + betaln(a, b + repeats)
        - betaln(a, b)
    )
    return common + np.logaddexp(stays, left), expit(stays - left)


def _loss(
    logs: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray, shares: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood and its gradient by the log parameters."""
    r, alpha, a, b = parameters = np.exp(logs)
    likelihood, alive = evaluate_history(parameters, repeats, recency, age)
    gone = np.where(repeats > 0, 1 - alive, 0)
    total = digamma(a + b) - digamma(a + b + repeats)
    slopes = [
        digamma(r + repeats)
        - digamma(r)
        + np.log(alpha)
        - alive * np.log(alpha + age)
        - gone * np.log(alpha + recency),
        r / alpha - (r + repeats) * (alive / (alpha + age) + gone / (alpha + recency)),
        total + gone / a,
        total
        + digamma(b + repeats)
        - digamma(b)
        - gone / np.where(repeats > 0, b + repeats - 1, 1),
    ]
    return -shares @ likelihood, -np.array([shares @ slope for slope in slopes]) * parameters


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return _loss(logs, *arguments)[1]


def _unpack(histories: pd.DataFrame, fit: Fit) -> tuple[np.ndarray, ...]:
    require_histories(histories)
    return *fit.parameters, *(histories[column].to_numpy(float) for column in HISTORY)


def predict_alive(histories: pd.DataFrame, fit: Fit) -> np.ndarray:
    """Return the probability that each customer is alive at T: (rows,).

    1 for customers without a repeat purchase, by the model's assumption.
    """
    *_, repeats, recency, age = _unpack(histories, fit)
    return evaluate_history(fit.parameters, repeats, recency, age)[1]


def predict_inactivity(
    histories: pd.DataFrame, fit: Fit, lead: float, horizon: float
) -> np.ndarray:
    """Return the probability of no purchase in ``(T + lead, T + lead + horizon]``: (rows,).

    A living customer with rate l and dropout p is alive after ``lead`` with probability exp(-l p
    lead), and then inactive over the horizon with exp(-l horizon). Given its history, l is gamma(r
    + x, alpha + T) and p is beta(a, b + x), independent of each other. The mean of exp(-l
    p s) (1 - exp(-l h)) over l, then over p by Euler's integral, is F(s, alpha + T) - q F(s, alpha
    + T + h) with q = ((alpha + T) / (alpha + T + h))^(r + x) and F(s, c) = 2F1(r + x, a; a + b + x;
    -s / c); times the probability of being alive it is that of a purchase. The times are in the
    unit of the histories.

    References
    ----------
    Derived from the assumptions of Fader, Hardie & Lee (2005); for a new customer and without lead
    it is their eq. 8 at no purchase.
    """
    r, alpha, a, b, repeats, recency, age = _unpack(histories, fit)
    alive = evaluate_history(fit.parameters, repeats, recency, age)[1]
    shape, now = r + repeats, alpha + age
    quiet = (now / (now + horizon)) ** shape
    comes = _mean_power(shape, a, a + b + repeats, lead / now) - quiet * _mean_power(
        shape, a, a + b + repeats, lead / (now + horizon)
    )
    return np.clip(1 - alive * comes, 0, 1)


def predict_purchases(histories: pd.DataFrame, fit: Fit, span: np.ndarray) -> np.ndarray:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,).

    Eq. 10 of Fader, Hardie & Lee (2005). ``span`` is one number, one for each customer, or (spans,
    1): then the answer is (spans, rows).
    """
    r, alpha, a, b, repeats, recency, age = _unpack(histories, fit)
    a = a + 2 * NEAR_ONE if abs(a - 1) < NEAR_ONE else a
    alive = evaluate_history(fit.parameters, repeats, recency, age)[1]
    total = a + b + repeats - 1
    return (
        alive * total / (a - 1) * (1 - _mean_power(r + repeats, a - 1, total, span / (alpha + age)))
    )


def _mean_power(shape: np.ndarray, a: float, total: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return 2F1(shape, a; total; -ratio).

    For positive a it is the mean of (1 + p ratio)^-shape with p of beta(a, total - a). By Pfaff's
    transformation (Abramowitz & Stegun 1964, 15.3.5), whose series stays short for customers with
    many purchases. Where its factors leave the range of floating point, as when hardly anybody ever
    drops out, the mean over p is taken at ``NODES`` quantiles instead, to five decimals.
    """
    shape, total, ratio = np.broadcast_arrays(shape, total, ratio)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = (1 + ratio) ** -a
        mean = scale * hyp2f1(a, total - shape, total, ratio / (1 + ratio))
    lost = ~np.isfinite(mean) | (scale < LEAST_FLOAT)
    if a > 0 and lost.any():
        mean[lost] = _average_power(shape[lost], a, total[lost], ratio[lost])
    return mean


def _average_power(shape: np.ndarray, a: float, total: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    at, weight = np.polynomial.legendre.leggauss(NODES)
    return sum(
        share / 2 * (1 + betaincinv(a, total - a, (place + 1) / 2) * ratio) ** -shape
        for place, share in zip(at, weight, strict=True)
    )


def simulate_purchases(
    histories: pd.DataFrame, fit: Fit, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories of the same ages drawn from the model, and the span's purchases."""
    (r, alpha, a, b), rng = fit.parameters, np.random.default_rng(seed)
    rate, drop = rng.gamma(r, 1, len(histories)) / alpha, rng.beta(a, b, len(histories))
    everybody = np.arange(len(histories))
    return run_lives(histories, span, rate, drop, everybody, rng.exponential, rng)


def run_lives(
    histories: pd.DataFrame,
    span: float,
    rate: np.ndarray,
    drop: np.ndarray,
    running: np.ndarray,
    draw_gaps: Callable[[float, int], np.ndarray],
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what ``simulate_purchases`` does, one purchase of all customers at a time.

    Parameters
    ----------
    rate, drop : (rows,), of each customer's events, and the probability to drop out at a purchase
    running : the customers who haven't dropped out at the first purchase
    draw_gaps : draws the times between purchases of so many customers, of rate 1
    """
    age = histories.age_days.to_numpy(float)
    time, bought, last, later = np.zeros((4, len(age)))
    while len(running):
        time[running] += draw_gaps(1, len(running)) / np.maximum(rate[running], 1e-300)
        running = running[time[running] <= age[running] + span]
        before = running[time[running] <= age[running]]
        bought[before] += 1
        last[before] = time[before]
        later[running[time[running] > age[running]]] += 1
        running = running[rng.random(len(running)) >= drop[running]]
    return histories.assign(n_repeat=bought, recency_days=last), later
