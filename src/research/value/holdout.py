"""Predictions judged on what happened after the snapshot, against baselines that need no model.

``METRICS`` lists the scores; a new one is one function of ``JudgedForecast`` and one record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import (
    draw_weights,
    judge_difference,
    percentile_interval,
    subtract,
)
from research.evaluation.intervals import Z
from research.models.registry import BASELINE
from research.reporting.metric import Metric, register_metrics
from research.store.keep import keep
from research.value.purchase_models import PARETO_NBD
from research.value.valuation import Valuation

ZERO, LAST_PERIOD = "zero", "same as the last period"
OWN_RATE, OVERALL_MEAN = "own past rate", "overall mean"
DECILES = 10
CONSTANT = 1e-18  # a product of variances below it leaves no correlation
SCORES = [
    "model",
    "family",
    "metric",
    "value",
    "low",
    "high",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "n",
]
OUTCOME_UNITS = {
    "purchases": "days with a purchase",
    "amount": "spending, {}",
    "margin": "margin, {}",
}
UNITS_PER_CUSTOMER = {
    "purchases": "days with a purchase per customer",
    "amount": "{} per customer",
    "margin": "{} of margin per customer",
}
Scores = dict[str, dict[str, np.ndarray]]  # by model, then by score


@dataclass(frozen=True, eq=False)
class JudgedForecast:
    """What a model predicted for each customer, and what happened.

    Attributes
    ----------
    predicted, actual : (rows,)
    weights : (resamples, rows), how often each row counts
    """

    predicted: np.ndarray
    actual: np.ndarray
    weights: np.ndarray

    @cached_property
    def size(self) -> np.ndarray:
        """Rows of each resample: (resamples,)."""
        return self.weights.sum(axis=1)

    def average(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of (rows,) in each resample."""
        return self.weights @ values / self.size


def _rmse(forecast: JudgedForecast) -> np.ndarray:
    """Root mean squared error per customer."""
    return np.sqrt(forecast.average((forecast.predicted - forecast.actual) ** 2))


def _mae(forecast: JudgedForecast) -> np.ndarray:
    """Mean absolute error per customer."""
    return forecast.average(np.abs(forecast.predicted - forecast.actual))


def _total_error_share(forecast: JudgedForecast) -> np.ndarray:
    """Predicted less actual total, as a share of the actual one; empty where nothing came."""
    actual = forecast.weights @ forecast.actual
    total = forecast.weights @ forecast.predicted
    unknown = np.full(len(actual), np.nan)
    return np.divide(total, actual, out=unknown, where=actual > 0) - 1


def _correlation(forecast: JudgedForecast) -> np.ndarray:
    """Pearson's correlation; empty where one side is constant."""
    one, other, average = forecast.predicted, forecast.actual, forecast.average
    mean, other_mean = average(one), average(other)
    spread = (average(one**2) - mean**2) * (average(other**2) - other_mean**2)
    shared = average(one * other) - mean * other_mean
    varies = spread > CONSTANT
    root = np.sqrt(np.where(varies, spread, 1))
    return np.where(varies & (np.ptp(one) > 0), shared / root, np.nan)


METRICS = register_metrics(
    Metric(name="rmse", words="RMSE", better="less", function=_rmse),
    Metric(name="mae", words="mean absolute error", better="less", function=_mae),
    Metric(
        name="total_error_share",
        words="error of the total",
        better="ideal",
        ideal=0.0,
        function=_total_error_share,
    ),
    Metric(name="correlation", words="correlation", better="more", function=_correlation),
)


def predict_baselines(
    histories: pd.DataFrame, last_period: pd.DataFrame, span: float
) -> dict[str, dict[str, np.ndarray]]:
    """Return what baselines predict over a span, by outcome (purchases, amount) and baseline.

    Nothing; as much as in the last period of the same length, without the first purchase, since it
    made the customer; at the customer's own rate of repeat purchases so far; and at the mean rate
    of all, the same for everybody.

    Parameters
    ----------
    histories : see ``purchases.load_histories``
    last_period : see ``purchases.load_last_period``
    """
    age = np.maximum(histories.age_days.to_numpy(float), 1.0)
    repeats, new = histories.n_repeat.to_numpy(float), histories.age_days.to_numpy(float) < span
    spent = repeats * np.nan_to_num(histories.mean_amount.to_numpy(float))
    first = np.nan_to_num(histories.first_amount.to_numpy(float))
    before = {
        "purchases": last_period.purchases - new,
        "amount": last_period.amount - new * first,
    }
    predicted = {}
    for outcome, so_far in (("purchases", repeats), ("amount", spent)):
        predicted[outcome] = {
            ZERO: np.zeros(len(histories)),
            LAST_PERIOD: before[outcome].to_numpy(),
            OWN_RATE: so_far * span / age,
            OVERALL_MEAN: np.full(len(histories), so_far.sum() / age.sum() * span),
        }
    return predicted


@keep
def score_valuation(valuation: Valuation, resamples: int, seed: int) -> pd.DataFrame:
    """Return the scores of every model and outcome on the holdout; see ``score_holdout``.

    Returns
    -------
    DataFrame with the columns of ``score_holdout`` and outcome
        Without columns where there is no holdout.
    """
    holdout = valuation.holdout
    if holdout is None:
        return pd.DataFrame()
    customers = valuation.values.customer_id
    tables = [
        score_holdout(
            predicted, holdout.actual[outcome], holdout.families, customers, resamples, seed
        ).assign(outcome=outcome)
        for outcome, predicted in holdout.predicted.items()
    ]
    return pd.concat(tables, ignore_index=True)


