"""Ratios of sums over customers, with intervals that count customers and not rows.

A share, a rate and a mean are all ``sum(y) / sum(x)`` over customers. The engine adds up five sums; the interval comes from them, so a
million customers cost one aggregation.
"""

import ibis.expr.types as ir
import numpy as np
import pandas as pd

Z = 1.959963984540054
SUMS = ("n", "x", "y", "xx", "xy", "yy")


def add_up(table: ir.Table, y: ir.Value, x: ir.Value, name: str = "") -> dict[str, ir.Value]:
    """Return the aggregations that ``estimate_ratio`` needs, for a table of one row per customer and group.

    Parameters
    ----------
    table : its rows are customers
    y, x : numerator and denominator of each customer; a customer without a denominator (null or 0) doesn't count
    name : prefix of the columns, as in ``<name>n``
    """
    y, x = y.cast("float64").fill_null(0), x.cast("float64").fill_null(0)
    terms = {"x": x, "y": y, "xx": x * x, "xy": x * y, "yy": y * y}
    counts = (x > 0).cast("int64")
    return {f"{name}n": counts.sum()} | {f"{name}{key}": (value * counts).sum() for key, value in terms.items()}


def estimate_ratio(sums: pd.DataFrame, share: bool) -> pd.DataFrame:
    """Return ratios of sums with 95 % intervals, clustered by customer.

    Parameters
    ----------
    sums : DataFrame with columns n, x, y, xx, xy, yy
        Customers with a denominator, and the sums over them of x, y and their products; one row per ratio.
    share : bool
        Whether y is part of x, so that the ratio lies between 0 and 1. A share gets Wilson's interval on its effective number of trials;
        any other ratio the symmetric interval of its linearised variance.

    Returns
    -------
    DataFrame with columns value, low, high, se, in the order and index of ``sums``
        Empty where the denominator is 0; low, high and se are empty for fewer than 2 customers.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques, 3rd ed., Wiley, eq. 6.13: the variance of a ratio by linearisation.
    Wilson, E. B. (1927). doi:10.1080/01621459.1927.10502953. Korn, E. L. and Graubard, B. I. (1998). Survey Methodology 24, 193-201: intervals
    of shares on the effective sample size.
    """
    s = {name: sums[name].astype(float).to_numpy() for name in SUMS}
    x, enough = np.where(s["x"] > 0, s["x"], np.nan), s["n"] >= 2
    value = s["y"] / x
    residual = np.maximum(s["yy"] - 2 * value * s["xy"] + value**2 * s["xx"], 0)
    variance = np.where(enough, residual / x**2, np.nan)
    variance *= 1 if share else s["n"] / np.maximum(s["n"] - 1, 1)
    low, high = _wilson(value, variance, s["n"]) if share else (value - Z * np.sqrt(variance), value + Z * np.sqrt(variance))
    table = pd.DataFrame({"value": value, "low": np.where(enough, low, np.nan), "high": np.where(enough, high, np.nan)}, index=sums.index)
    return table.assign(se=(table.high - table.low) / (2 * Z) if share else np.sqrt(variance))


def _wilson(value: np.ndarray, variance: np.ndarray, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval on ``value (1 - value) / variance`` trials; on the number of customers where all of them agree."""
    spread = value * (1 - value)
    agree = ~(variance > 0) | (spread <= 0)
    trials = np.where(agree, customers, spread / np.where(agree, 1, variance))
    trials = np.maximum(trials, 1e-9)
    centre = (value + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z / (1 + Z**2 / trials) * np.sqrt(spread / trials + Z**2 / (4 * trials**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
