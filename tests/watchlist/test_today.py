"""One risk as of the scored day: the pages of value, targeting and break-even lie side by side."""

import numpy as np
import pandas as pd
import pytest
from cases import slow
from town_companies import DAY, END, draw, write

from research.batch.agreement import find_contradictions
from research.store import keep
from research.uplift.policy import break_even
from research.uplift.policy.case import load_case
from research.uplift.policy.contact_list import list_targets
from research.uplift.trials import RANDOMISED, load_trials
from research.value import cost_of_churn
from research.value.customers import value_customers
from research.watchlist import forecast, today_report
from research.watchlist.forecast import Drift
from research.watchlist.model_store import save_model
from research.watchlist.scored_day import find_scored_day
from research.watchlist.scoring import score_day
from research.watchlist.today import find_model, score_today

PRICES = {"currency": "EUR", "capacity": 50, "contact_cost": 1, "offer_cost": 2}
PRICES |= {"margin_per_customer": 60, "value_days": 120}
ASSIGNED = pd.Timestamp("2024-08-01")


def draw_with_trial(people: int) -> dict[str, pd.DataFrame]:
    """The company of towns, of whom a call was drawn for half of those under contract in August."""
    tables = draw(people)
    contracts = tables["contracts"]
    ended = contracts.ended_at.fillna(END + pd.Timedelta(days=1))
    present = contracts[(contracts.started_at < ASSIGNED) & (ended > ASSIGNED)]
    arm = np.where(np.arange(len(present)) % 2 == 0, "control", "call")
    campaign = {"customer_id": present.customer_id, "campaign": "calls", "assigned_at": ASSIGNED}
    return tables | {"campaigns": pd.DataFrame(campaign | {"arm": arm, "propensity": 0.5})}


