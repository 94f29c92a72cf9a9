"""Policies at equal budget: by hand where effects are known, by truth where a trial estimates them,
and the words of a verdict.
"""

import numpy as np
import pandas as pd
import pytest
from trial_maker import make_trial

from research.errors import NotApplicable
from research.uplift import cross_fitting, doubly_robust, learners
from research.uplift.policy import break_even, campaign, report
from research.uplift.policy.policies import (
    AT_STAKE,
    LOT,
    MOVED,
    NOBODY,
    RISKIEST,
    WORTHWHILE,
    Case,
    build_case,
    choose,
    contribute,
    list_policies,
    pick,
    resample_profit,
    tabulate_policies,
    trace_profit,
)


def make_case(gain, cost, risk=None, worth=1.0, cycle=None, true=None) -> Case:
    gain, cost = np.asarray(gain, float), np.asarray(cost, float)
    n = len(gain)
    risk, worth = (
        np.asarray(values if values is not None else np.zeros(n)) * np.ones(n)
        for values in (risk, worth)
    )
    names = tuple("abc"[: gain.shape[1]])
    cycle = np.zeros(n) if cycle is None else np.asarray(cycle)
    return Case(
        cycle,
        np.arange(n),
        risk[None],
        worth,
        gain[None],
        gain[None] * worth[:, None],
        cost,
        gain - cost,
        gain,
        names,
        true,
    )


def test_every_policy_stays_within_budget_and_capacity_in_every_cycle():
    rng = np.random.default_rng(0)
    case = make_case(
        rng.normal(2, 2, (200, 2)),
        rng.uniform(0.5, 2, (200, 2)),
        rng.random(200),
        rng.uniform(1, 9, 200),
        np.repeat([0, 1], 100),
    )
    for name, policy in list_policies(case, 0).items():
        chosen = choose(case, policy, 0, 20.0, 15)
        for cycle in (0, 1):
            rows = case.cycle == cycle
            assert (chosen[rows] > 0).sum() <= 15, name
            assert pick(case.cost[rows], chosen[rows]).sum() <= 20 + 1e-9, name


def test_policies_pick_whom_their_names_say():
    case = make_case(
        [[1.0], [0.2], [-1.0]], np.full((3, 1), 0.1), risk=[0.2, 0.9, 0.5], worth=[1.0, 1.0, 10.0]
    )
    first = {
        name: choose(case, policy, 0, 0.1, 1).argmax()
        for name, policy in list_policies(case, 0).items()
        if name != LOT
    }
    assert first == {RISKIEST: 1, AT_STAKE: 2, MOVED: 0, WORTHWHILE: 0}


def test_nobody_with_a_negative_effect_is_contacted_for_the_effect():
    case = make_case([[-1.0, -0.5], [0.5, 1.0]], np.zeros((2, 2)))
    policies = list_policies(case, 0)
    for name in (MOVED, WORTHWHILE):
        assert choose(case, policies[name], 0, np.inf, np.inf).tolist() == [0, 2]


def test_a_budget_of_0_is_defined_nobody_is_contacted_and_nothing_earned():
    case = make_case(np.ones((50, 1)), np.ones((50, 1)))
    found = contribute(case, 0.0, 50, 0)
    table = tabulate_policies(case, found, resample_profit(case, found, 200, 0), 0.0).set_index(
        "policy"
    )
    assert table.loc[WORTHWHILE, ["contacted", "cost", "profit", "low", "high"]].tolist() == [0] * 5


def test_profit_is_told_per_cycle():
    case = make_case(np.full((40, 1), 3.0), np.ones((40, 1)), cycle=np.repeat([0, 1], 20))
    found = contribute(case, np.inf, np.inf, 0)
    row = (
        tabulate_policies(case, found, resample_profit(case, found, 200, 0), 0.0)
        .set_index("policy")
        .loc[WORTHWHILE]
    )
    assert (row.contacted, row.cost, row.profit, row.kept_extra) == (
        20,
        20,
        40,
        60,
    )  # twenty a cycle, of 3 less 1 each


def estimate(seed: int, n: int = 3000) -> tuple[Case, pd.DataFrame]:
    """Return a case of a trial whose true effects are known, a customer being worth 20 and a letter
    costing 1, and its policies.
    """
    trial, true = make_trial(n, seed, lambda x: 0.05 + 0.25 * x)
    sample = doubly_robust.lay_out(trial, "kept")
    said, expected = (
        cross_fitting.cross_fit(sample, 3, 1, seed),
        doubly_robust.expect_unseen(sample, 3, seed),
    )
    worth, cost = np.full(n, 20.0), np.ones((n, 1))
    money = trial.rows.kept.to_numpy() * worth
    pair = (expected, expected * worth[:, None])
    case = build_case(
        sample,
        said,
        None,
        worth,
        money,
        trial.rows.cost.to_numpy(),
        cost,
        pair,
        np.zeros(n),
        true * 20 - cost,
    )
    found = contribute(case, 500.0, 500, seed)
    return case, tabulate_policies(
        case, found, resample_profit(case, found, 200, seed), 500.0
    ).set_index("policy")


