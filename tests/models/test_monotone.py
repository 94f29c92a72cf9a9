"""Trees that are monotone in the features that study.yml names."""

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from research.models import registry
from research.models.monotone import Monotone
from research.models.preprocessing import prepare_for_trees


def customers(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """The risk falls with days of use, but for a chance bump where few customers are."""
    rng = np.random.default_rng(seed)
    use = rng.integers(0, 30, n).astype(float)
    churned = rng.random(n) < np.where(use > 27, 0.6, 0.5 - 0.015 * use)
    plan = pd.Series(rng.choice(["a", "b"], n), dtype=object)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "use": use,
            "noise": rng.normal(size=n),
            "plan": plan,
        }
    )


@pytest.mark.parametrize(
    "name", ["single tree", "random forest", "gradient boosting", "histogram boosting"]
)
def test_a_direction_constrains_every_kind_of_trees(name):
    frame, grid = customers(), customers()[:31].assign(use=np.arange(31.0), noise=0.0, plan="a")
    free, bound = (
        registry.list_trees(0, directions)[name].estimator for directions in ({}, {"use": -1})
    )
    columns = ["use", "noise", "plan"]
    rising = [
        np.diff(model.fit(frame[columns], frame.churned).predict_proba(grid[columns])[:, 1]).max()
        for model in (free, bound)
    ]
    assert rising[0] > 0.05
    assert rising[1] <= 1e-9


def test_texts_come_after_numbers_and_are_never_constrained():
    frame = customers(500)[["plan", "noise", "use"]]
    tree = DecisionTreeClassifier(max_leaf_nodes=4, random_state=0)
    model = Monotone(prepare_for_trees(), tree, {"use": -1}, "monotonic_cst")
    fitted = model.fit(frame, customers(500).churned).model_
    assert fitted[-1].monotonic_cst == [0, -1, 0]  # noise, use, then the text


def test_without_a_direction_the_trees_are_as_they_were():
    frame = customers(500)[["noise", "use"]]
    tree = DecisionTreeClassifier(max_leaf_nodes=4, random_state=0)
    fitted = Monotone(prepare_for_trees(), tree, {}, "monotonic_cst").fit(
        frame, customers(500).churned
    )
    assert fitted.model_[-1].monotonic_cst is None
