"""Risk modelling: effects as a straight line in the outcome that is expected whatever the arm.

Kent et al. 2020 (the PATH statement), doi:10.7326/M18-3667.
"""

import numpy as np

from research.models.registry import Model
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart


def fit_risk_model(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control).

    Least squares of doubly robust scores on the prognosis.
    """
    design, new_design = (
        np.column_stack([np.ones(len(values)), values])
        for values in (part.prognosis, part.new_prognosis)
    )
    return new_design @ np.linalg.lstsq(design, subtract_control(part.scores), rcond=None)[0]


RISK_MODELLING = Model(
    name="risk modelling",
    family=LEARNER,
    task="effect",
    estimator=fit_risk_model,
    words="a straight line of doubly robust scores on the expected outcome",
    source="Kent et al. 2020, doi:10.7326/M18-3667",
)
