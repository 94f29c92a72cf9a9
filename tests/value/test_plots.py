"""Pictures of the value tables draw what the tables say, intervals included."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from research.value import plots


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_errors_are_drawn_with_their_intervals_and_the_reference():
    scores = pd.DataFrame(
        {
            "model": ["zero", "model"],
            "family": ["reference", "value"],
            "metric": "rmse",
            "value": [2.0, 1.5],
            "low": [1.8, 1.4],
            "high": [2.2, 1.6],
            "reference": ["", "zero"],
        }
    )
    ax = plots.plot_errors(scores, "rmse", "RMSE")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["zero", "model"]
    drawn = [tuple(np.sort(line.get_xdata())) for line in ax.lines]
    assert pytest.approx((1.8, 2.2)) in drawn
    assert pytest.approx((1.4, 1.6)) in drawn
    assert drawn[-1] == (2, 2)  # the reference
    total = plots.plot_errors(scores.assign(metric="total_error_share"), "total_error_share", "")
    assert list(total.lines[-1].get_xdata()) == [0, 0]


def test_deciles_lie_on_the_diagonal_where_predictions_are_right():
    table = pd.DataFrame(
        {
            "model": "model",
            "group": [0, 1, 2],
            "expected": [1.5, 1.0, 2.0],
            "actual": [1.5, 1.0, 2.0],
            "low": [1.2, 0.8, 1.7],
            "high": [1.8, 1.2, 2.3],
        }
    )
    ax = plots.plot_deciles(table, "model", "days")
    assert ax.get_xscale() == "log"
    assert list(ax.lines[1].get_xdata()) == pytest.approx([1, 2])  # group 0 is all customers
    assert list(ax.lines[1].get_ydata()) == pytest.approx([1, 2])
    assert plots.plot_deciles(table.assign(actual=0.0), "model", "days").get_xscale() == "linear"


def test_tracking_marks_the_snapshot():
    table = pd.DataFrame(
        {
            "model": "model",
            "week_ends": pd.to_datetime(["2024-01-01", "2024-01-08"]),
            "expected": [1.0, 2],
            "actual": [1, 3],
            "expected_total": [1.0, 3],
            "actual_total": [1, 4],
            "holdout": [False, True],
        }
    )
    ax = plots.plot_tracking(table, True)
    assert [list(line.get_ydata()) for line in ax.lines[:2]] == [[1, 4], [1, 3]]
    assert len(ax.lines) == 3
    both = plots.plot_valuation_tracking(table)
    assert [text.get_text() for text in both.legends[0].texts] == ["actual", "model"]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: plots.plot_holdout(pd.DataFrame(), "EUR"), "Nothing comes after"),
        (lambda: plots.plot_valuation_deciles(pd.DataFrame(), "m", "EUR"), "Nothing comes after"),
        (lambda: plots.plot_valuation_tracking(pd.DataFrame()), "No purchases of buyers"),
        (
            lambda: plots.plot_costs_of_churn(
                pd.DataFrame({"segment_by": ["all"], "cost_of_churn": [9.0]}), "EUR"
            ),
            "There are no segments",
        ),
    ],
)
def test_what_does_not_apply_is_drawn_as_a_sentence(draw, sentence):
    assert draw().axes[0].texts[0].get_text().startswith(sentence)


def test_each_outcome_has_panels_of_its_own():
    rows = [
        ("zero", "reference", metric, 2.0, 1.8, 2.2, "", outcome)
        for metric in ("rmse", "total_error_share")
        for outcome in ("purchases", "amount")
    ]
    columns = ["model", "family", "metric", "value", "low", "high", "reference", "outcome"]
    fig = plots.plot_holdout(pd.DataFrame(rows, columns=columns), "EUR")
    assert len(fig.axes) == 4
    assert fig.axes[2].get_xlabel() == "root mean squared error, EUR per customer"


def test_the_cost_of_churn_has_its_share_beside_each_bar():
    by_segment = pd.DataFrame(
        {
            "segment_by": ["all", "plan", "plan"],
            "segment": ["all", "a", "b"],
            "cost_of_churn": [30.0, 20, 10],
            "cost_low": [20.0, 15, 5],
            "cost_high": [40.0, 25, 15],
            "cost_share": [0.1, 0.2, 0.05],
        }
    )
    assert plots.list_plotted_attributes(by_segment) == ["plan"]
    assert plots.list_plotted_attributes(by_segment.assign(cost_of_churn=0.0)) == []
    ax = plots.plot_cost_of_churn(by_segment, "plan", "EUR")
    assert [bar.get_width() for bar in ax.patches] == [20, 10]
    assert [text.get_text() for text in ax.texts] == ["20%", "5%"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[15, 25], [5, 15]]


def test_customers_without_value_are_left_out_of_the_logarithmic_axis():
    values = pd.DataFrame({"risk": [0.1, 0.2, 0.9], "value": [10.0, 100.0, 0.0]})
    ax = plots.plot_risk_and_value(values, "EUR")
    assert ax.get_yscale() == "log"
    assert np.nansum(ax.collections[0].get_array()) == 2
    nobody = plots.plot_risk_and_value(values.assign(value=0.0), "EUR")
    assert nobody.texts[0].get_text() == "No customer has a value."


def test_concentration_has_the_line_of_equal_value():
    shares = pd.DataFrame({"customers_share": [0, 0.5, 1.0], "value_share": [0, 0.8, 1.0]})
    ax = plots.plot_concentration(shares)
    assert list(ax.lines[0].get_ydata()) == [0, 1]
    assert list(ax.lines[1].get_ydata()) == [0, 0.8, 1]
