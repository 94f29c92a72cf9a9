"""The learners of effects that are compared; each is one ``research.models.registry.Model``."""

from research.models.registry import index_models
from research.uplift.learners.causal_forest import CAUSAL_FOREST
from research.uplift.learners.dr_learner import DR_LEARNER, LINEAR_DR_LEARNER
from research.uplift.learners.log_odds_shift import LOG_ODDS_SHIFT
from research.uplift.learners.risk_modelling import RISK_MODELLING
from research.uplift.learners.s_learner import S_LEARNER
from research.uplift.learners.t_learner import T_LEARNER
from research.uplift.learners.transformed_outcome import TRANSFORMED_OUTCOME
from research.uplift.learners.x_learner import X_LEARNER

LEARNERS = index_models(
    [
        S_LEARNER,
        T_LEARNER,
        X_LEARNER,
        DR_LEARNER,
        LINEAR_DR_LEARNER,
        RISK_MODELLING,
        LOG_ODDS_SHIFT,
        TRANSFORMED_OUTCOME,
        CAUSAL_FOREST,
    ]
)
