"""Pictures of the tables of ``50_value``; as in ``plots``, each draws one table on one Axes, and
neither fits nor writes anything.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

from research.reporting.style import COLOURS, DASHES, FAMILY_COLOURS, get_axes

NARROW = 28  # letters of a name beside an axis


def plot_deciles(table: pd.DataFrame, model: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw what came against what one model expected, per tenth of the customers by that
    expectation, with the diagonal.

    Logarithmic where all means are above 0.

    Parameters
    ----------
    table : DataFrame with columns model, group, expected, actual, low, high; see
        ``holdout.tabulate_deciles``
    label : what is counted, per customer
    """
    ax, rows = get_axes(ax), table[(table.model == model) & (table.group > 0)]
    least, top = (
        min(rows.expected.min(), rows.actual.min()),
        max(rows.expected.max(), rows.high.max(), 1e-9),
    )
    bottom = least / 2 if least > 0 else min(0, rows.low.min())
    ax.plot([bottom, 1.3 * top], [bottom, 1.3 * top], color="#30343b", linestyle=":", linewidth=1.2)
    spread = [rows.actual - rows.low.clip(lower=bottom), rows.high - rows.actual]
    ax.errorbar(
        rows.expected,
        rows.actual,
        yerr=np.maximum(spread, 0),
        marker="o",
        markersize=5,
        elinewidth=0.9,
        linestyle="none",
        color=COLOURS[0],
    )
    if least > 0:
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            _tick_log(axis)
    ax.set(
        title=model,
        xlabel=f"expected {label}",
        ylabel=f"actual {label}",
        xlim=(bottom, 1.3 * top),
        ylim=(bottom, 1.3 * top),
    )
    return ax


def plot_tracking(table: pd.DataFrame, total: bool, ax: Axes | None = None) -> Axes:
    """Draw repeat purchases over the weeks, expected by each model and actual; a vertical line is
    the snapshot.

    Parameters
    ----------
    table : DataFrame with columns model, week_ends, expected, actual, expected_total, actual_total,
        holdout; see ``holdout.track_purchases``
    total : cumulative, else week by week
    """
    ax, end = get_axes(ax), "_total" if total else ""
    first = table[table.model == table.model.iloc[0]]
    ax.plot(first.week_ends, first[f"actual{end}"], color="#30343b", linewidth=1.8, label="actual")
    for number, (name, rows) in enumerate(table.groupby("model", sort=False)):
        ax.plot(
            rows.week_ends,
            rows[f"expected{end}"],
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[(number + 1) % len(DASHES)],
            label=name,
        )
    if (known := first[~first.holdout]).size:
        ax.axvline(known.week_ends.max(), color="#30343b", linestyle=":", linewidth=1.2)
    ax.xaxis.set_major_locator(AutoDateLocator(maxticks=7))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    ax.set(
        ylabel="repeat purchases so far" if total else "repeat purchases in the week",
        xlabel="week ends",
        ylim=(0, None),
    )
    return ax


def plot_errors(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of every model with its 95 % interval; the dotted line is the rule from which
    differences count, or 0 for a total.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high, reference
    """
    ax, rows = (
        get_axes(ax),
        scores[(scores.metric == metric) & scores.value.notna()].iloc[::-1].reset_index(drop=True),
    )
    colours = np.where(rows.family == "reference", FAMILY_COLOURS["reference"], COLOURS[0])
    ax.hlines(rows.index, rows.low, rows.high, color=colours, linewidth=2.2)
    for at, row in rows.iterrows():
        ax.plot(
            row.value,
            at,
            marker="s" if row.family == "reference" else "o",
            color=colours[at],
            markersize=7,
        )
    share = metric.endswith("share") or metric.startswith("hit_rate")
    against = (
        rows.value[rows.model == rows.reference[rows.reference != ""].iloc[0]]
        if (rows.reference != "").any()
        else rows.value[:0]
    )
    if len(against):
        ax.axvline(
            0 if metric == "total_error_share" else against.item(),
            color="#30343b",
            linestyle=":",
            linewidth=1.2,
            zorder=0,
        )
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(
        PercentFormatter(1, decimals=0) if share else FuncFormatter(_write_tick)
    )
    ax.set(
        yticks=rows.index,
        yticklabels=[_shorten(name) for name in rows.model],
        ylim=(-0.6, len(rows) - 0.4),
        xlabel=label,
    )
    ax.grid(axis="y", visible=False)
    return ax


def _write_tick(value: float, _: int) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"


def _tick_log(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(_write_tick))
    axis.set_minor_formatter(NullFormatter())


def _shorten(name: str) -> str:
    return str(name) if len(str(name)) <= NARROW else str(name)[: NARROW - 1] + "…"


def plot_concentration(shares: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of all value that the most valuable customers hold; the dotted line is the
    same value for all.

    Parameters
    ----------
    shares : DataFrame with columns customers_share, value_share
    """
    ax = get_axes(ax)
    ax.plot([0, 1], [0, 1], color="#30343b", linestyle=":", linewidth=1.2)
    ax.plot(shares.customers_share, shares.value_share, marker="o", markersize=4, color=COLOURS[0])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(
        xlabel="customers, the most valuable first",
        ylabel="share of all value",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    return ax


def plot_risk_and_value(values: pd.DataFrame, currency: str, ax: Axes | None = None) -> Axes:
    """Draw customers by risk and value, the darker the more of them; who is worth nothing is left
    out of a logarithmic axis.

    Parameters
    ----------
    values : DataFrame with columns risk, value
    """
    ax, rows = get_axes(ax), values[values.value > 0]
    if rows.empty:
        return ax
    low = rows.value.quantile(0.005)
    ax.hexbin(
        rows.risk,
        rows.value.clip(lower=low),
        yscale="log",
        gridsize=32,
        mincnt=1,
        bins="log",
        cmap="Blues",
        linewidths=0.1,
    )
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _tick_log(ax.yaxis)
    ax.set(xlabel="risk", ylabel=f"value, {currency} (log scale)")
    return ax


def plot_cost_of_churn(stakes: pd.DataFrame, by: str, currency: str, ax: Axes | None = None) -> Axes:
    """Draw what churn is expected to take from each segment of one attribute, with 95 % intervals,
    and the part of the segment's value that it is.

    Parameters
    ----------
    stakes : DataFrame with columns segment_by, segment, cost_of_churn, cost_low, cost_high,
        cost_share
    """
    ax, rows = get_axes(ax), stakes[stakes.segment_by == by].iloc[::-1].reset_index(drop=True)
    ax.barh(rows.index, rows.cost_of_churn, color=COLOURS[0], height=0.62)
    if rows.cost_low.notna().any():
        ax.hlines(rows.index, rows.cost_low, rows.cost_high, color="#30343b", linewidth=1.6)
    ends = rows[["cost_of_churn", "cost_high"]].max(axis=1)
    for at, row in rows.iterrows():
        ax.annotate(
            f"{row.cost_share:.0%}",
            (ends[at], at),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(_write_tick))
    ax.set(
        yticks=rows.index,
        yticklabels=[_shorten(name) for name in rows.segment],
        title=by.replace("_", " "),
        xlim=(0, 1.15 * max(ends.max(), 1e-9)),
    )
    ax.set_xlabel(f"cost of churn, {currency}")
    ax.grid(axis="y", visible=False)
    return ax
