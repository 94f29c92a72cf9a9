"""What all learners of effects share of one training part: doubly robust scores, predicted outcomes
in every arm, and the outcome expected whatever the arm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from research.models.log_odds import LOG_ODDS_SD
from research.uplift.boosting import Boosted, Features, fit_predict
from research.uplift.doubly_robust import (
    INNER_FOLDS,
    Sample,
    assign_folds,
    bin_sample,
    compute_scores,
    draw_training,
    fit_outcomes,
    predict_arms,
)
from research.uplift.learners.ridge import fit_logistic, fit_ridge

RIDGE_PENALTIES = np.logspace(1, 7, 13)
MIN_PROBABILITY = 0.003  # predicted probabilities are kept as far from 0 and 1


@dataclass(frozen=True)
class TrainingPart:
    """Training rows, new rows, and what the learners share of them.

    Attributes
    ----------
    train : the training rows
    new_tree_features, new_linear_features : (new rows, columns)
    scores : (training rows, arms), doubly robust
    models : of the outcome in each arm, of all its training rows; see ``boosting``
    predicted : (new rows, arms), the outcome by these models
    prognosis : (training rows,), the outcome whatever the arm, out of fold
    new_prognosis : (new rows,), the same by models of all training rows
    seed : every draw of a learner derives from it
    halves : the training rows in two halves, either once new to models of the other
    """

    train: Sample
    new_tree_features: Features
    new_linear_features: np.ndarray
    scores: np.ndarray
    models: list[Boosted]
    predicted: np.ndarray
    prognosis: np.ndarray
    new_prognosis: np.ndarray
    seed: int
    halves: tuple["Half", ...] = ()

    @property
    def new_size(self) -> int:
        """New rows."""
        return len(self.new_tree_features)

    @property
    def arm_codes(self) -> range:
        """The codes of the arms other than control."""
        return range(1, len(self.train.arms))


@dataclass(frozen=True)
class Half:
    """One half of the training rows as models of the other predict it.

    Attributes
    ----------
    inside : (training rows,), which of them are predicted
    models : of the outcome in each arm
    predicted : (rows inside, arms), the outcome
    prognosis : (rows inside,), the outcome whatever the arm
    """

    inside: np.ndarray
    models: list[Boosted]
    predicted: np.ndarray
    prognosis: np.ndarray


Learner = Callable[[TrainingPart], np.ndarray]  # effects: (new rows, arms other than control)


def prepare_training(
    train: Sample, tree_features: Features, linear_features: np.ndarray, seed: int
) -> TrainingPart:
    """Return what the learners share; they learn from at most ``MAX_ARM_ROWS`` of each arm.

    Parameters
    ----------
    tree_features, linear_features : (new rows, columns)
    """
    train = draw_training(bin_sample(train), seed)
    fold = assign_folds(train, INNER_FOLDS, seed)
    halves = tuple(_predict_half(train, fold == number, seed) for number in range(INNER_FOLDS))
    models = fit_outcomes(train, seed)
    return TrainingPart(
        train,
        tree_features,
        linear_features,
        compute_scores(train, join_halves(halves, [half.predicted for half in halves])),
        models,
        predict_arms(models, tree_features),
        join_halves(halves, [half.prognosis for half in halves]),
        predict_prognosis(train, tree_features, linear_features, seed),
        seed,
        halves,
    )


def _predict_half(train: Sample, inside: np.ndarray, seed: int) -> Half:
    others, features = train.take(~inside), train.tree_features[inside]
    models = fit_outcomes(others, seed)
    return Half(
        inside,
        models,
        predict_arms(models, features),
        predict_prognosis(others, features, train.linear_features[inside], seed),
    )


def join_halves(halves: Sequence[Half], values: Sequence[np.ndarray]) -> np.ndarray:
    """Return values of the rows inside each half in the order of the training rows."""
    joined = np.empty((len(halves[0].inside), *values[0].shape[1:]))
    for half, part in zip(halves, values, strict=True):
        joined[half.inside] = part
    return joined


def take_half(part: TrainingPart, half: Half) -> TrainingPart:
    """Return one half of the training rows as new rows, and the other to learn from.

    Scores and prognoses are those of the whole: by models that did not see the row, each.
    """
    others = ~half.inside
    return TrainingPart(
        part.train.take(others),
        part.train.tree_features[half.inside],
        part.train.linear_features[half.inside],
        part.scores[others],
        half.models,
        half.predicted,
        part.prognosis[others],
        half.prognosis,
        part.seed,
    )


def predict_prognosis(
    train: Sample, tree_features: Features, linear_features: np.ndarray, seed: int
) -> np.ndarray:
    """Return the outcome of new rows whatever the arm: (new rows,).

    It is the mean of gradient boosting and a ridge, on log-odds where the outcome is 0 or 1.
    """
    boosted = fit_predict(train.tree_features, train.outcome, tree_features, seed)
    columns = linear_features.shape[1]
    if not columns:
        return boosted
    if not is_binary(train.outcome):
        middle, slopes = fit_ridge(train.linear_features, train.outcome[:, None], RIDGE_PENALTIES)
        return (boosted + middle + linear_features @ slopes[:, 0]) / 2
    penalties = np.r_[0.0, np.full(columns, columns / LOG_ODDS_SD**2)]
    slopes = fit_logistic(add_constant(train.linear_features), train.outcome, penalties)[:, 0]
    return expit(
        (
            compute_log_odds(boosted)
            + compute_log_odds(expit(add_constant(linear_features) @ slopes))
        )
        / 2
    )


def add_constant(features: np.ndarray) -> np.ndarray:
    """Return features with a first column of ones."""
    return np.column_stack([np.ones(len(features)), features])


def compute_log_odds(probability: np.ndarray) -> np.ndarray:
    """Return log-odds, of probabilities that are kept away from 0 and 1."""
    return logit(np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY))


def is_binary(outcome: np.ndarray) -> bool:
    """Return whether an outcome is 0 or 1, and both occur."""
    return bool(np.isin(outcome, (0, 1)).all() and np.ptp(outcome) == 1)
