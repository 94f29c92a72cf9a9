"""T-learner: a model of the outcome for each arm, and the difference of their predictions.

Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart


def fit_t_learner(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    return subtract_control(part.predicted)


T_LEARNER = Model(
    name="T-learner",
    family=LEARNER,
    task="effect",
    estimator=fit_t_learner,
    words="a model of the outcome for each arm",
    source="Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116",
)
