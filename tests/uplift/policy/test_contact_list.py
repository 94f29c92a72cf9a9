"""The contact list: who is contacted, and who is left alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trial_maker import DAY, make_case, write_flat_trial

from research.data.load import load_tables
from research.uplift.average_effects import score_outcomes, tabulate_effects
from research.uplift.policy.case import load_case
from research.uplift.policy.contact_list import (
    CONTACT,
    INCONCLUSIVE,
    LEAVE_ALONE,
    NO_ROOM,
    NOT_WORTH_COST,
    list_targets,
)
from research.uplift.policy.deciding_sum import tabulate_deciding_sum
from research.uplift.policy.policies import NET_GAIN, RANDOM_SELECTION, evaluate_policies
from research.uplift.trials import RANDOMISED, load_trials

ECONOMICS = {"currency": "EUR", "capacity": 1}


def test_customers_are_contacted_or_left_alone_by_net_gain_and_effect(write_study):
    effect = np.array([[0.5], [0.3], [0.02], [-0.1]])
    case = make_case(effect, np.full((4, 1), 1.0), worth=10.0)
    study = write_study("flat", economics=ECONOMICS)
    table = list_targets(None, {}, study, case, 10.0, 0).set_index("customer_id")
    assert table.decision.to_dict() == {0: CONTACT, 1: NO_ROOM, 2: NOT_WORTH_COST, 3: LEAVE_ALONE}
    assert table.net_gain.round(6).tolist() == [4.0, 2.0, -0.8, -2.0]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    unsure = list_targets(None, {}, study, case, 10.0, 0, significant=False)
    assert unsure.set_index("customer_id").decision[0] == INCONCLUSIVE


def test_a_flat_trial_with_money_becomes_a_list_of_customers_who_gain(write_study):
    study, tables, trial, taste = write_flat_trial(write_study)
    case = load_case(trial, tables, study, 3, 1, 0)
    assert case.outcome_value.tolist() == [0.5] * 1200
    assert case.cost.tolist() == [[1.0]] * 1200
    order = np.argsort([int(name[1:]) for name in case.customers])
    assert np.corrcoef(case.gain[0, order, 0], np.clip(taste, 0, 1))[0, 1] > 0.6
    # a visit is worth 10: the mail earns 4 x taste less 1 where there is any, else -1
    contributions = evaluate_policies(case, 300.0, 300)
    profit = {name: parts["profit"].sum() for name, parts in contributions.items()}
    assert profit[NET_GAIN] > max(profit[RANDOM_SELECTION], 0)
    listed = list_targets(trial, tables, study, case, 300.0, 0)
    chosen = listed.customer_id[listed.decision == CONTACT].str[1:].astype(int)
    assert len(chosen) == 300
    assert taste[chosen].mean() > 0.4


def test_effect_and_worth_are_of_the_outcome_that_money_is_counted_by(write_study):
    study, tables, trial, _ = write_flat_trial(write_study)
    case = load_case(trial, tables, study, 3, 1, 0)
    # a visit brings 20 euros spent, and half of them remain: a mail may cost 10 a visit more
    visits, row = case.kept.mean(), tabulate_deciding_sum(case).iloc[0]
    assert row.mean_worth == 0.5
    assert row.effect_points == pytest.approx(100 * 20 * visits, rel=0.02)
    assert row.break_even_cost == pytest.approx(10 * visits, rel=0.02)
    assert row.break_even_cost == pytest.approx((case.net + case.cost).mean())
    assert row.break_even_points == 200  # of euros spent: 1 of a half
    listed = list_targets(trial, tables, study, case, 300.0, 0)
    assert listed.gain.to_numpy() == pytest.approx(
        (listed.effect_points / 100 * listed.worth).to_numpy()
    )


def test_a_customer_on_whom_only_visits_rise_is_left_alone(write_study):
    # visits rise, and the money that they bring falls
    case = replace(make_case(np.ones((2, 1)), np.ones((2, 1))), paid_effect=-np.ones((2, 1)))
    case = replace(case, gain=-case.gain)
    listed = list_targets(None, {}, write_study("flat", economics=ECONOMICS), case, 10.0, 0)
    assert (listed.decision == LEAVE_ALONE).all() and listed.effect_points.tolist() == [-100, -100]


def write_fees(write_study, n: int = 600):
    """Return a study of a euro a day, judged by the fees paid in 30 days, with its tables: half of
    those not called leave, as many on each day of the window, nobody who was called does.
    """
    rng = np.random.default_rng(0)
    ids, called = [f"c{number:03d}" for number in range(n)], np.arange(n) % 2 == 1
    place = np.arange(n) // 2
    leaves = ~called & (place % 2 == 0)
    ends = pd.Series(DAY + pd.to_timedelta(place // 2 % 30, "D")).where(leaves)
    day = pd.Timestamp("2024-01-01")
    people = pd.DataFrame({"customer_id": ids, "joined_at": day, "score": rng.random(n)})
    fees = {"customer_id": ids, "started_at": day, "ended_at": ends, "monthly_fee": 30.4375}
    arms = {"customer_id": ids, "arm": np.where(called, "call", "control"), "propensity": 0.5}
    campaigns = pd.DataFrame(arms).assign(campaign="calls", assigned_at=DAY)
    tables = {"customers": people, "contracts": pd.DataFrame(fees), "campaigns": campaigns}
    study = write_study(
        "contractual",
        tables=tables,
        experiment={"primary": "value", "assignment": "randomised"},
        economics={
            "currency": "EUR",
            "capacity": 50,
            "fee_margin_share": 0.7,
            "arms": {"call": {"contact_cost": 2}},
        },
    )
    return study, load_tables(study)


def test_a_trial_is_judged_by_the_margin_of_the_fees_kept_in_the_horizon(write_study):
    study, tables = write_fees(write_study)
    trial = load_trials(tables, study)[RANDOMISED]
    assert trial.primary == "value"
    scored = score_outcomes(trial, 0)
    first = tabulate_effects(trial, scored).iloc[0]
    assert first.outcome == "value" and first.effect == pytest.approx(
        7.25
    )  # as 60_uplift judges it
    case = load_case(trial, tables, study, 2, 1, 0)
    by_arm = trial.rows.groupby("arm").value.mean()
    effect = by_arm["call"] - by_arm["control"]
    # half leave, and pay 1 to 30 of 30 euros: a mean of 14.5 is kept of each of them
    assert effect == pytest.approx(14.5 / 2)
    row = tabulate_deciding_sum(case).iloc[0]
    assert row.effect_points / 100 == pytest.approx(effect, abs=0.2)
    assert (row.mean_worth, row.cost) == (0.7, 2)
    assert case.net.mean() == pytest.approx(0.7 * effect - 2, abs=0.15)
    assert ((case.risk >= -0.1) & (case.risk <= 1.1)).all()  # of leaving, not of money
    listed = list_targets(trial, tables, study, case, 100.0, 0)
    assert (listed.decision == CONTACT).sum() == 50
    assert (listed.worth == 0.7).all()
