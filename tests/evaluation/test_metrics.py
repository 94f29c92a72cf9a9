"""Scores: by hand, against scikit-learn, and their intervals."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from research.evaluation import bootstrap, calibration_bins, contact_list, intervals, metrics


def draw(n: int = 400, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, n).clip(0.01, 0.99)
    return rng.random(n) < p, p.round(1).clip(0.05, 0.95) if ties else p


def resample_weights(n: int, seed: int = 0) -> np.ndarray:
    return np.bincount(np.random.default_rng(seed).integers(n, size=n), minlength=n).astype(float)


def as_predictions(y, **models) -> pd.DataFrame:
    return pd.DataFrame({"repeat": 0, "customer_id": np.arange(len(y)), "churned": y, **models})


def test_scores_worked_by_hand():
    scores = {
        name: values[0]
        for name, values in metrics.score_rows(
            [True, False, True, False], [0.8, 0.6, 0.6, 0.1]
        ).items()
    }
    assert scores["auc"] == pytest.approx(
        3.5 / 4
    )  # pairs: .8 beats .6 and .1, .6 ties .6 (half) and beats .1
    assert scores["average_precision"] == pytest.approx(
        1 / 2 * 1 + 1 / 2 * 2 / 3
    )  # one churner at precision 1, one at 2/3
    assert scores["brier"] == pytest.approx((0.04 + 0.36 + 0.16 + 0.01) / 4)
    assert scores["log_loss"] == pytest.approx(
        -(np.log(0.8) + np.log(0.4) + np.log(0.6) + np.log(0.9)) / 4
    )
    assert scores["top_decile_lift"] == pytest.approx(
        2
    )  # 0.4 rows, all of the first customer: churn 1 against 1/2


def test_lift_takes_ties_at_the_border_in_proportion():
    y = np.array([True] + [False] * 19)
    assert metrics.score_rows(y, np.full(20, 0.3))["top_decile_lift"][0] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [True, False])
def test_weighted_scores_equal_scikit_learn(seed, ties):
    y, p = draw(seed=seed, ties=ties)
    weights = resample_weights(len(y), seed)
    found = metrics.score_rows(y, p, weights[None])
    assert found["auc"][0] == pytest.approx(roc_auc_score(y, p, sample_weight=weights))
    assert found["average_precision"][0] == pytest.approx(
        average_precision_score(y, p, sample_weight=weights)
    )
    assert found["log_loss"][0] == pytest.approx(log_loss(y, p, sample_weight=weights))
    assert found["brier"][0] == pytest.approx(brier_score_loss(y, p, sample_weight=weights))


def test_calibration_slope_equals_an_unpenalised_logistic_regression_on_the_logit():
    y, p = draw(2000)
    weights = resample_weights(2000)
    logit = np.log(p / (1 - p))[:, None]
    found = metrics.score_rows(y, p, np.stack([np.ones(2000), weights]))["calibration_slope"]
    for value, weight in zip(found, (np.ones(2000), weights), strict=True):
        assert value == pytest.approx(
            LogisticRegression(C=np.inf, tol=1e-10).fit(logit, y, sample_weight=weight).coef_[0, 0],
            rel=1e-4,
        )


def test_calibration_intercept_makes_the_mean_risk_equal_the_share_of_churners():
    y, p = draw(2000)
    shift = metrics.score_rows(y, p)["calibration_intercept"][0]
    assert (1 / (1 + np.exp(-(shift + np.log(p / (1 - p)))))).mean() == pytest.approx(
        y.mean(), abs=1e-6
    )


def test_calibration_reads_its_ideal_on_true_probabilities_and_its_faults_on_bent_ones():
    y, p = draw(40_000, ties=False)
    logit = np.log(p / (1 - p))
    true, extreme, high = (
        metrics.score_rows(y, 1 / (1 + np.exp(-z))) for z in (logit, 2 * logit, logit + 0.5)
    )
    assert true["calibration_slope"][0] == pytest.approx(1, abs=0.04)
    assert true["calibration_intercept"][0] == pytest.approx(0, abs=0.04)
    assert extreme["calibration_slope"][0] == pytest.approx(0.5, abs=0.03)
    assert high["calibration_intercept"][0] == pytest.approx(-0.5, abs=0.04)


def test_a_constant_score_has_no_slope_and_ranks_by_chance():
    y, _ = draw()
    found = metrics.score_rows(y, np.full(len(y), 0.25))
    assert np.isnan(found["calibration_slope"][0])
    assert found["auc"][0] == 0.5
    assert found["top_decile_lift"][0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (np.array([0, 1, 1]), "not hard labels"),
        (np.array([False, True, True]), "not hard labels"),
        ([0.2, 1.2, 0.1], "between 0 and 1"),
        ([0.2, np.nan, 0.1], "between 0 and 1"),
    ],
)
def test_hard_labels_and_impossible_probabilities_are_refused(p, words):
    with pytest.raises(ValueError, match=words):
        metrics.score_rows([True, False, True], p)


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
    )  # four copies carry no more news than one: twice the spread of 1,200 customers


def test_the_interval_covers_the_true_brier_score_in_about_95_of_100_samples():
    hits = 0
    truth = np.array([0.1, 0.3, 0.6])
    expected = (truth * (1 - truth)).mean()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = rng.choice(truth, 300)
        table = bootstrap.tabulate_scores(
            bootstrap.resample_scores(as_predictions(rng.random(300) < p, m=p), 200, seed),
            {"m": "trees"},
            300,
        )
        row = table.set_index("metric").loc["brier"]
        hits += row.low <= expected <= row.high
    assert 178 <= hits <= 199  # 190 expected, standard deviation 3.1


def test_the_interval_of_a_calibration_error_holds_the_error_itself():
    for seed in range(5):
        y, p = draw(400)
        y = np.random.default_rng(seed).random(400) < p
        table = bootstrap.tabulate_scores(
            bootstrap.resample_scores(as_predictions(y, m=p), 200, seed), {"m": "trees"}, 400
        )
        row = table.set_index("metric").loc["calibration_error"]
        assert 0 <= row.low < row.value < row.high


def test_a_paired_difference_cancels_the_luck_of_the_sample():
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


@pytest.mark.parametrize("seed", range(3))
def test_two_models_of_pure_noise_are_not_told_apart(seed):
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
        == ["no difference shown"] * 2
    )


def test_of_sixteen_differences_of_pure_noise_one_is_hardly_ever_found():
    """Percentiles of 300 draws can't tell what is beyond 1 in 640: they gave a false verdict in 13
    of 100 families instead of 5.
    """
    rng, found = np.random.default_rng(0), 0
    for _ in range(400):
        values = rng.normal(size=(16, 301))
        values[:, 1:] += values[:, :1]
        found += any(bootstrap.judge(row, True, 16) != "no difference shown" for row in values)
    assert 8 <= found <= 34  # 20 expected, standard deviation 4.4


def test_reliability_bins_worked_by_hand():
    predictions = as_predictions(
        np.array([False, False, True, True]), m=np.array([0.1, 0.3, 0.5, 0.9])
    )
    table = calibration_bins.bin_reliability(predictions, ["m"], bins=2)
    assert table.predicted.tolist() == pytest.approx([0.2, 0.7])
    assert table.observed.tolist() == [0, 1]
    assert table.n.tolist() == [2, 2]


def test_the_wilson_interval_equals_the_published_example():
    low, high = intervals.wilson(
        15 / 148, 148
    )  # Newcombe (1998), Statistics in Medicine 17:857-872, table I: 0.0624 to 0.1605
    assert (low, high) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))


def test_the_wilson_interval_holds_the_share_where_nobody_or_everybody_has_it():
    n = np.arange(1, 3000)
    low, high = intervals.wilson(np.zeros(len(n)), n)
    assert (low == 0).all() and (high > 0).all()
    low, high = intervals.wilson(np.ones(len(n)), n)
    assert (high == 1).all() and (low < 1).all()


def test_a_contact_list_counts_the_churners_at_its_top():
    predictions = as_predictions(
        np.array([True, False, True, False]), m=np.array([0.9, 0.8, 0.7, 0.1])
    )
    row = contact_list.count_found(predictions, 2).iloc[0]
    assert (row.listed, row.churners_found, row.found_share, row.random_churners) == (2, 1, 0.5, 1)


def test_a_contact_list_never_holds_more_than_there_are_and_takes_the_last_snapshot():
    predictions = as_predictions(np.array([True, False, True]), m=np.array([0.9, 0.8, 0.7])).assign(
        snapshot=pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01"])
    )
    row = contact_list.count_found(predictions, 10).iloc[0]
    assert (row.listed, row.churners_found) == (2, 1)


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


def test_certain_probabilities_of_a_model_are_scored():
    found = metrics.score_rows([True, False, True], np.array([1.0, 0.0, 1.0]))
    assert found["auc"][0] == 1
    assert found["log_loss"][0] < 1e-12


def test_few_customers_give_the_exact_bootstrap_slopes():
    y, p = draw(80, seed=3, ties=False)
    weights = np.stack([resample_weights(80, seed) for seed in range(20)])
    logit = np.log(p / (1 - p))[:, None]
    exact = [
        LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        .fit(logit, y, sample_weight=row)
        .coef_[0, 0]
        for row in weights
    ]
    np.testing.assert_allclose(
        metrics.score_rows(y, p, weights)["calibration_slope"], exact, rtol=1e-3
    )


def test_who_leaves_within_the_lead_takes_a_place_on_the_list_and_is_not_found():
    predictions = as_predictions(
        np.array([False, True, False]), m=np.array([0.9, 0.8, 0.1])
    ).assign(left_in_lead=[True, False, False])
    assert contact_list.count_found(predictions, 2).churners_found.tolist() == [1]
    assert contact_list.count_found(predictions, 1).churners_found.tolist() == [0]
