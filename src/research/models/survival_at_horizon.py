"""Survival models that answer a classifier's question: will the event be there by the horizon.

Time runs from the end of the lead. The event is the end of the contract (contractual
studies: who has left by the horizon has churned) or the next purchase (non-contractual: who has not
bought by then has churned); both are censored where training knows no more.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

LEAST_DAYS = 0.5  # a time of 0 has no logarithm
OUTCOME = np.dtype([("event", bool), ("days", float)])


def frame_outcome(event: Sequence[bool], days: Sequence[float]) -> np.ndarray:
    """Return events and days as the outcome of survival models: a structured array (rows,).

    Parameters
    ----------
    event : whether the event was observed; else the row is censored
    days : until the event or censoring
    """
    outcome = np.empty(len(days), OUTCOME)
    outcome["event"], outcome["days"] = event, days
    return outcome


class AtHorizon(ClassifierMixin, BaseEstimator):
    """A survival model as a classifier: the probability of churn by the horizon.

    Parameters
    ----------
    model : estimator with ``fit(columns, outcome)`` and ``predict_survival(columns, days)``
    horizon : days after the lead
    leaves : whether the event is leaving; else it is a purchase, and churn is its absence
    """

    def __init__(self, model: BaseEstimator, horizon: int, leaves: bool = True):
        self.model = model
        self.horizon = horizon
        self.leaves = leaves

    def fit(self, columns: pd.DataFrame, churned: np.ndarray, outcome: np.ndarray) -> "AtHorizon":
        """Fit the survival model to ``outcome``, see ``frame_outcome``; not to ``churned``."""
        self.model_ = clone(self.model).fit(columns, outcome)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of staying and of churn, one row per row of ``columns``."""
        check_is_fitted(self)
        survival = self.model_.predict_survival(columns, [self.horizon])[:, 0]
        churn = np.clip(1 - survival if self.leaves else survival, 0, 1)
        return np.column_stack([1 - churn, churn])
