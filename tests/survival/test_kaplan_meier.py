"""Kaplan-Meier curves with late entries, restricted means and medians, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from research.survival import kaplan_meier


def curve_of(*rows: tuple):
    return kaplan_meier.fit_kaplan_meier(
        pd.DataFrame(rows, columns=["entry", "duration", "ended", "rows"])
    )


def test_the_restricted_mean_worked_by_hand():
    # 4 at risk, one ends on day 2: 3/4; one censored on day 3; one of 2 ends on day 5: 3/8; the
    # last observed to day 9
    # up to day 8: 2 * 1 + 3 * 3/4 + 3 * 3/8 = 5.375
    # variance: areas from day 2 on 3.375 and from day 5 on 1.125: 3.375² / (4 * 3) + 1.125² / (2 *
    # 1) = 0.94921875 + 0.6328125 = 1.58203125
    mean = kaplan_meier.compute_restricted_mean(
        curve_of((0, 2, True, 1), (0, 3, False, 1), (0, 5, True, 1), (0, 9, False, 1)), 8
    )
    assert (mean["value"], mean["se"] ** 2) == (pytest.approx(5.375), pytest.approx(1.58203125))
    assert mean["low"] == pytest.approx(5.375 - 1.959964 * 1.58203125**0.5)
    assert mean["high"] == pytest.approx(5.375 + 1.959964 * 1.58203125**0.5)


def test_late_entries_are_at_risk_from_the_day_after_only():
    # at risk on day 2: the two observed from the start (the third enters on day 2, the fourth on
    # day 3): 1/2
    # at risk on day 4: the other one of the two, the third and the fourth: 1/2 * 2/3 = 1/3
    curve = curve_of((0, 2, True, 1), (0, 6, False, 1), (2, 4, True, 1), (3, 6, False, 1))
    assert list(curve.predict([1, 2, 3, 4, 6])) == pytest.approx([1, 1 / 2, 1 / 2, 1 / 3, 1 / 3])
    # up to day 6: 2 + 2 / 2 + 2 / 3; variance: (1 + 2/3)² / (2 * 1) + (2/3)² / (3 * 2)
    mean = kaplan_meier.compute_restricted_mean(curve, 6)
    assert (mean["value"], mean["se"] ** 2) == (
        pytest.approx(11 / 3),
        pytest.approx(25 / 18 + 2 / 27),
    )


def test_counts_stand_for_as_many_rows():
    many = curve_of((0, 2, True, 10), (0, 3, False, 10), (0, 5, True, 10), (0, 9, False, 10))
    single = curve_of(
        *[
            row
            for row in ((0, 2, True, 1), (0, 3, False, 1), (0, 5, True, 1), (0, 9, False, 1))
            for _ in range(10)
        ]
    )
    assert kaplan_meier.compute_restricted_mean(many, 8) == pytest.approx(
        kaplan_meier.compute_restricted_mean(single, 8)
    )
    assert kaplan_meier.compute_median(many) == pytest.approx(
        kaplan_meier.compute_median(single), nan_ok=True
    )


def test_too_short_a_follow_up_gives_no_mean():
    assert np.isnan(
        kaplan_meier.compute_restricted_mean(curve_of((0, 2, True, 1), (0, 7, False, 1)), 8)[
            "value"
        ]
    )
    assert kaplan_meier.compute_restricted_mean(curve_of((0, 2, True, 1), (0, 7, True, 1)), 8)[
        "value"
    ] == pytest.approx(4.5)  # all have ended: 2 + 5 / 2


def test_half_is_reached_on_the_day_on_which_exactly_half_are_left():
    assert (
        kaplan_meier.compute_median(curve_of(*((0, day, True, 1) for day in (2, 3, 5, 7, 8, 9))))[
            "value"
        ]
        == 5
    )
    assert np.isnan(
        kaplan_meier.compute_median(curve_of((0, 2, True, 1), (0, 7, False, 3)))["value"]
    )


def test_the_interval_of_the_restricted_mean_covers_the_truth_with_late_entry():
    rng, truth, covered = np.random.default_rng(5), (1 - np.exp(-0.02 * 100)) / 0.02, []
    for _ in range(400):
        entry = np.where(rng.random(400) < 0.5, 0, rng.uniform(0, 80, 400))
        life, until = rng.exponential(50, 400), entry + rng.uniform(40, 200, 400)
        seen = life > entry
        rows = pd.DataFrame(
            {"entry": entry, "duration": np.minimum(life, until), "ended": life <= until, "rows": 1}
        )[seen]
        mean = kaplan_meier.compute_restricted_mean(kaplan_meier.fit_kaplan_meier(rows), 100)
        covered.append(mean["low"] <= truth <= mean["high"])
    assert 0.92 <= np.mean(covered) <= 0.98  # the standard error of 95 % in 400 draws is 1.1 %


def test_a_thin_start_is_left_out_and_not_multiplied_into_all_later_days():
    counts = pd.DataFrame(
        {
            "entry": [0, 0, 30],
            "duration": [5, 40, 60],
            "ended": [True, False, False],
            "rows": [1, 1, 20],
        }
    )
    assert (
        kaplan_meier.find_conditioning_time(counts, 50) == 30
    )  # before, 2 and then 1 were observed
    rest = kaplan_meier.condition(counts, 30)
    assert rest.to_dict("list") == {
        "entry": [0, 0],
        "duration": [10, 30],
        "ended": [False, False],
        "rows": [1, 20],
    }
    assert (
        kaplan_meier.find_conditioning_time(counts, 20) == 0
    )  # the late ones come in after the days asked about
    assert kaplan_meier.find_conditioning_time(counts.assign(rows=[12, 12, 20]), 50) == 0


def test_ends_on_day_0_count_and_the_curve_begins_below_1():
    # 10 there, 6 end on day 0: 4/10; one of the 4 ends on day 3: 3/10; late entries on day 2 would
    # be at risk from day 3 on: 4 + 4
    rows = (0, 0, True, 6), (0, 3, True, 1), (0, 9, False, 3)
    curve = curve_of(*rows)
    assert list(curve.predict([0, 2, 3])) == pytest.approx([0.4, 0.4, 0.3])
    assert kaplan_meier.compute_median(curve)["value"] == 0
    # up to day 8: 3 * 4/10 + 5 * 3/10; variance: 2.7² * 6 / (10 * 4) + 1.5² * 1 / (4 * 3)
    mean = kaplan_meier.compute_restricted_mean(curve, 8)
    assert (mean["value"], mean["se"] ** 2) == (pytest.approx(2.7), pytest.approx(1.281))
    late = curve_of(*rows, (2, 9, False, 4))
    assert list(late.predict([0, 2, 3])) == pytest.approx([0.4, 0.4, 0.4 * 7 / 8])


def test_conditioning_on_the_start_leaves_nobody_out():
    counts = pd.DataFrame(
        {"entry": [0, 0], "duration": [0, 5], "ended": [True, True], "rows": [20, 30]}
    )
    assert kaplan_meier.find_conditioning_time(counts, 50) == 0
    pd.testing.assert_frame_equal(kaplan_meier.condition(counts, 0), counts)
    assert kaplan_meier.condition(counts, 2).duration.tolist() == [3]


def test_where_everybody_ends_on_day_0_nothing_is_left_of_the_curve():
    assert curve_of((0, 0, True, 20)).predict(0) == 0
    assert curve_of((0, 0, True, 20), (4, 9, False, 20)).predict(0) == 0
