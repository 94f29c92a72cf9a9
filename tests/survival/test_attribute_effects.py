"""Attributes with and without a ratio that changes, and tenures without any attribute."""

import numpy as np
import pandas as pd

from research.survival.attribute_effects import fit_attribute_effects


def draw_tenures(turning: bool, n: int = 3000) -> pd.DataFrame:
    """Premium customers leave a third as fast; if it turns, three times as fast after day 100."""
    rng = np.random.default_rng(0)
    premium = rng.random(n) < 0.5
    life = rng.exponential(np.where(premium, 450, 150))
    late = 100 + rng.exponential(np.where(premium, 50, 150))
    life = np.ceil(np.where((life > 100) & turning, late, life))
    plan = np.where(premium, "premium", "basic")
    columns = {"entry": 0.0, "duration": np.minimum(life, 400), "ended": life <= 400, "plan": plan}
    return pd.DataFrame(columns)


def test_a_ratio_that_changes_is_estimated_by_period_too():
    effects = fit_attribute_effects(draw_tenures(turning=True), ["plan"])
    assert effects.changing == "plan"
    assert len(effects.period_ratios) == 3
    assert effects.alternatives.remedy.tolist() == ["none", "periods"]  # no other term is left
    assert effects.proportionality.term.tolist() == ["plan", "all"]


def test_constant_ratios_have_no_alternatives_but_their_table():
    effects = fit_attribute_effects(draw_tenures(turning=False), ["plan"])
    assert effects.changing is None
    assert len(effects.ratios) == 1
    assert effects.alternatives.empty
    assert "remedy" in effects.alternatives
    assert not len(effects.period_ratios.columns)


def test_without_attributes_or_ends_nothing_is_fitted():
    tenures = draw_tenures(turning=False)
    for effects in (
        fit_attribute_effects(tenures, []),
        fit_attribute_effects(tenures.assign(ended=False), ["plan"]),
    ):
        assert effects.ratios.empty
        assert effects.proportionality.empty
