"""Scores: by hand, and compared with scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from research.evaluation import metrics


def draw(n: int = 400, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, n).clip(0.01, 0.99)
    return rng.random(n) < p, p.round(1).clip(0.05, 0.95) if ties else p


def resample_weights(n: int, seed: int = 0) -> np.ndarray:
    return np.bincount(np.random.default_rng(seed).integers(n, size=n), minlength=n).astype(float)


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


RANKINGS = {"auc": roc_auc_score, "average_precision": average_precision_score}


def draw_folds(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes, risks and folds; the model of each fold has another level."""
    rng = np.random.default_rng(seed)
    x, folds = rng.normal(size=n), rng.integers(3, size=n)
    y = rng.random(n) < 1 / (1 + np.exp(1 - x))
    return y, 1 / (1 + np.exp(1 - x - 2 * (folds - 1))), folds


@pytest.mark.parametrize("score", RANKINGS)
def test_rankings_are_scored_within_folds_and_averaged_by_their_churners(score):
    y, p, folds = draw_folds()
    weights = resample_weights(len(y))
    own = [folds == fold for fold in range(3)]
    by_fold = [RANKINGS[score](y[part], p[part], sample_weight=weights[part]) for part in own]
    churners = [(y * weights)[part].sum() for part in own]
    found = metrics.score_rows(y, p, weights[None], folds)[score][0]
    assert found == pytest.approx(np.average(by_fold, weights=churners))
    # pooled, the levels of the folds' models rank customers: by chance, as folds are drawn
    assert metrics.score_rows(y, p, weights[None])[score][0] < found - 0.05


@pytest.mark.parametrize(
    "score", [name for name, metric in metrics.METRICS.items() if metric.judges == "ranking"]
)
def test_the_level_of_a_folds_model_changes_no_score_of_rankings(score):
    y, p, folds = draw_folds()
    raised = (p + folds) / 3  # in each fold the same order
    first, second = (metrics.score_rows(y, each, folds=folds)[score][0] for each in (p, raised))
    assert first == pytest.approx(second)
    assert metrics.score_rows(y, raised)[score][0] != pytest.approx(first, abs=0.01)


def test_lift_within_folds_by_hand():
    # ten customers in each fold, so that the list has one of each: in the first fold a churner of
    # two, in the second one who stays, though the risk there is higher throughout. Of 3 churners 1
    # is on a list of a tenth: 1 / 0.3
    y = np.zeros(20, bool)
    y[[0, 1, 15]] = True
    p = np.r_[np.linspace(0.2, 0.1, 10), np.linspace(0.9, 0.8, 10)]
    folds = np.repeat([0, 1], 10)
    lift = metrics.score_rows(y, p, folds=folds)["top_decile_lift"][0]
    assert lift == pytest.approx(1 / 0.3)
    assert metrics.score_rows(y, p)["top_decile_lift"][0] == 0  # both of the pooled list stay


def test_a_fold_of_one_class_is_left_out_of_the_ranking():
    y, p, folds = draw_folds()
    inside = folds < 2
    expected = metrics.score_rows(y[inside], p[inside], folds=folds[inside])["auc"][0]
    assert metrics.score_rows(y & inside, p, folds=folds)["auc"][0] == pytest.approx(expected)


@pytest.mark.parametrize("score", ["log_loss", "brier", "calibration_slope", "calibration_error"])
def test_scores_of_probabilities_take_all_folds_together(score):
    y, p, folds = draw_folds()
    pooled, found = (metrics.score_rows(y, p, folds=each)[score][0] for each in (None, folds))
    assert pooled == found


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


def test_calibration_is_ideal_on_true_probabilities_and_shows_the_faults_of_distorted_ones():
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
