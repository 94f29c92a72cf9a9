"""Models fitted to either half of the customers: how far lifetimes are off, and how much they vary.

Resamples of few customers, scaled down, miss what a flexible model gets wrong in a large study:
that it shrinks towards the mean, and that it varies more than its refits on few rows say. Each half
is predicted by the model of the other, and compared with Kaplan-Meier in fifths of the prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from research.survival.follow_up import MIN_OBSERVED
from research.survival.predict import count_at_risk

FIFTHS = 5
MAX_JUDGED = 20_000  # rows of each half
EDGE = 1e-9  # a survival stays that far from 0 and 1 in log(-log S)
STEPS = 90


@dataclass(frozen=True)
class HalfFits:
    """Two models, each fitted to one half of the customers, and how far they were off in the other.

    Attributes
    ----------
    models : fitted
    edges : (4,), restricted means that part the fifths of the prediction
    missed_days : (5,), observed less predicted restricted mean of each fifth
    missed_log : (5,), the same of log(-log S) at the end of the follow-up
    """

    models: tuple[BaseEstimator, BaseEstimator]
    edges: np.ndarray
    missed_days: np.ndarray
    missed_log: np.ndarray

    def find_fifths(self, means: np.ndarray) -> np.ndarray:
        """Return the fifth of each restricted mean, from 0 on."""
        return np.searchsorted(self.edges, means)

    def with_models(self, models: Sequence[BaseEstimator]) -> "HalfFits":
        """Return the same with other models, such as anchored ones."""
        return replace(self, models=tuple(models))


def fit_halves(
    model: BaseEstimator,
    columns: pd.DataFrame,
    outcome: np.ndarray,
    customers: Sequence,
    until: float,
    seed: int,
) -> HalfFits:
    """Fit a model to either half of the customers, and judge each on the other half.

    Parameters
    ----------
    until : to which restricted means are taken
    """
    codes, names = pd.factorize(np.asarray(customers))
    rng = np.random.default_rng(seed)
    half = rng.permutation(len(names))[codes] % 2
    days, models, curves, judged = np.linspace(0, until, STEPS + 1), [], [], []
    for number in (0, 1):
        learned, others = np.flatnonzero(half == number), np.flatnonzero(half != number)
        others = np.sort(rng.permutation(others)[:MAX_JUDGED])
        models.append(clone(model).fit(columns.iloc[learned], outcome[learned]))
        curves.append(models[-1].predict_survival(columns.iloc[others], days))
        judged.append(others)
    predicted, rows = np.concatenate(curves), outcome[np.concatenate(judged)]
    means = np.trapezoid(predicted, days, axis=1)
    edges = np.quantile(means, np.linspace(0, 1, FIFTHS + 1)[1:-1])
    fifth = np.searchsorted(edges, means)
    parts = [np.flatnonzero(fifth == number) for number in range(FIFTHS)]
    everybody = np.arange(len(rows))  # where equal predictions leave a fifth empty
    parts = [part if len(part) > MIN_OBSERVED else everybody for part in parts]
    missed = [_compare(predicted[part], rows[part], days) for part in parts]
    return HalfFits(tuple(models), edges, *np.array(missed).T)


def _compare(curves: np.ndarray, outcome: np.ndarray, days: np.ndarray) -> tuple[float, float]:
    """Return observed less predicted restricted mean, and log(-log S), of a group.

    As far as enough are followed; the mean is scaled up to the whole time. 0 where nobody is.
    """
    if len(outcome) <= MIN_OBSERVED:
        return 0.0, 0.0
    last = min(np.sort(outcome["days"])[-MIN_OBSERVED], days[-1])
    inside = np.append(days[days < last], last)
    mean = np.interp(inside, days, curves.mean(axis=0))
    times, at_risk, left = count_at_risk(outcome)
    survival = np.r_[1.0, np.cumprod(1 - left / at_risk)]
    edges = np.append(np.r_[0.0, times[times < last]], last)
    observed = survival[: len(edges) - 1]
    missed = observed @ np.diff(edges) - np.trapezoid(mean, inside)
    ends = np.clip([survival[np.searchsorted(times, last, side="right")], mean[-1]], EDGE, 1 - EDGE)
    logs = np.log(-np.log(ends))
    return missed * days[-1] / last, logs[0] - logs[1]
