"""The size of the next test: as statsmodels has it, and what can't be planned."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from trial_maker import make_trial

from research.errors import StudyError
from research.uplift import average_effects, power
from research.uplift.doubly_robust import compute_scores, make_sample


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


NOISE, EFFECT, SPREAD = 0.5, 0.2, 1.0  # of the outcome x + arm (EFFECT + SPREAD x), x in -1 to 1


def make_known(n: int, seed: int, shares=(0.5, 0.5)) -> average_effects.ScoredOutcome:
    """Return an outcome whose expectation in every arm is known: the effect differs a lot."""
    trial, _ = make_trial(n, seed, shares=shares)
    sample, x = make_sample(trial, "kept"), trial.rows.x1.to_numpy()
    known = np.column_stack([x, *[x + EFFECT + SPREAD * x] * (len(shares) - 1)])
    noise = np.random.default_rng(seed).normal(0, NOISE, n)
    sample = replace(sample, outcome=known[np.arange(n), sample.arm] + noise)
    scores = compute_scores(sample, known)
    return average_effects.ScoredOutcome("kept", trial.rows, sample, known, scores)


def plan(part: average_effects.ScoredOutcome) -> pd.Series:
    """Return the plan for the first arm, at the true effect."""
    arms = part.sample.arms[1:]
    seen = {"outcome": "kept", "segment_by": "", "method": average_effects.ADJUSTED}
    numbers = {"effect": EFFECT, "mean_control": 0.0}
    effects = pd.DataFrame([{"arm": arm} | seen | numbers for arm in arms])
    return power.plan_test([part], effects, 1000, level=0.05).iloc[0]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.2, 0.4, 0.4)])
def test_the_planned_size_has_the_variance_of_effects_that_differ(shares):
    # closed form: the noise of two arms, and a variance of the effect of 1/3 over the arms
    reach = norm.isf(0.025 / (len(shares) - 1)) + norm.isf(0.2)
    variance = 2 * NOISE**2 + SPREAD**2 / 3 / len(shares)
    row = plan(make_known(200_000, 0, shares))
    assert row.n_per_arm_adjusted == pytest.approx(reach**2 * variance / EFFECT**2, rel=0.02)


def test_a_test_of_the_planned_size_has_the_power_asked_for_where_effects_differ():
    per_arm, trials = int(plan(make_known(200_000, 0)).n_per_arm_adjusted), 2000
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (trials, 2 * per_arm))
    residual = rng.normal(0, NOISE, x.shape) / 0.5
    scores = EFFECT + SPREAD * x + np.where(np.arange(2 * per_arm) % 2, residual, -residual)
    z = scores.mean(axis=1) / (scores.std(axis=1, ddof=1) / np.sqrt(2 * per_arm))
    # 80 %, with 2,000 trials 1.8 points either way; without the variance of the effect 68 %
    assert np.mean(np.abs(z) > norm.isf(0.025)) == pytest.approx(0.8, abs=0.027)
