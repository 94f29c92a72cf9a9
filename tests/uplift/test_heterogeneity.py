"""Heterogeneity: found where effects differ, and not where they don't."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases import slow
from scipy.stats import norm
from trial_maker import (
    make_trial,
)

from research.uplift import (
    doubly_robust,
    heterogeneity,
)
from research.uplift.cross_fitting import CrossFit


@pytest.mark.parametrize(("n", "number", "few"), [(2500, 6, 2), slow(6000, 20, 3)])
def test_differences_are_found_where_effects_differ_and_not_with_permuted_arms(n, number, few):
    trial, _ = make_trial(n, 0, lambda x: 0.1 + 0.25 * x)
    sample = doubly_robust.make_sample(trial, "kept")
    assert heterogeneity.run_test(sample, "kept", 1, 0).p_value[0] < 1e-4
    placebos = heterogeneity.run_placebos(sample, "kept", number, 0)
    # one in forty expected; four or more of 20 come once in 600 times
    assert (norm.sf(placebos.z_differences) < 0.025).sum() <= few
    assert (placebos.z_effect.abs() > 1.96).sum() <= few + 1
    # the real arms are tested as the placebos are, and none of these reaches them: 1 / 21 of 20
    assert (placebos.z_real == heterogeneity.compute_z(sample, number, 2)[0]).all()
    assert heterogeneity.compute_placebo_p(placebos).p_value.tolist() == [
        pytest.approx(1 / (number + 1))
    ]


def draw_placebos(number: int, arms: int, seed: int = 0) -> pd.DataFrame:
    """Return placebos of so many arms in which nothing differs: all z are standard normal."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "outcome": "kept",
            "placebo": np.tile(np.arange(number), arms),
            "arm": np.repeat(np.arange(arms), number),
            "z_effect": 0.0,
            "z_differences": rng.normal(size=number * arms),
        }
    )
    return table.assign(z_real=np.repeat(rng.normal(size=arms), number))


def test_the_p_value_of_placebos_keeps_its_level_and_six_cant_reach_it():
    enough = heterogeneity.compute_placebo_p(draw_placebos(19, 4000)).p_value
    assert (enough <= 0.05 + 1e-9).mean() == pytest.approx(0.05, abs=0.012)  # 3.5 standard errors
    assert heterogeneity.compute_placebo_p(draw_placebos(6, 4000)).p_value.min() > 0.14


def test_placebos_that_reach_the_real_arms_are_counted():
    rows = [("kept", at, "call", 0.0, z, 1.0) for at, z in enumerate([0.5, 1.0, 2.0, -3.0])]
    found = heterogeneity.compute_placebo_p(pd.DataFrame(rows, columns=heterogeneity.PLACEBOS))
    row = found.iloc[0]
    assert (row.z, row.reached, row.placebos, row.p_value) == (1.0, 2, 4, 3 / 5)


@pytest.mark.parametrize(
    ("trials", "n", "narrow", "wide"),
    [(8, 500, 0.3, 1.8), slow(40, 1200, 0.7, 1.35)],
)
def test_the_test_of_differences_is_standard_normal_where_all_gain_alike(trials, n, narrow, wide):
    samples = [doubly_robust.make_sample(make_trial(n, at)[0], "kept") for at in range(trials)]
    z = [heterogeneity.compute_z(sample, seed)[0] for seed, sample in enumerate(samples)]
    assert abs(np.mean(z)) < 3.1 / np.sqrt(trials)  # three standard errors
    assert narrow < np.std(z) < wide


def test_groups_by_predicted_effect_hold_the_true_effects():
    trial, true = make_trial(12_000, 3, lambda x: 0.1 + 0.25 * x)
    sample = doubly_robust.make_sample(trial, "kept")
    scores = doubly_robust.compute_scores(sample, doubly_robust.predict_out_of_fold(sample, 3, 0))
    table = heterogeneity.tabulate_groups(
        [CrossFit({"truth": true}, np.zeros(sample.size, int))], "truth", sample, scores, "kept"
    )
    # fifths of an effect uniform between -0.15 and 0.35: middles at -0.1, 0, 0.1, 0.2, 0.3
    assert table.predicted.to_numpy() == pytest.approx([-0.1, 0, 0.1, 0.2, 0.3], abs=0.01)
    assert ((table.low < table.predicted) & (table.predicted < table.high)).sum() >= 4


@pytest.mark.parametrize(("n", "divisions"), [(1000, 1), slow(3000, 3)])
def test_a_difference_between_campaigns_is_no_difference_between_customers(n, divisions):
    both = [
        make_trial(n, seed, lambda x, size=size: size + 0 * x)[0].rows.assign(trial=name)
        for seed, name, size in ((0, "autumn", 0.25), (1, "summer", 0.0))
    ]
    rows = pd.concat(both, ignore_index=True)
    trial = make_trial(10, 0)[0]
    sample = doubly_robust.make_sample(replace(trial, rows=rows), "kept")
    z = [heterogeneity.compute_z(sample, seed)[0] for seed in range(divisions)]
    assert np.median(z) < 2
