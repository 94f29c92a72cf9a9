"""X-learner: effects imputed with the model of the other arm, learned in both arms and averaged.

Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116; the weight of each arm's model is
the share of the other arm.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.doubly_robust import fit_predict
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart


def fit_x_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    return np.column_stack([_fit_arm(part, code) for code in part.arm_codes])


def _fit_arm(part: TrainingPart, code: int) -> np.ndarray:
    control, treated = (part.train.take(part.train.arm == one) for one in (0, code))
    untreated = fit_predict(
        control.tree_features, control.outcome, treated.tree_features, part.seed
    )
    if_treated = fit_predict(
        treated.tree_features, treated.outcome, control.tree_features, part.seed
    )
    of_treated, of_control = (
        fit_predict(arm.tree_features, effect, part.new_tree_features, part.seed)
        for arm, effect in (
            (treated, treated.outcome - untreated),
            (control, if_treated - control.outcome),
        )
    )
    share = treated.size / (treated.size + control.size)
    return share * of_control + (1 - share) * of_treated


X_LEARNER = Model(
    name="X-learner",
    family=LEARNER,
    task="effect",
    estimator=fit_x_learner,
    words="effects imputed with the model of the other arm, learned in both arms",
    source="Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116",
)
