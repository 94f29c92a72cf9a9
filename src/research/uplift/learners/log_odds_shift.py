"""Shift of log-odds: what an arm adds to the log-odds of the expected outcome.

A logistic regression with interactions of arm and features, shrunk by a ridge. The same shift moves
a customer at 50 % by more points than one at 2 %, as offers do. Interactions on the scale of the
outcome's own model, as in Kent et al. 2020 (effect modelling), doi:10.7326/M18-3667.
"""

import numpy as np
from scipy.special import expit

from research.models.registry import Model
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.ridge import fit_logistic
from research.uplift.learners.risk_modelling import fit_risk_model
from research.uplift.learners.training import TrainingPart, compute_log_odds, is_binary

# standard deviations of the log-odds before the data are seen: of how features change an arm's
# shift, and of shifts as a whole
FEATURE_SD, SHIFT_SD = 0.5, 3.0


def fit_log_odds_shift(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control).

    For outcomes other than 0 and 1 it is ``fit_risk_model``.
    """
    train = part.train
    if not is_binary(train.outcome):
        return fit_risk_model(part)
    log_odds, new_log_odds = (
        compute_log_odds(prognosis) for prognosis in (part.prognosis, part.new_prognosis)
    )
    middle = log_odds.mean()
    design, new_design = (
        make_design(features, values - middle)
        for features, values in (
            (train.linear_features, log_odds),
            (part.new_linear_features, new_log_odds),
        )
    )
    slopes = fit_logistic(design, train.outcome, *find_penalties(design.shape[1] - 2), train.arm)
    return subtract_control(expit(new_design @ slopes))


def make_design(linear_features: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Return the columns of the regression: a constant, the prognosis, the features."""
    return np.column_stack([np.ones(len(log_odds)), log_odds, linear_features])


def find_penalties(features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the penalties of the columns of ``make_design``, and those of the shifts of an arm.

    They are the inverse variances of coefficients before the data are seen: ``SHIFT_SD`` for the
    prognosis and an arm as a whole, ``FEATURE_SD`` for what the prognosis adds to an arm, and for
    what all features together add, or add to an arm. The constant is free.
    """
    each = np.full(features, features / FEATURE_SD**2)
    return (
        np.r_[0.0, 1 / SHIFT_SD**2, each],
        np.r_[1 / SHIFT_SD**2, 1 / FEATURE_SD**2, each],
    )


LOG_ODDS_SHIFT = Model(
    name="shift of log-odds",
    family=LEARNER,
    task="effect",
    estimator=fit_log_odds_shift,
    words="a ridge logistic regression with interactions of arm and features",
    source="Kent et al. 2020, doi:10.7326/M18-3667",
)
