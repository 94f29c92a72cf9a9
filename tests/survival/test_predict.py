"""The Kaplan-Meier baseline, the list of models, and predictions of rows that no model has seen."""

import numpy as np
import pandas as pd
import pytest
from exponential_lives import DAYS, TrueRate, draw_customers, name_model

from research.evaluation.survival_metrics import score_models
from research.models.survival_at_horizon import frame_outcome
from research.survival.evaluate import score_predictions
from research.survival.follow_up import SurvivalPanel
from research.survival.predict import (
    KAPLAN_MEIER,
    KaplanMeier,
    find_folds,
    list_models,
    predict_curves,
    predict_curves_out_of_fold,
    predict_test,
)


class Memory(TrueRate):
    """Says one half for everybody, and refuses rows that it was fitted on."""

    def fit(self, columns, outcome):
        self.seen = {*columns.index}
        return self

    def predict_survival(self, columns, days):
        assert not self.seen & {*columns.index}
        return np.full((len(columns), len(days)), 0.5)

    def __sklearn_clone__(self):
        return Memory()


def test_kaplan_meier_is_that_worked_by_hand_and_the_same_for_everybody():
    # day 1: 1 of 4 leaves: 3/4; day 2: one is censored; day 3: 1 of 2: 3/8
    model = KaplanMeier().fit(
        pd.DataFrame(index=range(4)), frame_outcome([True, False, True, False], [1, 2, 3, 4])
    )
    assert (
        model.predict_survival(pd.DataFrame(index=range(2)), [0, 1, 2.5, 3, 9]).tolist()
        == [[1, 0.75, 0.75, 0.375, 0.375]] * 2
    )


def test_the_baseline_is_listed_first_and_is_the_only_one():
    models = list_models(DAYS, 0)
    assert next(iter(models)) == KAPLAN_MEIER
    assert [name for name, model in models.items() if model.is_baseline] == [KAPLAN_MEIER]


def test_many_rows_are_predicted_in_parts_as_at_once():
    columns = pd.DataFrame({"rate": np.random.default_rng(0).uniform(0.001, 0.1, 120_001)})
    assert np.array_equal(
        predict_curves(TrueRate(), columns, DAYS), TrueRate().predict_survival(columns, DAYS)
    )


def test_a_row_is_predicted_by_a_model_that_never_saw_it():
    columns, outcome = draw_customers(n=50)
    curves = predict_curves_out_of_fold(
        columns, outcome, {"memory": name_model(Memory())}, DAYS, 5, 0
    )
    assert (curves["memory"] == 0.5).all()


def test_dated_rows_are_predicted_by_models_of_the_training_rows_and_flat_ones_out_of_fold():
    columns, outcome = draw_customers(n=60)
    later, models = columns.set_axis(range(100, 160)), {"memory": name_model(Memory())}
    dated = SurvivalPanel(columns, later, outcome, outcome, DAYS, first_judged_day=1)
    flat = SurvivalPanel(columns, columns, outcome, outcome, DAYS, first_judged_day=None)
    for panel in (dated, flat):
        curves = predict_test(panel, ["rate", "noise"], models, 5, 0)
        assert curves["memory"].shape == (60, 5)


def harrell_of(outcome: np.ndarray, curve: np.ndarray) -> float:
    who, families = range(len(outcome)), {"truth": "survival"}
    scores = score_models(outcome, outcome, {"truth": curve}, families, "truth", DAYS, who, 2, 0)
    return scores.set_index("metric").value["harrell_c"]


def test_one_curve_for_everybody_ranks_nobody_in_a_cross_validation():
    columns, outcome = draw_customers(n=600)
    panel = SurvivalPanel(
        columns.assign(customer_id=range(600)),
        columns.assign(customer_id=range(600)),
        outcome,
        outcome,
        DAYS,
        first_judged_day=None,
    )
    models = {KAPLAN_MEIER: name_model(KaplanMeier()), "truth": name_model(TrueRate())}
    curves = predict_test(panel, ["rate", "noise"], models, 5, 0)
    judged_in = find_folds(panel, ["rate", "noise"], 5, 0)
    assert np.bincount(judged_in).tolist() == [120] * 5
    scores = score_predictions(panel, curves, models, 20, 0, judged_in)
    ranked = scores[scores.metric.isin(["uno_c", "harrell_c", "dynamic_auc"])]
    assert (ranked[ranked.model == KAPLAN_MEIER].value == 0.5).all()
    assert (ranked[ranked.model == "truth"].value > 0.6).all()
    # each fold by itself, weighted by who left
    parts = [np.flatnonzero(judged_in == fold) for fold in range(5)]
    alone = [harrell_of(outcome[part], curves["truth"][part]) for part in parts]
    together = scores[(scores.model == "truth") & (scores.metric == "harrell_c")].value.item()
    left = [outcome["event"][part].sum() for part in parts]
    assert together == pytest.approx(np.average(alone, weights=left))
