"""Changes beyond chance: levels by hand, history, the segment that changed most, a year ago."""

import numpy as np
import pandas as pd
import pytest
from charted_series import MONTHS, as_series, draw

from research.lifecycle import chart_changes, control_charts


def list_both(series: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return chart_changes.list_changes(control_charts.compute_charts(series))


def step(*levels: tuple[int, float], periods: int = 24, noise: float = 0.3) -> np.ndarray:
    """Return noise around levels, each from a period on."""
    values = noise * draw(periods=periods)
    for begin, level in levels:
        values[begin:] += level
    return values


def make_report() -> pd.DataFrame:
    charts = [
        as_series(draw(0, shift=4)),
        as_series(draw(1), indicator="returns"),
        as_series(draw(2, shift=9), segment_by="plan", segment="basic"),
        as_series(draw(3), segment_by="plan", segment="plus"),
        as_series(draw(4, shift=12), indicator="complaints", segment_by="plan", segment="plus"),
    ]
    return pd.concat(charts, ignore_index=True).sample(frac=1, random_state=0)


def test_warnings_list_totals_first_and_the_segment_that_worsened_most():
    warnings, improvements = list_both(make_report())
    assert improvements.empty
    assert warnings[["indicator", "segment"]].to_numpy().tolist() == [
        ["churn rate", "all"],
        ["complaints", "plus"],
        ["churn rate", "basic"],
    ]
    assert (warnings.most_by[0], warnings.most_segment[0]) == ("plan", "basic")
    assert (warnings.segments_changed[0], warnings.segments_compared[0]) == (1, 2)
    assert warnings.most_segment[1:].isna().all()
    assert (warnings.since == MONTHS[14]).all()
    assert (warnings.alarmed_at >= warnings.since).all()
    assert warnings.still_alarmed.all()


def test_the_worst_segment_is_the_one_with_the_largest_change_in_the_unit_that_is_printed():
    # basic moves by 9 of its standard errors and 1.8 units, pro by 5 and 5, tiny by 0.7 and 7
    parts = {"basic": (1.8, 0.2), "pro": (5.0, 1.0), "tiny": (7.0, 10.0)}
    segments = [
        as_series(
            se * draw(seed) + shift * (np.arange(24) >= 14), se, segment_by="plan", segment=of
        )
        for seed, (of, (shift, se)) in enumerate(parts.items(), start=5)
    ]
    warnings, _ = list_both(pd.concat([as_series(draw(0, shift=4)), *segments]))
    whole = warnings.iloc[0]
    assert (whole.most_by, whole.most_segment) == ("plan", "pro")
    assert whole.most_now - whole.most_before == pytest.approx(5, abs=1)
    assert (whole.segments_changed, whole.segments_compared) == (2, 3)


def test_no_segment_is_named_where_none_changed_significantly():
    segment = as_series(draw(1), segment_by="plan", segment="basic")
    warnings, _ = list_both(pd.concat([as_series(draw(0, shift=4)), segment]))
    assert (warnings.most_segment[0], warnings.segments_changed[0]) == ("", 0)


def test_means_before_and_now_worked_by_hand():
    rows = as_series([1.0, 4, 10, np.nan], se=[1.0, 2, 1, 1])
    # before: (1 + 4/4) / 1.25 = 1.6 with variance 1/1.25; now 10 with variance 1
    assert chart_changes.compare_means(rows, MONTHS[2]) == pytest.approx(
        {"before": 1.6, "now": 10, "change_in_se": 8.4 / np.sqrt(1.8)}
    )


def test_a_passing_worsening_lasts_until_the_improvement_that_ended_it():
    values = draw(0, periods=36, shift=5)
    values[24:] -= 5
    warnings, improvements = list_both(as_series(values))
    (warning,), (improvement,) = warnings.itertuples(), improvements.itertuples()
    assert (warning.since, warning.still_alarmed) == (MONTHS[14], False)
    assert warning.until == improvement.since == MONTHS[24]
    assert warning.now == pytest.approx(values[14:24].mean())
    assert improvement.earlier == warning.before == pytest.approx(values[:14].mean())
    assert improvement.before == warning.now
    assert improvement.earlier_until == MONTHS[14]


def test_falling_back_from_an_improvement_is_a_worsening_told_with_the_level_before_both():
    values = step((0, 10), (10, -4), (20, 4))
    charts = control_charts.compute_charts(as_series(values))
    assert (charts.baseline_from[charts.alarm] > MONTHS[10]).all()
    warnings, improvements = list_both(as_series(values))
    (warning,), (improvement,) = warnings.itertuples(), improvements.itertuples()
    assert (warning.since, warning.earlier_until) == (MONTHS[20], MONTHS[10])
    assert warning.earlier == pytest.approx(values[:10].mean())
    assert warning.before == pytest.approx(values[10:20].mean())
    assert warning.now == pytest.approx(values[20:].mean())
    assert (improvement.since, improvement.until) == (MONTHS[10], MONTHS[20])
    assert (improvement.before, improvement.now) == (warning.earlier, warning.before)
    assert not improvement.still_alarmed


def test_an_improvement_that_lasts_has_no_end():
    (improvement,) = list_both(as_series(step((0, 10), (10, -4))))[1].itertuples()
    assert (improvement.since, improvement.still_alarmed) == (MONTHS[10], True)
    assert pd.isna(improvement.until)


def test_the_better_level_that_a_chart_restarted_from_is_told_though_no_improvement_was_shown():
    values = step((0, 10), (10, -4), (20, 4))
    charts = control_charts.compute_charts(as_series(values))
    (warning,) = chart_changes.list_changes(charts, alarms=0)[0].itertuples()
    assert warning.earlier_until == MONTHS[10]
    assert warning.earlier == pytest.approx(values[:10].mean())


def test_the_same_periods_a_year_before_stand_beside_a_change():
    shifted = as_series(step((33, 6), periods=36))
    (warning,) = list_both(shifted)[0].itertuples()
    assert warning.since == MONTHS[33]
    assert warning.year_ago == pytest.approx(shifted.value[21:24].mean())
    assert warning.year_in_se > 5


def test_a_season_does_not_differ_from_the_year_before():
    values = 0.3 * draw(periods=36) + 6 * (np.arange(36) % 12 >= 9)
    charts = control_charts.compute_charts(as_series(values))
    charts = charts.assign(since=MONTHS[33], alarm=charts.snapshot >= MONTHS[33])
    (warning,) = chart_changes.list_changes(charts)[0].itertuples()
    assert warning.change_in_se > 3
    assert warning.year_ago == pytest.approx(values[21:24].mean())
    assert abs(warning.year_in_se) < 1


def test_without_a_year_of_history_nothing_stands_beside_a_change():
    (warning,) = list_both(as_series(draw(0, periods=14, shift=9, at=10)))[0].itertuples()
    assert np.isnan(warning.year_ago)
    assert np.isnan(warning.earlier)


@pytest.mark.parametrize("scatter", [1, 3], ids=["as stated", "overdispersed"])
def test_reports_without_a_change_tell_of_an_improvement_as_seldom_as_stated(scatter):
    reports = [
        pd.concat([as_series(scatter * draw(10 * n + i), indicator=f"i{i}") for i in range(4)])
        for n in range(40)
    ]
    told = sum(len(list_both(report)[1]) > 0 for report in reports)
    assert told <= 6  # 2 are expected of 40 at 5 %, more than 6 in one of 200


def test_a_single_good_period_is_no_lasting_improvement():
    values = 0.3 * draw()
    values[15] -= 20
    assert list_both(as_series(values))[1].empty


def test_a_step_is_where_arithmetic_says():
    # of 4, 4, 1, 1 a fall before the third: 3² x 2 x 2 / 4 = 9; before the others
    # (4 - 2)² x 1 x 3 / 4 = 3; no rise anywhere
    x, se = np.array([4.0, 4, 1, 1]), np.ones(4)
    np.testing.assert_allclose(chart_changes.measure_steps(x, se, -1), [3, 9, 3])
    assert not chart_changes.measure_steps(x, se, 1).any()


@pytest.mark.parametrize(
    "values",
    [[0.3] * 24, [np.nan] * 24, [np.inf, -np.inf] * 12, [1e300, -1e300] * 12, [], [0.1] * 8],
    ids=["constant", "missing", "infinite", "huge", "empty", "short"],
)
def test_odd_series_change_in_no_way(values):
    warnings, improvements = list_both(as_series(np.array(values, float), se=0.02))
    assert warnings.empty
    assert improvements.empty
