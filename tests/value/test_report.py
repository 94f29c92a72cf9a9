"""Sentences and tables of 50_value: each can say that a baseline is as good."""

import numpy as np
import pandas as pd
import pytest
from valued_companies import TERMS

from research.models.clv.max_likelihood import Fit
from research.value import purchase_models, report
from research.value.valuation import Valuation

NONE = "no significant difference"
SCORES = [
    "model",
    "family",
    "metric",
    "value",
    "low",
    "high",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "n",
]


def scores_of(low: float, high: float, verdict: str, total: tuple = (0.0, -0.1, 0.1)):
    rows = [
        ("rule", "reference", "rmse", 2.0, 1.8, 2.2, "", *[np.nan] * 3, "", 9),
        ("rule", "reference", "mae", 2.0, 1.8, 2.2, "", *[np.nan] * 3, "", 9),
        ("model", "value", "rmse", 1.5, 1.4, 1.6, "rule", -0.5, low, high, verdict, 9),
        ("model", "value", "mae", 1.0, 0.9, 1.1, "rule", 0.1, -0.1, 0.3, NONE, 9),
        ("model", "value", "total_error_share", *total, "rule", 0.0, 0.0, 0.0, NONE, 9),
    ]
    return pd.DataFrame(rows, columns=SCORES)


def valuation_of(values: pd.DataFrame, **parts) -> Valuation:
    nothing = np.zeros((0, len(values)))
    return Valuation(values, nothing, nothing, 1.0, parts.pop("model", "model"), "EUR", **parts)


def test_a_study_without_a_margin_is_told_that_value_is_turnover(write_study):
    economics = write_study("contractual").economics
    assert "value is turnover" in report.describe_assumptions(economics, "contractual")
    stated = write_study("contractual", economics=TERMS).economics
    sentence = report.describe_assumptions(stated, "contractual")
    assert "80% of a fee remains and 50% of an order's amount remains" in sentence
    assert "turnover" not in sentence


def test_verdicts_can_be_that_a_baseline_is_as_good_and_that_a_total_is_off():
    def describe(table: pd.DataFrame) -> str:
        return report.describe_holdout(table, "purchases", "model", "EUR", 90)

    assert "Model predicts purchases significantly better than the best baseline" in describe(
        scores_of(-0.7, -0.3, "better")
    )
    assert "doesn't predict purchases significantly better than “rule”" in describe(
        scores_of(-1.2, 0.2, NONE)
    )
    assert "use the baseline" in describe(scores_of(0.1, 0.3, "worse"))
    assert "Its total is off**: less was predicted than came" in describe(
        scores_of(-0.7, -0.3, "better", (-0.2, -0.3, -0.1))
    )
    assert "not significantly off" in describe(scores_of(-0.7, -0.3, "better"))


def test_a_total_that_was_off_is_a_warning_beside_the_value():
    by_segment = pd.DataFrame(
        [
            {
                "value": 100.0,
                "low": 99,
                "high": 101,
                "cost_of_churn": 5.0,
                "cost_low": 4,
                "cost_high": 6,
                "cost_share": 0.05,
            }
        ]
    )
    shares = pd.DataFrame({"customers_share": [0, 1.0], "value_share": [0, 1.0]})
    valuation = valuation_of(
        pd.DataFrame({"value": [50.0, 50], "risk": 0.1, "value_of_keeping": 9.0})
    )
    off, right = (
        report.describe_values(
            valuation,
            by_segment,
            shares,
            scores_of(-0.7, -0.3, "better", total).assign(outcome="amount"),
            "flat",
        )
        for total in ((-0.4, -0.5, -0.3), (0.0, -0.1, 0.1))
    )
    assert off.startswith("**The value below is known to be off**")
    assert "the predicted money was off by −40.0 %" in off
    # 40 % too little was predicted, so the value is 100 / 0.6
    assert "the value is 167 EUR (143 to 200)" in off
    assert "off by" not in right
    assert "is 100 EUR (99 to 101)" in off


def test_segments_that_lose_alike_are_not_distinguished():
    rows = pd.DataFrame(
        {
            "segment_by": ["all", "plan", "plan"],
            "segment": ["all", "a", "b"],
            "value": [200.0, 100, 100],
            "cost_of_churn": [22.0, 12, 10],
        }
    )
    rows["cost_share"] = rows.cost_of_churn / (rows.value + rows.cost_of_churn)
    rows["cost_low"], rows["cost_high"] = rows.cost_of_churn - 3, rows.cost_of_churn + 3
    assert (
        report.describe_cost_of_churn(rows, "EUR")
        == "The share of value lost doesn't differ significantly by plan."
    )
    assert "the model sees nobody drop out" in report.describe_cost_of_churn(
        rows.assign(cost_share=0.0, cost_of_churn=0.0), "EUR"
    )
    clear = rows.assign(cost_low=rows.cost_of_churn - 0.1, cost_high=rows.cost_of_churn + 0.1)
    sentence = report.describe_cost_of_churn(clear, "EUR")
    assert "by plan, “a” loses the largest part of its value (10.7%, 12 EUR), “b” the" in sentence
    assert "no segments to compare" in report.describe_cost_of_churn(rows[:1], "EUR")


