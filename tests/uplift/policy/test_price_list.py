"""One price list for lists by risk and policies by effect."""

import numpy as np
import pandas as pd
import pytest
from cases import slow
from trial_maker import DAY, make_trial
from valued_companies import draw_contracts, write_contracts

from research.data.load import load_tables
from research.risk.profit import tabulate_profit
from research.study_schema import Economics
from research.uplift import average_effects
from research.uplift.policy import price_list
from research.uplift.policy.case import find_outcome_value, load_case
from research.uplift.trials import load_randomised

COSTS = {"margin_per_customer": 200, "offer_cost": 10, "contact_cost": 1}


@pytest.mark.parametrize(("trials", "near"), [(10, 0.6), slow(40, 0.35)])
def test_the_share_kept_is_the_effect_over_the_risk_with_the_error_of_a_ratio(trials, near):
    # of a risk of 0.5 an offer to everybody takes 0.1: a fifth of those who would have left
    measured = []
    for seed in range(trials):
        trial, _ = make_trial(1000, seed)
        scored = average_effects.score_outcome(trial, "kept", 0)
        measured.append(price_list.measure_share(scored, np.ones(1)))
    means = np.array([share.mean for share in measured])
    assert means.mean() == pytest.approx(0.2, abs=4 * means.std() / np.sqrt(trials))
    # the spread over trials, known to a ninth of 40, to a quarter of 10
    assert np.mean([share.error for share in measured]) == pytest.approx(means.std(), rel=near)


@pytest.fixture(scope="module")
def company(write_shared):
    """Contracts of which half were called, which cost 3, and kept most of those who would leave."""
    tables = draw_contracts(600)
    contracts, rng = tables["contracts"], np.random.default_rng(1)
    there = (contracts.started_at < DAY) & ~(contracts.ended_at < DAY)
    called = pd.Series(rng.random(len(contracts)) < 0.5) & there
    soon = contracts.ended_at < DAY + pd.Timedelta(days=30)
    contracts.loc[called & soon, "ended_at"] = pd.NaT
    campaigns = pd.DataFrame(
        {
            "customer_id": contracts.customer_id,
            "campaign": "calls",
            "assigned_at": DAY,
            "arm": np.where(called, "call", "control"),
            "propensity": 0.5,
            "cost": np.where(called, 3.0, 0.0),
        }
    )[there]
    tables |= {"campaigns": campaigns}
    drawn = {"assignment": "randomised"}
    return write_contracts(write_shared, tables, experiment=drawn, **COSTS)


def test_lists_by_risk_and_policies_by_effect_count_by_the_same_prices(company):
    study, tables = company
    trial = load_randomised(tables, study)
    day = (DAY - pd.Timedelta(days=1)).date()
    prices = price_list.find_prices(tables, study, day, 0)
    assert prices.valued and prices.share.measured
    assert (prices.contact_cost, prices.offer_cost) == (3, 0)  # as in the campaign
    worth = find_outcome_value(trial, tables, study, 0)
    assert prices.find_worth(trial.rows.customer_id) == pytest.approx(worth)
    # everybody contacted: leavers without contact times the share kept, and the effect itself
    case = load_case(trial, tables, study, 2, 1, 0)
    control = trial.rows[trial.rows.arm == "control"]
    rows = control.assign(churned=control.kept == 0, repeat=0)
    listed = tabulate_profit(
        rows[["repeat", "customer_id", "churned"]].assign(model=0.5), prices, len(rows), 200, 0
    ).set_index("policy")
    by_risk = listed.profit_per_cycle["list by model"] / len(rows)
    assert by_risk + 3 == pytest.approx(case.net.mean() + 3, rel=0.1)


def test_without_a_campaign_the_share_and_the_costs_are_those_that_the_study_assumes(company):
    study, tables = company
    alone = {name: table for name, table in tables.items() if name != "campaigns"}
    prices = price_list.find_prices(alone, study, (DAY - pd.Timedelta(days=1)).date(), 0)
    assert prices.valued and not prices.share.measured
    assert (prices.contact_cost, prices.offer_cost, prices.share.mean) == (1, 10, 0.3)


def test_leavers_without_a_value_count_by_the_mean_of_those_who_would_leave():
    prices = price_list.assume_prices(Economics(currency="EUR", capacity=5, **COSTS))
    values = pd.DataFrame(
        {"risk": [0.3, 0.1, np.nan, 0.5], "value_of_keeping": [500.0, 100, 80, np.nan]}, [*"abcd"]
    )
    kept = price_list.value_kept(prices, values)
    # (0.3 x 500 + 0.1 x 100) / 0.4; d has a risk and no value
    assert kept.find_worth(pd.Series([*"acdz"])).tolist() == [500, 80, 400, 400]


def test_a_study_without_amounts_counts_by_its_margin_and_one_without_prices_not_at_all(
    write_study,
):
    frame = pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})
    priced = {"currency": "EUR", "capacity": 5} | COSTS
    study = write_study("flat", tables={"snapshot": frame}, economics=priced)
    prices = price_list.find_prices(load_tables(study), study, None, 0)
    assert prices.worth == 200 and not prices.valued
    study = write_study("flat", name="free", tables={"snapshot": frame})
    assert price_list.find_prices(load_tables(study), study, None, 0) is None
