"""MBG/CNBD-k, a buy-till-you-die model of regular purchases (Platzer & Reutterer 2016).

As BG/NBD, but a customer may drop out after the first purchase already, and the times between
purchases are Erlang-k: every k-th event of a Poisson process is a purchase. With k = 1 purchases
come at random; the larger k is, the more regular they are. The functions are those of ``beta_geo``,
which is BG/NBD.
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betainc, betaln, digamma, expit, gammaln, logsumexp, xlogy

from research.models.clv.beta_geo import count_histories, require_histories, run_lives
from research.models.clv.max_likelihood import MAX_LOG, Fit, compute_covariance, numeric_hessian
from research.panel.purchase_history import HISTORY

NAMES = ("k", "r", "alpha", "a", "b")
LOG_GAPS = "log_gaps_days"  # the sum of the logarithms of the days between purchases
MOST_REGULAR = 12  # the largest k tried
NEGLIGIBLE = 1e-10  # purchases that are left out of a sum


def fit_transactions(histories: pd.DataFrame) -> Fit:
    """Fit MBG/CNBD-k by maximum likelihood, k as well; equal histories are counted, not repeated.

    k rises from 1 for as long as the likelihood does.

    Parameters
    ----------
    histories : DataFrame with columns n_repeat, recency_days, age_days, log_gaps_days
        See ``beta_geo.fit_transactions``, also for the errors.

    Returns
    -------
    Fit whose ``covariance`` is that of the other parameters given k, which has none itself

    References
    ----------
    Platzer, M. and Reutterer, T. (2016), doi:10.1287/mksc.2015.0963, eqs. 7 and 8; dropping out
    after the first purchase: Batislam, E. P., Denizel, M. and Filiztekin, A. (2007),
    doi:10.1016/j.ijresmar.2006.12.005.
    """
    counts, log_gaps = count_histories(histories), float(histories[LOG_GAPS].sum())
    best, start = None, np.zeros(4)
    for k in range(1, MOST_REGULAR + 1):
        fit, start = _fit_for(k, counts, log_gaps, start)
        if best is not None and fit.log_likelihood <= best.log_likelihood:
            break
        best = fit
    return best


def _fit_for(
    k: int, counts: tuple[np.ndarray, ...], log_gaps: float, start: np.ndarray
) -> tuple[Fit, np.ndarray]:
    """Return the fit for one k, and the logarithms of its parameters in mean ages."""
    repeats, recency, age, rows = counts
    unit = np.average(age, weights=rows)
    arguments = (k, repeats, recency / unit, age / unit, rows / rows.sum())
    fitted = minimize(
        _loss,
        start,
        arguments,
        "L-BFGS-B",
        jac=True,
        bounds=[(-MAX_LOG, MAX_LOG)] * 4,
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9},
    )
    parameters = np.r_[k, np.exp(fitted.x) * [1, unit, 1, 1]]
    covariance = np.zeros((5, 5))
    covariance[1:, 1:] = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments, 1e-4), rows.sum()
    )
    gaps = (k - 1) * log_gaps - rows @ repeats * gammaln(k)
    likelihood = float(rows @ evaluate_history(parameters, repeats, recency, age)[0] + gaps)
    return Fit(parameters, covariance, likelihood, int(rows.sum()), NAMES), fitted.x


def evaluate_history(
    parameters: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of each history but for its gaps, and the probability of being
    alive at its end.

    The gaps add (k - 1) times the sum of their logarithms, less log (k - 1)! for each.
    """
    k, r, alpha, a, b = parameters
    left = betaln(a + 1, b + repeats) - (r + k * repeats) * np.log(alpha + recency)
    stays = betaln(a, b + repeats + 1) + logsumexp(
        _weigh_phases(parameters, repeats, recency, age), axis=0
    )
    common = gammaln(r + k * repeats) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    return common + np.logaddexp(stays, left), expit(stays - left)


