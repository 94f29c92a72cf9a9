"""The size of the next test: as statsmodels has it, and what can't be planned."""

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from trial_maker import make_trial

from research.errors import StudyError
from research.uplift import average_effects, power


def test_the_size_of_the_next_test_is_that_of_statsmodels():
    trial, _ = make_trial(4000, 5)
    scored = [average_effects.score_outcome(trial, "kept", 0)]
    table = average_effects.tabulate_effects(trial, scored)
    row = power.plan_test(scored, table, 1000).iloc[0]
    # NormalIndPower().solve_power(effect / sd, alpha=0.025, power=0.8): without the other tail's
    # share of the power, which is nil here
    assert row.n_per_arm == pytest.approx(
        NormalIndPower().solve_power(row.effect_seen / row.sd, alpha=0.025, power=0.8), abs=1
    )
    assert row.smallest_effect == pytest.approx(
        (norm.isf(0.0125) + norm.isf(0.2)) * row.sd_adjusted * np.sqrt(2 / 500)
    )
    assert row.sd_adjusted < row.sd


def test_a_test_for_nobody_or_of_no_power_is_refused_in_a_sentence_each():
    with pytest.raises(StudyError) as refused:
        power.plan_test([], None, 2, level=0, power=1)
    assert len(refused.value.faults) == 3
