"""Pictures of stages, cohorts, indicators and control charts, drawn from result tables."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from research.reporting.style import get_axes, show_months

STAGE_COLOURS = {
    "introduction": "#56B4E9",
    "growth": "#009E73",
    "maturity": "#0072B2",
    "decline": "#D55E00",
    "won back": "#CC79A7",
    "gone": "#9ca3af",
}


def plot_stages(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the customers in each stage at every snapshot as stacked bars; who is gone is left out.

    Parameters
    ----------
    counts : DataFrame with columns snapshot, stage, customers
    """
    ax, wide = (
        get_axes(ax),
        counts[counts.stage != "gone"].pivot(index="snapshot", columns="stage", values="customers"),
    )
    width, below = 0.8 * _step_days(wide.index), pd.Series(0, wide.index)
    for stage in (name for name in STAGE_COLOURS if name in wide and wide[name].any()):
        ax.bar(
            wide.index,
            wide[stage],
            width,
            below,
            color=STAGE_COLOURS[stage],
            edgecolor="white",
            linewidth=0.6,
            label=stage,
        )
        below = below + wide[stage]
    ax.set(ylabel="customers", xlabel="snapshot")
    show_months(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _step_days(days: pd.DatetimeIndex) -> float:
    return (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else 30


def plot_transitions(moves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of moves from each stage (row) to each stage (column) as a heat map; empty
    where no move was seen.

    Parameters
    ----------
    moves : DataFrame with columns origin, stage, share, in the order of the stages
    """
    ax = get_axes(ax)
    table = moves.pivot(index="origin", columns="stage", values="share").loc[moves.origin.unique()]
    table = table[[name for name in STAGE_COLOURS if name in table]]
    _draw_heat(ax, table, 1)
    ax.set(xlabel="stage at the next snapshot", ylabel="stage at a snapshot")
    ax.tick_params(axis="x", rotation=30)
    return ax


def _draw_heat(ax: Axes, table: pd.DataFrame, top: float) -> None:
    """Draw shares as shades with their percentages; cells without a value stay white."""
    ax.imshow(table, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    ax.set_xticks(range(table.shape[1]), table.columns)
    ax.set_yticks(range(table.shape[0]), table.index)
    ax.grid(visible=False)
    for (row, column), value in np.ndenumerate(table.to_numpy(float)):
        if np.isfinite(value):
            ax.text(
                column,
                row,
                f"{value:.0%}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if value > 0.6 * top else "#1f2937",
            )


def plot_cohorts(cohorts: pd.DataFrame, ax: Axes | None = None, oldest_months: int = 24) -> Axes:
    """Draw retention by joining month (row) and age (column) as a heat map; cells that were not yet
    observed stay white.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort (first day of a month), age_months, share
    oldest_months : ages beyond it are left out
    """
    ax, rows = (
        get_axes(ax),
        cohorts[(cohorts.age_months > 0) & (cohorts.age_months <= oldest_months)],
    )
    table = rows.pivot(index="cohort", columns="age_months", values="share")
    table.index = table.index.strftime("%b %Y")
    _draw_heat(ax, table, max(rows.share.max(), 1e-9))
    ax.set(xlabel="age in months of 30 days", ylabel="joined in")
    return ax


def plot_cohort_curves(cohorts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw retention over age, one line for each joining month; the darker, the later the customers
    joined.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort, age_months, share
    """
    ax, names = get_axes(ax), sorted(cohorts.cohort.unique())
    shades = plt.get_cmap("Blues")(np.linspace(0.35, 1, len(names)))
    for shade, (name, rows) in zip(
        shades, cohorts.sort_values("age_months").groupby("cohort"), strict=True
    ):
        ax.plot(
            rows.age_months,
            rows.share,
            color=shade,
            linewidth=1.3,
            label=f"{name:%b %Y}" if name in (names[0], names[-1]) else None,
        )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="age in months of 30 days", ylabel="retained", ylim=(0, None))
    ax.legend(title="joined in", loc="upper right")
    return ax


def plot_stability(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how well two halves of the customers agree on their groups, per number of groups, beside
    data without any structure.

    Parameters
    ----------
    table : DataFrame with columns k, stability, low, high, reference, chosen
    """
    ax = get_axes(ax)
    ax.errorbar(
        table.k,
        table.stability,
        yerr=[table.stability - table.low, table.high - table.stability],
        marker="o",
        label="these customers",
    )
    ax.plot(
        table.k, table.reference, marker="s", linestyle=":", color="#6b7280", label="no structure"
    )
    if (chosen := table[table.chosen]).size:
        ax.plot(
            chosen.k,
            chosen.stability,
            marker="o",
            markersize=13,
            markerfacecolor="none",
            color="#D55E00",
            linestyle="none",
            label="chosen",
        )
    ax.set(xlabel="number of groups", ylabel="agreement (adjusted Rand index)", ylim=(0, 1.05))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_trend(rows: pd.DataFrame, title: str, unit: str, ax: Axes | None = None) -> Axes:
    """Draw one indicator over the snapshots with its 95 % intervals; a dotted line is the target.

    Parameters
    ----------
    rows : DataFrame with columns snapshot, value, low, high, target
    unit : "share" gives percentages, any other labels the axis
    """
    ax, rows = get_axes(ax), rows.sort_values("snapshot")
    ax.fill_between(rows.snapshot, rows.low, rows.high, color="#0072B2", alpha=0.18, linewidth=0)
    ax.plot(rows.snapshot, rows.value, marker="o", markersize=3, color="#0072B2")
    if rows.target.notna().any():
        ax.axhline(rows.target.dropna().iloc[-1], color="#30343b", linestyle=":", linewidth=1.2)
    if unit == "share":
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set_title(title, fontsize=10)
    ax.set_ylabel("" if unit == "share" else textwrap.fill(unit, 22), fontsize=8)
    ax.tick_params(labelsize=8)
    show_months(ax, 5)
    return ax


def plot_chart(rows: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw a control chart: the smoothed evidence of worsening against its limit, and since when it
    has worsened.

    Parameters
    ----------
    rows : DataFrame with columns snapshot, ewma, single, limit, alarm, since; in standard
        deviations, up is worse; empty while the chart learns
    """
    ax, rows = get_axes(ax), rows.sort_values("snapshot")
    ax.plot(
        rows.snapshot,
        rows.ewma,
        marker="o",
        markersize=4,
        color="#0072B2",
        label="smoothed worsening",
    )
    ax.plot(
        rows.snapshot,
        rows.limit,
        linestyle=":",
        color="#30343b",
        linewidth=1.2,
        label="alarm limit",
    )
    ax.plot(
        rows.snapshot,
        rows.single,
        marker="s",
        markersize=3,
        linestyle="none",
        color="#6b7280",
        label="single period",
    )
    if (alarms := rows[rows.alarm]).size:
        ax.plot(
            alarms.snapshot,
            alarms[["ewma", "single"]].max(axis=1),
            marker="D",
            linestyle="none",
            color="#D55E00",
            label="alarm",
        )
    if rows.since.notna().any():
        ax.axvline(
            rows.since.dropna().iloc[0],
            color="#D55E00",
            linewidth=1.2,
            linestyle="--",
            label="since",
        )
    ax.set(ylabel="standard deviations (up is worse)", title=title)
    show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax
