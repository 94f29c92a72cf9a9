"""P-values are adjusted for their number by Holm's method."""

import numpy as np
import pytest

from research.uplift.significance import FAMILY_LEVEL, adjust_holm


def test_adjusted_p_values_equal_holms_steps():
    # sorted 0.01, 0.02, 0.04: times 3, 2, 1, and never below the one before
    assert adjust_holm([0.02, 0.04, 0.01]) == pytest.approx([0.04, 0.04, 0.03])


def test_an_undefined_p_value_counts_as_one():
    assert adjust_holm([np.nan, 0.01]) == pytest.approx([1.0, 0.02])


def test_without_effects_a_family_is_significant_as_often_as_its_level():
    drawn = np.random.default_rng(0).uniform(size=(4_000, 5))
    share = np.mean([adjust_holm(row).min() <= FAMILY_LEVEL for row in drawn])
    assert share == pytest.approx(FAMILY_LEVEL, abs=0.0075)  # three standard errors
