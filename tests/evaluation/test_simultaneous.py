"""Intervals that hold together: as wide as the normal distribution says they must be."""

import numpy as np
import pytest
from scipy.stats import norm

from research.evaluation.simultaneous import simultaneous_intervals


def draw(estimates: int, together: float = 0.0, resamples: int = 40_000) -> np.ndarray:
    """Return estimates of 0 with a standard error of 2, and their resamples."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(resamples, 1)), rng.normal(size=(resamples, estimates))
    deviations = 2 * (np.sqrt(together) * common + np.sqrt(1 - together) * own)
    return np.vstack([np.zeros(estimates), deviations])


@pytest.mark.parametrize("estimates", [1, 6, 21])
def test_independent_estimates_are_widened_as_the_normal_distribution_says(estimates):
    reach = norm.ppf((1 + 0.95 ** (1 / estimates)) / 2)  # P(all |z| < reach) = 0.95
    low, high = simultaneous_intervals(draw(estimates)).T
    assert high == pytest.approx(2 * reach, rel=0.02)
    assert low == pytest.approx(-high)


def test_estimates_that_say_the_same_are_not_widened():
    assert simultaneous_intervals(draw(21, together=1))[:, 1] == pytest.approx(2 * 1.96, rel=0.02)


def test_an_estimate_that_no_resample_changes_is_its_own_interval():
    values = np.column_stack([np.full(501, 7.0), draw(1, resamples=500)])
    assert simultaneous_intervals(values)[0].tolist() == [7.0, 7.0]
    assert simultaneous_intervals(np.full((10, 2), 7.0)).tolist() == [[7.0, 7.0]] * 2
