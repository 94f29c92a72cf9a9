"""What learners share: prognoses out of fold, log-odds within bounds."""

from dataclasses import replace

import numpy as np
import pytest
from trial_maker import make_trial

from research.uplift.doubly_robust import INNER_FOLDS, assign_folds, make_sample
from research.uplift.learners.training import compute_log_odds, is_binary, prepare_training


def test_outcomes_are_binary_where_both_0_and_1_occur_and_nothing_else():
    assert is_binary(np.array([0.0, 1.0, 1.0]))
    assert not is_binary(np.array([1.0, 1.0]))
    assert not is_binary(np.array([0.0, 0.5, 1.0]))


def test_log_odds_are_kept_away_from_0_and_1():
    # log(0.003 / 0.997) = -5.806
    assert compute_log_odds(np.array([0.0, 0.5, 1.0])) == pytest.approx(
        [-5.806, 0, 5.806], abs=1e-3
    )


def test_without_features_the_prognosis_is_the_mean_of_the_other_half():
    sample = make_sample(replace(make_trial(400, 0)[0], features=[]), "kept")
    none = np.empty((3, 0))
    part = prepare_training(sample, none, none, 0)
    fold = assign_folds(sample, INNER_FOLDS, 0)
    for number in range(INNER_FOLDS):
        rest = sample.outcome[fold != number].mean()
        assert part.prognosis[fold == number] == pytest.approx(rest)
    assert part.new_prognosis == pytest.approx([sample.outcome.mean()] * 3)
    assert (part.new_size, [*part.arm_codes]) == (3, [1])
