"""The average of learners leaves out what predicts nothing."""

import numpy as np
import pytest

from research.uplift.learners import average


def test_the_average_leaves_out_a_learner_that_predicts_nothing():
    out_of_fold = np.vstack([np.linspace(-1, 1, 200), np.tile([1.0, -1.0], 100)])
    target = 0.3 + 0.5 * out_of_fold[0]
    effects = average.combine(
        target, out_of_fold, [np.array([1.0, -1.0]), np.array([5.0, -5.0])], np.zeros(2)
    )
    assert effects == pytest.approx([0.8, -0.2], abs=0.01)
