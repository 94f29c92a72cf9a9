"""The significance level of the verdicts on effects, and its adjustment for many comparisons."""

from collections.abc import Sequence

import numpy as np

FAMILY_LEVEL = 0.025  # of average effects, and of differences between customers: 5 % together


def find_holm_levels(p_values: Sequence[float], level: float = FAMILY_LEVEL) -> np.ndarray:
    """Return the level at which Holm's procedure decides on each test, undefined ones last.

    An interval at this level excludes 0 exactly where the adjusted p-value is below ``level``: the
    smallest p-value is compared with ``level`` over the number of tests, the next one with
    ``level`` over one less, and all from the first that isn't significant on with its level.
    """
    p = np.nan_to_num(np.asarray(p_values, float), nan=1.0)
    order = np.argsort(p)
    stepped = level / np.arange(len(p), 0, -1)
    failed = np.flatnonzero(p[order] >= stepped)
    if len(failed):
        stepped[failed[0] :] = stepped[failed[0]]
    levels = np.empty(len(p))
    levels[order] = stepped
    return levels
