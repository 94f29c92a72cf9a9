"""From a trial to a case: values of outcomes, costs of arms, effects in money."""

from dataclasses import replace

import numpy as np
import pytest
from trial_maker import change_rows, make_trial, write_flat_trial

from research.errors import NotApplicable, StudyError
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import make_sample
from research.uplift.learners.families import AVERAGED
from research.uplift.policy.case import (
    find_costs,
    find_outcome_value,
    load_case,
    price_effects,
)


def make_costly(cost) -> tuple:
    """Return a trial with these costs, and its sample."""
    trial = change_rows(make_trial(400, 0)[0], cost=cost)
    return trial, make_sample(trial, "kept")


def test_costs_of_other_arms_follow_the_features_that_set_them(write_study):
    trial, _ = make_trial(400, 0)
    expected = 5 + 2 * trial.rows.x1
    trial, sample = make_costly(np.where(trial.rows.arm == "call", expected, 0.0))
    cost, paid = find_costs(trial, sample, write_study("flat"))
    assert cost[:, 0] == pytest.approx(expected.to_numpy(), abs=0.05)
    assert paid == pytest.approx(trial.rows.cost.to_numpy())


def test_costs_come_from_study_yml_where_campaigns_name_none(write_study):
    trial, sample = make_costly(np.nan)
    arms = {"call": {"contact_cost": 2, "offer_cost": 3}}
    economics = {"currency": "EUR", "capacity": 5, "arms": arms}
    cost, paid = find_costs(trial, sample, write_study("flat", economics=economics))
    assert cost[:, 0].tolist() == [5.0] * 400
    assert paid.tolist() == np.where(trial.rows.arm == "call", 5.0, 0.0).tolist()


def test_an_arm_of_unknown_costs_is_refused(write_study):
    trial, sample = make_costly(np.nan)
    with pytest.raises(StudyError, match="expected the costs of the arm 'call', got none"):
        find_costs(trial, sample, write_study("flat"))


def test_costs_below_zero_in_study_yml_are_refused(write_study):
    economics = {"currency": "EUR", "capacity": 5, "arms": {"call": {"contact_cost": -1}}}
    with pytest.raises(
        StudyError,
        match=r"economics.arms.call.contact_cost: expected at least 0, got -1",
    ):
        write_study("flat", economics=economics)


def test_a_study_without_money_is_not_applicable(write_study):
    with pytest.raises(NotApplicable, match="has no monetary outcome"):
        find_outcome_value(make_trial(400, 0)[0], {}, write_study("flat"), 0)


def test_effects_are_priced_by_what_a_unit_more_brought_among_other_customers():
    trial, _ = make_trial(400, 0, lambda x: 0.3 + 0 * x)
    sample, odd = make_sample(trial, "kept"), np.arange(400) % 2
    fit, zeros = CrossFit({AVERAGED: np.full((400, 1), 0.2)}, odd), np.zeros(400)
    scores = np.column_stack([zeros, np.full(400, 0.3)])
    money = np.column_stack([zeros, np.where(odd == 0, 6.0, 3.0)])
    gain = price_effects(fit, sample, scores, money).effects[AVERAGED][:, 0]
    # each part by the price of the other
    assert gain[:2].tolist() == pytest.approx([0.2 * 3 / 0.3, 0.2 * 6 / 0.3])
    noise = np.column_stack([zeros, np.tile([1.0, 1.0, -1.0, -1.0], 100)])
    gain = price_effects(fit, sample, noise, money).effects[AVERAGED]
    assert gain[0, 0] == pytest.approx(3)  # no significant effect: the mean in money


def test_an_arm_without_any_outcome_is_refused_by_name():
    trial, _ = make_trial(300, 0, shares=(0.4, 0.3, 0.3))
    kept = trial.rows.kept.where(trial.rows.arm != "letter")
    with pytest.raises(
        StudyError, match="expected known outcomes in every arm, got none in letter"
    ):
        load_case(replace(trial, rows=trial.rows.assign(kept=kept)), {}, None, 2, 1, 0)


def test_rows_without_an_outcome_are_left_out(write_study):
    study, tables, trial, _ = write_flat_trial(write_study, 600)
    trial.rows.loc[:9, "value"] = np.nan
    assert len(load_case(trial, tables, study, 2, 1, 0).customers) == 590


def test_an_arm_without_costs_is_refused_before_anything_is_fitted(write_study):
    economics = {"currency": "EUR", "capacity": 5}
    study, tables, trial, _ = write_flat_trial(write_study, 400, economics=economics)
    with pytest.raises(StudyError, match="expected the costs of the arm 'mail', got none"):
        load_case(trial, tables, study, 2, 1, 0)
