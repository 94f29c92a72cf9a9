"""X-learner: effects imputed with the model of the other arm, learned in both arms and averaged.

Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116; the weight of each arm's model is
the share of the other arm.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.boosting import fit_predict, predict_boosting
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart


def fit_x_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    return np.column_stack([_fit_arm(part, code) for code in part.arm_codes])


def _fit_arm(part: TrainingPart, code: int) -> np.ndarray:
    control, treated = (part.train.take(part.train.arm == one) for one in (0, code))
    untreated = predict_boosting(part.models[0], treated.tree_features)
    if_treated = predict_boosting(part.models[code], control.tree_features)
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
