"""Campaigns: their days, who is assigned, and what an arm costs."""

import numpy as np
import pytest
from simulated_companies import find_spells

from research.simulate import simulate
from research.simulate.campaigns import arm_shares
from research.simulate.company import CAMPAIGNS
from research.simulate.draws import Clock


def test_campaigns_start_on_the_first_of_a_month_four_months_before_the_end_at_the_latest(company):
    dates = company["campaigns"].groupby("campaign").assigned_at.unique().str[0]
    assert dates.sort_values().index.tolist() == list(CAMPAIGNS)
    assert dates.sort_values().dt.strftime("%Y-%m-%d").tolist() == [
        "2024-10-01",
        "2025-01-01",
        "2025-04-01",
        "2025-07-01",
    ]
    for months in (12, 18, 36, 120):
        starts = list(Clock(months).campaigns.values())
        assert sorted(set(starts)) == starts and starts[0] > 0 and starts[-1] <= months - 4


def test_everyone_whose_contract_runs_on_the_day_is_assigned_once(company):
    spells = find_spells(company)
    for (_, day), rows in company["campaigns"].groupby(["campaign", "assigned_at"]):
        running = spells[(spells.started_at <= day) & ~(spells.ended_at <= day)]
        assert sorted(rows.customer_id) == sorted(running.customer_id)


def test_arms_are_drawn_with_the_stated_propensity():
    campaigns = simulate(6000, 24, 0)["campaigns"].dropna(subset="propensity")
    counts = campaigns.groupby(["campaign", "propensity", "arm"]).size()
    plans = campaigns.groupby("campaign").propensity.unique().map(len)
    assert plans.to_dict() == {"autumn letter": 1, "plan care": 4, "summer test": 2}
    shares = counts / campaigns.groupby("campaign").size()
    assert shares["autumn letter"].between(0.31, 0.36).all()
    assert abs(shares["summer test", 0.5, "discount"] - 0.5) < 0.03


def test_costs_are_nothing_for_control_one_price_for_a_call_and_a_share_of_the_fee_for_a_discount(
    company,
):
    cost = company["campaigns"].groupby("arm").cost.agg(["min", "max"])
    assert cost.loc["control"].tolist() == [0, 0]
    assert cost.loc["call"].tolist() == [6, 6]
    # the lowest fee: basic, 25 % off, a fifth off in the first year
    assert cost.loc["discount", "min"] >= 0.25 * 3 * 9 * 0.75 * 0.8 - 0.01
    assert cost.loc["discount", "max"] <= 0.25 * 3 * 39


def test_agents_choose_by_grievance_fall_and_price():
    drivers = {
        name: np.array(values)
        for name, values in {
            "base": [1, 1, 1.0],
            "grievance": [0, 2, 0.0],
            "fall": [0, 1, 0.0],
            "dear": [0, 0, 1.0],
        }.items()
    }
    shares = arm_shares("agent calls", np.zeros(3, dtype=np.int8), drivers)
    assert shares.sum(axis=0) == pytest.approx(np.ones(3))
    assert shares[2, 1] > 0.9 and shares[1, 2] > 2 * shares[1, 0] and shares[0, 0] > 0.6
