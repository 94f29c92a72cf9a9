"""What a purchase is worth: Gamma-Gamma (Fader, Hardie & Lee 2005), which draws the mean of few
purchases towards that of all customers.

A customer's amounts scatter around a mean of its own (gamma, shape p); the means vary between
customers (inverse gamma, shape q, scale v). Amounts are taken to have nothing to do with how often
a customer buys; ``correlate`` says how far the data agree.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln

from research.errors import StudyError
from research.models.clv.max_likelihood import (
    REACH,
    Fit,
    find_covariance,
    measure_curve,
    measure_slope,
)

SPENDING = ["n_repeat", "mean_amount"]
NAMES = ("p", "q", "v")


def fit_spend(purchases: pd.DataFrame) -> Fit:
    """Fit Gamma-Gamma by maximum likelihood to the customers who came back and spent something.

    Parameters
    ----------
    purchases : DataFrame with columns n_repeat and mean_amount
        One row per customer: how many repeat purchases, and their mean amount. Who never came back
        has none; who spent nothing, or took back more than was bought, has no rhythm of amounts:
        neither is learned from.

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
    found = minimize(
        _loss,
        np.zeros(3),
        arguments,
        "L-BFGS-B",
        jac=_slope,
        bounds=[(-REACH, REACH)] * 3,
        options={"maxiter": 1000, "ftol": 1e-15},
    )
    covariance = find_covariance(
        found.x, lambda: measure_curve(_slope, found.x, arguments), len(rows)
    )
    parameters = np.exp(found.x) * [1, 1, unit]
    return Fit(
        parameters,
        covariance,
        float(weigh_spending(parameters, repeats, mean).sum()),
        len(rows),
        NAMES,
    )


def weigh_spending(parameters: np.ndarray, repeats: np.ndarray, mean: np.ndarray) -> np.ndarray:
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
    return -weigh_spending(np.exp(logs), repeats, mean).mean()


def _slope(logs: np.ndarray, *arguments: np.ndarray) -> np.ndarray:
    return measure_slope(_loss, logs, *arguments)


def predict_spend(purchases: pd.DataFrame, spend: Fit) -> np.ndarray:
    """Return the expected amount of each customer's next purchase: (rows,).

    Who never came back gets the mean of all; who came back and brought nothing, or took back more
    than was bought, 0. Infinite where p times the repeat purchases and q are together 1 or less:
    then the data tell of no mean.
    """
    p, q, v = spend.parameters
    repeats, mean = (np.nan_to_num(purchases[column].to_numpy(float)) for column in SPENDING)
    bottom = p * repeats + q - 1
    expected = np.divide(
        p * (v + repeats * mean), bottom, out=np.full(len(repeats), np.inf), where=bottom > 0
    )
    return np.where((repeats > 0) & (mean <= 0), 0.0, expected)


def correlate(purchases: pd.DataFrame) -> float:
    """Return the rank correlation between how often customers come back and what they spend, which
    the model takes to be 0.
    """
    rows = purchases[(purchases.n_repeat > 0) & (purchases.mean_amount > 0)]
    return float(rows.n_repeat.corr(rows.mean_amount, method="spearman"))
