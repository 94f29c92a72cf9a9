"""Spend per purchase by Gamma-Gamma (Fader, Hardie & Lee 2005).

The mean of few purchases is shrunk towards that of all customers. A customer's amounts scatter
around a mean of its own (gamma, shape p); the means vary between customers (inverse gamma, shape q,
scale v). Amounts are assumed to be independent of how often a customer buys; ``correlate`` measures
how far the data agree.
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
NAMES = ("p", "q", "v")


def fit_spend(purchases: pd.DataFrame) -> Fit:
    """Fit Gamma-Gamma by maximum likelihood to the customers who came back and spent something.

    Parameters
    ----------
    purchases : DataFrame with columns n_repeat and mean_amount
        One row per customer: how many repeat purchases, and their mean amount. Customers who never
        came back, who spent nothing, or who returned more than they bought are left out.

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
    repeats, mean = (rows[column].to_numpy(float) for column in SPENDING)
    unit = mean.mean()
    arguments = (repeats, mean / unit)
    fitted = minimize(
        _loss,
        np.zeros(3),
        arguments,
        "L-BFGS-B",
        jac=_gradient,
        bounds=[(-MAX_LOG, MAX_LOG)] * 3,
        options={"maxiter": 1000, "ftol": 1e-15},
    )
    covariance = compute_covariance(
        fitted.x, lambda: numeric_hessian(_gradient, fitted.x, arguments), len(rows)
    )
    parameters = np.exp(fitted.x) * [1, 1, unit]
    return Fit(
        parameters,
        covariance,
        float(log_likelihood(parameters, repeats, mean).sum()),
        len(rows),
        NAMES,
    )


def log_likelihood(parameters: np.ndarray, repeats: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of each customer's mean amount."""
    p, q, v = parameters
    shape = p * repeats
    fixed = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v)
    return (
        fixed
        + (shape - 1) * np.log(mean)
        + shape * np.log(repeats)
        - (shape + q) * np.log(v + mean * repeats)
    )


def _loss(logs: np.ndarray, repeats: np.ndarray, mean: np.ndarray) -> float:
    return -log_likelihood(np.exp(logs), repeats, mean).mean()


def _gradient(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return numeric_gradient(_loss, logs, *arguments)


def predict_spend(purchases: pd.DataFrame, spend: Fit) -> np.ndarray:
    """Return the expected amount of each customer's next purchase: (rows,).

    Customers who never came back get the mean of all; those who came back and spent nothing, or
    returned more than they bought, 0. Infinite where p times the repeat purchases and q are
    together 1 or less: then there is no mean.
    """
    p, q, v = spend.parameters
    repeats, mean = (np.nan_to_num(purchases[column].to_numpy(float)) for column in SPENDING)
    bottom = p * repeats + q - 1
    expected = np.divide(
        p * (v + repeats * mean), bottom, out=np.full(len(repeats), np.inf), where=bottom > 0
    )
    return np.where((repeats > 0) & (mean <= 0), 0.0, expected)


def correlate(purchases: pd.DataFrame) -> float:
    """Return the rank correlation of repeat purchases and mean amount; the model assumes 0."""
    rows = purchases[(purchases.n_repeat > 0) & (purchases.mean_amount > 0)]
    if min(rows.n_repeat.nunique(), rows.mean_amount.nunique()) < 2:
        return np.nan
    return float(rows.n_repeat.corr(rows.mean_amount, method="spearman"))
