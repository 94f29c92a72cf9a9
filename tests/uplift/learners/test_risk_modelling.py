"""Risk modelling is a straight line in the prognosis."""

import numpy as np
import pytest
from trial_maker import make_part

from research.uplift.learners.risk_modelling import fit_risk_model


def test_effects_lie_on_the_least_squares_line():
    # scores 1, 2, 3 at prognoses 0.1, 0.2, 0.3: a slope of 10 through the origin
    scores = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    part = make_part(
        [0.0, 1.0, 1.0],
        [0, 1, 1],
        scores=scores,
        prognosis=[0.1, 0.2, 0.3],
        new_prognosis=[0.4, 0.25],
    )
    assert fit_risk_model(part)[:, 0] == pytest.approx([4.0, 2.5])
