"""What halves of the customers show of the error of a survival model."""

import numpy as np
import pandas as pd
import pytest

from research.models.survival_at_horizon import frame_outcome
from research.survival.half_fits import HalfFits, fit_halves
from research.survival.remaining_lifetime import Refits, predict_lifetimes

UNTIL = 100.0


class Rate:
    """The events per day of the rows that it saw, times a factor, the same for everybody."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, columns, outcome):
        self.rate = self.factor * outcome["event"].sum() / outcome["days"].sum()
        self.seen = {*columns.customer}
        return self

    def predict_survival(self, columns, days):
        return np.tile(np.exp(-self.rate * np.asarray(days)), (len(columns), 1))

    def __sklearn_clone__(self):
        return Rate(self.factor)


def draw(n: int = 20_000):
    life = np.random.default_rng(0).exponential(200, n)
    return pd.DataFrame({"customer": np.arange(n) // 2}), frame_outcome(
        life <= 150, np.minimum(life, 150)
    )


def mean_until(rate: float) -> float:
    return (1 - np.exp(-rate * UNTIL)) / rate


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_what_a_model_misses_is_the_true_mean_less_its_own(factor):
    columns, outcome = draw()
    halves = fit_halves(Rate(factor), columns, outcome, columns.customer, UNTIL, 0)
    # of exponential lives with a mean of 200 days; log(-log S) differs by the log of the factor
    missed = mean_until(1 / 200) - mean_until(factor / 200)
    assert halves.missed_days == pytest.approx(np.full(5, missed), abs=1.0)
    assert halves.missed_log == pytest.approx(np.full(5, -np.log(factor)), abs=0.05)
    one, other = (model.seen for model in halves.models)
    assert not one & other
    assert len(one) == len(other) == 5000


def test_the_interval_of_a_biased_model_reaches_the_truth():
    columns, outcome = draw()
    halves = fit_halves(Rate(2.0), columns, outcome, columns.customer, UNTIL, 0)
    whole = Rate(2.0).fit(columns, outcome)
    fitted = Refits(whole, (whole, whole))
    bare, held = (
        predict_lifetimes(fitted, columns[:1], UNTIL, halves=each).iloc[0]
        for each in (None, halves)
    )
    truth = mean_until(1 / 200)
    assert not bare.low_mean_days <= truth <= bare.high_mean_days
    assert held.low_mean_days <= truth <= held.high_mean_days
    assert held.restricted_mean_days == bare.restricted_mean_days


def test_halves_that_differ_by_more_than_resamples_widen_the_interval_by_hand():
    def model_of(rate: float) -> Rate:
        model = Rate()
        model.rate = rate
        return model

    columns = pd.DataFrame({"customer": [0]})
    refits = Refits(model_of(0.01), (model_of(0.0099), model_of(0.0101)))
    halves = HalfFits((model_of(0.009), model_of(0.011)), np.zeros(4), np.zeros(5), np.zeros(5))
    row = predict_lifetimes(refits, columns, UNTIL, halves=halves).iloc[0]
    error = (mean_until(0.009) - mean_until(0.011)) / np.sqrt(2)
    assert row.high_mean_days - row.restricted_mean_days == pytest.approx(1.96 * error, rel=0.01)
