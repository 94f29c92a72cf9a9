"""The leading models are explained on rows that none of them has seen."""

import numpy as np
import pandas as pd
from small_models import few_models

from research.risk import drivers

COLUMNS = ["age", "noise"]


def customers(n: int = 600, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    return pd.DataFrame(
        {
            "customer_id": [f"c{seed}-{i}" for i in range(n)],
            "churned": rng.random(n) < 1 / (1 + np.exp(1 - 2 * age)),
            "age": age,
            "noise": rng.normal(size=n),
        }
    )


def test_each_family_is_explained_by_its_leader_and_shap_by_gradient_boosting():
    models = few_models(None, 0)
    leaders = {"logistic": "logistic regression", "trees": "random forest"}
    found = drivers.fit_leaders(models, leaders, customers(), customers(seed=1), COLUMNS, 0)
    assert [*found.fitted] == ["logistic", "trees"]
    assert found.fitted["trees"] is not found.boosted
    assert [*found.permutation] == ["logistic", "trees"]
    for table in (*found.permutation.values(), found.shap):
        assert table.feature[0] == "age" and table.direction[0] == 1
    traced = found.trace(["age"])
    assert [*traced.family.unique()] == ["logistic", "trees"]
    for _, table in traced.groupby("family"):
        assert table.predicted.iloc[-1] > table.predicted.iloc[0] + 0.2


def test_gradient_boosting_that_leads_is_fitted_once():
    leaders = {"trees": drivers.BOOSTED}
    found = drivers.fit_leaders(
        few_models(None, 0), leaders, customers(), customers(seed=1), COLUMNS, 0
    )
    assert found.fitted["trees"] is found.boosted


def test_models_that_are_fitted_already_are_not_fitted_again():
    models, learned = few_models(None, 0), customers()
    known = {
        drivers.BOOSTED: models[drivers.BOOSTED].estimator.fit(learned[COLUMNS], learned.churned)
    }
    leaders = {"trees": drivers.BOOSTED}
    found = drivers.fit_leaders(models, leaders, learned, customers(seed=1), COLUMNS, 0, known)
    assert found.boosted is known[drivers.BOOSTED]
