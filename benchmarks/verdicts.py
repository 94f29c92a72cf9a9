"""Verdicts on a bound, met, missed or inconclusive, by an interval and a margin stated beforehand.

A bound is met where the worse end of the 95 % interval satisfies it, missed where the better end
doesn't, and otherwise inconclusive: a noisy comparison can't show that two models are level.
"""

from collections.abc import Iterable

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

MARGIN = 0.01  # of the other's score: what counts as level
MET, MISSED, INCONCLUSIVE = "met", "**missed**", "inconclusive"
RULE = (
    "A bound is met where the worse end of the 95 % interval satisfies it, missed where the better"
    f" end doesn't, and otherwise inconclusive. On par with a peer is at most {MARGIN:.0%} of the"
    " peer's score worse; the margin was set after earlier scores had been seen."
)
Interval = tuple[float, float, float]  # estimate, low, high


def judge_least(interval: Interval, least: float) -> str:
    """Return whether a quantity is at least so large; without an interval it is inconclusive."""
    _, low, high = interval
    if low >= least:
        return MET
    return MISSED if high < least else INCONCLUSIVE


def judge_most(interval: Interval, most: float) -> str:
    """Return whether a quantity is at most so large."""
    mean, low, high = interval
    return judge_least((-mean, -high, -low), -most)


def judge_level(difference: Interval, other: float, more_is_better: bool) -> str:
    """Return whether a score is at most ``MARGIN`` of the other's score worse than that.

    Parameters
    ----------
    difference : own score less the other's, with its interval
    other : the other's score
    """
    margin = MARGIN * abs(other)
    return judge_least(difference, -margin) if more_is_better else judge_most(difference, margin)


def join_verdicts(verdicts: Iterable[str]) -> str:
    """Return the verdict on several bounds together: met where all are, missed where one is."""
    verdicts = [*verdicts]
    if MISSED in verdicts:
        return MISSED
    return MET if verdicts and set(verdicts) == {MET} else INCONCLUSIVE


def compute_corrected_interval(differences: np.ndarray, test_to_train: float = 1.0) -> Interval:
    """Return the mean of paired differences over random divisions, and its 95 % interval.

    The variance of the differences is multiplied by 1/J + n_test/n_train instead of 1/J, with J - 1
    degrees of freedom: models that learned from overlapping rows vary less among themselves than
    models of new rows would. One division has no interval.

    Parameters
    ----------
    differences : (J,)
    test_to_train : rows judged for each row learned from

    References
    ----------
    Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52,
    239-281, doi:10.1023/A:1024068626366.
    """
    count, mean = len(differences), float(np.mean(differences))
    if count < 2:
        return mean, np.nan, np.nan
    half = student.ppf(0.975, count - 1) * np.sqrt(
        (1 / count + test_to_train) * np.var(differences, ddof=1)
    )
    return mean, mean - half, mean + half


def compute_mean_interval(mean: float, error: float, count: int) -> Interval:
    """Return a mean of independent draws with its 95 % interval by Student's t."""
    half = student.ppf(0.975, count - 1) * error if count > 1 else np.nan
    return mean, mean - half, mean + half


def compute_share_interval(successes: int, n: int) -> Interval:
    """Return a share with its exact 95 % interval (Clopper & Pearson 1934)."""
    low, high = binomtest(successes, n).proportion_ci(0.95, "exact")
    return successes / n, low, high


def count_least_draws(least: float) -> int:
    """Return the fewest draws that can show a share of at least ``least``: if all succeed.

    The lower end of the exact interval is then 0.025 to the power of 1/n.
    """
    return int(np.ceil(np.log(0.025) / np.log(least)))


def write_share(interval: Interval) -> str:
    """Write a share with its interval, in per cent."""
    share, low, high = interval
    return f"{share:.1%} ({low:.1%} to {high:.1%})"
