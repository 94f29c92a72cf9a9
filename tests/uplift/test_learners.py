"""Effects per customer: every learner finds what is there, none sees the customers it is judged on,
and nothing is found where nothing is.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from trial_maker import make_trial

from research.uplift import cross_fitting, doubly_robust, heterogeneity, learners, metrics
from research.uplift.cross_fitting import Crossed


@pytest.fixture(scope="module")
def said():
    trial, true = make_trial(6000, 0, lambda x: 0.1 + 0.25 * x, shares=(0.4, 0.3, 0.3))
    return cross_fitting.cross_fit(doubly_robust.lay_out(trial, "kept"), 3, 1, 0)[0].effects, true


@pytest.mark.parametrize(
    "name", sorted({*learners.LEARNERS, learners.AVERAGED} - {"risk modelling"})
)  # which knows nothing but risk; the next test is its own
def test_a_learner_ranks_customers_as_their_true_effects_do(said, name):
    effects, true = said
    assert np.corrcoef(effects[name][:, 0], true[:, 0])[0, 1] > 0.5
    assert effects[name].mean(axis=0) == pytest.approx(true.mean(axis=0), abs=0.06)


def test_risk_modelling_finds_effects_that_grow_with_risk():
    trial, _ = make_trial(6000, 1)
    rng = np.random.default_rng(0)
    chance = (
        0.5
        + 0.3 * trial.rows.x1
        + np.where(trial.rows.arm == "call", 0.15 - 0.15 * trial.rows.x1, 0)
    )
    trial.rows["kept"] = (rng.random(len(chance)) < chance).astype(float)
    effects = cross_fitting.cross_fit(doubly_robust.lay_out(trial, "kept"), 3, 1, 0)[0].effects
    assert np.corrcoef(effects["risk modelling"][:, 0], -trial.rows.x1)[0, 1] > 0.8


def test_the_average_leaves_out_what_foretells_nothing():
    unseen = np.vstack([np.linspace(-1, 1, 200), np.tile([1.0, -1.0], 100)])
    target = 0.3 + 0.5 * unseen[0]
    found = learners._weigh(
        target, unseen, [np.array([1.0, -1.0]), np.array([5.0, -5.0])], np.zeros(2)
    )
    assert found == pytest.approx([0.8, -0.2], abs=0.01)


def test_no_customer_is_judged_by_models_that_saw_him():
    trial, _ = make_trial(1200, 0)
    sample = doubly_robust.lay_out(trial, "kept")
    before = cross_fitting.cross_fit(sample, 3, 1, 0)[0].effects
    fold = doubly_robust.divide(sample, 3, 0)
    flipped = np.where(fold == 0, 1 - sample.outcome, sample.outcome)
    after = cross_fitting.cross_fit(replace(sample, outcome=flipped), 3, 1, 0)[0].effects
    for name in before:
        assert np.array_equal(before[name][fold == 0], after[name][fold == 0]), name
    assert not np.array_equal(before["T-learner"][fold == 1], after["T-learner"][fold == 1])


def test_folds_hold_arms_in_equal_shares_and_customers_together():
    trial, _ = make_trial(3000, 0, shares=(0.5, 0.3, 0.2))
    rows = trial.rows.assign(customer_id=trial.rows.customer_id.str[:-1])  # ten rows of each
    sample = doubly_robust.lay_out(
        type(trial)(rows, trial.features, trial.outcomes, trial.assignment, trial.counts), "kept"
    )
    fold = doubly_robust.divide(sample, 3, 0)
    assert all(
        len(np.unique(fold[sample.customers == name])) == 1 for name in np.unique(sample.customers)
    )
    alone = doubly_robust.divide(doubly_robust.lay_out(trial, "kept"), 3, 0)
    shares = [
        np.bincount(sample.arm[alone == number]) / (alone == number).sum() for number in range(3)
    ]
    assert np.ptp(shares, axis=0).max() < 0.01


def test_differences_are_found_where_they_are_and_not_where_arms_are_dealt_out_anew():
    trial, _ = make_trial(6000, 0, lambda x: 0.1 + 0.25 * x)
    sample = doubly_robust.lay_out(trial, "kept")
    assert heterogeneity.judge_differences(sample, "kept", 1, 0).p_value[0] < 1e-4
    luck = heterogeneity.run_placebos(sample, "kept", 20, 0)
    assert (
        norm.sf(luck.z_differences) < 0.025
    ).sum() <= 3  # one in forty expected; four or more of 20 come once in 600 times
    assert (luck.z_effect.abs() > 1.96).sum() <= 4


def test_the_test_of_differences_is_standard_normal_where_all_gain_alike():
    z = [
        heterogeneity._test_once(doubly_robust.lay_out(make_trial(1200, seed)[0], "kept"), seed)[0]
        for seed in range(40)
    ]
    assert abs(np.mean(z)) < 0.5  # three standard errors
    assert 0.7 < np.std(z) < 1.35


def test_groups_by_predicted_effect_hold_the_true_effects():
    trial, true = make_trial(12_000, 3, lambda x: 0.1 + 0.25 * x)
    sample = doubly_robust.lay_out(trial, "kept")
    scores = doubly_robust.score_arms(sample, doubly_robust.expect_unseen(sample, 3, 0))
    table = heterogeneity.sort_groups(
        [Crossed({"truth": true}, np.zeros(sample.size, int))], "truth", sample, scores, "kept"
    )
    # fifths of an effect even between -0.15 and 0.35: middles at -0.1, 0, 0.1, 0.2, 0.3
    assert table.predicted.to_numpy() == pytest.approx([-0.1, 0, 0.1, 0.2, 0.3], abs=0.01)
    assert ((table.low < table.predicted) & (table.predicted < table.high)).sum() >= 4


def test_what_a_campaign_adds_to_another_is_no_difference_between_customers():
    both = [
        make_trial(3000, seed, lambda x, size=size: size + 0 * x)[0].rows.assign(trial=name)
        for seed, name, size in ((0, "autumn", 0.25), (1, "summer", 0.0))
    ]
    rows = pd.concat(both, ignore_index=True)
    trial = make_trial(10, 0)[0]
    sample = doubly_robust.lay_out(replace(trial, rows=rows), "kept")
    z = [heterogeneity._test_once(sample, seed)[0] for seed in range(3)]
    assert np.median(z) < 2


def test_predictions_that_are_the_same_for_all_are_worth_exactly_nothing_whatever_the_level_of_each_part():
    trial, _ = make_trial(900, 0)
    sample = doubly_robust.lay_out(replace(trial, features=[]), "kept")
    said = cross_fitting.cross_fit(sample, 3, 1, 0)
    scores = doubly_robust.score_arms(sample, doubly_robust.expect_unseen(sample, 3, 0))
    table = metrics.tabulate_uplift(
        metrics.resample_uplift(said, sample, scores, 200, 0),
        metrics.score_divisions(said, sample, scores),
        "kept",
        900,
    )
    assert table[
        (table.model == learners.AVERAGED)
        & table.metric.isin(["auuc", "qini", "autoc", "rate_qini"])
    ].value.tolist() == pytest.approx([0] * 4)
