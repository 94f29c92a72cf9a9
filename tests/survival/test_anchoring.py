"""Curves brought into agreement with a risk: closed forms, and what stays as it was."""

import numpy as np
import pandas as pd
import pytest

from research.survival.anchoring import Anchor, anchor_models


class Exponential:
    """Survival at a constant rate of each row, none where the rate is 0."""

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def predict_survival(self, columns, days):
        return np.exp(-self.factor * np.outer(columns.rate, days))


COLUMNS = pd.DataFrame({"rate": [0.001, 0.01, 0.0]})
CUSTOMERS = ["a", "b", "c"]
RISK = pd.Series({"c": 0.2, "a": 0.3, "b": 0.05})
DAYS = np.array([0.0, 50, 100, 101, 300])


def test_until_the_day_the_hazard_is_that_of_the_risk_and_afterwards_that_of_the_model():
    (model,) = anchor_models([Exponential()], Anchor(RISK, 100.0), COLUMNS, CUSTOMERS)
    curves = model.predict_survival(COLUMNS, DAYS)
    # a constant hazard stays constant: S(t) = (1 - risk)^(t / 100) until day 100
    stays = 1 - RISK[CUSTOMERS].to_numpy()[:, None]
    assert curves[:, :3] == pytest.approx(stays ** (DAYS[:3] / 100), rel=1e-6)
    later = stays * np.exp(-COLUMNS.rate.to_numpy()[:, None] * (DAYS[3:] - 100))
    assert curves[:, 3:] == pytest.approx(later, rel=1e-6)


def test_refits_differ_by_as_much_as_before_and_who_has_no_risk_keeps_the_curve():
    risk = Anchor(RISK.drop("b"), 100.0)
    both = [Exponential(), Exponential(1.5)]
    first, second = anchor_models(both, risk, COLUMNS, CUSTOMERS)
    hazard, other = (-np.log(each.predict_survival(COLUMNS, [100.0])) for each in (first, second))
    assert other[:2] == pytest.approx(1.5 * hazard[:2], rel=1e-6)
    assert hazard[1] == pytest.approx(0.01 * 100)
    unanchored = anchor_models(both, None, COLUMNS, CUSTOMERS)[1]
    assert (
        unanchored.predict_survival(COLUMNS, DAYS) == both[1].predict_survival(COLUMNS, DAYS)
    ).all()
