"""Value and the expected cost of churn, by customer and by segment."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.intervals import Z
from research.features.build import load_flat
from research.panel.evidence import evidence_as_of
from research.panel.segments import (
    MAX_COLUMNS,
    MAX_VALUES,
    MIN_VALUES,
    find_segments,
    list_segment_columns,
)
from research.study import Study
from research.survival.tenure import ALL, pool_small_segments
from research.value.holdout_error import (
    HoldoutErrors,
    find_misses,
    transfer_misses,
    widen_interval,
)
from research.value.valuation import Valuation

MONEY = (
    "amount",
    "margin_per_day",
    "value",
    "low",
    "high",
    "value_if_kept",
    "value_of_keeping",
    "cost_of_churn",
    "mean_value",
    "cost_low",
    "cost_high",
    "typical_amount",
)
ALWAYS = ("customer_id", "value", "low", "high")  # columns of the table of values
REPEAT_PURCHASES, LAST_PURCHASE = "repeat purchases", "last purchase"
NEGLIGIBLE = 0.0005  # share of the value, of which a cost of churn says that nobody drops out
REPEAT_RANGES = ((0, 0, "none"), (1, 1, "1"), (2, 4, "2 to 4"), (5, np.inf, "5 or more"))
RECENCY_RANGES = (
    (0, 30, "30 days or less"),
    (31, 90, "31 to 90 days"),
    (91, 180, "91 to 180 days"),
    (181, np.inf, "more than 180 days"),
)
SEGMENT_COLUMNS = [
    "segment_by",
    "segment",
    "customers",
    "mean_risk_share",
    "mean_value",
    "value",
    "low",
    "high",
    "cost_of_churn",
    "cost_low",
    "cost_high",
    "cost_share",
]


def load_customer_segments(valuation: Valuation, tables: Tables, study: Study) -> pd.DataFrame:
    """Return the segments of each valued customer, one column per attribute.

    In the order of ``valuation.values``. Attributes as in ``segments.list_segment_columns``; of a
    flat study those of ``lifecycle.segments``, else texts of few values; of buyers also how often
    they bought again and how long ago they last bought.
    """
    customers = valuation.values[["customer_id"]]
    if study.kind == "flat":
        frame = load_flat(tables, study)
        segments = frame[["customer_id", *_list_flat_attributes(frame, study)]]
        return customers.merge(segments, on="customer_id", how="left").drop(columns="customer_id")
    evidence = evidence_as_of(tables, [valuation.snapshot])
    columns = {}
    for by in list_segment_columns(tables, study):
        segments = find_segments(evidence, study, by).to_pandas().drop_duplicates("customer_id")
        by_customer = segments.set_index("customer_id").segment
        columns[by] = customers.customer_id.map(by_customer).to_numpy()
    columns |= segment_histories(valuation.histories)
    return pd.DataFrame(columns, index=customers.index)


def _list_flat_attributes(frame: pd.DataFrame, study: Study) -> list[str]:
    closed = {*study.sensitive, "customer_id", "churned"}
    texts = [
        name
        for name in frame
        if frame[name].dtype == object
        and name not in closed
        and MIN_VALUES <= frame[name].nunique() <= MAX_VALUES
    ]
    return [name for name in (study.lifecycle.segments or texts[:MAX_COLUMNS]) if name in frame]


def segment_histories(histories: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return buyers by how often they bought again and how long ago they last bought."""
    if histories.empty:
        return {}
    since_last = histories.age_days - histories.recency_days
    return {
        REPEAT_PURCHASES: _cut_ranges(histories.n_repeat, REPEAT_RANGES),
        LAST_PURCHASE: _cut_ranges(since_last, RECENCY_RANGES),
    }


def _cut_ranges(values: pd.Series, ranges: Sequence[tuple[float, float, str]]) -> np.ndarray:
    return np.select(
        [(values >= low) & (values <= high) for low, high, _ in ranges],
        [name for *_, name in ranges],
        "",
    )


