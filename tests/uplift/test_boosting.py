"""Boosting on features that are binned once: parts of rows, means where nothing can be learned."""

import numpy as np
import pytest

from research.uplift.boosting import bin_features, fit_boosting, fit_predict, predict_boosting


def draw(rows: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return two features and an outcome of the first."""
    features = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    return features, (features[:, 0] > 0).astype(float)


def test_a_part_has_the_rows_and_the_bins_of_the_whole():
    features, _ = draw()
    whole = bin_features(features)
    part = whole[features[:, 1] > 0][10:20]
    assert np.array_equal(np.asarray(part), features[features[:, 1] > 0][10:20])
    assert (part.shape, len(part)) == ((10, 2), 10)
    assert bin_features(part) is part
    assert part.select(np.ones(10), None).num_data() == 10


def test_a_part_is_learned_from_its_own_rows_alone():
    features, outcome = draw()
    inside = np.arange(1000) < 500
    changed = np.where(inside, outcome, 9.0)
    predicted = [
        fit_predict(bin_features(features)[inside], values[inside], features, 0)
        for values in (outcome, changed)
    ]
    assert np.array_equal(*predicted)
    assert np.abs(predicted[0] - outcome).mean() < 0.1


def test_bins_of_all_rows_predict_as_well_as_those_of_the_part():
    features, outcome = draw()
    shared = fit_predict(bin_features(features)[:500], outcome[:500], features[500:], 0)
    own = fit_predict(features[:500], outcome[:500], features[500:], 0)
    assert shared == pytest.approx(own, abs=0.35)  # where a bin ends near the step
    assert np.abs(shared - own).mean() < 0.02


def test_without_columns_or_without_differences_it_is_the_weighted_mean():
    none, features = np.empty((3, 0)), np.arange(6.0).reshape(3, 2)
    assert fit_boosting(none, np.array([1.0, 2.0, 6.0]), 0) == 3.0
    assert fit_boosting(none, np.array([0.0, 4.0, 4.0]), 0, np.array([2.0, 1.0, 1.0])) == 2.0
    assert (
        predict_boosting(fit_boosting(features, np.full(3, 7.0), 0), features).tolist() == [7] * 3
    )
