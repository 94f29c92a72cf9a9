"""The shift of log-odds is one for all, and by features."""

import numpy as np
import pytest
from trial_maker import make_part

from research.uplift.learners.log_odds_shift import (
    find_penalties,
    fit_log_odds_shift,
    make_design,
)
from research.uplift.learners.risk_modelling import fit_risk_model


def test_columns_are_penalised_by_their_prior_standard_deviations():
    features = np.array([[2.0, 4.0], [1.0, 3.0]])
    design = make_design(features, np.array([0.5, -0.5]))
    assert design.tolist() == [[1.0, 0.5, 2.0, 4.0], [1.0, -0.5, 1.0, 3.0]]
    # a free constant; of the prognosis 3, of all features together 0.5; of an arm as a whole 3
    common, shift = find_penalties(2)
    assert common == pytest.approx([0, 1 / 9, 2 / 0.25, 2 / 0.25])
    assert shift == pytest.approx([1 / 9, 1 / 0.25, 2 / 0.25, 2 / 0.25])


def test_the_same_shift_moves_a_customer_at_a_half_by_more_points():
    # control: 50 and 10 % stay, the arm: 75 and 25 %, a shift of log-odds of 1.1 for both
    outcome = np.concatenate([np.repeat([1.0, 0.0], [n, 200 - n]) for n in (100, 20, 150, 50)])
    part = make_part(
        outcome,
        np.repeat([0, 1], 400),
        prognosis=np.tile(np.repeat([0.5, 0.1], 200), 2),
        new_prognosis=[0.5, 0.1],
    )
    assert fit_log_odds_shift(part)[:, 0] == pytest.approx([0.25, 0.15], abs=0.02)


def test_for_amounts_it_is_risk_modelling():
    scores = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    part = make_part([0.0, 7.0, 1.0], [0, 1, 1], scores=scores, prognosis=[0.1, 0.2, 0.3])
    assert np.array_equal(fit_log_odds_shift(part), fit_risk_model(part))
