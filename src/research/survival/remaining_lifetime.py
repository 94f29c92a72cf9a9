"""Remaining lifetime of each customer, by a survival model: the mean up to a stated day, and the
median, with intervals.

The intervals carry what the model doesn't know of its curves because it saw a sample of customers
(bootstrap), not how widely single customers scatter around their curve, and not whether the model
is of the right kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold

from research.evaluation.intervals import Z

STEPS = 90
PART = 20_000  # rows predicted at once
MOST_CUSTOMERS = 1000  # of a resample, or as many as it takes for
LEAST_EVENTS = 200  # in it
COLUMNS = [
    "restricted_mean_days",
    "low_mean_days",
    "high_mean_days",
    "until_days",
    "median_days",
    "low_days",
    "high_days",
]


@dataclass(frozen=True)
class Refits:
    """A model fitted to all rows, the same fitted to resamples of the customers, and by what their
    spread is to be multiplied.
    """

    model: BaseEstimator
    resampled: tuple[BaseEstimator, ...] = ()
    scale: float = 1.0


def fit_resampled(
    model: BaseEstimator,
    columns: pd.DataFrame,
    outcome: np.ndarray,
    customers: Sequence,
    refits: int,
    seed: int,
    most: int = MOST_CUSTOMERS,
) -> Refits:
    """Fit a model to all rows, then to resamples of the customers, a customer's rows together.

    A resample holds as many customers as there are, at most ``most``, or as many as it takes for
    ``LEAST_EVENTS`` events: m of n, which spread sqrt(n / m) times as widely.

    References
    ----------
    Bickel, P. J., Götze, F. and van Zwet, W. R. (1997), Statistica Sinica 7, 1-31.
    """
    codes, names = pd.factorize(np.asarray(customers))
    order, sizes, count = (
        np.argsort(codes, kind="stable"),
        np.bincount(codes),
        _count_drawn(outcome, len(names), most),
    )
    starts, rng = np.cumsum(sizes) - sizes, np.random.default_rng(seed)
    fitted = []
    for _ in range(refits):
        drawn = rng.integers(len(names), size=count)
        offsets = np.arange(sizes[drawn].sum()) - np.repeat(
            np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn]
        )
        rows = order[np.repeat(starts[drawn], sizes[drawn]) + offsets]
        fitted.append(clone(model).fit(columns.iloc[rows], outcome[rows]))
    return Refits(
        clone(model).fit(columns, outcome), tuple(fitted), float(np.sqrt(count / len(names)))
    )


def _count_drawn(outcome: np.ndarray, customers: int, most: int) -> int:
    return min(
        customers,
        max(most, int(np.ceil(LEAST_EVENTS * customers / max(outcome["event"].sum(), 1)))),
    )


def predict_lifetimes(
    fitted: Refits, columns: pd.DataFrame, until: float, given: Sequence[float] | None = None
) -> pd.DataFrame:
    """Return how long customers are expected to stay from now on.

    Parameters
    ----------
    fitted : see ``fit_resampled``
    columns : features of the customers, one row each
    until : the day, counted from now, up to which the mean is taken; no model can be asked beyond
        what it saw
    given : how long each has lasted already on the clock of the model, 0 unless given: the curves
        are then conditional on it

    Returns
    -------
    DataFrame with columns restricted_mean_days, low_mean_days, high_mean_days, until_days,
    median_days, low_days, high_days, in the order of ``columns``
        ``median_days`` is the day by which half of such customers will have left, empty where that
        lies beyond ``until``; ``low_days`` and ``high_days`` are where the 95 % band of the curve
        reaches one half, empty likewise. The band is that of log(-log S), whose standard deviation
        is taken over the resamples.

    References
    ----------
    Irwin, J. O. (1949), doi:10.1017/S0022172400014443, for the restricted mean; the bounds of the
    median as in Brookmeyer and Crowley (1982), doi:10.2307/2530286.
    """
    lasted = np.zeros(len(columns)) if given is None else np.asarray(given, float)
    parts = [
        _predict_part(fitted, columns.iloc[at : at + PART], until, lasted[at : at + PART])
        for at in range(0, len(columns), PART)
    ]
    return pd.concat(parts).set_axis(columns.index)


def predict_cross_fitted(
    model: BaseEstimator,
    columns: pd.DataFrame,
    stays: pd.DataFrame,
    outcome: np.ndarray,
    until: float,
    reach: float,
    folds: int,
    refits: int,
    seed: int,
) -> pd.DataFrame:
    """Return the remaining lifetimes of all whose stay goes on, each by models that were fitted
    without the customer.

    Parameters
    ----------
    stays : DataFrame with columns customer_id, duration, ended, in the order of ``columns`` and
        ``outcome``
    reach : the longest duration that a model can be asked for; who would pass it within ``until``
        gets no lifetime

    Returns
    -------
    DataFrame as from ``predict_lifetimes``, one row per stay that goes on
    """
    parts = []
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(columns):
        rows = test[~stays.ended.to_numpy(bool)[test]]
        fitted = fit_resampled(
            model, columns.iloc[train], outcome[train], stays.customer_id.iloc[train], refits, seed
        )
        found = predict_lifetimes(fitted, columns.iloc[rows], until, stays.duration.iloc[rows])
        parts.append(found.where(stays.duration.iloc[rows] + until <= reach))
    return pd.concat(parts).sort_index()


def _predict_part(
    fitted: Refits, columns: pd.DataFrame, until: float, lasted: np.ndarray
) -> pd.DataFrame:
    days = np.linspace(0, until, STEPS + 1)
    curves = np.stack(
        [predict_from(model, columns, days, lasted) for model in (fitted.model, *fitted.resampled)]
    )
    means = np.trapezoid(curves, days, axis=2)
    value, rest = curves[0], np.clip(curves[1:], 1e-9, 1 - 1e-9)
    spread = (
        np.log(-np.log(rest)).std(axis=0, ddof=1) * fitted.scale
        if len(rest) > 1
        else np.full(value.shape, np.nan)
    )
    error = (
        means[1:].std(axis=0, ddof=1) * fitted.scale
        if len(rest) > 1
        else np.full(len(columns), np.nan)
    )
    inside = np.clip(value, 1e-9, 1 - 1e-9)
    low, high = (inside ** np.exp(side * Z * spread) for side in (1, -1))
    mean = (means[0], np.maximum(means[0] - Z * error, 0), np.minimum(means[0] + Z * error, until))
    return pd.DataFrame(
        dict(
            zip(
                COLUMNS,
                (
                    *mean,
                    np.full(len(columns), float(until)),
                    *(_cross_half(curve, days) for curve in (value, low, high)),
                ),
                strict=True,
            )
        )
    )


def predict_from(
    model: BaseEstimator, columns: pd.DataFrame, days: np.ndarray, lasted: np.ndarray
) -> np.ndarray:
    """Return the survival of ``days`` more, given what has lasted: S(lasted + days) / S(lasted),
    shape (rows, days).
    """
    if not lasted.any():
        return model.predict_survival(columns, days)
    clock = np.linspace(0, lasted.max() + days.max(), 4 * STEPS + 1)
    curves = model.predict_survival(columns, clock)
    place = np.minimum((lasted[:, None] + days) / clock[1], len(clock) - 1)
    below = np.minimum(place.astype(int), len(clock) - 2)
    ahead = np.take_along_axis(curves, below, 1) * (1 - (place - below)) + np.take_along_axis(
        curves, below + 1, 1
    ) * (place - below)
    return np.clip(ahead / np.maximum(ahead[:, :1], 1e-12), 0, 1)


def _cross_half(curves: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return the day on which each falling curve reaches one half, between two days by the straight
    line; empty where it doesn't.
    """
    reached = curves <= 0.5
    after = np.where(reached.any(axis=1), reached.argmax(axis=1), 0)
    before, rows = np.maximum(after - 1, 0), np.arange(len(curves))
    top, bottom = curves[rows, before], curves[rows, after]
    share = np.divide(top - 0.5, top - bottom, out=np.zeros(len(rows)), where=top > bottom)
    return np.where(
        reached.any(axis=1), days[before] + share * (days[after] - days[before]), np.nan
    )