def tabulate_segments(
    valuation: Valuation,
    segments: pd.DataFrame,
    errors: HoldoutErrors | None = None,
    judged: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return value and cost of churn of all customers, then of each segment.

    Parameters
    ----------
    segments : see ``load_customer_segments``
    errors : see ``holdout_error.load_errors``; without them intervals hold the sampling error alone
    judged : segments of the customers of ``errors``, where these are of another day; a segment
        without any of them has the errors of all

    Returns
    -------
    DataFrame with columns segment_by, segment, customers, mean_risk_share, mean_value, value, low,
    high, cost_of_churn, cost_low, cost_high, cost_share
        Sums over the customers in the study's currency, but ``mean_value``. ``cost_share``: of the
        segment's value if all were kept. The cost is empty where the model sees nobody drop out:
        that is no cost of 0, but one that can't be estimated. 95 % intervals of sums: sampling
        error, by models refitted on resampled customers, and the error that the holdout shows for
        the segment: in money for the value, in what leavers cost for the cost of churn.
        Segments of fewer than 30 customers are pooled; within an attribute the costliest stands
        first.
    """
    parts = [(ALL, ALL, np.ones(len(valuation.values), bool))]
    for by in segments:
        names = pool_small_segments(segments, by)
        parts += [(by, name, (names == name).to_numpy()) for name in names.unique()]
    rows = [
        (by, name, *_sum_up(valuation, inside, errors, _find_judged(judged, by, name, inside)))
        for by, name, inside in parts
    ]
    table = pd.DataFrame(rows, columns=SEGMENT_COLUMNS)
    costs = ["cost_of_churn", "cost_low", "cost_high", "cost_share"]
    estimable = is_cost_estimable(valuation.values)
    place = {by: number for number, by in enumerate(dict.fromkeys(table.segment_by))}
    return (
        table.assign(place=table.segment_by.map(place))
        .sort_values(["place", "cost_of_churn"], ascending=[True, False], ignore_index=True)
        .drop(columns="place")
        .assign(**({} if estimable else dict.fromkeys(costs, np.nan)))
    )


def is_cost_estimable(values: pd.DataFrame) -> bool:
    """Say whether a model sees anybody drop out; if not, its cost of churn is no estimate."""
    if_kept = values.value_if_kept.sum()
    return not if_kept > 0 or values.cost_of_churn.sum() / if_kept >= NEGLIGIBLE


def _find_judged(judged: pd.DataFrame | None, by: str, name: str, inside: np.ndarray) -> np.ndarray:
    """Return which judged customers show the error of a segment; those of a segment of all."""
    if judged is None:
        return inside
    if by not in judged:
        return np.ones(len(judged), bool)
    same = (pool_small_segments(judged, by) == name).to_numpy()
    return same if same.any() else np.ones(len(judged), bool)


def _sum_up(
    valuation: Valuation, inside: np.ndarray, errors: HoldoutErrors | None, judged: np.ndarray
) -> tuple:
    rows, none = valuation.values[inside], np.zeros(0)
    value, cost, if_kept = rows.value.sum(), rows.cost_of_churn.sum(), rows.value_if_kept.sum()
    values = valuation.resampled[:, inside].sum(axis=1)
    costs = (valuation.resampled_if_kept - valuation.resampled)[:, inside].sum(axis=1)
    leavers = next(iter(errors.costs.values()), None) if errors else None
    money = errors.draw_ratios(errors.money, judged) if errors else none
    left = errors.draw_ratios(leavers, judged) if errors else none
    return (
        len(rows),
        rows.risk.mean(),
        rows.value.mean(),
        value,
        *_bound_sum(value, values, valuation.scale, money),
        cost,
        *_bound_sum(cost, costs, valuation.scale, left),
        cost / if_kept if if_kept > 0 else 0.0,
    )


def _bound_sum(
    total: float, resampled: np.ndarray, scale: float, ratios: np.ndarray
) -> tuple[float, float]:
    """Return the 95 % interval of a sum, 0 at least; empty for fewer than two resamples.

    With the error of the holdout where there is one.
    """
    if len(ratios) > 1:
        return widen_interval(total, resampled, scale, ratios)
    if len(resampled) < 2:
        return np.nan, np.nan
    half = Z * scale * resampled.std(ddof=1)
    return max(total - half, 0), total + half


def tabulate_values(valuation: Valuation, errors: HoldoutErrors | None = None) -> pd.DataFrame:
    """Return the table ``value``: one row per customer, the highest cost of churn first.

    Without the columns that this kind of study doesn't have, and without a cost of churn that can't
    be estimated; columns of money carry the currency. Intervals hold what the holdout missed in the
    customer's fifth of the prediction, where ``errors`` are given; those of another day stand for
    the customers of this one.
    """
    values = valuation.values if errors is None else _widen_values(valuation.values, errors)
    if not is_cost_estimable(values):
        values = values.assign(cost_of_churn=np.nan)
    rows = values.sort_values(
        ["cost_of_churn", "value", "customer_id"], ascending=[False, False, True], ignore_index=True
    )
    columns = [name for name in rows if name in ALWAYS or rows[name].notna().any()]
    named = {"alive": "alive_share", "risk": "risk_share", "no_purchase": "no_purchase_share"}
    return (
        name_money(rows[columns], valuation.currency)
        .rename(columns=named)
        .assign(model=valuation.model)
    )


def _widen_values(values: pd.DataFrame, errors: HoldoutErrors) -> pd.DataFrame:
    same = len(values) == len(errors.customers) and (values.customer_id == errors.customers).all()
    misses = find_misses(errors) if same else transfer_misses(errors, values.value)
    half = np.hypot(values.high - values.value, Z * values.value * misses)
    return values.assign(low=np.maximum(values.value - half, 0), high=values.value + half)


def name_money(table: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Return a table whose columns of money carry the currency: ``value`` becomes ``value_eur``."""
    return table.rename(
        columns={name: f"{name}_{currency.lower()}" for name in table if name in MONEY}
    )


def compute_concentration(values: pd.DataFrame, parts: int = 20) -> pd.DataFrame:
    """Return the share of all value by share of customers, the most valuable first (Lorenz curve).

    Returns
    -------
    DataFrame with columns customers_share, value_share, from none to all
    """
    cumulative = np.r_[0, np.cumsum(np.sort(values.value.to_numpy(float))[::-1])]
    at = np.linspace(0, 1, parts + 1)
    total = cumulative[-1] if cumulative[-1] > 0 else 1.0
    place = at * (len(cumulative) - 1)
    shares = np.interp(place, np.arange(len(cumulative)), cumulative) / total
    return pd.DataFrame({"customers_share": at, "value_share": shares})
