"""The DR-learners regress doubly robust scores."""

import numpy as np
import pytest
from trial_maker import make_part

from research.uplift.learners.dr_learner import fit_dr_learner, fit_linear_dr_learner


@pytest.mark.parametrize("fit", [fit_dr_learner, fit_linear_dr_learner])
def test_without_features_both_are_the_mean_of_the_scores(fit):
    # scores less control: 1, 2, 3 and 6
    scores = np.array([[0.0, 1.0], [1.0, 3.0], [0.0, 3.0], [2.0, 8.0]])
    part = make_part([0.0, 1.0, 1.0, 0.0], [0, 0, 1, 1], scores=scores)
    assert fit(part)[:, 0] == pytest.approx([3.0] * part.new_size)
