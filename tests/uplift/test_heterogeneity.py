"""Heterogeneity: found where effects differ, and not where they don't."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from trial_maker import (
    make_trial,
)

from research.uplift import (
    doubly_robust,
    heterogeneity,
)
from research.uplift.cross_fitting import CrossFit


def test_differences_are_found_where_effects_differ_and_not_with_permuted_arms():
    trial, _ = make_trial(6000, 0, lambda x: 0.1 + 0.25 * x)
    sample = doubly_robust.make_sample(trial, "kept")
    assert heterogeneity.run_test(sample, "kept", 1, 0).p_value[0] < 1e-4
    placebos = heterogeneity.run_placebos(sample, "kept", 20, 0)
    # one in forty expected; four or more of 20 come once in 600 times
    assert (norm.sf(placebos.z_differences) < 0.025).sum() <= 3
    assert (placebos.z_effect.abs() > 1.96).sum() <= 4


def test_the_test_of_differences_is_standard_normal_where_all_gain_alike():
    samples = [doubly_robust.make_sample(make_trial(1200, seed)[0], "kept") for seed in range(40)]
    z = [heterogeneity.compute_z(sample, seed)[0] for seed, sample in enumerate(samples)]
    assert abs(np.mean(z)) < 0.5  # three standard errors
    assert 0.7 < np.std(z) < 1.35


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


def test_a_difference_between_campaigns_is_no_difference_between_customers():
    both = [
        make_trial(3000, seed, lambda x, size=size: size + 0 * x)[0].rows.assign(trial=name)
        for seed, name, size in ((0, "autumn", 0.25), (1, "summer", 0.0))
    ]
    rows = pd.concat(both, ignore_index=True)
    trial = make_trial(10, 0)[0]
    sample = doubly_robust.make_sample(replace(trial, rows=rows), "kept")
    z = [heterogeneity.compute_z(sample, seed)[0] for seed in range(3)]
    assert np.median(z) < 2
