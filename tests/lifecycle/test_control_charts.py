"""Control charts: readings by hand, false alarms and power by simulation, odd series."""

import numpy as np
import pandas as pd
import pytest
from charted_series import as_series, draw
from scipy import stats

from research.lifecycle import control_charts


def run_reports(values, se, worse, alarms, charts=10, baseline=8) -> np.ndarray:
    """Return per report and chart whether any alarm is raised; the first four charts of a report
    are of the whole company.
    """
    shares = (
        np.r_[np.full(4, alarms / 2 / 4), np.full(6, alarms / 2 / 6)]
        if charts == 10
        else np.full(charts, alarms / charts)
    )
    periods = values.shape[-1] - baseline
    limits = np.tile(
        [control_charts.find_limit(share / 2, periods, 0.2) for share in shares],
        len(values) // charts,
    )
    singles = np.tile(stats.norm.isf(shares / 2 / periods), len(values) // charts)
    gains = np.full(
        len(values),
        control_charts.find_limit(control_charts.RESTART_CHANCE, values.shape[-1] - baseline, 0.2),
    )
    results = control_charts.run_charts(
        values, se, np.full((len(values), 1), worse), limits, singles, gains, baseline, 0.2
    )
    return (
        ((results["ewma"] > limits[:, None]) | (results["single"] > singles[:, None]))
        .any(axis=1)
        .reshape(-1, charts)
    )


def test_residual_reading_and_average_worked_by_hand():
    charts = control_charts.compute_charts(as_series([10.0, 12, 11, 15, 14]), baseline=3)
    # means before: 10, 11, 11, 12; residuals 2/√2, 0, 4/√(1+1/3), 2/√(1+1/4)
    assert charts.expected.tolist()[1:] == pytest.approx([10, 11, 11, 12])
    assert charts.residual.tolist()[1:] == pytest.approx([np.sqrt(2), 0, np.sqrt(12), np.sqrt(3.2)])
    # scatter before: (2+0)/2 = 1 with 2 degrees of freedom, (2+0+12)/3 with 3; the t distribution
    # with 2 is 1/2 + t/(2√(2+t²))
    first = stats.norm.ppf(0.5 + np.sqrt(12) / (2 * np.sqrt(14)))
    second = stats.norm.ppf(stats.t.cdf(np.sqrt(3.2 / (14 / 3)), 3))
    assert charts.q.tolist()[3:] == pytest.approx([first, second])
    # averages 0.2 q1 and 0.8 · 0.2 q1 + 0.2 q2 over 0.2 and √(0.2² + 0.16²); readings 1 and 2 agree
    # where se is the same, 3 is larger
    assert charts.ewma.tolist()[3:] == pytest.approx(
        [first, (0.16 * first + 0.2 * second) / np.hypot(0.2, 0.16)]
    )
    assert charts.ewma[:3].isna().all()


def test_earlier_values_weigh_by_their_standard_errors():
    charts = control_charts.compute_charts(
        as_series([10.0, 13, 12, 12], se=[1.0, 2, 1, 1]), baseline=3
    )
    assert charts.residual[1] == pytest.approx(3 / np.sqrt(2**2 + 1))
    assert charts.expected[2] == pytest.approx((10 + 13 / 4) / 1.25)
    assert charts.residual[2] == pytest.approx((12 - 10.6) / np.sqrt(1 + 1 / 1.25))


def test_within_the_standard_errors_nothing_is_an_alarm_however_steady_the_chart_was():
    steady = 5 + 0.01 * draw()
    steady[14:] += 0.3  # thirty times its own scatter, but a third of the standard error
    assert not control_charts.compute_charts(as_series(steady)).alarm.any()
    assert control_charts.compute_charts(as_series(steady, se=0.01)).alarm.any()


def test_readings_are_independent_and_standard_normal_while_nothing_changes():
    rng = np.random.default_rng(1)
    se = 1 / np.sqrt(rng.uniform(300, 3000, (20_000, 16)))
    q = control_charts.run_charts(
        3 * se * rng.standard_normal(se.shape),
        se,
        np.ones((20_000, 1)),
        *np.full((3, 20_000), np.inf),
        8,
        0.2,
    )["q"][:, 3:]
    assert stats.kstest(q.ravel(), "norm").statistic < 0.005
    assert np.abs(np.corrcoef(q.T) - np.eye(q.shape[1])).max() < 0.03


@pytest.mark.parametrize(("smoothing", "periods"), [(0.2, 16), (0.05, 40), (0.5, 3)])
def test_the_limit_is_passed_as_often_as_stated(smoothing, periods):
    limit = control_charts.find_limit(0.1, periods, smoothing)
    readings = np.random.default_rng(2).standard_normal((100_000, periods))
    average, passed = np.zeros(100_000), np.zeros(100_000, bool)
    for k in range(periods):
        average = (1 - smoothing) * average + smoothing * readings[:, k]
        variance = sum((smoothing * (1 - smoothing) ** lag) ** 2 for lag in range(k + 1))
        passed |= average > limit * np.sqrt(variance)
    assert passed.mean() == pytest.approx(0.1, abs=0.004)


def test_without_smoothing_the_limit_is_that_of_independent_readings():
    assert control_charts.find_limit(0.05, 16, 1.0) == pytest.approx(
        stats.norm.ppf(0.95 ** (1 / 16))
    )


@pytest.mark.parametrize("scatter", ["by se", "beyond se", "equal"])
def test_normal_reports_alarm_falsely_at_most_as_often_as_stated(scatter):
    rng = np.random.default_rng(3)
    se = 1 / np.sqrt(rng.uniform(300, 3000, (20_000, 24)))
    noise = (
        rng.standard_normal(se.shape) * {"by se": se, "beyond se": 3 * se, "equal": 0.3}[scatter]
    )
    for alarms in (0.05, 0.2):
        assert run_reports(noise, se, 1, alarms).any(axis=1).mean() <= alarms + 2 * np.sqrt(
            alarms * (1 - alarms) / 2000
        )


@pytest.mark.parametrize("worse", [1, -1])
@pytest.mark.parametrize("rate", [0.02, 0.15])
@pytest.mark.parametrize("fluctuation", [0.0, 0.15])
def test_reports_of_rates_alarm_falsely_at_most_as_often_as_stated(rate, fluctuation, worse):
    rng = np.random.default_rng(4)
    growing = rng.integers(300, 3000, (20_000, 24))
    growing[10_000:] = np.sort(
        growing[10_000:], axis=1
    )  # half of the reports are of a company that grows
    share = (
        rng.binomial(
            growing, np.clip(rate * (1 + fluctuation * rng.standard_normal(growing.shape)), 0, 1)
        )
        / growing
    )
    raised = run_reports(
        share, np.sqrt(share * (1 - share) / growing + 1 / growing**2), worse, 0.05
    )
    assert raised.any(axis=1).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_the_bound_is_not_empty():
    rng = np.random.default_rng(5)
    se = np.full((20_000, 24), 0.02)
    for size in (1, 2):
        assert (
            run_reports(size * se * rng.standard_normal(se.shape), se, 1, 0.2, charts=1).mean()
            >= 0.2 / 4
        )


def test_a_shift_of_three_standard_errors_is_found_and_dated():
    rng = np.random.default_rng(6)
    se = 0.02 * rng.uniform(0.85, 1.15, (5000, 24))
    values = se * rng.standard_normal(se.shape) + np.where(np.arange(24) >= 14, 0.06, 0)
    for share, least in ((0.05, 0.95), (0.025 / 4, 0.8)):
        limit = control_charts.find_limit(share, 16, 0.2)
        alarm = (
            control_charts.run_charts(
                values,
                se,
                np.ones((5000, 1)),
                np.full(5000, limit),
                *np.full((2, 5000), np.inf),
                8,
                0.2,
            )["ewma"]
            > limit
        )
        since = control_charts.estimate_change_points(values, se, np.ones((5000, 1)), alarm)[
            alarm.any(axis=1)
        ]
        assert alarm.any(axis=1).mean() > least
        assert (np.abs(since - 14) <= 1).mean() > 0.9


@pytest.mark.parametrize(
    ("values", "alarmed", "began"),
    [
        ([9, 9, 9, 0, 0, 0, 0, 0, 0, 4], 9, 9),  # the larger step, at 3, was for the better
        (
            [0, 0, 0, 0, 0, 1, 1, 1, 9, 9, 9, 9],
            7,
            5,
        ),  # what follows the alarm at 7 does not move the date
    ],
)
def test_a_worsening_is_dated_by_the_step_up_to_the_first_alarm(values, alarmed, began):
    x = np.array([values], float)
    assert control_charts.estimate_change_points(
        x, np.ones_like(x), np.ones((1, 1)), np.arange(x.shape[1])[None] >= alarmed
    ).tolist() == [began]


@pytest.mark.parametrize(("worse", "shift"), [(1, -5), (-1, 5)])
def test_an_improvement_is_no_alarm(worse, shift):
    assert not any(
        control_charts.compute_charts(
            as_series(draw(seed, shift=shift), worse=worse), alarms=0.001
        ).alarm.any()
        for seed in range(20)
    )


def test_a_fall_is_found_where_a_fall_is_bad_as_a_rise_is_where_a_rise_is():
    rise, fall = (
        control_charts.compute_charts(as_series(sign * draw(shift=5), worse=sign))
        for sign in (1, -1)
    )
    assert rise.alarm.any()
    pd.testing.assert_frame_equal(
        rise[["residual", "q", "ewma", "alarm", "since"]],
        fall[["residual", "q", "ewma", "alarm", "since"]],
    )


def test_the_first_alarm_stops_the_updating():
    charts = control_charts.compute_charts(as_series(draw(shift=6)))
    alarmed = charts.index[charts.alarm][0]
    assert charts.expected[alarmed:].nunique() == 1
    assert charts.alarm[alarmed:].all()


def test_the_future_changes_no_reading_of_the_past():
    values = draw(7)
    scrambled = np.r_[values[:16], draw(8, shift=4)[16:]]
    columns = ["expected", "residual", "q", "ewma"]
    pd.testing.assert_frame_equal(
        control_charts.compute_charts(as_series(values))[columns][:16],
        control_charts.compute_charts(as_series(scrambled))[columns][:16],
    )


def test_periods_that_cannot_be_measured_are_skipped():
    values = draw(0, shift=5)
    gaps = as_series(np.insert(values, [3, 15, 20], np.nan))
    gaps.loc[0:0, "se"] = 1.0
    whole, skipped = (
        control_charts.compute_charts(as_series(values)),
        control_charts.compute_charts(gaps),
    )
    np.testing.assert_allclose(skipped.ewma[gaps.value.notna()], whole.ewma)
    assert skipped.loc[gaps.value.isna(), ["expected", "q", "ewma", "limit"]].isna().all(axis=None)
    assert not skipped.alarm[gaps.value.isna()].any()


def test_a_standard_error_that_is_missing_or_zero_is_that_of_the_period_before():
    values, se = draw(0, shift=5), np.linspace(1, 1.5, 24)
    holes, filled = se.copy(), se.copy()
    holes[[5, 9, 16]] = [0, np.nan, -1]
    filled[[5, 9, 16]] = se[[4, 8, 15]]
    columns = ["expected", "q", "ewma", "alarm", "since"]
    pd.testing.assert_frame_equal(
        control_charts.compute_charts(as_series(values, holes))[columns],
        control_charts.compute_charts(as_series(values, filled))[columns],
    )


@pytest.mark.parametrize(
    "values",
    [
        [0.3] * 24,
        [0.1] * 23 + [0.1 + 1e-9],
        [np.nan] * 24,
        [np.inf, -np.inf] * 12,
        [1e300, -1e300] * 12,
        [1e-300] * 24,
        [],
        [0.1] * 8,
    ],
    ids=["constant", "almost constant", "missing", "infinite", "huge", "tiny", "empty", "short"],
)
def test_odd_series_raise_no_alarm_and_no_error(values):
    charts = control_charts.compute_charts(as_series(np.array(values, float), se=0.02))
    assert len(charts) == len(values)
    assert not charts.alarm.any()


def test_no_standard_error_at_all_means_no_chart():
    assert control_charts.compute_charts(as_series(draw(shift=9), se=0.0)).limit.isna().all()


def test_charts_too_short_to_be_monitored_take_no_part_of_the_alarms():
    alone = control_charts.compute_charts(as_series(draw()))
    among = control_charts.compute_charts(
        pd.concat(
            [
                as_series(draw()),
                as_series(draw(periods=8), indicator="young"),
                as_series(draw(periods=5), segment_by="plan"),
            ]
        )
    )
    assert among.limit[:24].tolist()[8:] == alone.limit.tolist()[8:]


def test_half_of_the_alarms_is_shared_by_the_totals_and_half_by_the_segments():
    parts = [
        as_series(draw(), indicator=name, segment_by=by)
        for by, names in (("", "ab"), ("plan", "abc"))
        for name in names
    ]
    limits = control_charts.compute_charts(pd.concat(parts)).limit
    assert (
        limits[23]
        == limits[47]
        == pytest.approx(
            control_charts.find_limit(0.025 / (1 + control_charts.RESTART_CHANCE) / 2 / 2, 16, 0.2)
        )
    )
    assert (
        limits[71]
        == limits[119]
        == pytest.approx(
            control_charts.find_limit(0.025 / (1 + control_charts.RESTART_CHANCE) / 3 / 2, 16, 0.2)
        )
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alarms": 0}, "0 < alarms"),
        ({"baseline": 2}, "baseline >= 3"),
        ({"smoothing": 0}, "smoothing"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        control_charts.compute_charts(as_series(draw()), **change)


def test_all_faults_of_a_series_are_named_at_once():
    with pytest.raises(ValueError, match="one row per indicator.*\n.*worse"):
        control_charts.compute_charts(pd.concat([as_series(draw(), worse=0)] * 2))