def test_estimated_profit_covers_the_true_profit_and_effects_beat_risk_where_they_have_nothing_to_do_with_it():
    tables = [estimate(seed)[1] for seed in range(12)]
    rows = [table.loc[WORTHWHILE] for table in tables]
    assert (
        sum(row.low <= row.true_profit <= row.high for row in rows) >= 9
    )  # 95 % of 12 are 11.4; fewer than 9 come once in 500 times
    assert all(table.true_profit[WORTHWHILE] > table.true_profit[RISKIEST] for table in tables)
    assert np.mean([row.share_of_oracle for row in rows]) > 0.6


def test_doubly_robust_money_counts_the_cost_of_the_arm_that_was_given():
    case, _ = estimate(0)
    trial, _ = make_trial(3000, 0, lambda x: 0.05 + 0.25 * x)
    treated = trial.rows.arm == "call"
    plain = 20 * (trial.rows.kept[treated].mean() - trial.rows.kept[~treated].mean()) - 1
    assert case.net.mean() == pytest.approx(plain, abs=0.3)


def test_the_profit_curve_begins_at_nothing_and_ends_where_no_contact_pays_any_more():
    case = make_case(np.r_[np.full((20, 1), 3.0), np.full((20, 1), 0.5)], np.ones((40, 1)))
    curve = trace_profit(case, 200, 0)
    rows = curve[curve.policy == WORTHWHILE]
    assert curve.policy.iloc[0] == WORTHWHILE
    assert rows.profit.iloc[0] == 0
    assert rows.profit.max() == rows.profit.iloc[-1] == 40
    assert report.find_best_budget(curve).budget == 20


def test_offers_that_cost_nothing_are_traced_over_the_number_of_contacts():
    curve = trace_profit(make_case(np.ones((40, 1)), np.zeros((40, 1))), 200, 0)
    rows = curve[curve.policy == WORTHWHILE]
    assert rows.contacted.tolist() == list(range(0, 41, 2))


def flat_trial(n: int = 400, **columns):
    trial, _ = make_trial(n, 0)
    return type(trial)(
        trial.rows.assign(**columns), trial.features, trial.outcomes, trial.assignment, trial.counts
    )


def test_costs_of_other_arms_follow_the_features_that_set_them(write_study):
    trial = flat_trial()
    trial.rows["cost"] = np.where(trial.rows.arm == "call", 5 + 2 * trial.rows.x1, 0.0)
    cost, paid = campaign.find_costs(
        trial, doubly_robust.lay_out(trial, "kept"), write_study("flat")
    )
    assert cost[:, 0] == pytest.approx(5 + 2 * trial.rows.x1.to_numpy(), abs=0.05)
    assert paid == pytest.approx(trial.rows.cost.to_numpy())


def test_costs_come_from_study_yml_where_campaigns_name_none(write_study):
    trial = flat_trial(cost=np.nan)
    study = write_study(
        "flat",
        economics={
            "currency": "EUR",
            "capacity": 5,
            "arms": {"call": {"contact_cost": 2, "offer_cost": 3}},
        },
    )
    cost, paid = campaign.find_costs(trial, doubly_robust.lay_out(trial, "kept"), study)
    assert cost[:, 0].tolist() == [5.0] * 400
    assert paid.tolist() == np.where(trial.rows.arm == "call", 5.0, 0.0).tolist()


def test_an_arm_whose_costs_nobody_knows_is_refused(write_study):
    trial = flat_trial(cost=np.nan)
    with pytest.raises(Exception, match="expected the costs of the arm 'call', got none"):
        campaign.find_costs(trial, doubly_robust.lay_out(trial, "kept"), write_study("flat"))


def test_costs_below_zero_in_study_yml_are_refused(write_study):
    with pytest.raises(
        Exception,
        match=r"economics.arms.call.contact_cost: expected greater than or equal to 0, got -1",
    ):
        write_study(
            "flat",
            economics={"currency": "EUR", "capacity": 5, "arms": {"call": {"contact_cost": -1}}},
        )


def test_a_study_without_money_says_so(write_study):
    with pytest.raises(NotApplicable, match="tells no money"):
        campaign.find_worth(flat_trial(), {}, write_study("flat"), 0)


