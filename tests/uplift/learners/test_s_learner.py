"""The S-learner takes the arm as a feature of one model."""

import numpy as np
import pytest
from trial_maker import make_part

from research.uplift.learners.s_learner import fit_s_learner


def test_the_s_learner_finds_an_effect_that_is_the_same_for_all():
    # 400 customers of each arm, half of control and all of the others stay: boosting of 50 steps
    # at a rate of 0.07 comes within 1 - 0.93^50 = 97 % of the difference, less for the ridge
    part = make_part(np.r_[np.tile([0.0, 1.0], 200), np.ones(400)], np.repeat([0, 1], 400))
    assert fit_s_learner(part)[:, 0] == pytest.approx([0.5] * part.new_size, abs=0.05)
