"""From a trial to a case: values of outcomes, costs of arms, effects in money."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases import slow
from trial_maker import change_rows, make_alike_case, make_case, make_trial, write_flat_trial

from research.errors import NotApplicable, StudyError
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import make_sample
from research.uplift.learners.families import AVERAGED
from research.uplift.policy import case
from research.uplift.policy.case import (
    choose_usual,
    find_costs,
    find_outcome_value,
    level_parts,
    load_case,
    price_effects,
)
from research.uplift.policy.policies import NET_GAIN, RISK_TIMES_VALUE, evaluate_policies


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


def test_a_flat_trial_counts_the_mean_value_of_keeping_and_a_margin_only_without_one(
    write_study, monkeypatch
):
    economics = {"currency": "EUR", "capacity": 5, "margin_per_customer": 200}
    study = write_study("flat", economics=economics | {"offer_cost": 1, "contact_cost": 1})
    values = pd.DataFrame({"customer_id": ["a", "b"], "value_of_keeping": [10.0, 30.0]})
    trial = make_trial(400, 0)[0]
    monkeypatch.setattr(case, "load_values", lambda *given: values)
    assert set(find_outcome_value(trial, {}, study, 0)) == {20.0}
    visits = replace(trial, outcomes={"outcome": "visits"} | trial.outcomes)
    assert set(find_outcome_value(visits, {}, study, 0)) == {200.0}  # a visit is no customer

    def fail(*given):
        raise NotApplicable("no fees")

    monkeypatch.setattr(case, "load_values", fail)
    assert set(find_outcome_value(trial, {}, study, 0)) == {200.0}


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
    study, tables, trial, _ = write_flat_trial(write_study, 300)
    trial.rows.loc[:9, "value"] = np.nan
    assert len(load_case(trial, tables, study, 2, 1, 0).customers) == 290


def test_an_arm_without_costs_is_refused_before_anything_is_fitted(write_study):
    economics = {"currency": "EUR", "capacity": 5}
    study, tables, trial, _ = write_flat_trial(write_study, 400, economics=economics)
    with pytest.raises(StudyError, match="expected the costs of the arm 'mail', got none"):
        load_case(trial, tables, study, 2, 1, 0)


def test_levels_of_parts_are_those_of_their_trial_and_the_order_within_a_part_stays():
    effects = np.array([1.0, 3, 10, 12, 0, 2])[None, :, None]
    strata, trial = np.array([[0, 0, 2, 2, 1, 3]]), np.array([0, 0, 0, 0, 1, 1])
    # parts 0 and 2 of the first trial, means 2 and 11, of all 6.5; the second trial's mean is 1
    assert level_parts(effects, strata, trial)[0, :, 0].tolist() == [5.5, 7.5, 5.5, 7.5, 1, 1]


def test_the_usual_offer_of_a_part_is_the_one_that_pays_best_in_it_on_average():
    gain = np.array([[[3.0, 1.0], [1.0, 2.0], [1.0, 5.0], [1.0, 5.0]]])
    cost = np.tile([0.5, 0.9], (4, 1))  # first part: 2 - 0.5 against 1.5 - 0.9
    assert choose_usual(gain, cost, np.array([[0, 0, 1, 1]])).tolist() == [[1, 1, 2, 2]]


def draw_profit(seed: int, effect: float, policy: str, n: int = 300) -> float:
    """Return the estimated less the true profit of half of the customers, chosen by ``policy``
    where the effect is the same for all, and nothing but its mean in the other parts predicts it.
    """
    parts = evaluate_policies(make_alike_case(seed, effect, n), n / 2, n / 2)[policy]
    return parts["profit"].sum() - parts["true_profit"].sum()


@pytest.mark.parametrize("trials", [15, slow(200)])
@pytest.mark.parametrize(
    ("policy", "effect"), [(NET_GAIN, 0.2), (NET_GAIN, 0.0), (RISK_TIMES_VALUE, 0.0)]
)
def test_the_profit_of_a_list_is_not_biased_where_effects_are_alike(policy, effect, trials):
    errors = np.array([draw_profit(seed, effect, policy) for seed in range(trials)])
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(len(errors))


def test_parts_hold_every_row_once_in_the_order_of_cycles_and_parts():
    cycle = np.array(["b", "a", "b", "a", "b", "b"])
    case = make_case(np.ones((6, 1)), np.ones((6, 1)), cycle=cycle)
    assert [rows.tolist() for (rows,) in case.cycle_rows] == [[1, 3], [0, 2, 4, 5]]
    assert case.parts == [case.cycle_rows]
    divided = replace(case, strata=np.array([[1, 5, 0, 2, 1, 0]]))
    found = [[rows.tolist() for rows in parts] for parts in divided.parts[0]]
    assert found == [[[3], [1]], [[2, 5], [0, 4]]]
    assert divided.cycles == 2
