"""Recalibration and stacking: maps and weights learned on the past only."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from research.models.calibration import MAPS, Calibrated, compare_maps
from research.models.out_of_fold import predict_out_of_fold
from research.models.stacking import StackedAverage, fit_weights


class Bent(LogisticRegression):
    """A model whose log-odds are a third of what they should be."""

    def predict_proba(self, columns):
        p = expit(logit(super().predict_proba(columns)[:, 1]) / 3)
        return np.column_stack([1 - p, p])


def customers(n: int = 3000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    return columns, rng.random(n) < expit(1.5 * columns.a - 1), np.arange(n)


def loss(churned, p):
    return -np.where(churned, np.log(p), np.log1p(-p)).mean()


def test_a_bent_model_is_straightened_and_ranks_as_before():
    columns, churned, groups = customers()
    fresh, outcome, _ = customers(seed=1)
    plain = Bent().fit(columns, churned).predict_proba(fresh)[:, 1]
    seen = predict_out_of_fold(Bent(), columns, churned, groups, 0)
    mended = (
        Calibrated()
        .fit(pd.DataFrame({"bent": seen}), churned, groups)
        .predict_proba(pd.DataFrame({"bent": plain}))[:, 1]
    )
    straight = LogisticRegression().fit(columns, churned).predict_proba(fresh)[:, 1]
    assert loss(outcome, mended) < loss(outcome, plain) - 0.02
    assert loss(outcome, mended) == pytest.approx(loss(outcome, straight), abs=0.003)


def test_a_model_that_needs_no_map_keeps_its_probabilities_nearly():
    columns, churned, groups = customers()
    seen = predict_out_of_fold(LogisticRegression(), columns, churned, groups, 0)
    plain = LogisticRegression().fit(columns, churned).predict_proba(columns)[:, 1]
    mapped = (
        Calibrated()
        .fit(pd.DataFrame({"model": seen}), churned, groups)
        .predict_proba(pd.DataFrame({"model": plain}))[:, 1]
    )
    assert np.abs(plain - mapped).max() < 0.05


@pytest.mark.parametrize("name", [*MAPS])
def test_no_map_changes_the_order_or_reaches_0_or_1(name):
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    p = (
        MAPS[name]
        .fit(scores, rng.random(500) < scores)
        .predict(np.array([0.0, 1e-9, 0.2, 0.5, 0.9, 1.0]))
    )
    assert (np.diff(p) >= 0).all()
    if name != "none":
        assert p.min() > 0 and p.max() < 1


@pytest.mark.parametrize("name", [*MAPS])
def test_scores_that_rank_backwards_are_flattened_and_not_turned_around(name):
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    p = MAPS[name].fit(scores, rng.random(500) < 1 - scores).predict(np.array([0.1, 0.9]))
    assert p[1] >= p[0]


def test_maps_are_judged_on_customers_they_did_not_learn_from():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.random(400), 5)
    losses = compare_maps(
        scores, np.repeat(rng.random(400) < 0.5, 5), np.repeat(np.arange(400), 5), 0
    )  # scores say nothing, copies would
    assert losses["isotonic"] > losses["sigmoid"]


def test_rows_of_a_customer_are_scored_by_a_model_that_saw_none_of_them():
    columns = pd.DataFrame({"who": np.repeat(np.arange(60.0), 4)})
    seen = []

    class Spy(LogisticRegression):
        def fit(self, columns, churned):
            self.known_ = {*columns.who}
            return super().fit(columns, churned)

        def predict_proba(self, columns):
            seen.append(bool(self.known_ & {*columns.who}))
            return super().predict_proba(columns)

    predict_out_of_fold(
        Spy(), columns, np.tile([True, False, False, False], 60), columns.who.to_numpy(), 0
    )
    assert seen == [False] * 3


def test_positive_weights_of_an_average_are_those_of_an_unpenalised_logistic_regression():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 20_000))
    churned = rng.random(20_000) < expit(0.3 + 1.4 * one + 0.6 * other)
    intercept, weights = fit_weights(
        expit(np.column_stack([one, other, rng.normal(size=20_000)])), churned
    )
    assert (intercept, *weights) == pytest.approx((0.3, 1.4, 0.6, 0), abs=0.06)
    expected = LogisticRegression(C=np.inf).fit(np.column_stack([one, other]), churned)
    assert fit_weights(expit(np.column_stack([one, other])), churned)[1] == pytest.approx(
        expected.coef_[0], abs=1e-3
    )


def test_where_no_model_knows_anything_the_average_is_the_base_rate():
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(rng.uniform(0.05, 0.95, (5000, 2)), columns=["a", "b"])
    churned = rng.random(5000) < 0.2
    churned[scores.a > scores.a.median()] &= (
        rng.random((scores.a > scores.a.median()).sum()) < 0.9
    )  # if anything, backwards
    average = StackedAverage().fit(scores[["a"]], churned).predict_proba(scores)[:, 1]
    np.testing.assert_allclose(average, churned.mean(), atol=1e-3)


def test_a_stacked_average_is_no_worse_than_its_best_member():
    columns, churned, groups = customers()
    fresh, outcome, _ = customers(seed=1)
    members = {"bent": Bent(), "straight": LogisticRegression()}
    unseen = pd.DataFrame(
        {
            name: predict_out_of_fold(model, columns, churned, groups, 0)
            for name, model in members.items()
        }
    )
    said = pd.DataFrame(
        {
            name: model.fit(columns, churned).predict_proba(fresh)[:, 1]
            for name, model in members.items()
        }
    )
    stacked = (
        StackedAverage().fit(unseen, churned).predict_proba(said[["straight", "bent"]])[:, 1]
    )  # by name, not by place
    assert loss(outcome, stacked) <= loss(outcome, said.straight) + 0.002
