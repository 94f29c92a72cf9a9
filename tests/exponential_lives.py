"""Customers with exponential lifetimes, a model that knows their rates, and scores of models."""

import numpy as np
import pandas as pd

from research.evaluation.survival_metrics import score_models
from research.models.registry import BASELINE, Model
from research.models.survival_at_horizon import frame_outcome
from research.survival.predict import KAPLAN_MEIER, predict_curves

DAYS = (10, 20, 30, 40, 50)


class TrueRate:
    """Survival by the true rate in a column, times a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, columns, outcome):
        return self

    def predict_survival(self, columns, days):
        return np.exp(-np.outer(columns.rate * self.factor, days))

    def __sklearn_clone__(self):
        return self


def name_model(estimator, name: str = "model") -> Model:
    return Model(
        name=name, family="survival", task="time to event", estimator=estimator, words="a test"
    )


def draw_customers(seed: int = 0, n: int = 2000) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns with the true rate and a column of noise, and outcomes censored on day 60."""
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"rate": rng.choice([0.005, 0.04], n), "noise": rng.normal(size=n)})
    life = np.ceil(rng.exponential(1 / columns.rate))
    return columns, frame_outcome(life <= 60, np.minimum(life, 60))


def score_by_name(models: dict, seed: int = 0) -> pd.DataFrame:
    columns, outcome = draw_customers(seed)
    curves = {
        name: predict_curves(model.fit(columns, outcome), columns, DAYS)
        for name, model in models.items()
    }
    families = {name: BASELINE if name == KAPLAN_MEIER else "survival" for name in models}
    return score_models(
        outcome, outcome, curves, families, KAPLAN_MEIER, DAYS, range(len(columns)), 200, 0
    )
