"""The value of contracts: what the hazard of a plan implies, and the sums by segment."""

import numpy as np
import pytest
from valued_companies import T, draw_contracts, write_contracts

from research.value import cost_of_churn, customers, report, subscribers
from research.value.expected_value import discount


@pytest.fixture(scope="module")
def contracts(write_shared):
    return write_contracts(write_shared, draw_contracts())


def test_the_loose_plan_has_less_value_and_costs_more_by_about_what_its_hazard_implies(contracts):
    study, tables = contracts
    valuation = customers.value_customers(tables, study, T, 3, 2, 0)
    values = valuation.values
    plans = tables["contracts"].select("customer_id", "plan").to_pandas()
    rows = values.merge(plans, on="customer_id").groupby("plan").value.mean()
    days = np.linspace(0, 90, 91)
    true = {
        plan: 0.8 * np.trapezoid(np.exp(-days / life) * discount(days, 0.1), days)
        for plan, life in {"loose": 150, "bound": 900}.items()
    }
    assert rows["loose"] == pytest.approx(true["loose"], rel=0.08)
    assert rows["bound"] == pytest.approx(true["bound"], rel=0.05)
    assert (values.low <= values.value).all()
    assert (values.value <= values.high).all()
    assert (values.value <= values.value_if_kept + 1e-9).all()
    assert np.allclose(values.cost_of_churn, values.risk * values.value_of_keeping)
    assert {*valuation.holdout.predicted["margin"]} == {
        "zero",
        "same as the last period",
        "nobody leaves",
        "one curve for all",
        valuation.model,
    }
    assert valuation.holdout_days == 90
    table = cost_of_churn.tabulate_segments(
        valuation, cost_of_churn.load_customer_segments(valuation, tables, study)
    ).set_index(["segment_by", "segment"])
    assert table.cost_share["plan", "loose"] > 3 * table.cost_share["plan", "bound"]
    for column in ("customers", "value", "cost_of_churn"):
        assert table[column]["plan"].sum() == pytest.approx(table[column]["all", "all"])
    sentence = report.describe_cost_of_churn(table.reset_index(), "EUR")
    assert "“loose” loses the largest part" in sentence


def test_the_risk_of_a_horizon_of_months_is_over_the_window_of_the_calendar(contracts, monkeypatch):
    study, tables = contracts
    churn = study.churn.model_copy(update={"horizon": "3 months", "lead_days": 7})
    spans = []

    def stop(*span) -> None:
        spans.append(span)
        raise StopIteration

    monkeypatch.setattr(subscribers, "make_survival_model", stop)
    for each in (study, study.model_copy(update={"churn": churn})):
        with pytest.raises(StopIteration):
            subscribers.value_contractual(tables, each, T, 0, 2, 0)
    # 90 days of value; 30 days from 30 June, and from 7 July to 7 October 92 after 7 of lead
    assert spans == [(90, 30, 0), (90, 99, 0)]