@pytest.fixture(scope="module", params=[900, slow(3000)])
def company(request, write_shared):
    return write(
        write_shared,
        draw_with_trial(request.param),
        economics=PRICES,
        model="single tree",
        experiment={"assignment": "randomised"},
    )


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    """What several pages need is computed once, and few earlier windows are replayed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "MOST_WINDOWS", 3)
        folder = tmp_path_factory.mktemp("store")
        patch.setattr(keep, "_opened", {"folder": folder, "limit": 10**9})
        yield


@pytest.fixture(scope="module")
def today(company):
    study, tables = company
    return score_today(tables, study)


@pytest.fixture(scope="module")
def pages(company, today):
    """The tables that the notebooks leave, of the customers whom they list and value."""
    study, tables = company
    current = value_customers(tables, study, today.day, 0, 2, 0, today.risk)
    values = cost_of_churn.tabulate_values(current)
    worth = current.values.set_index("customer_id").value_of_keeping
    trial = load_trials(tables, study)[RANDOMISED]
    case = load_case(trial, tables, study, 2, 1, 0)
    customers = break_even.load_customers(tables, study, 0, "no trial", today.risk)
    return {
        "value": values,
        "forecast": today.forecast(worth),
        "targets": list_targets(trial, tables, study, case, 100.0, 0, True, today.risk),
        "first_test": break_even.draw_test(customers, study, 0),
    }


def find_present(company) -> set:
    contracts = company[1]["contracts"].to_pandas()
    ended = contracts.ended_at.fillna(END + pd.Timedelta(days=1))
    return {*contracts.customer_id[(contracts.started_at <= END) & (ended > END)]}


def test_lists_and_sums_are_of_the_last_day_and_models_are_judged_before_it(company, today):
    study, tables = company
    assert today.day == DAY == find_scored_day(tables, study)
    assert today.judged == study.snapshots.last < today.day
    said = today_report.describe_day(today)
    assert f"judged on {today.judged}" in said and f"as of **{DAY}**" in said
    assert today_report.describe_day(today, "Policies are.").startswith("Policies are. Lists")


def test_nobody_on_a_list_has_left_by_the_scored_day_and_nobody_present_is_missing(company, pages):
    present = find_present(company)
    for name in ("value", "targets", "first_test"):
        assert {*pages[name].customer_id} == present, name


def test_every_page_gives_a_customer_the_same_risk_and_its_sums_are_the_same(company, today, pages):
    study, tables = company
    model = find_model(tables, study, DAY)
    scored = score_day(tables, study, model, DAY).rows.set_index("customer_id").risk_by_end
    for name, column in {
        "value": "risk_share",
        "targets": "risk_share",
        "first_test": "risk",
    }.items():
        risks = pages[name].set_index("customer_id")[column]
        assert np.allclose(risks, scored.loc[risks.index], rtol=0, atol=1e-9), name
    everybody = pages["forecast"].iloc[0]
    assert everybody.customers == len(scored)
    assert everybody.expected == pytest.approx(scored.sum(), abs=1e-9)
    worth = pages["first_test"].set_index("customer_id").worth
    assert everybody.value_of_keeping == pytest.approx((scored * worth.loc[scored.index]).sum())
    assert np.allclose(pages["targets"].set_index("customer_id").worth.loc[worth.index], worth)
    cost = pages["value"].cost_of_churn_eur.sum()  # what a leaver costs, by the same curves
    assert cost == pytest.approx(everybody.value_of_keeping, rel=1e-6)
    assert find_contradictions(pages) == []


def test_a_risk_that_differs_between_pages_is_a_contradiction(pages):
    targets = pages["targets"].assign(risk_share=lambda rows: rows.risk_share + 1e-4)
    assert "expected one risk per customer" in find_contradictions(pages | {"targets": targets})[0]
    fewer = pages | {"value": pages["value"].iloc[1:]}
    assert any("customers scored" in each for each in find_contradictions(fewer))


def test_a_kept_model_scores_the_pages_as_it_scores_the_list(company, today, tmp_path, monkeypatch):
    study, tables = company
    earlier = find_model(tables, study, pd.Timestamp("2024-11-30").date())
    monkeypatch.setattr("research.watchlist.model_store.project_root", lambda: tmp_path)
    save_model(study, earlier)
    again = score_today(tables, study)
    assert again.card["id"] == earlier.id != today.card["id"]
    listed = score_day(tables, study, earlier, DAY).rows
    pd.testing.assert_frame_equal(again.rows, listed)


def test_segments_and_money_of_the_forecast_add_up(today, pages):
    table = pages["forecast"]
    parts = table[table.segment_by == "town"] if "town" in {*table.segment_by} else table.iloc[:1]
    for name in ("customers", "expected", "monthly_amount", "value_of_keeping"):
        assert parts[name].sum() == pytest.approx(table[name].iloc[0])
    assert "take with them" in today_report.describe_cost(table, today, "EUR")


def test_where_nobody_can_be_scored_the_judged_day_stands_in_and_says_why(write_study):
    study, tables = write(write_study, draw(40))
    today = score_today(tables, study)
    assert today.risk is None and today.day == study.snapshots.last
    said = today_report.describe_day(today)
    assert (
        "No customer is scored as of today" in said
        and f"are of the judged day, {today.day}" in said
    )
    assert today.forecast().empty
    assert today_report.describe_promise(today, study) == today.missing
    assert today_report.describe_cost(today.forecast(), today, "EUR") == ""


def test_a_scored_day_that_is_not_after_the_judged_one_is_no_other_day(write_study):
    plan = {"last": "2024-06-30", "train": 2, "test": 1, "every_days": 30, "scored": "2024-06-30"}
    study, tables = write(write_study, draw(40), snapshots=plan)
    assert "isn't after the judged one" in score_today(tables, study).missing


def test_a_flat_study_has_one_day_and_says_so_once(write_study):
    table = pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False], "age": [1, 2]})
    study = write_study("flat", tables={"snapshot": table})
    today = score_today({}, study)
    assert today.day is None and today.risk is None
    assert today_report.describe_day(today) == "The study has no dates: those judged and those" + (
        " listed are the same customers."
    )
    assert today_report.describe_promise(today, study) == ""


def test_without_a_replayed_window_the_forecast_has_no_interval(today):
    none = {**today.card, "replay": []}
    assert Drift(np.nan, 0).windows == 0
    bare = type(today)(today.judged, today.rows, today.risk, today.segments, none)
    assert bare.forecast().low.isna().all()