def test_parameters_that_the_data_do_not_identify_are_named():
    fit = Fit(
        np.array([0.7, 65.0, 1e-5, 5e5]),
        np.full((4, 4), np.nan),
        -100.0,
        9,
        ("r", "alpha", "s", "beta"),
    )
    table = purchase_models.tabulate_parameters({"Pareto/NBD": fit}, None)
    histories = pd.DataFrame({"n_repeat": [1.0, 2, 3], "mean_amount": [5.0, 5, 5]})
    valuation = valuation_of(
        pd.DataFrame(), model="Pareto/NBD", parameters=table, histories=histories
    )
    sentences = report.describe_purchase_model(valuation)
    assert "The histories don't identify how customers drop out" in sentences
    assert "lowest AIC" in sentences
    assert report.describe_purchase_model(valuation_of(pd.DataFrame())) == ""


def test_the_first_amount_has_a_verdict_of_its_own():
    scores = scores_of(-0.7, -0.3, "better").replace({"model": "Pareto/NBD, first amount"})
    assert "first amount is significantly better" in report.describe_first_amount(scores)
    assert report.describe_first_amount(pd.DataFrame()) == ""
    nothing = pd.DataFrame()
    (why,) = report.describe_purchase_scores(nothing, nothing, nothing, "model")
    assert why.startswith("Not applicable")


@pytest.mark.parametrize(("error", "place"), [(1.5, "within"), (2.5, "above"), (0.5, "below")])
def test_the_error_is_compared_with_that_of_a_true_model(error, place):
    floor = pd.DataFrame(
        [("rmse", 1.4, 1.2, 1.7), ("total_error_share", 0.0, -0.1, 0.1)],
        columns=["metric", "value", "low", "high"],
    )
    scores = scores_of(-0.7, -0.3, "better").assign(outcome="purchases")
    scores.loc[(scores.model == "model") & (scores.metric == "rmse"), "value"] = error
    sentence = report.describe_error_floor(floor, scores, "model")
    assert f"{error:.2f} lies {place} that interval" in sentence
    assert "such as a season" not in sentence
    assert report.describe_error_floor(pd.DataFrame(), scores, "model") == ""


def test_values_are_compared_with_the_true_ones_and_with_one_curve_for_all():
    rows = [
        (name, metric, value, value - 0.05, value + 0.05, 400)
        for name, explained in (("model", 0.5), ("one curve for all", 0.3))
        for metric, value in (
            ("spread_explained_share", explained),
            ("total_error_share", 0.1),
            ("rank_correlation", 0.7),
            ("rmse", 12.0),
        )
    ]
    table = pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high", "n"])
    sentence = report.describe_ground_truth(table, valuation_of(pd.DataFrame()), 90)
    assert "explain 50.0 % (45.0 % to 55.0 %) of the variance" in sentence
    assert "more than one curve for all" in sentence
    assert "the total is off by 10.0 % all the same" in sentence
    unknown = report.describe_ground_truth(pd.DataFrame(), valuation_of(pd.DataFrame()), 0)
    assert unknown.startswith("Not applicable")


def test_the_table_of_a_holdout_names_an_outcome_once_and_the_best_baseline():
    scores = scores_of(-0.7, -0.3, "better")
    both = pd.concat([scores.assign(outcome="purchases"), scores.assign(outcome="amount")])
    table, ranges = report.holdout_table(both, "EUR")
    assert table.outcome.tolist() == [
        "days with a purchase",
        "",
        "spending, EUR",
        "",
    ]
    assert table.verdict.tolist() == ["the best baseline", "better"] * 2
    assert "RMSE" in ranges
    assert "outcome" not in report.holdout_table(scores, "EUR")[0]
    assert report.holdout_table(pd.DataFrame(), "EUR")[0].empty


def test_means_of_what_values_are_made_of_are_listed_where_they_are_known():
    values = pd.DataFrame(
        {"alive": [0.5, 1.0], "purchases": [1.0, 3.0], "amount": [10.0, 20.0]}
    ).assign(margin_per_day=np.nan, risk=[0.2, 0.4], value=[5.0, 7.0])
    histories = pd.DataFrame({"n_repeat": [0, 2]})
    table = report.valued_table(valuation_of(values, histories=histories)).set_index("what").value
    assert table["customers valued"] == "2"
    assert table["bought on one day only"] == "1"
    assert table["mean probability of being alive"] == "75.0 %"
    assert "mean margin of a day, EUR" not in table


@pytest.mark.parametrize(("column", "by"), [("cost_of_churn_eur", "cost of churn"), ("x", "value")])
def test_the_first_rows_say_what_they_are_sorted_by(column, by):
    values = pd.DataFrame({"customer_id": ["a", "b"], "value_eur": [2.0, 1.0], column: [1.0, 1.0]})
    valuation = valuation_of(values)
    assert report.describe_first(values, valuation, 10).startswith(
        f"The 2 with the highest {by} of 2"
    )
