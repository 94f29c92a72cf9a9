"""Survival models as classifiers of churn by the horizon."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from research.models.preprocessing import prepare_scaled
from research.models.survival import WeibullAFT
from research.models.survival_at_horizon import AtHorizon, frame_outcome


def lives(n: int = 3000, seed: int = 0, effect: float = 0.8) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers whose hazard, 1 in 100 days, is multiplied by exp(effect * x); censored after 40 to
    120 days.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    days, seen = np.ceil(rng.exponential(100 / np.exp(effect * x))), rng.integers(40, 121, n)
    return pd.DataFrame({"x": x, "noise": rng.normal(size=n)}), frame_outcome(
        days <= seen, np.minimum(days, seen)
    )


def test_where_the_event_is_a_purchase_churn_is_its_absence():
    columns, outcome = lives()
    leaving, staying = (
        AtHorizon(WeibullAFT(prepare_scaled()), 30, leaves)
        .fit(columns, None, outcome)
        .predict_proba(columns)
        for leaves in (True, False)
    )
    np.testing.assert_allclose(leaving, staying[:, ::-1])


class Curve(BaseEstimator):
    """A survival of exp(-0.01 days) for everybody, slightly above 1 at day 0."""

    def fit(self, columns, outcome):
        self.fitted_ = True
        return self

    def predict_survival(self, columns, days):
        return np.tile(1.0001 * np.exp(-0.01 * np.asarray(days, float)), (len(columns), 1))


def test_churn_is_the_event_by_the_horizon_and_a_probability():
    columns = pd.DataFrame({"x": [0.0, 1.0]})
    outcome = frame_outcome([True, False], [1, 2])
    later, now = (
        AtHorizon(Curve(), horizon).fit(columns, None, outcome).predict_proba(columns)
        for horizon in (30, 0)
    )
    assert later[:, 1] == pytest.approx(1 - 1.0001 * np.exp(-0.3))
    assert now.tolist() == [[1, 0], [1, 0]]


def test_an_outcome_has_events_and_days():
    outcome = frame_outcome([True, False], [3, 4.5])
    assert outcome["event"].tolist() == [True, False]
    assert outcome["days"].tolist() == [3, 4.5]
