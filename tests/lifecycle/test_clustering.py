"""Clusters: blocks of equal weight, reference data without clusters, and the rule that chooses."""

import numpy as np
import pandas as pd
import pytest
from clustered_customers import COLUMNS, planted

from research.lifecycle import clustering


def test_many_columns_of_one_table_have_no_more_weight_than_one_of_another():
    rng = np.random.default_rng(0)
    trend, single = rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    points = clustering.compute_coordinates(
        np.hstack([trend + 0.01 * rng.normal(size=(500, 9)), single]), ["usage"] * 9 + ["orders"]
    )
    assert points.shape[1] == 2
    np.testing.assert_allclose(points.var(axis=0), 1, atol=0.2)


def test_simulated_customers_keep_values_and_correlations():
    rng = np.random.default_rng(0)
    scores = np.column_stack(
        [clustering.compute_normal_scores(planted()[column]) for column in COLUMNS[:5]]
    )
    simulated = clustering.simulate_reference(scores, rng)
    np.testing.assert_array_equal(np.sort(simulated, axis=0), np.sort(scores, axis=0))
    np.testing.assert_allclose(
        np.corrcoef(simulated, rowvar=False), np.corrcoef(scores, rowvar=False), atol=0.05
    )


def test_normal_scores_keep_ties_and_put_never_at_the_far_end_and_other_gaps_in_the_middle():
    # ranks 1, 2.5, 2.5, 4 of 4: the quantiles 12.5, 50, 50 and 87.5 %, whose normal scores are
    # -1.1503, 0, 0, 1.1503
    never = clustering.compute_normal_scores(
        pd.Series([3, 7, 7, np.nan], name="days_since_last_usage")
    )
    assert never == pytest.approx([-1.1503, 0, 0, 1.1503], abs=1e-4)
    other = clustering.compute_normal_scores(
        pd.Series([3, 9, np.nan], name="age")
    )  # ranks 1, 2 of 2: 25 and 75 %
    assert other == pytest.approx([-0.6745, 0.6745, 0], abs=1e-4)


def test_the_largest_number_that_is_as_stable_as_required_is_chosen():
    stability = pd.DataFrame(
        {
            "k": [2, 3, 4, 5],
            "stability": [0.99, 0.8, 0.9, 1.0],
            "reference": [0.5, 0.5, 0.6, 1.0],
            "required": [0.8, 0.8, 0.91, 1.0],
        }
    )
    assert list(clustering.choose_clusters(stability).chosen) == [
        False,
        True,
        False,
        False,
    ]  # 4 is less stable than required, 5 no more than its reference
    assert not clustering.choose_clusters(stability.assign(stability=0.5)).chosen.any()


def test_what_is_required_is_the_strictest_of_three():
    steady = np.full((9, 4), 0.5)
    assert clustering._find_required(steady, 50) == 0.8  # half way is 0.75
    assert clustering._find_required(steady + 0.3, 50) == pytest.approx(0.9)  # half way from 0.8
    sets = np.repeat(
        [[0.75], [0.95]], 4, axis=1
    )  # mean 0.85, standard deviation 0.1414 between the sets: 0.85 + 0.28 is beyond full agreement
    assert clustering._find_required(sets, 50) == 1.0
