"""Intervals that hold together: for estimates that are read side by side, or the best of which is
picked.
"""

import numpy as np

from research.evaluation.intervals import TAIL

ROUNDING = 1e-9  # standard errors below this share of the largest are sums of nothing but rounding


def simultaneous_intervals(values: np.ndarray) -> np.ndarray:
    """Return 95 % intervals that hold for all estimates together: (estimates, 2).

    Studentised max-|t| bootstrap: each estimate less and plus as many of its standard errors as the
    largest deviation over all of them keeps within in 95 % of the resamples. Estimates that go
    together are widened less than by their number; one alone hardly more than by itself. An
    estimate that no resample changes is its own interval.

    Parameters
    ----------
    values : (1 + resamples, estimates), on the sample (first row) and on each resample, the same
        resamples for all

    References
    ----------
    Montiel Olea, J. L. & Plagborg-Møller, M. (2019). Simultaneous confidence bands: theory,
    implementation, and an application to SVARs. Journal of Applied Econometrics 34, 1-17,
    doi:10.1002/jae.2656.
    """
    estimate, resampled = values[0], values[1:]
    error = resampled.std(axis=0, ddof=1)
    varies = error > ROUNDING * max(error.max(), 1.0)
    reach = 0.0
    if varies.any():
        deviation = np.abs(resampled - estimate)[:, varies] / error[varies]
        reach = np.quantile(deviation.max(axis=1), 1 - 2 * TAIL)
    half = np.where(varies, reach * error, 0.0)
    return np.column_stack([estimate - half, estimate + half])
