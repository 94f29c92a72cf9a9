"""S-learner: one model of the outcome that takes the arm as a feature.

Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.boosting import fit_boosting, predict_boosting
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart

STEPS = 50  # fewer may never meet the arm among many columns


def fit_s_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    train, arms = part.train, len(part.train.arms)
    features = np.column_stack([train.tree_features, np.eye(arms)[train.arm]])
    model = fit_boosting(features, train.outcome, part.seed, steps=STEPS)
    new_features = np.column_stack([part.new_tree_features, np.zeros((part.new_size, arms))])
    predicted = []
    for code in range(arms):
        new_features[:, -arms:] = np.eye(arms)[code]
        predicted.append(predict_boosting(model, new_features))
    return subtract_control(np.column_stack(predicted))


S_LEARNER = Model(
    name="S-learner",
    family=LEARNER,
    task="effect",
    estimator=fit_s_learner,
    words="one model of the outcome that takes the arm as a feature",
    source="Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116",
)
