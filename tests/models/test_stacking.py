"""Stacking: weights of models learned from out-of-fold scores."""

import numpy as np
import pandas as pd
import pytest
from models_fixture import Distorted, customers, mean_log_loss
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from research.models.out_of_fold import predict_out_of_fold
from research.models.stacking import StackedAverage, fit_weights


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


def test_where_no_model_predicts_anything_the_average_is_the_base_rate():
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
    members = {"distorted": Distorted(), "straight": LogisticRegression()}
    out_of_fold = pd.DataFrame(
        {
            name: predict_out_of_fold(model, columns, churned, groups, 0)
            for name, model in members.items()
        }
    )
    predicted = pd.DataFrame(
        {
            name: model.fit(columns, churned).predict_proba(fresh)[:, 1]
            for name, model in members.items()
        }
    )
    average = StackedAverage().fit(out_of_fold, churned)
    # by name, not by place
    stacked = average.predict_proba(predicted[["straight", "distorted"]])[:, 1]
    assert mean_log_loss(outcome, stacked) <= mean_log_loss(outcome, predicted.straight) + 0.002
