"""What all learners of effects share of one training part: doubly robust scores, predicted outcomes
in every arm, and the outcome expected whatever the arm.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression, RidgeCV

from research.models.log_odds import LOG_ODDS_SD
from research.uplift.doubly_robust import (
    INNER_FOLDS,
    Sample,
    assign_folds,
    compute_scores,
    fit_predict,
    predict_out_of_fold,
    predict_outcomes,
)

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
    predicted : (new rows, arms), the outcome by models of all training rows
    prognosis : (training rows,), the outcome whatever the arm, out of fold
    new_prognosis : (new rows,), the same by models of all training rows
    seed : every draw of a learner derives from it
    """

    train: Sample
    new_tree_features: np.ndarray
    new_linear_features: np.ndarray
    scores: np.ndarray
    predicted: np.ndarray
    prognosis: np.ndarray
    new_prognosis: np.ndarray
    seed: int

    @property
    def new_size(self) -> int:
        """New rows."""
        return len(self.new_tree_features)

    @property
    def arm_codes(self) -> range:
        """The codes of the arms other than control."""
        return range(1, len(self.train.arms))


Learner = Callable[[TrainingPart], np.ndarray]  # effects: (new rows, arms other than control)


def prepare_training(
    train: Sample, tree_features: np.ndarray, linear_features: np.ndarray, seed: int
) -> TrainingPart:
    """Return what the learners share.

    Parameters
    ----------
    tree_features, linear_features : (new rows, columns)
    """
    scores = compute_scores(train, predict_out_of_fold(train, INNER_FOLDS, seed))
    fold, prognosis = assign_folds(train, INNER_FOLDS, seed), np.empty(train.size)
    for number in range(INNER_FOLDS):
        inside = fold == number
        prognosis[inside] = predict_prognosis(
            train.take(~inside), train.tree_features[inside], train.linear_features[inside], seed
        )
    return TrainingPart(
        train,
        tree_features,
        linear_features,
        scores,
        predict_outcomes(train, tree_features, seed),
        prognosis,
        predict_prognosis(train, tree_features, linear_features, seed),
        seed,
    )


def predict_prognosis(
    train: Sample, tree_features: np.ndarray, linear_features: np.ndarray, seed: int
) -> np.ndarray:
    """Return the outcome of new rows whatever the arm: (new rows,).

    It is the mean of gradient boosting and a ridge, on log-odds where the outcome is 0 or 1.
    """
    boosted = fit_predict(train.tree_features, train.outcome, tree_features, seed)
    if not linear_features.shape[1]:
        return boosted
    if not is_binary(train.outcome):
        ridge = RidgeCV(RIDGE_PENALTIES).fit(train.linear_features, train.outcome)
        return (boosted + ridge.predict(linear_features)) / 2
    ridge = LogisticRegression(
        C=LOG_ODDS_SD**2 / linear_features.shape[1], solver="newton-cholesky", max_iter=200
    ).fit(train.linear_features, train.outcome)
    linear = ridge.predict_proba(linear_features)[:, 1]
    return expit((compute_log_odds(boosted) + compute_log_odds(linear)) / 2)


def compute_log_odds(probability: np.ndarray) -> np.ndarray:
    """Return log-odds, of probabilities that are kept away from 0 and 1."""
    return logit(np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY))


def is_binary(outcome: np.ndarray) -> bool:
    """Return whether an outcome is 0 or 1, and both occur."""
    return bool(np.isin(outcome, (0, 1)).all() and np.ptp(outcome) == 1)
