"""Remaining lifetime of each customer by a survival model: restricted mean and median.

The intervals carry the sampling error of the training customers (bootstrap) and, of dated studies,
how far models of one half of the customers were off in the other; not how widely single customers
scatter around their curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold

from research.data.duplicates import find_first_twins, keep_together
from research.evaluation.intervals import Z
from research.store.keep import keep
from research.survival.anchoring import Anchor, anchor_models
from research.survival.follow_up import SurvivalPanel, find_longest_follow_up
from research.survival.half_fits import EDGE, HalfFits, fit_halves

GRID_STEPS = 90
CHUNK_ROWS = 20_000  # predicted at once
MAX_CUSTOMERS = 1000  # of a resample, or as many as it takes for
MIN_EVENTS = 200  # in it
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
    """A model fitted to all rows, and the same fitted to resamples of the customers.

    ``scale`` is what deviations of the resampled models are multiplied by.
    """

    model: BaseEstimator
    resampled: tuple[BaseEstimator, ...] = ()
    scale: float = 1.0


@keep
def predict_remaining_lifetimes(
    panel: SurvivalPanel,
    features: Sequence[str],
    tenures: pd.DataFrame,
    model: BaseEstimator,
    until: float,
    folds: int,
    refits: int,
    seed: int,
    anchor: Anchor | None = None,
) -> pd.DataFrame:
    """Return how long the customers of the last snapshot are expected to stay from then on.

    Dated: by a model of the training rows. Flat: of all whose tenure goes on, out of fold.

    Parameters
    ----------
    tenures : see ``tenure.load_tenures``
    until : see ``follow_up.choose_restriction_time``
    folds, refits : of a flat study, and resamples behind the intervals
    anchor : of contracts, the risk that the curves agree with

    Returns
    -------
    DataFrame with column customer_id and those of ``predict_lifetimes``, one row per customer
    """
    columns = [*features]
    if panel.dated:
        present = panel.present
        customers = panel.train.customer_id
        fitted = fit_resampled(
            model, panel.train[columns], panel.train_outcome, customers, refits, seed
        )
        halves = fit_halves(
            model, panel.train[columns], panel.train_outcome, customers, until, seed
        )
        models = (fitted.model, *halves.models, *fitted.resampled)
        whole, *rest = anchor_models(models, anchor, present[columns], present.customer_id)
        fitted, halves = Refits(whole, tuple(rest[2:]), fitted.scale), halves.with_models(rest[:2])
        lifetimes = predict_lifetimes(fitted, present[columns], until, halves=halves)
    else:
        reach = find_longest_follow_up(panel.test_outcome)
        lifetimes = predict_cross_fitted(
            model,
            panel.train[columns],
            tenures,
            panel.test_outcome,
            until,
            reach,
            folds,
            refits,
            seed,
        )
    lifetimes.insert(0, "customer_id", panel.test.customer_id.loc[lifetimes.index])
    return lifetimes.reset_index(drop=True)


def fit_resampled(
    model: BaseEstimator,
    columns: pd.DataFrame,
    outcome: np.ndarray,
    customers: Sequence,
    refits: int,
    seed: int,
    most: int = MAX_CUSTOMERS,
) -> Refits:
    """Fit a model to all rows, then to resamples of the customers, a customer's rows together.

    A resample has as many customers as there are, at most ``most``, or as many as it takes for
    ``MIN_EVENTS`` events: the m out of n bootstrap, whose deviations are sqrt(n / m) times as wide.

    References
    ----------
    Bickel, P. J., Götze, F. and van Zwet, W. R. (1997), Statistica Sinica 7, 1-31.
    """
    codes, names = pd.factorize(np.asarray(customers))
    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    count = _choose_resample_size(outcome, len(names), most)
    starts, rng = np.cumsum(sizes) - sizes, np.random.default_rng(seed)
    fitted = []
    for _ in range(refits):
        drawn = rng.integers(len(names), size=count)
        offsets = np.arange(sizes[drawn].sum()) - np.repeat(
            np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn]
        )
        rows = order[np.repeat(starts[drawn], sizes[drawn]) + offsets]
        fitted.append(clone(model).fit(columns.iloc[rows], outcome[rows]))
    whole = clone(model).fit(columns, outcome)
    return Refits(whole, tuple(fitted), float(np.sqrt(count / len(names))))


def _choose_resample_size(outcome: np.ndarray, customers: int, most: int) -> int:
    enough = int(np.ceil(MIN_EVENTS * customers / max(outcome["event"].sum(), 1)))
    return min(customers, max(most, enough))


def predict_lifetimes(
    fitted: Refits,
    columns: pd.DataFrame,
    until: float,
    given: Sequence[float] | None = None,
    halves: HalfFits | None = None,
) -> pd.DataFrame:
    """Return how long customers are expected to stay from now on.

    Parameters
    ----------
    fitted : see ``fit_resampled``
    columns : features of the customers, one row each
    until : the day, counted from now, up to which the mean is taken; no model can be asked beyond
        its longest follow-up
    given : how long each has lasted already on the clock of the model, 0 unless given: the curves
        are then conditional on it
    halves : widen the intervals by what they missed in the customer's fifth of the prediction, and
        where they differ by more than the resamples say

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
        _predict_chunk(
            fitted, columns.iloc[at : at + CHUNK_ROWS], until, lasted[at : at + CHUNK_ROWS], halves
        )
        for at in range(0, len(columns), CHUNK_ROWS)
    ]
    return pd.concat(parts).set_axis(columns.index)


