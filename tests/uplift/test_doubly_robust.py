"""Samples, folds and doubly robust scores."""

from dataclasses import replace

import numpy as np
import pytest
from trial_maker import (
    make_trial,
)

from research.errors import StudyError
from research.uplift import doubly_robust


def test_a_trial_with_an_arm_of_a_few_is_refused():
    trial, _ = make_trial(300, 0, shares=(0.9, 0.1))
    with pytest.raises(
        StudyError,
        match="at least 50 customers with the outcome 'kept' in every arm, got .* in call",
    ):
        doubly_robust.make_sample(trial, "kept")


def test_folds_have_arms_in_equal_shares_and_keep_a_customers_rows_together():
    trial, _ = make_trial(3000, 0, shares=(0.5, 0.3, 0.2))
    rows = trial.rows.assign(customer_id=trial.rows.customer_id.str[:-1])  # ten rows of each
    sample = doubly_robust.make_sample(
        type(trial)(rows, trial.features, trial.outcomes, trial.assignment, trial.counts), "kept"
    )
    fold = doubly_robust.assign_folds(sample, 3, 0)
    assert all(
        len(np.unique(fold[sample.customers == name])) == 1 for name in np.unique(sample.customers)
    )
    alone = doubly_robust.assign_folds(doubly_robust.make_sample(trial, "kept"), 3, 0)
    shares = [
        np.bincount(sample.arm[alone == number]) / (alone == number).sum() for number in range(3)
    ]
    assert np.ptp(shares, axis=0).max() < 0.01


def test_models_learn_from_a_bounded_sample_of_each_arm_and_all_are_scored(monkeypatch):
    trial, _ = make_trial(1000, 0, shares=(0.7, 0.3))
    sample = doubly_robust.make_sample(trial, "kept")
    assert doubly_robust.draw_training(sample, 0) is sample
    monkeypatch.setattr(doubly_robust, "MAX_ARM_ROWS", 400)
    drawn = doubly_robust.draw_training(sample, 0)
    assert np.bincount(drawn.arm).tolist() == [400, (sample.arm == 1).sum()]
    again = doubly_robust.draw_training(sample, 0)
    assert np.array_equal(drawn.customers, again.customers)
    assert not np.array_equal(drawn.customers, doubly_robust.draw_training(sample, 1).customers)
    plain = replace(sample, tree_features=np.empty((1000, 0)))
    assert doubly_robust.draw_training(plain, 0) is plain  # a mean of all costs nothing
    monkeypatch.setattr(doubly_robust, "MAX_ARM_ROWS", 100)
    predicted = doubly_robust.predict_out_of_fold(sample, 2, 0)
    assert predicted.shape == (1000, 2)
    assert np.isfinite(predicted).all()


def test_a_bound_on_training_rows_is_said_where_there_are_more():
    assert doubly_robust.describe_training(25_000) == ""
    assert doubly_robust.describe_training(25_001).startswith(
        "Models learn from at most 25,000 customers of each arm"
    )
