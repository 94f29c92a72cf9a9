"""Whether the values of one column identify customers: numbers handed out, keys, names."""

import re

import numpy as np
import pandas as pd
from scipy import stats

from research.features.leakage.findings import FALSE_ALARM, MIN_CUSTOMERS

UNIQUE_SHARE = 0.95  # values of which so many are distinct may identify customers
DRAWN_DIGITS = 6  # numbers drawn at random differ from a measure only with so many digits
DRAWN_CUSTOMERS = 1_000  # ... and so many customers
EVEN_P_VALUE = 0.001  # numbers whose evenness is rejected so clearly were not drawn
NAMING = re.compile(
    r"(^|_)(id|no|nr|number|code|key|uuid|guid|name|e?mail|phone|address|street|postcode|zip)$",
    re.IGNORECASE,
)


def identifies_customers(values: pd.Series) -> bool:
    """Return whether a column numbers or names customers, so that nothing carries over to others.

    Text does where nearly all values are distinct. Whole numbers do where they have too few ties
    for a measure of that spread (they were handed out, not measured), where they have none and the
    column is called a number or a key, or where they are drawn evenly from all numbers of six or
    more digits. A measure to the cent has few ties as well, but no fewer than chance gives, and
    isn't even.

    Parameters
    ----------
    values : one value per customer
    """
    values = values.dropna()
    if len(values) < MIN_CUSTOMERS or values.nunique() < UNIQUE_SHARE * len(values):
        return False
    if not pd.api.types.is_numeric_dtype(values):
        return True
    if not (np.isfinite(values).all() and (values % 1 == 0).all()):
        return False
    called = bool(NAMING.search(str(values.name))) and values.is_unique
    return called or _are_handed_out(values) or _are_drawn(values)


def _are_handed_out(values: pd.Series) -> bool:
    """Return whether there are fewer ties than the spread of the values makes by chance, range by
    range.
    """
    ordered = np.sort(values.to_numpy(float))
    parts = np.array_split(ordered, min(20, len(ordered) // 10))
    expected = sum(len(part) * (len(part) - 1) / 2 / (part[-1] - part[0] + 1) for part in parts)
    sizes = values.value_counts()
    return bool(stats.poisson.cdf((sizes * (sizes - 1) / 2).sum(), expected) < FALSE_ALARM)


def _are_drawn(values: pd.Series) -> bool:
    """Return whether numbers spread evenly over all of as many digits as the largest has."""
    top = 10.0 ** len(f"{values.max():.0f}")
    if len(values) < DRAWN_CUSTOMERS or values.min() < 0 or top < 10**DRAWN_DIGITS:
        return False
    start = top / 10 if values.min() >= top / 10 else 0
    return bool(stats.kstest(values, "uniform", args=(start, top - start)).pvalue > EVEN_P_VALUE)
