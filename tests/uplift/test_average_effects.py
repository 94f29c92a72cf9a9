"""Average effects: by hand, and against the truth of simulated trials."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from trial_maker import make_trial

from research.uplift import average_effects
from research.uplift.average_effects import (
    ADJUSTED,
    DIFFERENCE_OF_MEANS,
    compute_standard_error,
)


def tabulate(trial, seed=0, segments=()):
    return average_effects.tabulate_effects(
        trial, [average_effects.score_outcome(trial, trial.primary, seed)], segments
    )


def test_the_difference_of_means_and_its_interval_by_hand():
    trial, _ = make_trial(1000, 0)
    row = tabulate(trial).set_index("method").loc[DIFFERENCE_OF_MEANS]
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
        row, plain = (
            table.loc[ADJUSTED],
            table.loc[DIFFERENCE_OF_MEANS],
        )
        covered += row.low <= true.mean() <= row.high
        narrower += row.high - row.low < plain.high - plain.low
    assert covered >= 16  # 95 % of 20 are 19; fewer than 16 come by chance once in 400 times
    assert narrower >= 18


def test_known_propensities_undo_an_uneven_draw():
    trial, true = make_trial(20_000, 1, lambda x: 0.1 + 0 * x)
    propensity = np.where(
        trial.rows.x1 > 0, 0.8, 0.2
    )  # customers who stay anyhow are treated more often
    treated = np.random.default_rng(0).random(20_000) < propensity
    base = 0.5 + 0.2 * trial.rows.x1 + 0.1 * treated
    kept = (np.random.default_rng(1).random(20_000) < base).astype(float)
    rows = trial.rows.assign(
        arm=np.where(treated, "call", "control"),
        propensity=np.where(treated, propensity, 1 - propensity),
        kept=kept,
    )
    table = tabulate(replace(trial, rows=rows))
    naive = kept[treated].mean() - kept[~treated].mean()
    assert naive > 0.18
    assert ((table.low < 0.1) & (table.high > 0.1)).all()


def test_two_rows_of_a_customer_count_as_one_when_errors_are_measured():
    influence, customers = np.array([1.0, 1.0, -1.0, -1.0]), np.array(["a", "a", "b", "b"])
    assert compute_standard_error(influence, customers) == pytest.approx(
        np.sqrt(8) / 4
    )  # sums 2 and -2
    assert compute_standard_error(influence, np.arange(4)) == pytest.approx(np.sqrt(4) / 4)


def test_segments_add_up_to_all():
    trial, _ = make_trial(3000, 2)
    trial.rows["region"] = np.where(trial.rows.x3 > 0, "north", "south")
    table = tabulate(trial, segments=["region"])
    adjusted = table[table.method == ADJUSTED]
    parts, whole = (
        adjusted[adjusted.segment_by == "region"],
        adjusted[adjusted.segment_by == ""].iloc[0],
    )
    sizes = parts.n_control + parts.n_arm
    assert np.average(parts.effect, weights=sizes) == pytest.approx(whole.effect)
