"""What reasons are measured against is made in training, and kept with the model."""

import numpy as np
import pandas as pd
import pytest
from small_companies import customers

from research.models.registry import list_baselines, list_logistic, list_trees
from research.models.stacking import StackedAverage
from research.watchlist import model_store, reason_base
from research.watchlist.fitted import Fitted, fit_kept
from research.watchlist.model_store import STAYERS, KeptModel
from research.watchlist.reason_base import ReasonBase, explain_listed, make_base

FEATURES = ["signal", "noise", "plan"]
ROWS = customers(900)
DICTIONARY = pd.DataFrame(
    {
        "feature": FEATURES,
        "description": ["visits", "shoe size", "plan"],
        "source": ["usage", "customers", "contracts"],
    }
)


def fit(name: str, monkeypatch) -> tuple[Fitted, ReasonBase]:
    monkeypatch.setattr(reason_base, "REFITS", 4)
    models = list_baselines({"signal": "signal"}, 0) | list_logistic(0) | list_trees(0, {})
    fitted = fit_kept(models[name], models, ROWS, FEATURES, 0)
    return fitted, make_base(models[name], models, ROWS, fitted, DICTIONARY, 0)


@pytest.mark.parametrize("name", ["logistic regression", "gradient boosting"])
def test_the_feature_that_makes_customers_leave_is_a_stable_reason_of_the_riskiest(
    name, monkeypatch
):
    fitted, base = fit(name, monkeypatch)
    risky = ROWS[fitted.predict(ROWS) >= np.quantile(fitted.predict(ROWS), 0.9)]
    reasons = explain_listed(fitted, base, risky.reset_index(drop=True), DICTIONARY, 0)
    first = reasons[reasons.order == 1]
    assert (first.feature == "signal").mean() > 0.9 and (first.theme == "usage").mean() > 0.9
    assert first.stable.mean() > 0.9
    assert (~ROWS.churned).sum() >= len(base.stayers)


def test_noise_is_a_less_stable_reason_than_the_signal(monkeypatch):
    fitted, base = fit("gradient boosting", monkeypatch)
    reasons = explain_listed(fitted, base, ROWS, DICTIONARY, 0)
    stable = reasons.groupby("feature").stable.mean()
    assert stable["noise"] < stable["signal"]


def test_a_stacked_average_is_explained_as_a_whole(monkeypatch):
    fitted, base = fit("logistic regression", monkeypatch)
    average = StackedAverage()
    average.intercept_, average.classes_ = 0.0, np.array([False, True])
    average.weights_ = pd.Series(1.0, index=["logistic regression", "other"])
    twice = {**fitted.estimators, "other": fitted.estimators["logistic regression"]}
    columns = dict.fromkeys(twice, FEATURES)
    whole = Fitted(twice, columns, average)
    reasons = explain_listed(whole, ReasonBase(base.stayers, (), base.groups), ROWS, DICTIONARY, 0)
    assert (reasons[reasons.order == 1].feature == "signal").mean() > 0.5


def test_it_is_kept_with_the_model_and_not_loaded_once_changed(write_study, monkeypatch):
    study = write_study("contractual")
    fitted, base = fit("single tree", monkeypatch)
    card = {"id": "2024-06-30-abc", "day": "2024-06-30", "made_at": "2024-06-30T12:00:00+00:00"}
    card |= {"definition": {}, "versions": model_store.find_versions(), "features": []}
    folder = model_store.save_model(study, KeptModel(card, fitted, base))
    again = model_store.load_model(folder).base
    assert len(again.refits) == 4 and again.groups == base.groups
    expected, found = (explain_listed(fitted, one, ROWS, DICTIONARY, 0) for one in (base, again))
    pd.testing.assert_frame_equal(expected, found)
    base.stayers.head(3).to_parquet(folder / STAYERS)
    with pytest.raises(model_store.StudyError, match="expected the SHA-256 of its card"):
        model_store.load_model(folder)


def test_a_model_that_was_kept_without_has_no_reasons():
    assert explain_listed(Fitted({}, {}), None, ROWS, DICTIONARY, 0).empty
