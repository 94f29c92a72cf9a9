"""What is at stake, segment by segment: value, value at risk, and what churn is expected to take,
from the valuation of each customer.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.intervals import Z
from research.features.build import load_flat
from research.panel.evidence import cut_evidence
from research.panel.segments import FEW, MANY, MOST_COLUMNS, find_segments, list_segment_columns
from research.reporting.format import write_range
from research.reporting.tables import blank_repeats
from research.study import Study
from research.survival.tenure import pool_small_segments
from research.value.valuation import Valuation

MONEY = (
    "amount",
    "margin_per_day",
    "value",
    "low",
    "high",
    "value_if_kept",
    "cost_of_churn",
    "value_at_risk",
)
REPEATS = ((0, 0, "none"), (1, 1, "1"), (2, 4, "2 to 4"), (5, np.inf, "5 or more"))
SILENT = (
    (0, 30, "30 days or less"),
    (31, 90, "31 to 90 days"),
    (91, 180, "91 to 180 days"),
    (181, np.inf, "more than 180 days"),
)
FRESH = "last purchase"


def load_customer_segments(
    valuation: Valuation, tables: Tables, study: Study, snapshot: date | None
) -> pd.DataFrame:
    """Return the segments of each valued customer, one column for each way to tell customers apart,
    in the order of ``valuation.values``.

    Attributes as in ``slices.list_segment_columns``; of a flat study those of
    ``lifecycle.segments``, else texts of few values; of buyers also how often they came back and
    how long ago they last bought.
    """
    customers = valuation.values[["customer_id"]]
    if study.kind == "flat":
        frame = load_flat(tables, study)
        return customers.merge(
            frame[["customer_id", *_list_flat(frame, study)]], on="customer_id", how="left"
        ).drop(columns="customer_id")
    evidence, found = cut_evidence(tables, [snapshot]), {}
    for by in list_segment_columns(tables, study):
        segments = (
            find_segments(evidence, study, by)
            .to_pandas()
            .drop_duplicates("customer_id")
            .set_index("customer_id")
            .segment
        )
        found[by] = customers.customer_id.map(segments).to_numpy()
    return pd.DataFrame(found | _describe_rhythm(valuation.histories), index=customers.index)


def _list_flat(frame: pd.DataFrame, study: Study) -> list[str]:
    closed = {*study.sensitive, "customer_id", "churned"}
    texts = [
        name
        for name in frame
        if frame[name].dtype == object
        and name not in closed
        and FEW <= frame[name].nunique() <= MANY
    ]
    return [name for name in (study.lifecycle.segments or texts[:MOST_COLUMNS]) if name in frame]


def _describe_rhythm(histories: pd.DataFrame) -> dict[str, Sequence]:
    if histories.empty:
        return {}
    silent = histories.age_days - histories.recency_days
    return {"repeat purchases": _cut(histories.n_repeat, REPEATS), FRESH: _cut(silent, SILENT)}


def _cut(values: pd.Series, ranges: Sequence[tuple[float, float, str]]) -> np.ndarray:
    return np.select(
        [(values >= low) & (values <= high) for low, high, _ in ranges],
        [words for *_, words in ranges],
        "",
    )


def tabulate_value_at_risk(valuation: Valuation, segments: pd.DataFrame) -> pd.DataFrame:
    """Return value and cost of churn of all customers, then of each segment.

    Parameters
    ----------
    segments : see ``load_customer_segments``

    Returns
    -------
    DataFrame with columns segment_by, segment, customers, mean_risk_share, mean_value, value, low,
    high, value_at_risk, cost_of_churn, cost_low, cost_high, cost_share
        Sums over the customers in the study's currency, but ``mean_value``. ``cost_share``: of the
        segment's value if all were kept. Intervals of sums, 95 %, by models refitted on resampled
        customers: what the model doesn't know, given that it is of the right kind. Segments of
        fewer than 30 customers are put together; within an attribute the costliest stands first.
    """
    parts = [("all", "all", np.ones(len(valuation.values), bool))]
    for by in segments:
        names = pool_small_segments(segments, by)
        parts += [(by, name, (names == name).to_numpy()) for name in names.unique()]
    rows = [(by, name, *_sum_up(valuation, inside)) for by, name, inside in parts]
    columns = (
        "segment_by segment customers mean_risk_share mean_value value low high value_at_risk"
        " cost_of_churn cost_low cost_high cost_share"
    )
    table = pd.DataFrame(rows, columns=columns.split())
    place = table.segment_by.map(
        {by: number for number, by in enumerate(dict.fromkeys(table.segment_by))}
    )
    return (
        table.assign(place=place)
        .sort_values(["place", "cost_of_churn"], ascending=[True, False], ignore_index=True)
        .drop(columns="place")
    )


def _sum_up(valuation: Valuation, inside: np.ndarray) -> tuple:
    rows = valuation.values[inside]
    value, cost, kept = rows.value.sum(), rows.cost_of_churn.sum(), rows.value_if_kept.sum()
    worth, costs = (
        valuation.drawn[:, inside].sum(axis=1),
        (valuation.kept - valuation.drawn)[:, inside].sum(axis=1),
    )
    half, half_cost = (
        Z * valuation.scale * one.std(ddof=1) if len(one) > 1 else np.nan for one in (worth, costs)
    )
    bounds = (max(value - half, 0), value + half) if np.isfinite(half) else (np.nan, np.nan)
    cost_bounds = (
        (max(cost - half_cost, 0), cost + half_cost) if np.isfinite(half_cost) else (np.nan, np.nan)
    )
    return (
        len(rows),
        rows.risk.mean(),
        rows.value.mean(),
        value,
        *bounds,
        rows.value_at_risk.sum(),
        cost,
        *cost_bounds,
        cost / kept if kept > 0 else 0.0,
    )


def name_money(table: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Return a table whose columns of money carry the currency in their names: ``value`` becomes
    ``value_eur``.
    """
    names = {*MONEY, "mean_value", "cost_low", "cost_high", "typical_amount"}
    return table.rename(
        columns={name: f"{name}_{currency.lower()}" for name in table if name in names}
    )


