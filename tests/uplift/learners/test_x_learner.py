"""The X-learner imputes with the other arm's model."""

import pytest
from trial_maker import make_part

from research.uplift.learners.x_learner import fit_x_learner


def test_without_features_the_x_learner_is_the_difference_of_means_whatever_the_sizes():
    # imputed in the arm: 4 - 2, 6 - 2, 5 - 2, of mean 3; in control: 5 - 1, 5 - 3, of mean 3
    part = make_part([1.0, 3.0, 4.0, 6.0, 5.0], [0, 0, 1, 1, 1])
    assert fit_x_learner(part)[:, 0] == pytest.approx([3.0] * part.new_size)
