"""Verdicts of the benchmarks: margins, intervals that carry the noise of training, exact shares."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        ((-0.002, -0.007, 0.003), "met"),  # the margin is 1 % of 0.80: 0.008
        ((-0.002, -0.009, 0.005), "inconclusive"),  # includes 0, and a noisy peer would do so, too
        ((0.020, -0.030, 0.070), "inconclusive"),  # better by far in the sample, and as noisy
        ((-0.020, -0.030, -0.010), "**missed**"),
        ((-0.004, -0.006, -0.002), "met"),  # significantly worse, by less than the margin
        ((0.020, np.nan, np.nan), "inconclusive"),
    ],
)
def test_level_needs_the_worse_end_of_the_interval_inside_the_margin(difference, verdict):
    import verdicts

    assert verdicts.judge_level(difference, 0.80, more_is_better=True) == verdict
    mean, low, high = difference
    assert verdicts.judge_level((-mean, -high, -low), 0.80, more_is_better=False) == verdict


def test_corrected_interval_is_that_of_nadeau_and_bengio():
    import verdicts

    # mean 2, variance 1, 3 divisions, as many judged as learned from: error sqrt(1/3 + 1) = 1.1547,
    # t of 2 degrees 4.3027, together 4.9683
    assert verdicts.compute_corrected_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        (2.0, 2 - 4.9683, 2 + 4.9683), abs=1e-3
    )
    # half as many judged: sqrt(1/3 + 1/2) = 0.9129, together 3.9278
    assert verdicts.compute_corrected_interval(np.array([1.0, 2.0, 3.0]), 0.5)[1] == pytest.approx(
        2 - 3.9278, abs=1e-3
    )
    assert np.isnan(verdicts.compute_corrected_interval(np.array([1.0]))[1])


def test_a_share_of_40_of_40_doesnt_show_95_per_cent_and_72_of_72_does():
    import verdicts

    # the lower end where all succeed is 0.025 ** (1 / n): 0.9119 of 40, 0.94997 of 71, 0.95006 of
    # 72
    assert verdicts.compute_share_interval(40, 40) == pytest.approx((1, 0.9119, 1), abs=1e-4)
    assert verdicts.count_least_draws(0.95) == 72
    for n, verdict in ((40, "inconclusive"), (71, "inconclusive"), (72, "met")):
        assert verdicts.judge_least(verdicts.compute_share_interval(n, n), 0.95) == verdict
    # 30 of 40: 0.588 to 0.873 (tables of Clopper & Pearson)
    interval = verdicts.compute_share_interval(30, 40)
    assert interval == pytest.approx((0.75, 0.588, 0.873), abs=1e-3)
    assert verdicts.judge_least(interval, 0.95) == "**missed**"


def test_several_bounds_are_met_where_all_are_and_missed_where_one_is():
    from verdicts import INCONCLUSIVE, MET, MISSED, join_verdicts

    assert join_verdicts([MET, MET]) == MET
    assert join_verdicts([MET, INCONCLUSIVE]) == INCONCLUSIVE
    assert join_verdicts([INCONCLUSIVE, MISSED, MET]) == MISSED
    assert join_verdicts([]) == INCONCLUSIVE


def test_a_mean_of_few_draws_has_a_wide_interval_and_one_draw_has_none():
    import verdicts

    # t of 1 degree is 12.706: 0.906 -+ 12.706 * 0.029
    assert verdicts.compute_mean_interval(0.906, 0.029, 2) == pytest.approx(
        (0.906, 0.5375, 1.2745), abs=1e-3
    )
    assert np.isnan(verdicts.compute_mean_interval(0.444, np.nan, 1)[1])
