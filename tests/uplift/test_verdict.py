"""Which effects are significant, and what follows: adjusted for all arms and outcomes together."""

import pandas as pd
import pytest

from research.evaluation.holm import adjust_holm
from research.uplift.average_effects import ADJUSTED, DIFFERENCE_OF_MEANS
from research.uplift.verdict import (
    EFFECTS_DIFFER,
    NO_EFFECT,
    SAME_EFFECT,
    adjust_overall,
    decide,
)


def effects(*p_values: float) -> pd.DataFrame:
    """Return adjusted effects of as many arms, and plain ones that don't count."""
    rows = [
        ("kept", f"arm {number}", "", method, p)
        for number, p in enumerate(p_values)
        for method in (DIFFERENCE_OF_MEANS, ADJUSTED)
    ]
    return pd.DataFrame(rows, columns=["outcome", "arm", "segment_by", "method", "p_value"])


def differs(*p_values: float) -> pd.DataFrame:
    rows = [("kept", f"arm {number}", p) for number, p in enumerate(p_values)]
    return pd.DataFrame(rows, columns=["outcome", "arm", "p_value"])


def test_p_values_are_adjusted_by_holm_and_an_undefined_one_counts_as_1():
    # the smallest times 3, the next times 2, the largest times 1, never falling
    assert adjust_holm([0.02, 0.01, 0.04]) == pytest.approx([0.04, 0.03, 0.04])
    assert adjust_holm([float("nan"), 0.01]) == pytest.approx([1, 0.02])


def test_an_average_effect_needs_half_of_the_level_after_holm():
    assert decide(effects(0.026), differs(0.5))[0] == NO_EFFECT
    assert decide(effects(0.024), differs(0.5))[0] == SAME_EFFECT
    assert adjust_overall(effects(0.01, 0.5)).p_family.tolist() == pytest.approx([0.02, 0.5])
    assert decide(effects(0.013, 0.5), differs(0.5))[0] == NO_EFFECT  # twice 0.013 is above 0.025


def test_the_arms_whose_effect_differs_are_named_with_their_outcome():
    assert decide(effects(0.5, 0.5), differs(0.5, 0.001)) == (EFFECTS_DIFFER, [("arm 1", "kept")])
