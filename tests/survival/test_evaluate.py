"""Predicted curves judged: the truth beats the baseline and lies on the diagonal."""

import numpy as np
import pytest
from exponential_lives import DAYS, TrueRate, draw_customers, score_by_name

from research.models.survival_at_horizon import frame_outcome
from research.survival.evaluate import bin_calibration, check_independent_censoring, find_best_model
from research.survival.predict import KAPLAN_MEIER, KaplanMeier


def test_the_truth_beats_kaplan_meier_and_kaplan_meier_beats_what_is_off():
    scores = score_by_name({KAPLAN_MEIER: KaplanMeier(), "truth": TrueRate(), "off": TrueRate(4.0)})
    whole = scores[scores.metric == "integrated_brier"].set_index("model")
    assert whole.verdict.to_dict() == {KAPLAN_MEIER: "", "truth": "better", "off": "worse"}
    assert whole.difference["truth"] == pytest.approx(
        whole.value["truth"] - whole.value[KAPLAN_MEIER]
    )
    assert (
        whole.difference_low["truth"]
        < whole.difference["truth"]
        < whole.difference_high["truth"]
        < 0
    )
    assert find_best_model(scores) == "truth"


def test_calibration_bins_of_the_truth_lie_on_the_diagonal():
    columns, outcome = draw_customers(1, 4000)
    curves = {"truth": TrueRate().predict_survival(columns, DAYS)}
    bins = bin_calibration(outcome, curves, DAYS)
    assert bins.groupby("days").n.sum().eq(4000).all()
    assert bins.predicted.to_numpy() == pytest.approx(bins.observed.to_numpy(), abs=0.03)
    assert ((bins.low <= bins.observed) & (bins.observed <= bins.high)).all()


def test_censoring_that_depends_on_the_risk_is_found():
    columns, outcome = draw_customers()
    curve = TrueRate().predict_survival(columns, DAYS)
    p_value = check_independent_censoring(outcome, curve)
    assert p_value > 0.001 or np.isnan(p_value)  # all are censored on day 60
    lost = np.where(columns.rate > 0.01, 15, 60)
    dependent = frame_outcome(
        outcome["event"] & (outcome["days"] <= lost), np.minimum(outcome["days"], lost)
    )
    assert check_independent_censoring(dependent, curve) < 1e-6
