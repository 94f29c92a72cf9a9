"""Scores of rankings by effect: by hand, by other libraries, and of rankings worth nothing."""

from dataclasses import replace

import numpy as np
import pytest
import uplift_fixture as fixture
from trial_maker import (
    make_trial,
)

from research.uplift import (
    cross_fitting,
    doubly_robust,
    metrics,
)
from research.uplift.cross_fitting import CrossFit
from research.uplift.learners import families
from research.uplift.metrics import compute_area, compute_curves, rank, score_ranking

ONE = np.ones((1, 1))


def curves_of(column: str) -> dict[str, np.ndarray]:
    rows = fixture.ROWS
    weights, propensity = np.ones((1, len(rows))), np.where(rows.treated == 1, 28 / 48, 20 / 48)
    return compute_curves(
        rank(rows[column].to_numpy(float)),
        rows.treated.to_numpy(),
        rows.outcome.to_numpy(float),
        propensity,
        weights,
    )


def area(column: str, curve: str) -> float:
    curves = curves_of(column)
    return compute_area(curves["share"], curves[curve])[0]


def test_curves_of_four_customers_by_hand():
    arm, outcome = np.array([1, 0, 1, 0]), np.array([1.0, 0.0, 0.0, 1.0])
    curves = compute_curves(
        rank(np.array([4.0, 3.0, 2.0, 1.0])), arm, outcome, np.full(4, 0.5), np.ones((1, 4))
    )
    assert curves["share"].tolist() == [[0, 0.25, 0.5, 0.75, 1]]
    # treated 1 of 1, 1 of 1, 1 of 2, 1 of 2; controls none, 0 of 1, 0 of 1, 1 of 2
    assert curves["uplift"][0] == pytest.approx([0, 0.25, 0.5, 0.75 * 0.5, 0])
    assert curves["qini"][0] == pytest.approx(
        [0, 0.5, 0.5, 0.5, 0]
    )  # over two treated, less over two controls


@pytest.mark.parametrize(
    ("column", "theirs"),
    [("score", fixture.BY_SCORE), ("tied", fixture.BY_TIED), ("lopsided", fixture.BY_LOPSIDED)],
)
def test_areas_are_those_of_scikit_uplift(column, theirs):
    assert 48**2 * area(column, "uplift") == pytest.approx(
        theirs["uplift_area"]
    )  # its curve is of sums, over numbers of customers
    assert 48 * 28 * area(column, "adjusted_qini") == pytest.approx(theirs["qini_area"])


@pytest.mark.parametrize(
    ("column", "theirs"), [("score", fixture.BY_SCORE), ("lopsided", fixture.BY_LOPSIDED)]
)
def test_areas_are_those_of_pylift(column, theirs):
    total = curves_of(column)
    assert area(column, "qini") == pytest.approx(theirs["Q_qini"])
    assert area(column, "adjusted_qini") == pytest.approx(theirs["Q_aqini"])
    assert total["uplift"][0, -1] == pytest.approx(total["qini"][0, -1])


def test_the_effect_in_the_top_is_that_of_scikit_uplift():
    curves = curves_of("score")
    for share, name in ((0.25, "uplift_at_quarter"), (0.5, "uplift_at_half")):
        assert np.interp(share, curves["share"][0], curves["uplift"][0]) / share == pytest.approx(
            fixture.BY_SCORE[name]
        )


def test_the_same_score_for_all_is_worth_exactly_nothing():
    trial, _ = make_trial(400, 0)
    sample = doubly_robust.make_sample(trial, "kept")
    scores = doubly_robust.compute_scores(sample, np.full((400, 2), 0.5))
    found = score_ranking(np.zeros(400), 1, sample, scores, np.ones((1, 400)))
    assert [
        found[name][0] for name in ("auuc", "qini", "adjusted_qini", "autoc", "rate_qini")
    ] == pytest.approx([0] * 5)


def test_weights_of_whole_numbers_are_rows_repeated():
    trial, _ = make_trial(300, 1)
    sample, rng = doubly_robust.make_sample(trial, "kept"), np.random.default_rng(0)
    effects, scores = (
        rng.normal(size=300).round(1),
        doubly_robust.compute_scores(sample, np.full((300, 2), 0.5)),
    )
    times = rng.integers(0, 3, 300)
    again = np.repeat(np.arange(300), times)
    weighted = score_ranking(effects, 1, sample, scores, times[None].astype(float))
    repeated = score_ranking(
        effects[again], 1, sample.take(again), scores[again], np.ones((1, len(again)))
    )
    for name in weighted:
        assert weighted[name][0] == pytest.approx(repeated[name][0], abs=1e-12), name


