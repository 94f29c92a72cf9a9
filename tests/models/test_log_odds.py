"""What models on the log-odds share."""

import numpy as np
import pytest
from scipy.special import expit

from research.models.log_odds import LOG_ODDS_SD, clip_probabilities


def test_two_prior_standard_deviations_around_one_half_reach_from_5_to_95_percent():
    assert expit([-2 * LOG_ODDS_SD, 2 * LOG_ODDS_SD]) == pytest.approx([0.05, 0.95], abs=0.003)


def test_clipped_probabilities_have_logarithms_and_others_stay():
    p = clip_probabilities(np.array([0.0, 0.3, 1.0]))
    assert np.isfinite(np.log(p)).all() and np.isfinite(np.log1p(-p)).all()
    assert p[1] == 0.3
