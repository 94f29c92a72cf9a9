"""Averaged effects: learners weighed by how well they predict doubly robust scores out of fold.

Stacked regressions (Breiman 1996, doi:10.1007/BF00117832) of departures from the average effect,
with non-negative weights that are shrunk towards a prior.
"""

import numpy as np
from scipy.optimize import nnls

from research.uplift.boosting import Features
from research.uplift.doubly_robust import Sample, subtract_control
from research.uplift.learners.causal_forest import CAUSAL_FOREST
from research.uplift.learners.dr_learner import DR_LEARNER, LINEAR_DR_LEARNER
from research.uplift.learners.families import AVERAGED
from research.uplift.learners.log_odds_shift import LOG_ODDS_SHIFT
from research.uplift.learners.registry import LEARNERS
from research.uplift.learners.training import (
    TrainingPart,
    is_binary,
    join_halves,
    prepare_training,
    take_half,
)
from research.uplift.learners.x_learner import X_LEARNER

# learners that are averaged; the prior is on the first
MEMBERS = (LOG_ODDS_SHIFT, X_LEARNER, DR_LEARNER, LINEAR_DR_LEARNER, CAUSAL_FOREST)
PRIOR_WEIGHT_SD = 0.25  # of a learner's weight, before the data are seen


def predict_effects(
    train: Sample, tree_features: Features, linear_features: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return the effects of every arm on new rows, by every learner and by their average.

    The average starts from the average effect of an arm. A learner adds its departures from its own
    mean, times a weight of 0 or more that was learned out of fold. The prior puts all weight on the
    shift of log-odds (none where the outcome isn't 0 or 1); all weights together are 1 at most.
    Where no learner predicts anything, the average is the same for all.

    Parameters
    ----------
    tree_features, linear_features : (new rows, columns)

    Returns
    -------
    dict by name of arrays (new rows, arms other than control)
    """
    return fit_all(prepare_training(train, tree_features, linear_features, seed))


def fit_all(part: TrainingPart) -> dict[str, np.ndarray]:
    """Return what ``predict_effects`` returns, from what the learners share."""
    effects = {name: learner.estimator(part) for name, learner in LEARNERS.items()}
    return effects | {AVERAGED: _average(part, effects)}


def _average(part: TrainingPart, effects: dict[str, np.ndarray]) -> np.ndarray:
    out_of_fold = _predict_members(part)
    targets, prior = subtract_control(part.scores), np.zeros(len(MEMBERS))
    prior[0] = float(is_binary(part.train.outcome))
    columns = [
        combine(
            targets[:, arm],
            out_of_fold[:, :, arm],
            [effects[member.name][:, arm] for member in MEMBERS],
            prior,
        )
        for arm in range(targets.shape[1])
    ]
    return np.column_stack(columns)


def combine(
    target: np.ndarray, out_of_fold: np.ndarray, effects: list[np.ndarray], prior: np.ndarray
) -> np.ndarray:
    """Return the mean effect plus the weighted departures of the learners from their means.

    Parameters
    ----------
    target : (training rows,), doubly robust scores of one arm
    out_of_fold : (learners, training rows), effects by learners that did not see the row
    effects : (new rows,) each, by learner
    prior : (learners,), the weights before the data are seen; weights vary around them with a
        standard deviation of ``PRIOR_WEIGHT_SD``
    """
    departures = (out_of_fold - out_of_fold.mean(axis=1, keepdims=True)).T
    penalty = target.std() / PRIOR_WEIGHT_SD
    weights, _ = nnls(
        np.vstack([departures, penalty * np.eye(len(prior))]),
        np.r_[target - target.mean(), penalty * prior],
    )
    weights /= max(weights.sum(), 1.0)
    return target.mean() + sum(
        weight * (values - values.mean()) for weight, values in zip(weights, effects, strict=True)
    )


def _predict_members(part: TrainingPart) -> np.ndarray:
    """Return the effects by every member, out of fold: (learners, rows, arms)."""
    by_half = []
    for half in part.halves:
        inner = take_half(part, half)
        effects = [member.estimator(inner) for member in MEMBERS]
        by_half.append(np.moveaxis(effects, 0, 1))
    return np.moveaxis(join_halves(part.halves, by_half), 1, 0)