def test_long_rankings_are_cut_into_steps_that_hardly_move_an_area():
    trial, true = make_trial(20_000, 2, lambda x: 0.1 + 0.2 * x)
    sample = doubly_robust.make_sample(trial, "kept")
    treated, weights = (sample.arm == 1).astype(int), np.ones((1, sample.size))
    fine = rank(true[:, 0])
    assert len(fine.starts) - 1 == metrics.MAX_STEPS
    curves = compute_curves(fine, treated, sample.outcome, sample.propensity, weights)
    order = np.argsort(-true[:, 0])
    y, t = sample.outcome[order], treated[order]
    effect = np.cumsum(y * t) / np.maximum(np.cumsum(t), 1) - np.cumsum(y * (1 - t)) / np.maximum(
        np.cumsum(1 - t), 1
    )
    share = np.r_[0, np.arange(1, 20_001) / 20_000]
    assert compute_area(curves["share"], curves["uplift"])[0] == pytest.approx(
        compute_area(share[None], np.r_[0, share[1:] * effect][None])[0], abs=3e-4
    )


def test_a_ranking_by_the_true_effect_is_significant_and_a_random_one_is_not():
    trial, true = make_trial(20_000, 3, lambda x: 0.1 + 0.25 * x)
    part = doubly_robust.make_sample(trial, "kept")
    scores = doubly_robust.compute_scores(part, np.full((part.size, 2), 0.5))
    cross_fits = [
        CrossFit(
            {"random": np.random.default_rng(0).random((part.size, 1)), "truth": true},
            np.zeros(part.size, int),
        )
    ]
    resampled, divisions = (
        metrics.resample_uplift(cross_fits, part, scores, 200, 0),
        metrics.score_divisions(cross_fits, part, scores),
    )
    table = metrics.tabulate_uplift(resampled, divisions, "kept", part.size).set_index(
        ["model", "metric"]
    )
    assert (
        (table.divisions == 1).all()
        and (table.lowest == table.value).all()
        and (table.highest == table.value).all()
    )
    # effects are uniform between -0.15 and 0.35: tau(q) = 0.35 - 0.25 q, so U(q) - q U(1) = 0.25 q
    # (1 - q), whose area is 0.25 / 6
    low, high = table.loc[("truth", "auuc"), ["low", "high"]]
    assert low < 0.25 / 6 < high and low > 0
    assert table.loc[("truth", "slope"), "low"] < 1 < table.loc[("truth", "slope"), "high"]
    low, high = table.loc[("random", "auuc"), ["low", "high"]]
    assert low < 0 < high
    # treating those with an effect above 0, seven tenths whose mean is 0.175, gains 0.1225;
    # everybody 0.1
    low, high = table.loc[("truth", "gain"), ["low", "high"]]
    assert low < 0.0225 < high


def test_predictions_that_are_the_same_within_each_part_are_worth_exactly_nothing():
    trial, _ = make_trial(900, 0)
    sample = doubly_robust.make_sample(replace(trial, features=[]), "kept")
    cross_fits = cross_fitting.cross_fit(sample, 3, 1, 0)
    scores = doubly_robust.compute_scores(sample, doubly_robust.predict_out_of_fold(sample, 3, 0))
    table = metrics.tabulate_uplift(
        metrics.resample_uplift(cross_fits, sample, scores, 200, 0),
        metrics.score_divisions(cross_fits, sample, scores),
        "kept",
        900,
    )
    assert table[
        (table.model == families.AVERAGED)
        & table.metric.isin(["auuc", "qini", "autoc", "rate_qini"])
    ].value.tolist() == pytest.approx([0] * 4)


def test_resamples_of_many_rows_are_kept_small_and_judge_alike(monkeypatch):
    trial, true = make_trial(600, 0, lambda x: 0.1 + 0.2 * x)
    sample = doubly_robust.make_sample(trial, "kept")
    scores = doubly_robust.compute_scores(sample, np.full((600, 2), 0.5))
    cross_fits = [CrossFit({"truth": true}, np.zeros(600, int))]
    plain = metrics.resample_uplift(cross_fits, sample, scores, 200, 0)["call", "truth"]
    monkeypatch.setattr(metrics, "MOST_UNFOLDED", 0)
    folded = metrics.resample_uplift(cross_fits, sample, scores, 200, 0)["call", "truth"]
    assert all(np.array_equal(plain[name], folded[name]) for name in metrics.METRICS)


def test_a_value_between_two_points_lies_on_the_line_between_them():
    places = np.array([[0.0, 0.25, 1.0], [0.0, 0.1, 1.0]])
    values = np.array([[0.0, 1.0, 4.0], [0.0, 7.0, 9.0]])
    # a third of the way from 1 to 4; the second row has a point there
    assert metrics.interpolate(0.5, places[:1], values[:1]) == pytest.approx([2.0])
    assert metrics.interpolate(0.1, places, values) == pytest.approx([0.4, 7.0])
