"""Recalibration: maps learned on the past only."""

import numpy as np
import pandas as pd
import pytest
from models_fixture import Distorted, customers, mean_log_loss
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from research.models.calibration import MAPS, Calibrated, compare_maps
from research.models.out_of_fold import predict_out_of_fold


def test_a_distorted_model_is_recalibrated():
    columns, churned, groups = customers()
    fresh, outcome, _ = customers(seed=1)
    plain = Distorted().fit(columns, churned).predict_proba(fresh)[:, 1]
    out_of_fold = predict_out_of_fold(Distorted(), columns, churned, groups, 0)
    recalibrated = (
        Calibrated()
        .fit(pd.DataFrame({"distorted": out_of_fold}), churned, groups)
        .predict_proba(pd.DataFrame({"distorted": plain}))[:, 1]
    )
    straight = LogisticRegression().fit(columns, churned).predict_proba(fresh)[:, 1]
    before, after, ideal = (mean_log_loss(outcome, p) for p in (plain, recalibrated, straight))
    assert after < before - 0.02
    assert after == pytest.approx(ideal, abs=0.003)


def test_a_model_that_needs_no_map_keeps_its_probabilities_nearly():
    columns, churned, groups = customers()
    out_of_fold = predict_out_of_fold(LogisticRegression(), columns, churned, groups, 0)
    plain = LogisticRegression().fit(columns, churned).predict_proba(columns)[:, 1]
    mapped = (
        Calibrated()
        .fit(pd.DataFrame({"model": out_of_fold}), churned, groups)
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
def test_scores_that_rank_backwards_are_flattened_and_not_reversed(name):
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    p = MAPS[name].fit(scores, rng.random(500) < 1 - scores).predict(np.array([0.1, 0.9]))
    assert p[1] >= p[0]


def test_maps_are_compared_out_of_fold():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.random(400), 5)
    # the scores predict nothing; copies of a customer in two folds would
    losses = compare_maps(
        scores, np.repeat(rng.random(400) < 0.5, 5), np.repeat(np.arange(400), 5), 0
    )
    assert losses["isotonic"] > losses["sigmoid"]


@pytest.mark.filterwarnings("error")
def test_terms_that_are_nearly_equal_are_fitted_without_a_warning():
    # around a half log p and log(1 - p) go together
    scores = 0.5 + 1e-9 * np.random.default_rng(0).normal(size=2_000)
    churned = np.random.default_rng(1).random(2_000) < 0.1
    fitted = clone(MAPS["beta"]).fit(scores, churned)
    assert fitted.predict(scores) == pytest.approx(churned.mean(), abs=0.01)