def test_who_is_contacted_and_who_is_left_alone(write_study):
    effect = np.array([[0.5], [0.3], [0.02], [-0.1]])
    case = make_case(effect, np.full((4, 1), 1.0), worth=10.0)
    study = write_study("flat", economics={"currency": "EUR", "capacity": 1})
    table = campaign.list_targets(None, {}, study, case, 10.0, 0).set_index("customer_id")
    assert table.decision.to_dict() == {
        0: campaign.CONTACT,
        1: campaign.NO_ROOM,
        2: campaign.NO_GAIN,
        3: campaign.LEAVE_ALONE,
    }
    assert table.net_gain.round(6).tolist() == [4.0, 2.0, -0.8, -2.0]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    unsure = campaign.list_targets(None, {}, study, case, 10.0, 0, shown=False).set_index(
        "customer_id"
    )
    assert unsure.decision[0] == campaign.UNSURE


def values() -> pd.DataFrame:
    return pd.DataFrame(
        {"customer_id": range(100), "risk": np.linspace(0.01, 1, 100), "value_if_kept": 50.0}
    )


def test_break_even_is_the_cost_over_what_a_kept_customer_is_worth(write_study):
    study = write_study(
        "flat",
        economics={
            "currency": "EUR",
            "capacity": 10,
            "margin_per_customer": 50,
            "offer_cost": 4,
            "contact_cost": 1,
        },
    )
    table = break_even.tabulate_break_even(values(), study)
    assert table.break_even_points.tolist() == pytest.approx([10] * 5)  # 5 of 50
    assert table.mean_risk_share.iloc[0] == pytest.approx(0.905)
    test = break_even.draw_test(values(), study, 0)
    assert test.arm.value_counts().to_dict() == {"": 80, "contact": 10, "control": 10}
    assert test.risk[test.arm != ""].min() > test.risk[test.arm == ""].max()


def test_a_study_without_trial_and_costs_has_nothing_to_weigh(write_study):
    with pytest.raises(NotApplicable, match="the economics of the study tiny name no costs"):
        break_even.tabulate_break_even(values(), write_study("flat"))


def test_why_there_is_no_trial_is_said_before_what_else_is_missing(write_study):
    with pytest.raises(
        NotApplicable,
        match=(
            "no arms here; without a trial, the economics of the study tiny name no costs: there is"
            " nothing to weigh"
        ),
    ):
        break_even.load_stakes({}, write_study("flat"), 0, "no arms here")


def verdict(low: float, high: float, against: str) -> str:
    row = {
        "policy": WORTHWHILE,
        "budget": 100,
        "contacted": 9,
        "cost": 90.0,
        "profit": (low + high) / 2,
        "low": low,
        "high": high,
    }
    policies = pd.DataFrame([{"policy": NOBODY, "low": 0, "high": 0, "profit": 0}, row])
    differences = pd.DataFrame([(WORTHWHILE, name, 1, against) for name in (LOT, RISKIEST)])
    differences.columns = ["policy", "reference", "value", "verdict"]
    targets = pd.DataFrame(
        {"decision": [campaign.CONTACT, campaign.LEAVE_ALONE, campaign.LEAVE_ALONE]}
    )
    return report.judge_policies(policies, differences, policies.tail(1), targets, "EUR")


def test_a_verdict_says_what_is_earned_and_against_what():
    words = verdict(10, 90, "better")
    assert "earns 50.00 (10.00 to 90.00) EUR a cycle" in words
    assert "better than by lot and highest risk" in words and "not shown to be better" not in words
    assert "**Leave 2 alone**" in words and "Over all budgets it earns most" in words


def test_a_verdict_can_say_that_nothing_is_earned():
    words = verdict(-10, 90, "no difference shown")
    assert "not shown to earn more than contacting nobody" in words
    assert "not shown to be better than by lot and highest risk" in words


def test_effects_are_priced_by_what_a_unit_more_brought_among_other_customers():
    trial, _ = make_trial(400, 0, lambda x: 0.3 + 0 * x)
    sample = doubly_robust.lay_out(trial, "kept")
    said = cross_fitting.Crossed({learners.AVERAGED: np.full((400, 1), 0.2)}, np.arange(400) % 2)
    scores = np.column_stack([np.zeros(400), np.full(400, 0.3)])
    money = np.column_stack([np.zeros(400), np.where(np.arange(400) % 2 == 0, 6.0, 3.0)])
    gain = campaign.price_effects(said, sample, scores, money).effects[learners.AVERAGED][:, 0]
    assert gain[:2].tolist() == pytest.approx(
        [0.2 * 3 / 0.3, 0.2 * 6 / 0.3]
    )  # each part by the price of the other
    noise = np.column_stack([np.zeros(400), np.tile([1.0, 1.0, -1.0, -1.0], 100)])
    assert campaign.price_effects(said, sample, noise, money).effects[learners.AVERAGED][
        0, 0
    ] == pytest.approx(3)  # no effect shown: the mean in money
