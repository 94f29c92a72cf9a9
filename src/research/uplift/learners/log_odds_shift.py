"""Shift of log-odds: what an arm adds to the log-odds of the expected outcome.

A logistic regression with interactions of arm and features, shrunk by a ridge. The same shift moves
a customer at 50 % by more points than one at 2 %, as offers do. Interactions on the scale of the
outcome's own model, as in Kent et al. 2020 (effect modelling), doi:10.7326/M18-3667.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from research.models.registry import Model
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.risk_modelling import fit_risk_model
from research.uplift.learners.training import TrainingPart, compute_log_odds, is_binary

# standard deviations of the log-odds before the data are seen: of how features change an arm's
# shift, and of shifts as a whole
FEATURE_SD, SHIFT_SD = 0.5, 3.0


def fit_log_odds_shift(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control).

    For outcomes other than 0 and 1 it is ``fit_risk_model``.
    """
    train, arms = part.train, len(part.train.arms)
    if not is_binary(train.outcome):
        return fit_risk_model(part)
    log_odds = compute_log_odds(part.prognosis)
    middle = log_odds.mean()
    design = make_design(train.arm, train.linear_features, log_odds - middle, arms)
    model = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=200)
    model.fit(design, train.outcome)
    new_log_odds = compute_log_odds(part.new_prognosis) - middle
    designs = [
        make_design(np.full(part.new_size, code), part.new_linear_features, new_log_odds, arms)
        for code in range(arms)
    ]
    predicted = np.column_stack([model.predict_proba(one)[:, 1] for one in designs])
    return subtract_control(predicted)


def make_design(
    arm: np.ndarray, linear_features: np.ndarray, log_odds: np.ndarray, arms: int
) -> np.ndarray:
    """Return the columns of the regression, scaled so that a ridge of 1 suits all: (rows, columns).

    The scale of a column is the standard deviation of its coefficient on the log-odds:
    ``SHIFT_SD`` for the prognosis and an arm as a whole, ``FEATURE_SD`` for what all features
    together add, or add to an arm.
    """
    features = FEATURE_SD * linear_features / np.sqrt(max(linear_features.shape[1], 1))
    blocks = [SHIFT_SD * log_odds[:, None], features]
    for code in range(1, arms):
        inside = (arm == code).astype(float)[:, None]
        blocks += [
            SHIFT_SD * inside,
            FEATURE_SD * inside * log_odds[:, None],
            inside * features,
        ]
    return np.hstack(blocks)


LOG_ODDS_SHIFT = Model(
    name="shift of log-odds",
    family=LEARNER,
    task="effect",
    estimator=fit_log_odds_shift,
    words="a ridge logistic regression with interactions of arm and features",
    source="Kent et al. 2020, doi:10.7326/M18-3667",
)
