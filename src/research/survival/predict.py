"""Survival curves of held-out rows, by survival models and the Kaplan-Meier baseline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold

from research.data.duplicates import find_first_twins, keep_together
from research.models.registry import BASELINE, Model, index_models, list_survival
from research.store.keep import keep
from research.survival.follow_up import SurvivalPanel

KAPLAN_MEIER = "Kaplan-Meier"
CHUNK_ROWS = 50_000  # predicted at once


class KaplanMeier(BaseEstimator):
    """The Kaplan-Meier curve of the training rows, the same for everybody: the baseline."""

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "KaplanMeier":
        """Count who left of those still there."""
        self.days_, at_risk, left = count_at_risk(outcome)
        self.survival_ = np.cumprod(1 - left / at_risk)
        return self

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of still being there after so many days, shape (rows, days)."""
        curve = np.r_[1.0, self.survival_][np.searchsorted(self.days_, days, side="right")]
        return np.tile(curve, (len(columns), 1))


def count_at_risk(outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the days with an event or censoring, how many were at risk, and how many left."""
    days, place = np.unique(outcome["days"], return_inverse=True)
    return (
        days,
        len(outcome) - np.searchsorted(np.sort(outcome["days"]), days),
        np.bincount(place, outcome["event"], len(days)),
    )


def list_models(days: Sequence[float], seed: int) -> dict[str, Model]:
    """Return the models by name, the baseline first; see ``registry.list_survival``."""
    baseline = Model(
        name=KAPLAN_MEIER,
        family=BASELINE,
        task="time to event",
        estimator=KaplanMeier(),
        words="the curve of the training rows, the same for everybody",
        source="Kaplan & Meier 1958, doi:10.1080/01621459.1958.10501452",
    )
    return index_models([baseline, *list_survival(days, seed).values()])


@keep
def predict_test(
    panel: SurvivalPanel, features: Sequence[str], models: dict[str, Model], folds: int, seed: int
) -> dict[str, np.ndarray]:
    """Return by model the survival of every test row on the days that are judged.

    Dated: by models fitted on the training rows. Flat: out of fold.
    """
    columns, days = [*features], panel.days
    if not panel.dated:
        return predict_curves_out_of_fold(
            panel.train[columns], panel.train_outcome, models, days, folds, seed
        )
    fitted = {
        name: clone(model.estimator).fit(panel.train[columns], panel.train_outcome)
        for name, model in models.items()
    }
    return {
        name: predict_curves(model, panel.test[columns], days) for name, model in fitted.items()
    }


def predict_curves(
    model: BaseEstimator, columns: pd.DataFrame, days: Sequence[float]
) -> np.ndarray:
    """Return the survival (rows, days) by a fitted model, in chunks of rows that bound memory."""
    curves = np.empty((len(columns), len(days)))
    for start in range(0, len(columns), CHUNK_ROWS):
        chunk = columns.iloc[start : start + CHUNK_ROWS]
        curves[start : start + CHUNK_ROWS] = model.predict_survival(chunk, days)
    return np.clip(curves, 0, 1)


def predict_curves_out_of_fold(
    columns: pd.DataFrame,
    outcome: np.ndarray,
    models: dict[str, Model],
    days: Sequence[float],
    folds: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return by model the survival of every row, by a model that was fitted without it."""
    curves = {name: np.empty((len(columns), len(days))) for name in models}
    for train, test in split_folds(columns, outcome, folds, seed):
        for name, model in models.items():
            fitted = clone(model.estimator).fit(columns.iloc[train], outcome[train])
            curves[name][test] = predict_curves(fitted, columns.iloc[test], days)
    return curves


def split_folds(
    columns: pd.DataFrame, outcome: np.ndarray, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the training and test places of each fold; rows that are the same stay together."""
    lasted = {name: outcome[name] for name in outcome.dtype.names}
    twins = find_first_twins(columns.assign(**lasted))
    drawn = KFold(folds, shuffle=True, random_state=seed).split(columns)
    return [*keep_together(drawn, twins, folds)]


def find_folds(
    panel: SurvivalPanel, features: Sequence[str], folds: int, seed: int
) -> np.ndarray | None:
    """Return the fold in which ``predict_test`` judged each test row; None if dated."""
    if panel.dated:
        return None
    judged_in = np.empty(len(panel.train), int)
    parts = split_folds(panel.train[[*features]], panel.train_outcome, folds, seed)
    for number, (_, test) in enumerate(parts):
        judged_in[test] = number
    return judged_in
