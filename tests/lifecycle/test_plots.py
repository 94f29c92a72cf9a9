"""Pictures draw what their tables hold, and a sentence where these have no rows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from research.lifecycle import plots
from research.lifecycle.control_charts import CHART_KEYS

DAYS = pd.to_datetime(["2024-04-30", "2024-05-31", "2024-06-30"])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_bars_are_stacked_by_stage_without_those_gone():
    counts = pd.DataFrame(
        [(day, stage, n) for day in DAYS for stage, n in (("growth", 2), ("decline", 3))],
        columns=["snapshot", "stage", "customers"],
    )
    gone = counts.assign(stage="gone").drop_duplicates("snapshot")
    ax = plots.plot_stages(pd.concat([counts, gone]))
    assert [container.get_label() for container in ax.containers] == ["growth", "decline"]
    assert [(bar.get_y(), bar.get_height()) for bar in ax.containers[1]] == [(2, 3)] * 3


def test_transitions_are_written_into_their_cells_and_others_stay_empty():
    transitions = pd.DataFrame(
        [("growth", "maturity", 0.25), ("growth", "growth", 0.75), ("maturity", "gone", 1.0)],
        columns=["origin", "stage", "share"],
    )
    ax = plots.plot_transitions(transitions)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["growth", "maturity", "gone"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["growth", "maturity"]
    assert [text.get_text() for text in ax.texts] == ["75%", "25%", "100%"]


def retention() -> pd.DataFrame:
    rows = [(0, 0, 1.0), (0, 1, 0.5), (0, 2, 0.4), (1, 0, 1.0), (1, 1, 0.6)]
    months = pd.to_datetime(["2024-01-01", "2024-02-01"])
    return pd.DataFrame(
        [(months[cohort], age, share) for cohort, age, share in rows],
        columns=["cohort", "age_months", "share"],
    )


def test_cohorts_are_drawn_from_the_first_month_on():
    ax = plots.plot_cohorts(retention())
    assert [text.get_text() for text in ax.texts] == ["50%", "40%", "60%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Jan 2024", "Feb 2024"]


def test_every_cohort_has_a_curve_and_the_first_and_last_a_label():
    ax = plots.plot_cohort_curves(retention())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.5, 0.4])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [1.0, 0.6])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Jan 2024", "Feb 2024"]


def test_stability_has_its_own_intervals_and_a_ring_around_the_chosen_number():
    table = pd.DataFrame(
        {
            "k": [2, 3],
            "stability": [0.7, 0.9],
            "low": [0.6, 0.88],
            "high": [0.75, 0.91],
            "reference": [0.5, 0.5],
            "chosen": [False, True],
        }
    )
    ax = plots.plot_stability(table)
    (_, _, (bars,)) = ax.containers[0]
    ends = [[tuple(point) for point in segment] for segment in bars.get_segments()]
    assert np.allclose(ends, [[(2, 0.6), (2, 0.75)], [(3, 0.88), (3, 0.91)]])
    assert list(ax.lines[-1].get_xydata()[0]) == [3, 0.9]


def scores(**columns) -> pd.DataFrame:
    table = pd.DataFrame(
        [(name, day, 0.1 * (i + 1)) for name in ("churn", "nps") for i, day in enumerate(DAYS)],
        columns=["indicator", "snapshot", "value"],
    )
    table = table.assign(title=table.indicator.str.upper(), unit="share", target=np.nan)
    return table.assign(low=table.value - 0.05, high=table.value + 0.05, **columns)


def test_each_indicator_has_a_panel_with_its_title_and_values():
    grid = plots.plot_indicators(scores())
    assert [ax.get_title() for ax in grid.axes_dict.values()] == ["CHURN", "NPS"]
    drawn = grid.axes_dict["nps"].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, [0.1, 0.2, 0.3])


def test_an_indicator_measured_once_has_no_panel():
    once = scores()
    once.loc[(once.indicator == "nps") & (once.snapshot > DAYS[0]), "value"] = np.nan
    assert [*plots.plot_indicators(once).axes_dict] == ["churn"]


def test_a_target_is_a_line():
    rows = scores(target=0.15).query("indicator == 'churn'")
    assert list(plots.plot_indicator(rows).lines[-1].get_ydata()) == [0.15, 0.15]


def charts() -> pd.DataFrame:
    rows = [
        (name, "", "all", day, ewma, ewma, 3.0, ewma > 3, DAYS[1] if name == "nps" else pd.NaT)
        for name in ("customer_churn_rate", "nps")
        for day, ewma in zip(DAYS, (np.nan, 1.0, 4.0 if name == "nps" else 2.0), strict=True)
    ]
    columns = [*CHART_KEYS, "snapshot", "ewma", "single", "limit", "alarm", "since"]
    return pd.DataFrame(rows, columns=columns)


TITLES = {"customer_churn_rate": "Customer churn rate", "nps": "NPS"}


def test_charts_with_a_warning_are_drawn_with_alarm_and_date():
    warnings = pd.DataFrame([("nps", "", "all")], columns=CHART_KEYS)
    (ax,) = plots.plot_control_charts(charts(), warnings, TITLES)
    assert ax.get_title(loc="left") + ax.get_title() == "NPS"
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["alarm"].get_ydata()) == [4.0]
    assert "since" in lines


def test_without_a_warning_the_chart_of_churn_is_drawn():
    (ax,) = plots.plot_control_charts(charts(), pd.DataFrame(columns=CHART_KEYS), TITLES)
    assert "Customer churn rate" in (ax.get_title(loc="left"), ax.get_title())
    assert not {"alarm", "since"} & {line.get_label() for line in ax.lines}


def test_tables_without_rows_are_drawn_as_a_sentence():
    none = pd.DataFrame(columns=CHART_KEYS)
    drawn = [
        plots.plot_transitions(pd.DataFrame(columns=["origin", "stage", "share"])),
        plots.plot_cohorts(retention().iloc[:0]),
        plots.plot_cohort_curves(retention().iloc[:0]),
        plots.plot_stability(pd.DataFrame(columns=["k", "stability"])),
        plots.plot_indicators(scores().iloc[:0]),
        *plots.plot_control_charts(charts().iloc[:0], none, TITLES),
    ]
    assert all(len(ax.texts) == 1 and not ax.axison for ax in drawn)
