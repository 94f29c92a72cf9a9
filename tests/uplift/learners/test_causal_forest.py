"""The causal forest averages the scores in leaves."""

from dataclasses import replace

import numpy as np
import pytest
from trial_maker import make_part

from research.uplift.learners.causal_forest import average_leaves, fit_causal_forest


def test_a_leaf_has_the_mean_of_its_rows_and_an_empty_one_that_of_all():
    targets = np.array([[1.0], [3.0], [8.0]])
    # leaf 0 holds 1 and 3, leaf 2 holds 8, leaf 1 nothing: the mean of all is 4
    means = average_leaves(np.array([0, 0, 2]), targets, np.array([0, 1, 2]))
    assert means[:, 0].tolist() == [2.0, 4.0, 8.0]


def test_without_features_it_is_the_mean_of_the_scores():
    scores = np.array([[0.0, 1.0], [1.0, 3.0], [0.0, 3.0], [2.0, 8.0]])
    part = make_part([0.0, 1.0, 1.0, 0.0], [0, 0, 1, 1], scores=scores)
    assert fit_causal_forest(part)[:, 0] == pytest.approx([3.0] * part.new_size)


@pytest.mark.filterwarnings("error")
def test_a_forest_of_one_arm_is_fitted_without_a_warning():
    rng = np.random.default_rng(0)
    part = make_part(rng.random(400), np.repeat([0, 1], 200), scores=rng.normal(size=(400, 2)))
    features = rng.normal(size=(400, 2))
    part = replace(
        part,
        train=replace(part.train, tree_features=features),
        new_tree_features=features[: part.new_size],
    )
    assert fit_causal_forest(part).shape == (2, 1)