def values_table(valuation: Valuation, currency: str) -> pd.DataFrame:
    """Return the table ``value``: one row per customer, the most valuable at risk first, without
    the columns that this kind of study doesn't have.
    """
    rows = valuation.values.sort_values(
        ["value_at_risk", "customer_id"], ascending=[False, True], ignore_index=True
    )
    known = [
        name
        for name in rows
        if name in ("customer_id", "value", "low", "high") or rows[name].notna().any()
    ]
    return (
        name_money(rows[known], currency)
        .rename(columns={"alive": "alive_share", "risk": "risk_share"})
        .assign(model=valuation.model)
    )


def round_money(table: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Return a table for readers: money and purchases to one decimal, margins of a day to two."""
    money = [name for name in table if name.endswith(f"_{currency.lower()}")]
    return table.round(
        {name: 2 if name.startswith("margin") else 1 for name in money} | {"purchases": 1}
    )


def value_at_risk_table(stakes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of segments as a reader takes it in, an attribute named once, and which
    columns hold cells with intervals.
    """
    value = [_write_sum(*row) for row in stakes[["value", "low", "high"]].itertuples(index=False)]
    cost = [
        _write_sum(*row)
        for row in stakes[["cost_of_churn", "cost_low", "cost_high"]].itertuples(index=False)
    ]
    columns = {
        "told apart by": stakes.segment_by.str.replace("_", " "),
        "segment": stakes.segment,
        "customers": stakes.customers,
    }
    columns |= {
        "mean risk share": stakes.mean_risk_share,
        "value": value,
        "value at risk": stakes.value_at_risk.round(0),
    }
    return blank_repeats(
        pd.DataFrame(columns | {"cost of churn": cost, "cost share": stakes.cost_share}),
        "told apart by",
    ), ["value", "cost of churn"]


def _write_sum(value: float, low: float, high: float) -> str:
    return write_range(
        *(f"{number:,.0f}" if np.isfinite(number) else "" for number in (value, low, high))
    )


def compute_concentration(values: pd.DataFrame, parts: int = 20) -> pd.DataFrame:
    """Return which share of all value the most valuable customers hold: columns customers_share,
    value_share, from none to all.
    """
    ordered = np.r_[0, np.cumsum(np.sort(values.value.to_numpy(float))[::-1])]
    at = np.linspace(0, 1, parts + 1)
    total = ordered[-1] if ordered[-1] > 0 else 1.0
    return pd.DataFrame(
        {
            "customers_share": at,
            "value_share": np.interp(at * (len(ordered) - 1), np.arange(len(ordered)), ordered)
            / total,
        }
    )
