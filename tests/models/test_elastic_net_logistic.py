"""Logistic regression with an elastic net: the optimum is that of scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from research.models.elastic_net_logistic import ElasticNetLogistic


def draw(rows=1_500, columns=40, seed=0):
    """Return correlated columns of unequal means, of which five matter, and who churned."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, 1))
    numbers = (common + rng.normal(size=(rows, columns))) / np.sqrt(2) + rng.normal(size=columns)
    odds = (numbers[:, :5] - numbers[:, :5].mean(axis=0)) @ [1.0, -1.0, 0.5, 0.5, -0.5] - 2
    return numbers.astype("float32"), rng.random(rows) < 1 / (1 + np.exp(-odds))


def lose(columns, churned, slopes, intercept, C, l1_ratio):
    """Return scikit-learn's objective, times the strength of the penalty."""
    odds = columns.astype(float) @ slopes + intercept
    penalty = l1_ratio * np.abs(slopes).sum() + (1 - l1_ratio) / 2 * slopes @ slopes
    return np.logaddexp(0, odds).sum() - odds[churned].sum() + penalty / C


@pytest.mark.parametrize(("C", "l1_ratio"), [(0.05, 0.5), (0.5, 0.9), (0.02, 0.1)])
def test_the_loss_is_not_above_that_of_scikit_learn(C, l1_ratio):
    columns, churned = draw()
    options = {"solver": "saga", "max_iter": 3_000, "tol": 1e-6, "random_state": 0}
    known = LogisticRegression(C=C, l1_ratio=l1_ratio, **options).fit(columns, churned)
    ours = ElasticNetLogistic(C, l1_ratio).fit(columns, churned)
    losses = [
        lose(columns, churned, np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0]), *how)
        for fitted in (ours, known)
        for how in [(C, l1_ratio)]
    ]
    assert losses[0] < losses[1] + 0.01
    np.testing.assert_allclose(ours.coef_, known.coef_[0], atol=0.01)


def test_no_coefficient_can_be_changed_for_the_better():
    C, l1_ratio = 0.05, 0.5
    columns, churned = draw(rows=20_000)  # more than the curvature is computed from
    fitted = ElasticNetLogistic(C, l1_ratio).fit(columns, churned)
    pull = fitted.predict_proba(columns)[:, 1] - churned
    slope = columns.T.astype(float) @ pull + (1 - l1_ratio) / C * fitted.coef_
    kept = fitted.coef_ != 0
    assert np.abs(slope[kept] + l1_ratio / C * np.sign(fitted.coef_[kept])).max() < 2
    assert (np.abs(slope[~kept]) < l1_ratio / C + 2).all()
    assert abs(pull.sum()) < 2


def test_columns_that_say_nothing_are_left_out():
    columns, churned = draw(columns=200)
    fitted = ElasticNetLogistic(C=0.02, l1_ratio=1.0).fit(columns, churned)
    assert set(np.flatnonzero(fitted.coef_)) >= {0, 1}
    assert (fitted.coef_[5:] == 0).mean() > 0.8


def test_columns_that_are_the_same_twice_and_classes_that_part_end_well():
    columns, churned = draw(rows=400)
    twice = np.hstack([columns, columns, np.zeros((400, 1), "float32"), churned[:, None] * 1.0])
    fitted = ElasticNetLogistic().fit(twice, churned)
    assert np.isfinite(fitted.coef_).all()
    assert fitted.predict(twice)[churned].mean() > 0.9


def test_two_fits_are_equal_to_the_bit():
    columns, churned = draw()
    one, other = (ElasticNetLogistic().fit(columns, churned) for _ in range(2))
    assert np.array_equal(one.coef_, other.coef_)
    assert one.intercept_ == other.intercept_
