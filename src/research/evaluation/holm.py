"""Holm's correction of p-values for the number of tests."""

from collections.abc import Sequence

import numpy as np


def adjust_holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted for their number; an undefined one counts as 1.

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal
    of Statistics 6, 65-70.
    """
    # by hand: multipletests of statsmodels collects garbage at every call
    p = np.nan_to_num(np.asarray(p_values, float), nan=1.0)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
