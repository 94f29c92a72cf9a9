"""Cross-fitting: no effect is predicted by a model that saw the customer."""

from dataclasses import replace

import numpy as np
from trial_maker import (
    make_trial,
)

from research.uplift import (
    cross_fitting,
    doubly_robust,
)
from research.uplift.learners.families import RESPONSE, RISK


def test_no_effect_is_predicted_by_a_model_that_saw_the_customer():
    trial, _ = make_trial(450, 0)
    sample = doubly_robust.make_sample(trial, "kept")
    before = cross_fitting.cross_fit(sample, 3, 1, 0)[0].effects
    assert {RISK, RESPONSE} <= {*before}  # so that every notebook asks for the same effects
    fold = doubly_robust.assign_folds(sample, 3, 0)
    flipped = np.where(fold == 0, 1 - sample.outcome, sample.outcome)
    after = cross_fitting.cross_fit(replace(sample, outcome=flipped), 3, 1, 0)[0].effects
    for name in before:
        assert np.array_equal(before[name][fold == 0], after[name][fold == 0]), name
    assert not np.array_equal(before["T-learner"][fold == 1], after["T-learner"][fold == 1])
