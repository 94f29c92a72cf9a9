"""Resamples of customers, their intervals, and verdicts on paired differences."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds, slow

from research.evaluation import bootstrap


def draw(n: int = 400, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, n).clip(0.01, 0.99)
    return rng.random(n) < p, p.round(1).clip(0.05, 0.95) if ties else p


def as_predictions(y, **models) -> pd.DataFrame:
    return pd.DataFrame({"repeat": 0, "customer_id": np.arange(len(y)), "churned": y, **models})


def test_resamples_draw_customers_whole():
    weights = np.concatenate(list(bootstrap.draw_weights(["a", "a", "b", "c"], 200, seed=0)))
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    customers = weights[:, [0, 2, 3]]
    assert (customers.sum(axis=1) == 3).all()
    assert len(np.unique(customers, axis=0)) > 5


def test_the_draws_do_not_depend_on_the_chunk_size(monkeypatch):
    whole = np.concatenate(list(bootstrap.draw_weights(range(50), 30, seed=1)))
    monkeypatch.setattr(bootstrap, "CHUNK", 200)
    np.testing.assert_array_equal(
        whole, np.concatenate(list(bootstrap.draw_weights(range(50), 30, seed=1)))
    )


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    y, p = draw()
    first, again, other = (
        bootstrap.resample_scores(as_predictions(y, m=p), 50, seed)["m"]["auc"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


def test_repeated_rows_of_a_customer_widen_the_interval():
    y, p = draw(300)
    twice = pd.concat([as_predictions(y, m=p)] * 4, ignore_index=True)
    spread = {
        name: bootstrap.resample_scores(frame, 400, 0)["m"]["auc"][1:].std()
        for name, frame in {
            "clustered": twice,
            "rows": twice.assign(customer_id=range(1200)),
        }.items()
    }
    assert (
        spread["clustered"] > 1.7 * spread["rows"]
    )  # four copies carry no more information than one: twice the spread of 1,200


@pytest.mark.parametrize(("samples", "least", "most"), [(30, 26, 30), slow(200, 178, 199)])
def test_the_interval_covers_the_true_brier_score_in_about_95_of_100_samples(samples, least, most):
    hits = 0
    truth = np.array([0.1, 0.3, 0.6])
    expected = (truth * (1 - truth)).mean()
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        p = rng.choice(truth, 300)
        table = bootstrap.tabulate_scores(
            bootstrap.resample_scores(as_predictions(rng.random(300) < p, m=p), 200, seed),
            {"m": "trees"},
            300,
        )
        row = table.set_index("metric").loc["brier"]
        hits += row.low <= expected <= row.high
    assert least <= hits <= most  # of 200, 190 expected, standard deviation 3.1


def test_the_interval_of_a_calibration_error_contains_the_error_itself():
    for seed in range(5):
        y, p = draw(400)
        y = np.random.default_rng(seed).random(400) < p
        table = bootstrap.tabulate_scores(
            bootstrap.resample_scores(as_predictions(y, m=p), 200, seed), {"m": "trees"}, 400
        )
        row = table.set_index("metric").loc["calibration_error"]
        assert 0 <= row.low < row.value < row.high


def test_a_paired_difference_cancels_sampling_error():
    y, p = draw(500, ties=False)
    better = np.clip(p + 0.02 * (y - 0.5), 0.01, 0.99)
    resampled = bootstrap.resample_scores(as_predictions(y, plain=p, better=better), 300, 0)
    row = (
        bootstrap.tabulate_differences(
            resampled, ["plain"], {"plain": "reference", "better": "trees"}, 500
        )
        .set_index("metric")
        .loc["log_loss"]
    )
    assert row.verdict == "better"
    scores = bootstrap.tabulate_scores(
        resampled, {"plain": "reference", "better": "trees"}, 500
    ).set_index(["model", "metric"])
    assert row.high - row.low < 0.2 * (scores.high - scores.low)["plain", "log_loss"]


@pytest.mark.parametrize("seed", list_seeds(3))
def test_two_models_of_pure_noise_do_not_differ_significantly(seed):
    rng = np.random.default_rng(seed)
    predictions = as_predictions(
        rng.random(400) < 0.3, one=rng.uniform(0.25, 0.35, 400), two=rng.uniform(0.25, 0.35, 400)
    )
    table = bootstrap.tabulate_differences(
        bootstrap.resample_scores(predictions, 300, seed),
        ["one"],
        {"one": "reference", "two": "trees"},
        400,
    )
    assert (
        table.set_index("metric").verdict[["auc", "log_loss"]].tolist()
        == [bootstrap.NO_DIFFERENCE] * 2
    )


def test_of_sixteen_differences_of_pure_noise_one_is_hardly_ever_significant():
    """Percentiles of 300 draws can't tell what is beyond 1 in 640: they gave a false verdict in 13
    of 100 families instead of 5.
    """
    rng, found = np.random.default_rng(0), 0
    for _ in range(400):
        values = rng.normal(size=(16, 301))
        values[:, 1:] += values[:, :1]
        found += any(
            bootstrap.judge_difference(row, True, 16)[-1] != bootstrap.NO_DIFFERENCE
            for row in values
        )
    assert 8 <= found <= 34  # 20 expected, standard deviation 4.4


def test_the_repeats_of_a_cross_validation_resample_the_same_customers():
    y, p = draw(300, ties=False)
    once = as_predictions(y, m=p)
    shuffled = once.sample(frac=1, random_state=0).assign(repeat=1)
    single, twice = (
        bootstrap.resample_scores(frame, 100, 0)["m"]["auc"]
        for frame in (once, pd.concat([once, shuffled]))
    )
    np.testing.assert_allclose(
        single, twice
    )  # two repeats with the same predictions carry no more news than one


def test_printed_interval_decides_the_verdict():
    rng = np.random.default_rng(3)
    for shift in np.linspace(-4, 4, 41):
        values = np.r_[shift, rng.normal(shift, 1, 200)]
        value, low, high, verdict = bootstrap.judge_difference(values, True, 8)
        assert low <= value <= high
        assert (verdict == bootstrap.NO_DIFFERENCE) == (low <= 0 <= high)
        plain = bootstrap.percentile_interval(values)
        assert low <= plain[1] and plain[2] <= high


def test_adjusted_interval_reaches_as_far_as_the_normal_one():
    """Of eight comparisons each interval reaches to norm.isf(.025 / 8) = 2.734 standard errors."""
    values = np.r_[1.0, np.random.default_rng(0).normal(1, 1, 20_000)]
    _, low, high, _ = bootstrap.judge_difference(values, True, 8)
    error = values[1:].std(ddof=1)
    assert [low, high] == pytest.approx([1 - 2.734 * error, 1 + 2.734 * error], abs=0.001)


def test_risks_of_different_folds_are_not_ranked_against_each_other():
    # within each fold the model ranks perfectly; pooled, all of the second stand above the first:
    # pairs of a churner and one who stays are right but for churners of the first fold against who
    # stays of the second, 3/4
    y = np.tile([True, False], 20)
    fold = np.repeat([0, 1], 20)
    pooled = as_predictions(y, m=0.3 + 0.1 * y + 0.4 * fold)
    by_fold = pooled.assign(fold=fold)
    areas = [bootstrap.resample_scores(rows, 50, 0)["m"]["auc"] for rows in (pooled, by_fold)]
    assert areas[0][0] == pytest.approx(0.75)
    assert (areas[1] == 1).all()


def test_sums_that_differ_by_rounding_alone_name_no_winner():
    rng = np.random.default_rng(0)
    profits = rng.normal(2_000, 900, 500)
    again = profits * (1 - 1e-13)  # the same customers, added up in another order
    lower = profits - 1
    values = bootstrap.subtract(profits, again)
    assert (values == 0).all()
    assert bootstrap.judge_difference(values, True, 1)[3] == bootstrap.NO_DIFFERENCE
    values = bootstrap.subtract(profits, lower)
    assert values == pytest.approx(1)
    assert bootstrap.judge_difference(values, True, 1)[3] == bootstrap.BETTER
