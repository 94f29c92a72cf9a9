"""Average effects: by hand, against the truth of simulated trials, and the sizes of the next
one.
"""

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from trial_maker import make_trial

from research.errors import StudyError
from research.uplift import average_effects, doubly_robust, power


def tabulate(trial, seed=0, segments=()):
    return average_effects.tabulate_effects(
        trial, [average_effects.score_trial(trial, trial.primary, seed)], segments
    )


def test_the_difference_of_means_and_its_interval_by_hand():
    trial, _ = make_trial(1000, 0)
    row = tabulate(trial).set_index("method").loc[average_effects.PLAIN]
    arms = [trial.rows.kept[trial.rows.arm == arm] for arm in ("control", "call")]
    difference = arms[1].mean() - arms[0].mean()
    error = np.sqrt(sum(part.var(ddof=0) / len(part) for part in arms))
    assert row.effect == pytest.approx(difference)
    assert row.high - row.low == pytest.approx(2 * norm.ppf(0.975) * error, rel=1e-3)


def test_adjusted_effects_are_more_precise_and_cover_the_truth():
    covered = narrower = 0
    for seed in range(20):
        trial, true = make_trial(2000, seed, lambda x: 0.1 + 0.1 * x)
        table = tabulate(trial).set_index("method")
        row, plain = table.loc[average_effects.ADJUSTED], table.loc[average_effects.PLAIN]
        covered += row.low <= true.mean() <= row.high
        narrower += row.high - row.low < plain.high - plain.low
    assert covered >= 16  # 95 % of 20 are 19; fewer than 16 come by luck once in 400 times
    assert narrower >= 18


def test_known_propensities_undo_an_uneven_draw():
    trial, true = make_trial(20_000, 1, lambda x: 0.1 + 0 * x)
    chance = np.where(trial.rows.x1 > 0, 0.8, 0.2)  # those who stay anyhow are treated more often
    treated = np.random.default_rng(0).random(20_000) < chance
    base = 0.5 + 0.2 * trial.rows.x1 + 0.1 * treated
    kept = (np.random.default_rng(1).random(20_000) < base).astype(float)
    rows = trial.rows.assign(
        arm=np.where(treated, "call", "control"),
        propensity=np.where(treated, chance, 1 - chance),
        kept=kept,
    )
    table = tabulate(
        type(trial)(rows, trial.features, trial.outcomes, trial.assignment, trial.counts)
    )
    naive = kept[treated].mean() - kept[~treated].mean()
    assert naive > 0.18
    assert ((table.low < 0.1) & (table.high > 0.1)).all()


def test_two_rows_of_a_customer_count_as_one_when_errors_are_measured():
    influence, customers = np.array([1.0, 1.0, -1.0, -1.0]), np.array(["a", "a", "b", "b"])
    assert average_effects.find_error(influence, customers) == pytest.approx(
        np.sqrt(8) / 4
    )  # sums 2 and -2
    assert average_effects.find_error(influence, np.arange(4)) == pytest.approx(np.sqrt(4) / 4)


def test_segments_add_up_to_all():
    trial, _ = make_trial(3000, 2)
    trial.rows["region"] = np.where(trial.rows.x3 > 0, "north", "south")
    table = tabulate(trial, segments=["region"])
    adjusted = table[table.method == average_effects.ADJUSTED]
    parts, whole = (
        adjusted[adjusted.segment_by == "region"],
        adjusted[adjusted.segment_by == ""].iloc[0],
    )
    sizes = parts.n_control + parts.n_arm
    assert np.average(parts.effect, weights=sizes) == pytest.approx(whole.effect)


def test_a_trial_with_an_arm_of_a_few_is_refused():
    trial, _ = make_trial(300, 0, shares=(0.9, 0.1))
    with pytest.raises(
        StudyError,
        match="at least 50 customers with the outcome 'kept' in every arm, got .* in call",
    ):
        doubly_robust.lay_out(trial, "kept")


def test_the_size_of_the_next_test_is_that_of_statsmodels():
    trial, _ = make_trial(4000, 5)
    scored = [average_effects.score_trial(trial, "kept", 0)]
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