@keep
def score_purchase_models(valuation: Valuation, resamples: int, seed: int) -> pd.DataFrame:
    """Return the scores of the purchase models on the holdout, with differences to Pareto/NBD.

    Returns
    -------
    DataFrame with the columns of ``score_holdout``
        Without columns where no buyers were valued, or there is no holdout.
    """
    holdout = valuation.holdout
    if holdout is None or not valuation.purchase_fits:
        return pd.DataFrame()
    scores = score_holdout(
        holdout.predicted["purchases"],
        holdout.actual["purchases"],
        holdout.families,
        valuation.values.customer_id,
        resamples,
        seed,
        PARETO_NBD,
    )
    return scores[scores.family != BASELINE]


def tabulate_valuation_deciles(valuation: Valuation) -> pd.DataFrame:
    """Return predicted against actual by decile, for every model and outcome of the holdout.

    Returns
    -------
    DataFrame with the columns of ``tabulate_deciles`` and outcome
        Without columns where there is no holdout.
    """
    holdout = valuation.holdout
    if holdout is None:
        return pd.DataFrame()
    tables = [
        tabulate_deciles(predicted, holdout.actual[outcome]).assign(outcome=outcome)
        for outcome, predicted in holdout.predicted.items()
    ]
    return pd.concat(tables, ignore_index=True)


def tabulate_deciles(
    predicted: dict[str, np.ndarray], actual: np.ndarray, groups: int = DECILES
) -> pd.DataFrame:
    """Return predicted against actual, in equal groups by what each model predicts.

    Parameters
    ----------
    predicted : by model, (rows,), purchases or money in the holdout
    actual : (rows,)

    Returns
    -------
    DataFrame with columns model, group, expected, actual, low, high, n
        Group 0 is all customers. ``expected`` (predicted) and ``actual`` are means per customer;
        ``low`` and ``high`` the 95 % interval of the actual mean (normal). Customers with equal
        predictions are assigned to groups at random.
    """
    tables, actual = [], np.asarray(actual, float)
    order = np.random.default_rng(0).permutation(len(actual))
    for model, values in predicted.items():
        rows = pd.DataFrame({"expected": values, "actual": actual}).iloc[order]
        rank = rows.expected.rank(method="first")
        rows["group"] = np.ceil(rank / len(rows) * min(groups, len(rows))).astype(int)
        by_group = pd.concat([rows.assign(group=0), rows]).groupby("group")
        means = by_group.agg(
            expected=("expected", "mean"),
            actual=("actual", "mean"),
            n=("actual", "size"),
            error=("actual", "sem"),
        )
        tables.append(means.reset_index().assign(model=model))
    table = pd.concat(tables, ignore_index=True)
    half = Z * table.error
    table["low"], table["high"] = table.actual - half, table.actual + half
    return table[["model", "group", "expected", "actual", "low", "high", "n"]]


def score_holdout(
    predicted: dict[str, np.ndarray],
    actual: np.ndarray,
    families: dict[str, str],
    customers: Sequence,
    resamples: int,
    seed: int,
    reference: str | None = None,
) -> pd.DataFrame:
    """Return the errors of each model with intervals, and the paired difference to a reference.

    Parameters
    ----------
    predicted, actual : see ``tabulate_deciles``
    families : by model; ``BASELINE`` for the baselines
    customers : of the rows; they are resampled
    reference : model or baseline from which differences count; the baseline with the lowest RMSE
        unless given

    Returns
    -------
    DataFrame with columns model, family, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict, n
        ``rmse`` and ``mae`` per customer, ``total_error_share`` how much more was predicted than
        came as a share of what came, ``correlation`` Pearson's. Differences of the total error are
        of its distances from 0, with intervals adjusted for the number of models and their
        verdicts: see ``bootstrap.judge_difference``. Expectations minimise squared errors; where
        most customers buy nothing, the baseline "zero" has the lower absolute error by
        construction.
    """
    scores = _resample(predicted, np.asarray(actual, float), customers, resamples, seed)
    baselines = [name for name in predicted if families[name] == BASELINE]
    against = reference or min(baselines, key=lambda name: scores[name]["rmse"][0])
    rows = [
        (
            name,
            families[name],
            metric,
            *percentile_interval(scores[name][metric]),
            *_compare(scores, name, against, metric),
            len(actual),
        )
        for name in predicted
        for metric in METRICS
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _compare(scores: Scores, name: str, against: str, metric: str) -> tuple:
    """Return reference, difference, its interval and the verdict; empty for the reference."""
    if name == against:
        return ("", np.nan, np.nan, np.nan, "")
    record = METRICS[metric]
    gap = subtract(record.compare(scores[name][metric]), record.compare(scores[against][metric]))
    return against, *judge_difference(gap, record.more_is_better, len(scores) - 1)


def _resample(
    predicted: dict[str, np.ndarray],
    actual: np.ndarray,
    customers: Sequence,
    resamples: int,
    seed: int,
) -> Scores:
    """Return every score of every model on the sample (first entry) and on each resample."""
    pieces = {name: {metric: [] for metric in METRICS} for name in predicted}
    for weights in draw_weights(customers, resamples, seed):
        for name, values in predicted.items():
            forecast = JudgedForecast(values, actual, weights)
            for metric, record in METRICS.items():
                pieces[name][metric].append(record.function(forecast))
    return {
        name: {metric: np.concatenate(parts) for metric, parts in scores.items()}
        for name, scores in pieces.items()
    }
