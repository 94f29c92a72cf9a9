"""All classifiers of a study, fitted and judged on the same rows."""

import numpy as np
import pandas as pd
import pytest
from small_models import few_models

from research.models.registry import Model
from research.panel.learning import Panel
from research.risk import comparison
from research.risk.comparison import ModelComparison

COLUMNS = ["age", "noise"]


def customers(n: int = 400, seed: int = 0, dated: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": rng.random(n) < 1 / (1 + np.exp(1 - age)),
            "age": age,
            "noise": rng.normal(size=n),
        }
    )
    if not dated:
        return frame
    return frame.assign(
        snapshot=pd.Timestamp("2025-01-01"),
        left_in_lead=frame.index < 20,
        churned=frame.churned & (frame.index >= 20),
        event_observed=frame.churned,
        time_to_event_days=np.where(frame.churned, 10.0, 60.0),
    )


@pytest.fixture
def few(monkeypatch) -> list[int]:
    """The models of a study are few and quick; gradient boosting is the one that is stacked."""

    def list_few(study, features, seed, descriptions, tuning_trials) -> dict[str, Model]:
        asked.append(tuning_trials)
        return few_models("age", seed)

    asked: list[int] = []
    monkeypatch.setattr(comparison, "list_classifiers", list_few)
    return asked


def test_a_flat_study_is_cross_validated_and_each_search_has_its_trials(few, write_study):
    rows = customers()
    compared = comparison.compare_models(
        Panel(rows, rows, None, {}), write_study("flat"), {}, COLUMNS, {}, 3, 2, 6, 0
    )
    assert few == [6]
    assert compared.customers == 400
    assert len(compared.judged) == 800
    assert compared.families["rule on age"] == "reference"


def test_customers_who_left_within_the_lead_are_predicted_and_not_judged(few, write_study):
    train, test = customers(dated=True), customers(seed=1, dated=True)
    split = pd.Series({"train": (), "test": ()})
    compared = comparison.compare_models(
        Panel(train, test, split, {}), write_study("contractual"), {}, COLUMNS, {}, 3, 2, 6, 0
    )
    assert few == [6]
    assert (len(compared.everyone), len(compared.judged)) == (400, 380)
    assert not {*compared.recalibrated} & {*compared.everyone}


def test_recalibrated_models_are_compared_with_the_models_that_they_come_from(few, write_study):
    rows = customers(dated=True)
    split = pd.Series({"train": (), "test": ()})
    compared = comparison.compare_models(
        Panel(rows, customers(seed=1, dated=True), split, {}),
        write_study("contractual"),
        {},
        COLUMNS,
        {},
        3,
        1,
        0.0,
        0,
    )
    assert compared.pairs == [("gradient boosting", "gradient boosting, recalibrated")]
    gains = compared.compare_recalibrated(50, 0)
    assert gains.model.unique().tolist() == ["gradient boosting, recalibrated"]
    assert gains.reference.unique().tolist() == ["gradient boosting"]
    assert [*gains.metric] == [*comparison.RECALIBRATION_SCORES]
    ranking = gains.set_index("metric").value["auc"]
    assert ranking == pytest.approx(0, abs=0.02)  # a map keeps the ranking, but for ties


def test_a_buyer_without_contract_is_also_judged_by_purchase_histories(few, monkeypatch):
    # the histories join the rows of their snapshot, and the last training snapshot fits the model
    asked = {}

    def summarise(tables, study, days):
        asked["days"] = days
        table = pd.concat(
            [
                customers()[["customer_id"]].assign(
                    snapshot=pd.Timestamp(day), n_repeat=1, recency_days=1.0, age_days=2.0
                )
                for day in days
            ]
        )
        return type("Table", (), {"to_pandas": lambda self: table})()

    def list_none(study, histories) -> dict[str, Model]:
        asked["histories"] = histories
        return {}

    monkeypatch.setattr(comparison, "summarise_orders", summarise)
    monkeypatch.setattr(comparison, "list_btyd", list_none)
    first, last, test_day = (pd.Timestamp(f"2024-0{month}-01") for month in (1, 2, 3))
    train = pd.concat(
        [customers(seed=0, dated=True).assign(snapshot=day) for day in (first, last)],
        ignore_index=True,
    )
    test = customers(seed=1, dated=True).assign(snapshot=test_day)
    split = type("Split", (), {"train": (first, last), "test": (test_day,)})()
    study = type("Study", (), {"kind": "non_contractual"})()
    compared = comparison.compare_models(
        Panel(train, test, split, {}), study, {}, COLUMNS, {}, 3, 1, 0.0, 0
    )
    assert isinstance(compared, ModelComparison)
    assert asked["days"] == [first, last, test_day]
    assert asked["histories"].snapshot.unique().tolist() == [last]
