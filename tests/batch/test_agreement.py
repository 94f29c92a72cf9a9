"""What must agree between the result tables of a run."""

import pandas as pd
import pytest

from research.batch.agreement import find_contradictions


def scores(**changes) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "model": ["rule", "logistic"],
            "metric": "auc",
            "value": [0.7, 0.8],
            "low": [0.6, 0.7],
            "high": [0.8, 0.9],
        }
    )
    return rows.assign(**changes)


def difference(**changes) -> pd.DataFrame:
    row = {
        "model": "logistic",
        "reference": "rule",
        "metric": "auc",
        "value": 0.1,
        "low": -0.05,
        "high": 0.2,
        "verdict": "no significant difference",
    }
    return pd.DataFrame([row | changes])


def segments(**changes) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "segment_by": ["all", "plan", "plan"],
            "segment": ["all", "a", "b"],
            "customers": [2, 1, 1],
            "mean_risk_share": [0.2, 0.1, 0.3],
            "value_eur": [30.0, 10.0, 20.0],
        }
    )
    return rows.assign(**changes)


def values(**changes) -> pd.DataFrame:
    rows = {"customer_id": ["x", "y"], "value_eur": [10.0, 20.0], "risk_share": [0.1, 0.3]}
    return pd.DataFrame(rows).assign(**changes)


def test_tables_that_agree_have_no_contradiction():
    tables = {
        "risk_scores": scores(),
        "risk_differences": difference(),
        "value": values(),
        "value_segments": segments(),
        "empty": pd.DataFrame({"value": [], "low": [], "high": []}),
    }
    assert find_contradictions(tables) == []


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"risk_scores": scores(low=0.75)}, "expected value between low and high, got 0.7"),
        (
            {"risk_differences": difference(low=0.01)},
            "got 'no significant difference' beside 0.01 to 0.2",
        ),
        ({"risk_differences": difference(verdict="better")}, "got 'better' beside -0.05 to 0.2"),
        ({"groups": pd.DataFrame({"churn_share": [1.2]})}, "churn_share between 0 and 1, got 1.2"),
        ({"tests": pd.DataFrame({"p_value": [-0.1]})}, "p_value between 0 and 1, got -0.1"),
        (
            {"risk_scores": scores(), "risk_differences": difference(value=0.09)},
            "expected one number of auc of logistic minus that of rule",
        ),
        (
            {"value": values(), "value_segments": segments(value_eur=[30.0, 10.0, 21.0])},
            "expected one number of value in all, got the customers 30, all 30, plan 31",
        ),
        (
            {"value": values(risk_share=[0.1, 0.4]), "value_segments": segments()},
            "expected one number of mean risk, got the segments 0.2, the customers 0.25",
        ),
        (
            {
                "value": values(),
                "targets": pd.DataFrame({"customer_id": ["x", "z"]}),
            },
            "expected every customer listed to have a value, got 1 without",
        ),
    ],
)
def test_each_contradiction_is_named_with_both_numbers(tables, sentence):
    assert sentence in " ".join(find_contradictions(tables))


def test_numbers_that_differ_by_the_order_of_a_sum_agree():
    assert find_contradictions({"risk_scores": scores(low=[0.7 + 1e-16, 0.7])}) == []
