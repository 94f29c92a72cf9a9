"""Ridge logistic regression in single precision, against scikit-learn's."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from research.models.ridge_logistic import RidgeLogistic


@pytest.mark.parametrize("rows", [400, 9_000])
def test_the_optimum_is_that_of_scikit_learn(rows):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(rows, 30))
    columns[:, 1] = columns[:, 0] + 0.1 * columns[:, 1]  # nearly the same
    churned = rng.random(rows) < expit(columns[:, 0] - columns[:, 2] - 2)
    ours = RidgeLogistic(spread=1.5).fit(columns, churned)
    theirs = LogisticRegression(C=1.5**2 / 30, tol=1e-10, solver="newton-cholesky")
    theirs.fit(columns, churned)
    assert ours.coef_ == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert ours.intercept_ == pytest.approx(theirs.intercept_[0], abs=2e-3)
    assert ours.predict_proba(columns) == pytest.approx(theirs.predict_proba(columns), abs=2e-3)


def test_the_more_columns_the_less_each_may_say():
    rng = np.random.default_rng(1)
    told = rng.normal(size=(2_000, 1))
    churned = rng.random(2_000) < expit(2 * told[:, 0])
    alone = RidgeLogistic().fit(told, churned)
    among = RidgeLogistic().fit(np.hstack([told, rng.normal(size=(2_000, 99))]), churned)
    assert 0 < among.coef_[0] < alone.coef_[0]


def test_a_column_that_separates_the_classes_keeps_finite_odds():
    columns = np.linspace(-1, 1, 200)[:, None]
    risk = RidgeLogistic().fit(columns, columns[:, 0] > 0).predict_proba(columns)
    assert np.isfinite(risk).all() and risk.sum(axis=1) == pytest.approx(1)
