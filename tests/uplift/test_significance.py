"""Families of tests keep their level by Holm's method."""

import numpy as np
import pytest
from scipy.stats import norm

from research.evaluation.holm import adjust_holm
from research.uplift.significance import FAMILY_LEVEL, find_holm_levels


def test_without_effects_a_family_is_significant_as_often_as_its_level():
    drawn = np.random.default_rng(0).uniform(size=(4_000, 5))
    share = np.mean([adjust_holm(row).min() <= FAMILY_LEVEL for row in drawn])
    assert share == pytest.approx(FAMILY_LEVEL, abs=0.0075)  # three standard errors


def test_interval_at_holms_level_excludes_0_exactly_where_the_adjusted_p_value_is_significant():
    rng = np.random.default_rng(5)
    for _ in range(300):
        z = rng.normal(rng.choice([0, 2.5], size=rng.integers(1, 7)), 1)
        p = 2 * norm.sf(np.abs(z))
        reach = norm.isf(find_holm_levels(p) / 2)
        significant = adjust_holm(p) < FAMILY_LEVEL
        assert ((np.abs(z) > reach) == significant).all()


def test_levels_of_three_tests_worked_by_hand():
    """.001 < .025 / 3, then .02 >= .025 / 2: it and the next are decided at .0125."""
    levels = find_holm_levels([0.5, 0.001, 0.02])
    assert levels.tolist() == pytest.approx([0.0125, 0.025 / 3, 0.0125])
