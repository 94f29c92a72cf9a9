"""Pictures of the survival tables draw what the tables say, intervals included."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from research.survival.plots import (
    plot_curves,
    plot_incidence,
    plot_lifetimes,
    plot_periods,
    plot_ratios,
    plot_scores_over_time,
    plot_survival_calibration,
)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def curves(given: float = 0.0) -> pd.DataFrame:
    days = given + np.array([0.0, 50, 100])
    parts = [
        pd.DataFrame(
            {"segment": name, "days": days, "survival": [1, 0.8, top], "at_risk": [90, 60, 30]}
        )
        for name, top in (("gold", 0.7), ("tin", 0.3))
    ]
    return pd.concat(parts).assign(
        segment_by="tier",
        low=lambda t: t.survival - 0.05,
        high=lambda t: t.survival + 0.05,
        given_days=given,
    )


def test_curves_show_each_segment_and_how_many_are_at_risk():
    ax = plot_curves(curves(), "tier")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gold", "tin"]
    assert ax.lines[1].get_ydata()[-1] == 0.3
    assert [text.get_text() for text in ax.texts].count("30") == 2
    assert ax.get_xlabel() == "days since joining"


def test_curves_with_late_entry_name_their_condition():
    assert (
        plot_curves(curves(40), "tier").get_xlabel()
        == "days since joining (of those there after 40)"
    )


def test_incidence_has_one_line_per_reason():
    table = pd.DataFrame(
        {
            "reason": ["a", "a", "b", "b"],
            "days": [0, 9, 0, 9],
            "share": [0, 0.2, 0, 0.4],
            "low": 0.0,
            "high": 0.5,
        }
    )
    assert [line.get_ydata()[-1] for line in plot_incidence(table).lines] == [0.2, 0.4]


def test_ratios_are_in_the_order_of_the_table_with_their_intervals_and_the_line_of_no_difference():
    table = pd.DataFrame(
        {
            "column": ["x", "y", "none"],
            "hazard_ratio": [2.0, 0.5, np.nan],
            "low": [1.5, 0.4, np.nan],
            "high": [3.0, 0.6, np.nan],
        }
    )
    ax = plot_ratios(table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "y"]
    assert ax.yaxis_inverted()  # the first row on top
    points, *intervals, no_difference = ax.lines
    assert list(points.get_xdata()) == pytest.approx([2, 0.5])
    assert [sorted(line.get_xdata()) for line in intervals] == [
        pytest.approx([1.5, 3]),
        pytest.approx([0.4, 0.6]),
    ]
    assert list(no_difference.get_xdata()) == [1, 1]


def test_periods_keep_their_order():
    names = ["plan: pro, day 0 to 10", "plan: pro, day 10 to 20", "plan: pro, after day 20"]
    ax = plot_periods(
        pd.DataFrame(
            {
                "column": names,
                "hazard_ratio": [0.5, 1, 2],
                "low": [0.4, 0.8, 1.5],
                "high": [0.6, 1.2, 3],
            }
        )
    )
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "day 0 to 10",
        "day 10 to 20",
        "after day 20",
    ]
    assert ax.get_legend().get_texts()[0].get_text() == "pro"


def test_scores_over_time_leave_out_those_of_the_whole_curve():
    rows = [
        (model, family, "brier", day, 0.1, 0.09, 0.11)
        for model, family in (("Kaplan-Meier", "reference"), ("Cox", "survival"))
        for day in (10, 20, np.nan)
    ]
    ax = plot_scores_over_time(
        pd.DataFrame(rows, columns=["model", "family", "metric", "days", "value", "low", "high"]),
        "brier",
        "Brier",
    )
    drawn = [line for line in ax.lines if len(line.get_xdata())]  # the legend's lines are empty
    curves = [line for line in drawn if line.get_marker() != "None"]
    assert [len(line.get_xdata()) for line in curves] == [2, 2]
    assert list(ax.get_xticks()) == [10, 20]


def test_calibration_draws_the_diagonal_and_one_line_per_day():
    table = pd.DataFrame(
        {
            "model": "Cox",
            "days": [10, 10, 20, 20],
            "predicted": [0.1, 0.2, 0.2, 0.4],
            "observed": [0.1, 0.2, 0.2, 0.4],
            "low": 0.05,
            "high": 0.5,
        }
    )
    ax = plot_survival_calibration(table, "Cox")
    assert len(ax.containers) == 2
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata())


def test_lifetimes_count_those_whose_lifetime_is_known():
    ax = plot_lifetimes(
        pd.DataFrame({"restricted_mean_days": [10.0, 80, np.nan], "until_days": [90.0, 90, np.nan]})
    )
    assert sum(patch.get_height() for patch in ax.patches) == 2


@pytest.mark.parametrize(
    ("plot", "sentence"),
    [
        (plot_incidence, "No reason"),
        (plot_ratios, "No hazard ratio"),
        (plot_periods, "No ratio changes"),
    ],
)
def test_an_empty_table_is_drawn_as_a_sentence(plot, sentence):
    assert plot(pd.DataFrame()).texts[0].get_text().startswith(sentence)