def predict_cross_fitted(
    model: BaseEstimator,
    columns: pd.DataFrame,
    tenures: pd.DataFrame,
    outcome: np.ndarray,
    until: float,
    reach: float,
    folds: int,
    refits: int,
    seed: int,
) -> pd.DataFrame:
    """Return the remaining lifetimes of all whose tenure goes on, out of fold.

    Parameters
    ----------
    tenures : DataFrame with columns customer_id, duration, ended, in the order of ``columns`` and
        ``outcome``
    reach : the longest duration that a model can be asked for; who would pass it within ``until``
        gets no lifetime

    Returns
    -------
    DataFrame as from ``predict_lifetimes``, one row per tenure that goes on
    """
    parts = []
    twins = find_first_twins(columns.assign(lasted=tenures.duration, ended=tenures.ended))
    drawn = KFold(folds, shuffle=True, random_state=seed).split(columns)
    for train, test in keep_together(drawn, twins, folds):
        rows = test[~tenures.ended.to_numpy(bool)[test]]
        customers = tenures.customer_id.iloc[train]
        fitted = fit_resampled(model, columns.iloc[train], outcome[train], customers, refits, seed)
        lasted = tenures.duration.iloc[rows]
        lifetimes = predict_lifetimes(fitted, columns.iloc[rows], until, lasted)
        parts.append(lifetimes.where(lasted + until <= reach))
    return pd.concat(parts).sort_index()


def _predict_chunk(
    fitted: Refits,
    columns: pd.DataFrame,
    until: float,
    lasted: np.ndarray,
    halves: HalfFits | None,
) -> pd.DataFrame:
    days = np.linspace(0, until, GRID_STEPS + 1)
    curves = np.stack(
        [predict_from(model, columns, days, lasted) for model in (fitted.model, *fitted.resampled)]
    )
    means = np.trapezoid(curves, days, axis=2)
    value, resampled = curves[0], np.clip(curves[1:], EDGE, 1 - EDGE)
    spread = _find_spread(np.log(-np.log(resampled)), fitted.scale)
    error = _find_spread(means[1:], fitted.scale)
    if halves:
        both = np.stack([predict_from(half, columns, days, lasted) for half in halves.models])
        fifth = halves.find_fifths(means[0])
        error = _widen(error, np.trapezoid(both, days, axis=2), halves.missed_days[fifth])
        both = np.log(-np.log(np.clip(both, EDGE, 1 - EDGE)))
        spread = _widen(spread[:, 1:], both[:, :, 1:], halves.missed_log[fifth][:, None])
        spread = np.column_stack([spread[:, :1], spread])
    inside = np.clip(value, EDGE, 1 - EDGE)
    low, high = (inside ** np.exp(side * Z * spread) for side in (1, -1))
    numbers = (
        means[0],
        np.maximum(means[0] - Z * error, 0),
        np.minimum(means[0] + Z * error, until),
        np.full(len(columns), float(until)),
        *(_cross_half(curve, days) for curve in (value, low, high)),
    )
    return pd.DataFrame(dict(zip(COLUMNS, numbers, strict=True)))


def _find_spread(resampled: np.ndarray, scale: float) -> np.ndarray:
    """Return the standard deviation over resamples; empty for fewer than two."""
    if len(resampled) < 2:
        return np.full(resampled.shape[1:], np.nan)
    return resampled.std(axis=0, ddof=1) * scale


def _widen(error: np.ndarray, halves: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return standard errors that hold what halves of the customers show.

    Their difference has twice the variance of a model of half the customers, which one of all is
    below, by how much depends on the model: where it is larger than that of the resamples, all
    errors are multiplied. What was missed is a bias, and added to the variance.
    """
    differs, says = (part.mean() for part in ((halves[0] - halves[1]) ** 2 / 2, error**2))
    factor = np.sqrt(max(differs / says, 1.0)) if says > 0 else 1.0
    return np.hypot(factor * error, missed)


def predict_from(
    model: BaseEstimator, columns: pd.DataFrame, days: np.ndarray, lasted: np.ndarray
) -> np.ndarray:
    """Return the survival of ``days`` more, given what has lasted: S(lasted + days) / S(lasted).

    Shape (rows, days).
    """
    if not lasted.any():
        return model.predict_survival(columns, days)
    clock = np.linspace(0, lasted.max() + days.max(), 4 * GRID_STEPS + 1)
    curves = model.predict_survival(columns, clock)
    place = np.minimum((lasted[:, None] + days) / clock[1], len(clock) - 1)
    below = np.minimum(place.astype(int), len(clock) - 2)
    share = place - below
    before, after = (np.take_along_axis(curves, below + step, 1) for step in (0, 1))
    ahead = before * (1 - share) + after * share
    return np.clip(ahead / np.maximum(ahead[:, :1], 1e-12), 0, 1)


def _cross_half(curves: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return the day on which each falling curve reaches one half, interpolated linearly.

    Empty where it doesn't.
    """
    reached = curves <= 0.5
    after = np.where(reached.any(axis=1), reached.argmax(axis=1), 0)
    before, rows = np.maximum(after - 1, 0), np.arange(len(curves))
    top, bottom = curves[rows, before], curves[rows, after]
    share = np.divide(top - 0.5, top - bottom, out=np.zeros(len(rows)), where=top > bottom)
    crossed = days[before] + share * (days[after] - days[before])
    return np.where(reached.any(axis=1), crossed, np.nan)
