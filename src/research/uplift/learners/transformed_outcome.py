"""Transformed outcome: a single regression whose target has the effect as its mean.

The outcome with its sign turned in control, weighted by the inverse of the propensity, is half of
the effect on average: the class transformation of Jaskowski & Jaroszewicz 2012 (ICML workshop on
clinical data analysis), here for any outcome and any propensity (Athey & Imbens 2016,
doi:10.1073/pnas.1510489113).
"""

import numpy as np

from research.models.registry import Model
from research.uplift.boosting import fit_predict
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart


def fit_transformed_outcome(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    return np.column_stack([_fit_arm(part, code) for code in part.arm_codes])


def _fit_arm(part: TrainingPart, code: int) -> np.ndarray:
    both = part.train.take((part.train.arm == 0) | (part.train.arm == code))
    weights = 1 / both.propensity
    centred = both.outcome - np.average(both.outcome, weights=weights)
    target = np.where(both.arm == 0, -centred, centred)
    return 2 * fit_predict(
        both.tree_features, target, part.new_tree_features, part.seed, weights / weights.mean()
    )


TRANSFORMED_OUTCOME = Model(
    name="transformed outcome",
    family=LEARNER,
    task="effect",
    estimator=fit_transformed_outcome,
    words="a regression of the outcome with its sign turned in control",
    source="Jaskowski & Jaroszewicz 2012; Athey & Imbens 2016, doi:10.1073/pnas.1510489113",
)
