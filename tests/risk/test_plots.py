"""Pictures show the numbers of their tables, intervals as given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from research.evaluation.metrics import METRICS
from research.reporting.style import FAMILY_COLOURS
from research.risk import plots


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def scores(metric: str = "auc") -> pd.DataFrame:
    rows = [
        ("base rate", "reference", 0.5, 0.5, 0.5),
        ("rule on days", "reference", 0.6, 0.55, 0.64),
        ("forest", "trees", 0.7, 0.71, 0.74),  # a value outside its percentile interval
    ]
    table = pd.DataFrame(rows, columns=["model", "family", "value", "low", "high"])
    return table.assign(metric=metric)


def find_intervals(ax) -> list:
    return [segment.tolist() for lines in ax.collections for segment in _segments(lines)]


def _segments(collection) -> list:
    return collection.get_segments() if hasattr(collection, "get_segments") else []


def test_scores_are_drawn_from_the_top_with_the_given_intervals():
    ax = plots.plot_scores(scores(), "auc", "AUC")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["forest", "rule on days", "base rate"]
    assert find_intervals(ax) == [
        [[0.71, 0], [0.74, 0]],
        [[0.55, 1], [0.64, 1]],
        [[0.5, 2], [0.5, 2]],
    ]
    (points,) = [drawn for drawn in ax.collections if not hasattr(drawn, "get_segments")]
    assert points.get_offsets().tolist() == [[0.7, 0], [0.6, 1], [0.5, 2]]


@pytest.mark.parametrize(("metric", "best"), [("auc", 0.6), ("log_loss", 0.5), ("brier", 0.5)])
def test_the_dotted_line_is_the_best_baseline_in_the_direction_of_the_score(metric, best):
    assert metric in METRICS
    ax = plots.plot_scores(scores(metric), metric, metric)
    (line,) = [drawn for drawn in ax.lines if drawn.get_linestyle() == ":"]
    assert line.get_xdata()[0] == best


def test_a_score_that_is_not_defined_is_left_out():
    table = scores("calibration_slope").assign(value=[np.nan, 1.2, 0.9])
    ax = plots.plot_scores(table, "calibration_slope", "slope")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["forest", "rule on days"]


def test_calibration_is_drawn_with_its_intervals_and_all_models_share_the_limits():
    table = pd.DataFrame(
        {
            "model": ["a", "a", "b"],
            "predicted": [0.1, 0.3, 0.6],
            "observed": [0.12, 0.28, 0.5],
            "low": [0.05, 0.2, 0.4],
            "high": [0.2, 0.4, 0.8],
        }
    )
    ax = plots.plot_reliability(table, "a")
    assert find_intervals(ax) == [[[0.1, 0.05], [0.1, 0.2]], [[0.3, 0.2], [0.3, 0.4]]]
    assert ax.lines[-1].get_xydata().tolist() == [[0.1, 0.12], [0.3, 0.28]]
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((0, 1.05 * 0.8))


def traced(lowest: float, **columns) -> pd.DataFrame:
    predicted = lowest + np.array([0.0, 0.02, 0.01])
    bounds = {"predicted": predicted, "low": predicted - 0.01, "high": predicted + 0.02}
    return pd.DataFrame({"at": [1.0, 2.0, 5.0], "level": ""} | bounds | columns)


def test_dependence_has_a_line_and_a_band_for_each_family_in_its_colour():
    both = pd.concat([traced(0.1, family="logistic"), traced(0.2, family="trees")])
    ax = plots.plot_dependence(both, "days")
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert [line.get_color() for line in lines] == [
        FAMILY_COLOURS["logistic"],
        FAMILY_COLOURS["trees"],
    ]
    assert lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.12, 0.11])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.09) and band[:, 1].max() == pytest.approx(0.14)
    assert ax.get_ylim()[0] == 0
    marks = ax.collections[-1].get_segments()
    assert [mark[0][0] for mark in marks] == lines[0].get_xdata().tolist()


def test_categories_are_in_the_order_of_the_table():
    named = traced(0.1, family="trees", at=np.nan, level=["plus", "basic", "max"])
    ax = plots.plot_dependence(named, "plan")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["plus", "basic", "max"]


def test_windows_are_drawn_with_the_intervals_of_model_and_baseline():
    days = pd.to_datetime(["2024-09-01", "2024-12-01"])
    table = pd.concat([scores().assign(origin=day) for day in days])
    ax = plots.plot_windows(table, "auc", ["forest", "rule on days"], "AUC")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2024-09-01", "2024-12-01"]
    drawn = [[point for _, point in segment] for segment in find_intervals(ax)]
    assert drawn == [[0.71, 0.74]] * 2 + [[0.55, 0.64]] * 2
    assert {line.get_label(): [*line.get_ydata()] for line in ax.lines} == {
        "forest": [0.7, 0.7],
        "rule on days": [0.6, 0.6],
    }
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["forest", "rule on days"]


def test_a_study_without_windows_has_a_sentence_in_place_of_the_picture():
    ax = plots.plot_windows(pd.DataFrame(), "auc", ["forest"], "AUC")
    assert [text.get_text() for text in ax.texts] == [
        "A study without dates has one window: no picture."
    ]


def test_a_decision_curve_has_a_line_for_each_list_and_one_for_nobody():
    curve = pd.DataFrame(
        {
            "policy": ["forest"] * 2 + ["contact everybody"] * 2,
            "threshold": [0.1, 0.2] * 2,
            "net_benefit": [0.05, 0.03, 0.04, -0.2],
        }
    )
    ax = plots.plot_decision_curve(curve.assign(low=curve.net_benefit, high=curve.net_benefit))
    drawn = {line.get_label(): [*line.get_ydata()] for line in ax.lines}
    assert drawn["forest"] == pytest.approx([5, 3])
    assert drawn["contact everybody"] == pytest.approx([4, -20])
    assert drawn["contact nobody"] == [0, 0]
    assert ax.get_ylim()[0] == -0.5
