"""Spend per purchase by Gamma-Gamma (Fader, Hardie & Lee 2005).

The mean of few purchases is shrunk towards that of all customers. A customer's amounts scatter
around a mean of its own (gamma, shape p); the means vary between customers (inverse gamma, shape q,
scale v). Amounts are assumed to be independent of how often a customer buys; ``correlate`` measures
how far the data agree.

The published model leaves out the amount of the first purchase, so that all who bought once are
valued alike. Here the first amount, times a factor ``first`` of its own (first purchases may be
larger or smaller), counts as one more purchase where the repeat purchases are then more likely, by
AIC.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln

from research.errors import StudyError
from research.models.clv.max_likelihood import (
    MAX_LOG,
    Fit,
    compute_covariance,
    numeric_gradient,
    numeric_hessian,
)

SPENDING = ["n_repeat", "mean_amount"]
FIRST_AMOUNT = "first_amount"
NAMES = ("p", "q", "v")
WITH_FIRST = (*NAMES, "first")


def fit_spend(purchases: pd.DataFrame) -> Fit:
    """Fit Gamma-Gamma by maximum likelihood to the customers who came back and spent something.

    Parameters
    ----------
    purchases : DataFrame with columns n_repeat, mean_amount and, where it is known, first_amount
        One row per customer: how many repeat purchases, their mean amount, and the amount of the
        first purchase. Customers who never came back, who spent nothing, or who returned more than
        they bought are left out.

    Returns
    -------
    Fit with parameters p, q, v and, where the first amount tells something, first

    Raises
    ------
    StudyError
        If fewer than three customers are left.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), doi:10.1509/jmkr.2005.42.4.415; likelihood
    as in Fader & Hardie (2013), brucehardie.com/notes/025.
    """
    rows = purchases[(purchases.n_repeat > 0) & (purchases.mean_amount > 0)]
    if len(rows) < len(NAMES):
        raise StudyError(
            f"expected at least {len(NAMES)} customers with a repeat purchase above 0, got"
            f" {len(rows)}; use a later snapshot"
        )
    without = _fit(rows, NAMES)
    if not _read_first(rows).any():
        return without
    fit = _fit(rows, WITH_FIRST)
    better = fit.log_likelihood > without.log_likelihood + 1  # by AIC, with one more parameter
    return fit if better and has_mean(fit) >= has_mean(without) else without


def _fit(rows: pd.DataFrame, names: tuple[str, ...]) -> Fit:
    repeats, mean = (rows[column].to_numpy(float) for column in SPENDING)
    unit, first = mean.mean(), _read_first(rows)
    arguments = (repeats, mean / unit, first / unit)
    fitted = minimize(
        _loss,
        np.zeros(len(names)),
        arguments,
        "L-BFGS-B",
        jac=_gradient,
        bounds=[(-MAX_LOG, MAX_LOG)] * len(names),
        options={"maxiter": 1000, "ftol": 1e-15},
    )
    covariance = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments), len(rows)
    )
    parameters = np.exp(fitted.x) * [1, 1, unit, 1][: len(names)]
    likelihood = log_likelihood(parameters, repeats, mean, first)
    return Fit(parameters, covariance, float(likelihood.sum()), len(rows), names)


def _read_first(rows: pd.DataFrame) -> np.ndarray:
    """Return the first amounts; nothing paid, or more returned than bought, is 0."""
    if FIRST_AMOUNT not in rows:
        return np.zeros(len(rows))
    return np.maximum(np.nan_to_num(rows[FIRST_AMOUNT].to_numpy(float)), 0)


def _add_first(parameters: np.ndarray, first: np.ndarray) -> tuple:
    """Return p, and q and v of each customer once the first amount is known.

    The inverse gamma distribution is conjugate: one purchase adds p to its shape, and its amount to
    its scale.
    """
    p, q, v, *factor = parameters
    return (p, q + p, v + factor[0] * first) if factor else (p, q, v)


def log_likelihood(
    parameters: np.ndarray, repeats: np.ndarray, mean: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """Return the log-likelihood of each customer's mean amount, given the first amount."""
    p, q, v = _add_first(parameters, first)
    shape = p * repeats
    fixed = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v)
    return (
        fixed
        + (shape - 1) * np.log(mean)
        + shape * np.log(repeats)
        - (shape + q) * np.log(v + mean * repeats)
    )


def _loss(logs: np.ndarray, *arguments: np.ndarray) -> float:
    return -log_likelihood(np.exp(logs), *arguments).mean()


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return numeric_gradient(_loss, logs, *arguments)


def predict_spend(purchases: pd.DataFrame, spend: Fit) -> np.ndarray:
    """Return the expected amount of each customer's next purchase: (rows,).

    Customers who never came back get what their first amount tells, or the mean of all; those who
    came back and spent nothing, or returned more than they bought, 0. Infinite where there is no
    mean: where p times the purchases and q are together 1 or less.
    """
    p, q, v = _add_first(spend.parameters, _read_first(purchases))
    repeats, mean = (np.nan_to_num(purchases[column].to_numpy(float)) for column in SPENDING)
    bottom = p * repeats + q - 1
    expected = np.divide(
        p * (v + repeats * mean), bottom, out=np.full(len(repeats), np.inf), where=bottom > 0
    )
    return np.where((repeats > 0) & (mean <= 0), 0.0, expected)


def has_mean(spend: Fit) -> bool:
    """Return whether the next amount of every customer has a mean."""
    return bool(_add_first(spend.parameters, np.zeros(1))[1] > 1)


def correlate(purchases: pd.DataFrame) -> float:
    """Return the rank correlation of repeat purchases and mean amount; the model assumes 0."""
    rows = purchases[(purchases.n_repeat > 0) & (purchases.mean_amount > 0)]
    if min(rows.n_repeat.nunique(), rows.mean_amount.nunique()) < 2:
        return np.nan
    return float(rows.n_repeat.corr(rows.mean_amount, method="spearman"))
