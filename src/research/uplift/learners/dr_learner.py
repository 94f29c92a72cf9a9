"""DR-learner: a regression of doubly robust scores on the features, boosted or linear.

Kennedy 2023, doi:10.1214/23-EJS2157.
"""

import numpy as np
from sklearn.linear_model import RidgeCV

from research.models.registry import Model
from research.uplift.doubly_robust import fit_predict, subtract_control
from research.uplift.learners.families import LEARNER
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
    ridge = RidgeCV(RIDGE_PENALTIES, alpha_per_target=True).fit(part.train.linear_features, targets)
    return ridge.predict(part.new_linear_features).reshape(-1, targets.shape[1])


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