def _weigh_phases(
    parameters: np.ndarray, repeats: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Return the log weight of each number of events since the last purchase, 0 to k - 1: (k,
    rows).

    Their sum is the likelihood of staying without a purchase, over Gamma(r + k x).
    """
    k, r, alpha, *_ = parameters
    phase, shape = np.arange(int(k))[:, None], r + k * repeats
    share = xlogy(phase, (age - recency) / (alpha + age))
    rising = gammaln(shape + phase) - gammaln(shape) - gammaln(phase + 1)
    return share + rising - shape * np.log(alpha + age)


def _loss(
    logs: np.ndarray,
    k: int,
    repeats: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    shares: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood and its gradient by the log parameters."""
    r, alpha, a, b = np.exp(logs)
    parameters = np.array([k, r, alpha, a, b])
    likelihood, alive = evaluate_history(parameters, repeats, recency, age)
    gone, shape, phase = 1 - alive, r + k * repeats, np.arange(k)[:, None]
    log_weights = _weigh_phases(parameters, repeats, recency, age)
    weights = np.exp(log_weights - logsumexp(log_weights, axis=0))
    rising = (weights * (digamma(shape + phase) - digamma(shape))).sum(axis=0)
    moved = (weights * (shape + phase)).sum(axis=0)
    total = digamma(a + b) - digamma(a + b + repeats + 1)
    slopes = [
        digamma(shape)
        - digamma(r)
        + np.log(alpha)
        + alive * (rising - np.log(alpha + age))
        - gone * np.log(alpha + recency),
        r / alpha - alive * moved / (alpha + age) - gone * shape / (alpha + recency),
        total + gone / a,
        total + digamma(b + repeats) - digamma(b) + alive / (b + repeats),
    ]
    gradient = np.array([shares @ slope for slope in slopes]) * [r, alpha, a, b]
    return -shares @ likelihood, -gradient


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return _loss(logs, *arguments)[1]


def _unpack(histories: pd.DataFrame, fit: Fit) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Return the probability of being alive, that of each phase (k, rows), and the history."""
    require_histories(histories)
    history = tuple(histories[column].to_numpy(float) for column in HISTORY)
    log_weights = _weigh_phases(fit.parameters, *history)
    phases = np.exp(log_weights - logsumexp(log_weights, axis=0))
    return evaluate_history(fit.parameters, *history)[1], phases, history


def predict_alive(histories: pd.DataFrame, fit: Fit) -> np.ndarray:
    """Return the probability that each customer is alive at T: (rows,)."""
    return _unpack(histories, fit)[0]


def predict_inactivity(
    histories: pd.DataFrame, fit: Fit, lead: float, horizon: float
) -> np.ndarray:
    """Return the probability of no purchase in ``(T + lead, T + lead + horizon]``: (rows,).

    Given the phase j and that the customer is alive, its rate is gamma(r + k x + j, alpha + T). Of
    the n events in the lead every k-th is a purchase that has to be survived; the window then needs
    as many more as complete the next. The sum over n ends where the rest is negligible.
    """
    k, r, alpha, a, b = fit.parameters
    alive, phases, (repeats, _, age) = _unpack(histories, fit)
    now, comes = alpha + age, np.zeros(len(age))
    for phase, weight in enumerate(phases):
        shape, n, rest = r + k * repeats + phase, 0, 1.0
        while np.max(rest) > NEGLIGIBLE:
            bought, reached = divmod(phase + n, int(k))
            here = _count_probability(n, shape, lead / (now + lead)) if lead else float(n == 0)
            then = betainc(k - reached, shape + n, horizon / (now + lead + horizon))
            comes += weight * here * _survive(bought, a, b + repeats + 1) * then
            n, rest = n + 1, (betainc(n + 1, shape, lead / (now + lead)) if lead else 0.0)
    return np.clip(1 - alive * comes, 0, 1)


def _count_probability(n: int, shape: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the negative binomial probability of n events."""
    logs = gammaln(shape + n) - gammaln(shape) - gammaln(n + 1)
    return np.exp(logs + shape * np.log1p(-share) + n * np.log(share))


def _survive(purchases: int, a: float, b: np.ndarray) -> np.ndarray:
    """Return the probability to survive so many purchases more: the mean of (1 - p)^purchases."""
    return np.exp(betaln(a, b + purchases) - betaln(a, b))


def predict_purchases(histories: pd.DataFrame, fit: Fit, span: np.ndarray) -> np.ndarray:
    """Return the expected number of purchases in ``(T, T + span]``: (rows,).

    The sum over i of the probability that the i-th comes: k i - j events at least, of a negative
    binomial number given the phase j, and i - 1 purchases survived. ``span`` is one number, one for
    each customer, or (spans, 1): then the answer is (spans, rows).
    """
    k, r, alpha, a, b = fit.parameters
    alive, phases, (repeats, _, age) = _unpack(histories, fit)
    share = np.asarray(span, float) / (alpha + age + span)
    shape, expected, purchase = r + k * repeats, np.zeros(share.shape), 1
    longest = np.atleast_2d(share).max(axis=0)
    running = np.arange(len(age))
    while len(running):
        survives = _survive(purchase - 1, a, b + repeats[running] + 1)
        for phase, weight in enumerate(phases):
            events, gamma = k * purchase - phase, shape[running] + phase
            expected[..., running] += (
                weight[running] * survives * betainc(events, gamma, share[..., running])
            )
        most = survives * betainc(k * (purchase - 1) + 1, shape[running] + k, longest[running])
        running, purchase = running[most > NEGLIGIBLE], purchase + 1
    return alive * expected


def simulate_purchases(
    histories: pd.DataFrame, fit: Fit, span: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories of the same ages drawn from the model, and the span's purchases."""
    (k, r, alpha, a, b), rng = fit.parameters, np.random.default_rng(seed)
    rate, drop = rng.gamma(r, 1, len(histories)) / alpha, rng.beta(a, b, len(histories))
    running = np.flatnonzero(rng.random(len(histories)) >= drop)
    return run_lives(histories, span, rate, drop, running, partial(rng.gamma, k), rng)
