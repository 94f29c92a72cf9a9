"""What is kept of a classifier predicts what the classifier does."""

import numpy as np
import pytest
from small_companies import customers

from research.models.registry import (
    list_baselines,
    list_logistic,
    list_stacked,
    list_trees,
)
from research.watchlist import fitted as fitted_model
from research.watchlist.fitted import Fitted, fit_kept

FEATURES = ["signal", "noise", "plan"]


@pytest.fixture(scope="module")
def rows():
    return customers(900)


@pytest.fixture(scope="module")
def models():
    single = list_baselines({"signal": "signal"}, 0) | list_logistic(0) | list_trees(0, {})
    members = [name for name, model in single.items() if model.stacked]
    return single | list_stacked(members)


def test_a_rule_looks_at_its_one_column_and_is_not_mapped(rows, models):
    fitted = fit_kept(models["rule on signal"], models, rows, FEATURES, 0)
    assert fitted.features == ["signal"]
    assert fitted.map_name == "none"
    risk = fitted.predict(rows[["signal"]])
    # the shares of its ranges: on average the share of churners
    assert risk.mean() == pytest.approx(rows.churned.mean())


def test_a_classifier_is_calibrated_on_out_of_fold_risks_of_the_training_rows(rows, models):
    fitted = fit_kept(models["gradient boosting"], models, rows, FEATURES, 0)
    raw = fitted.estimators["gradient boosting"].predict_proba(rows[FEATURES])[:, 1]
    assert fitted.map_name != "none"  # boosting on its own training rows is far too sure
    assert np.allclose(fitted.predict(rows), fitted.map.predict(raw))


@pytest.mark.parametrize("name", ["stacked average", "single tree"])
def test_where_only_some_rows_have_an_out_of_fold_risk_it_learns_from_these(
    rows, models, name, monkeypatch
):
    def predict(model, train, features, seed):
        return np.where(np.arange(len(train)) < 600, 0.1 + 0.2 * train.churned, np.nan)

    monkeypatch.setattr(fitted_model, "predict_training_rows", predict)
    fitted = fit_kept(models[name], models, rows, FEATURES, 0)
    assert np.isfinite(fitted.predict(rows)).all()


@pytest.mark.parametrize("name", ["stacked average", "single tree", "base rate"])
def test_what_is_packed_predicts_the_same_to_the_bit(rows, models, name):
    fitted = fit_kept(models[name], models, rows, FEATURES, 0)
    again = Fitted.unpack(fitted.pack())
    assert np.array_equal(again.predict(rows), fitted.predict(rows))
    assert (fitted.average is None) == (name != "stacked average")
