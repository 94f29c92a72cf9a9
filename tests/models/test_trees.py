"""Ensembles of trees draw from the seed alone."""

import numpy as np
import pytest

from research.models.trees import make_boosting, make_forest, make_histogram_boosting


@pytest.mark.parametrize("make", [make_boosting, make_forest, make_histogram_boosting])
def test_equal_seeds_give_equal_predictions(make):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(400, 5))
    churned = rng.random(400) < 0.3
    first, again = (make(3).fit(columns, churned).predict_proba(columns)[:, 1] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert make(3).get_params()["random_state"] == 3
