"""Confidence intervals of 95 %: their quantiles, those of a share, and those of a ratio of sums."""

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.special import stdtrit

TAIL = 0.025  # probability beyond either end of a 95 % interval
Z = 1.959963984540054  # quantile of the normal distribution with TAIL beyond it
SIGNIFICANCE_LEVEL = 0.05  # of a p-value, two-sided
ROUNDING = 1e-12  # of sums of squares that cancel
SUMS = ("n", "x", "y", "xx", "xy", "yy")


def wilson_interval(share, n):
    """Return the 95 % interval of a share of ``n`` independent customers, low and high.

    Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # rounding alone could leave the share outside
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)


def sum_moments(table: ir.Table, y: ir.Value, x: ir.Value, name: str = "") -> dict[str, ir.Value]:
    """Return the aggregations that ``estimate_ratio`` needs.

    Parameters
    ----------
    table : one row per customer and group
    y, x : numerator and denominator of each customer; a customer whose denominator is null, or
        whose both are 0, doesn't count
    name : prefix of the columns, as in ``<name>n``
    """
    known = x.notnull()
    y, x = y.cast("float64").fill_null(0), x.cast("float64").fill_null(0)
    terms = {"x": x, "y": y, "xx": x * x, "xy": x * y, "yy": y * y}
    counts = (known & ((x > 0) | (y != 0))).ifelse(1, 0).cast("int64")
    return {f"{name}n": counts.sum()} | {
        f"{name}{key}": (value * counts).sum() for key, value in terms.items()
    }


def estimate_ratio(sums: pd.DataFrame, share: bool) -> pd.DataFrame:
    """Return ratios of sums with 95 % intervals, clustered by customer.

    Parameters
    ----------
    sums : DataFrame with columns n, x, y, xx, xy, yy
        Customers with a denominator, and the sums over them of x, y and their products; one row per
        ratio.
    share : bool
        Whether y is part of x, so that the ratio lies between 0 and 1. A share gets Wilson's
        interval on its effective number of trials; any other ratio the symmetric interval of its
        linearised variance, by Student's t.

    Returns
    -------
    DataFrame with columns value, low, high, se, in the order and index of ``sums``
        Empty where the denominator is 0; low, high and se are empty for fewer than 2 customers, and
        for a ratio in which all of them agree: they show no spread to estimate from.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques, 3rd ed., Wiley, eq. 6.13: the variance of a ratio by
    linearisation. Kish, L. (1965). Survey Sampling, Wiley: the number of equal weights that unequal
    ones are worth. Wilson, E. B. (1927). doi:10.1080/01621459.1927.10502953. Korn, E. L. and
    Graubard, B. I. (1998). Survey Methodology 24, 193-201: intervals of shares on the effective
    sample size.
    """
    s = {name: sums[name].astype(float).to_numpy() for name in SUMS}
    x, enough = np.where(s["x"] > 0, s["x"], np.nan), s["n"] >= 2
    value = s["y"] / x
    residual = s["yy"] - 2 * value * s["xy"] + value**2 * s["xx"]
    residual = np.where(residual > ROUNDING * s["yy"], residual, 0)
    variance = np.where(
        enough & (share | (residual > 0)),
        residual * s["n"] / np.maximum(s["n"] - 1, 1) / x**2,
        np.nan,
    )
    half = t_quantile(s["n"]) * np.sqrt(variance)
    low, high = (
        _wilson_by_trials(value, residual / x**2, x**2 / s["xx"])
        if share
        else (value - half, value + half)
    )
    table = pd.DataFrame(
        {
            "value": value,
            "low": np.where(enough, low, np.nan),
            "high": np.where(enough, high, np.nan),
        },
        index=sums.index,
    )
    return table.assign(se=(table.high - table.low) / (2 * Z) if share else np.sqrt(variance))


def t_quantile(n: np.ndarray) -> np.ndarray:
    """Return the quantile of Student's t on n - 1 degrees of freedom.

    A symmetric 95 % interval from ``n`` customers takes so many standard errors on either side.
    """
    return stdtrit(np.maximum(n - 1, 1), 1 - TAIL)


def _wilson_by_trials(
    value: np.ndarray, variance: np.ndarray, effective: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval on ``value (1 - value) / variance`` trials.

    Where all customers agree, on ``effective`` ones: as many as would weigh alike (Kish 1965).
    """
    spread = value * (1 - value)
    agree = ~(variance > 0) | ~(spread > 0)
    trials = np.where(agree, effective, spread / np.where(agree, 1, variance))
    centre = (value + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = (
        Z / (1 + Z**2 / trials) * np.sqrt(np.maximum(spread, 0) / trials + Z**2 / (4 * trials**2))
    )
    return np.where(value > 0, np.clip(centre - half, 0, 1), value), np.where(
        value < 1, np.clip(centre + half, 0, 1), value
    )
