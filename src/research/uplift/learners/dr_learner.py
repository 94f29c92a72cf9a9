"""DR-learner: a regression of doubly robust scores on the features, boosted or linear.

Kennedy 2023, doi:10.1214/23-EJS2157.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.boosting import fit_predict
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.ridge import fit_ridge
from research.uplift.learners.training import RIDGE_PENALTIES, TrainingPart


def fit_dr_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm by gradient boosting: (new rows, arms other than control)."""
    features, new_features = part.train.tree_features, part.new_tree_features
    targets = subtract_control(part.scores).T
    return np.column_stack(
        [fit_predict(features, target, new_features, part.seed) for target in targets]
    )


def fit_linear_dr_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm by ridge regression: (new rows, arms other than control).

    The penalty is chosen by leaving one out.
    """
    targets = subtract_control(part.scores)
    if not part.new_linear_features.shape[1]:
        return np.tile(targets.mean(axis=0), (part.new_size, 1))
    means, slopes = fit_ridge(part.train.linear_features, targets, RIDGE_PENALTIES)
    return means + part.new_linear_features @ slopes


DR_LEARNER = Model(
    name="DR-learner",
    family=LEARNER,
    task="effect",
    estimator=fit_dr_learner,
    words="gradient boosting of doubly robust scores",
    source="Kennedy 2023, doi:10.1214/23-EJS2157",
)


LINEAR_DR_LEARNER = Model(
    name="DR-learner, linear",
    family=LEARNER,
    task="effect",
    estimator=fit_linear_dr_learner,
    words="ridge regression of doubly robust scores",
    source="Kennedy 2023, doi:10.1214/23-EJS2157",
)
