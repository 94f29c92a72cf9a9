"""Net benefit by threshold: by hand, and where its value is known."""

import numpy as np
import pandas as pd
import pytest

from research.risk.decision_curve import EVERYBODY, trace_net_benefit


def predict(risk: np.ndarray, churned: np.ndarray, repeat: int = 0) -> pd.DataFrame:
    keys = {"repeat": repeat, "customer_id": np.arange(len(risk)), "churned": churned}
    return pd.DataFrame(keys | {"model": risk})


def at(table: pd.DataFrame, policy: str, threshold: float) -> pd.Series:
    rows = table[table.policy == policy]
    return rows.iloc[(rows.threshold - threshold).abs().argmin()]


def test_net_benefit_by_hand():
    # of ten customers two churn: thresholds go up to 0.6 in steps of 0.02. From 0.2 on the list has
    # one churner and two who stay: (1 - 2 x 0.25) / 10; all: (2 - 8 x 0.25) / 10 = 0
    churned = np.arange(10) < 2
    risk = np.array([0.5, 0.1, 0.3, 0.25, *[0.05] * 6])
    table = trace_net_benefit(predict(risk, churned), ["model"], 20, 0)
    row = at(table, "model", 0.2)
    assert row.threshold == pytest.approx(0.2)
    assert row.net_benefit == pytest.approx(0.05)
    assert at(table, EVERYBODY, 0.2).net_benefit == pytest.approx(0)
    assert row.gain == pytest.approx(0.05)
    # from 0.4 on the list has the churner alone; all would cost (2 - 8 x 2 / 3) / 10, nobody 0
    row = at(table, "model", 0.4)
    assert (row.net_benefit, row.gain) == pytest.approx((0.1, 0.1))
    assert at(table, EVERYBODY, 0.4).net_benefit == pytest.approx((2 - 16 / 3) / 10)


def test_true_risks_have_the_net_benefit_of_theory():
    # risks uniform on 0 to 1: the integral of p - (1 - p) t / (1 - t) over p > t is (1 - t) / 2
    rng = np.random.default_rng(0)
    risk = rng.random(20_000)
    table = trace_net_benefit(predict(risk, rng.random(20_000) < risk), ["model"], 50, 0)
    for threshold in (0.25, 0.5, 0.75):
        row = at(table, "model", threshold)
        assert row.net_benefit == pytest.approx((1 - row.threshold) / 2, abs=0.02)
        assert row.gain_low > 0


def test_a_model_that_says_nothing_gains_nothing_and_repeats_are_averaged():
    rng = np.random.default_rng(1)
    churned = rng.random(500) < 0.3
    one, two = (predict(rng.random(500), churned, repeat) for repeat in (0, 1))
    both = trace_net_benefit(pd.concat([one, two], ignore_index=True), ["model"], 50, 0)
    single = [trace_net_benefit(part, ["model"], 50, 0) for part in (one, two)]
    mean = (single[0].net_benefit + single[1].net_benefit) / 2
    assert both.net_benefit.to_numpy() == pytest.approx(mean.to_numpy())
    assert (both[both.policy == "model"].gain_low <= 0).all()


def test_the_band_of_the_gain_holds_at_all_thresholds_together():
    # a model that says little: the best of thirty thresholds looks good by itself
    rng = np.random.default_rng(7)
    churned = rng.random(400) < 0.25
    risk = np.clip(0.25 + 0.04 * (churned - 0.25) + rng.normal(0, 0.1, 400), 0.01, 0.99)
    table = trace_net_benefit(predict(risk, churned), ["model"], 200, 0)
    rows = table[table.policy == "model"]
    assert (rows.band_low <= rows.gain_low).all() and (rows.band_high >= rows.gain_high).all()
    assert (rows.gain_low > 0).any() and not (rows.band_low > 0).any()
