"""P-values are adjusted for their number by Holm's method."""

import numpy as np
import pytest

from research.evaluation.holm import adjust_holm


def test_adjusted_p_values_equal_holms_steps():
    # sorted 0.01, 0.02, 0.04: times 3, 2, 1, and never below the one before
    assert adjust_holm([0.02, 0.04, 0.01]) == pytest.approx([0.04, 0.04, 0.03])


def test_an_undefined_p_value_counts_as_one():
    assert adjust_holm([np.nan, 0.01]) == pytest.approx([1.0, 0.02])
