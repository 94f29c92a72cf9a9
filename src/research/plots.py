"""Pictures of result tables: each function draws one table on one Axes, and neither fits nor writes anything.

Colours are those of Okabe and Ito (2008), which survive colour blindness; markers differ too, so greyscale print does.
"""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

FAMILY_COLOURS = {"reference": "#6b7280", "logistic": "#0072B2", "trees": "#D55E00", "survival": "#009E73", "stacked": "#CC79A7"}
MARKERS = "osD^vPX"
STAGE_COLOURS = {
    "introduction": "#56B4E9",
    "growth": "#009E73",
    "maturity": "#0072B2",
    "decline": "#D55E00",
    "won back": "#CC79A7",
    "gone": "#9ca3af",
}


def use_style() -> None:
    """Give every figure of a notebook the project's style, as SVG."""
    plt.style.use(Path(__file__).with_name("research.mplstyle"))
    set_matplotlib_formats("svg")


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def plot_scores(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of every model with its interval; the dotted line is the best reference.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high
    metric : ``log_loss`` or ``brier``, of which less is better, or a score of which more is
    """
    ax, rows = _axes(ax), scores[(scores.metric == metric) & scores.value.notna()].iloc[::-1].reset_index(drop=True)
    for at, row in rows.iterrows():
        colour = FAMILY_COLOURS.get(row.family, "#000000")
        ax.plot([row.low, row.high], [at, at], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(row.value, at, marker="s" if row.family == "reference" else "o", color=colour, markersize=7)
    references = rows.value[rows.family == "reference"]
    if len(references):
        best = references.min() if metric in ("log_loss", "brier") else references.max()
        ax.axvline(best, color="#30343b", linestyle=":", linewidth=1.2, zorder=0)
    ax.set_yticks(range(len(rows)), rows.model)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


def plot_reliability(table: pd.DataFrame, model: str, ax: Axes | None = None) -> Axes:
    """Draw one model's observed against predicted churn per tenth of the customers, with the diagonal of perfect calibration.

    Parameters
    ----------
    table : DataFrame with columns model, predicted, observed, low, high; shares between 0 and 1
        All models of the table share the limits of the axes.
    """
    ax, rows = _axes(ax), table[table.model == model]
    top = 1.05 * max(table.predicted.max(), table.high.max())
    ax.plot([0, top], [0, top], color="#30343b", linestyle=":", linewidth=1.2)
    ax.errorbar(rows.predicted, rows.observed, yerr=[rows.observed - rows.low, rows.high - rows.observed], marker="o", markersize=5, elinewidth=0.9)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(title=model, xlabel="predicted churn", ylabel="observed churn", xlim=(0, top), ylim=(0, top), aspect="equal")
    return ax


def plot_dependence(traced: dict[str, pd.DataFrame], title: str, ax: Axes | None = None) -> Axes:
    """Draw the mean predicted risk over the values of one feature, a line for each family; categories stand side by side.

    Parameters
    ----------
    traced : by family, DataFrame with columns at, level, predicted, low, high
    """
    ax = _axes(ax)
    for number, (family, rows) in enumerate(traced.items()):
        where, colour = (rows["at"] if rows["at"].notna().all() else rows.level.astype(str)), FAMILY_COLOURS[family]
        ax.plot(where, rows.predicted, marker=MARKERS[number], markersize=4, color=colour, label=family)
        ax.fill_between(where, rows.low, rows.high, color=colour, alpha=0.15, linewidth=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title(textwrap.fill(title, 48), fontsize=9)
    ax.set(ylabel="predicted churn", ylim=(0, None))
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8)
    return ax


def plot_months(table: pd.DataFrame, ax: Axes | None = None, marks: dict[str, pd.Timestamp] | None = None) -> Axes:
    """Draw the rows per month of every table on a logarithmic axis, with dated marks such as the snapshot.

    Parameters
    ----------
    table : DataFrame with columns table, month, rows
    """
    ax = _axes(ax)
    for number, (name, rows) in enumerate(table.groupby("table", sort=False)):
        ax.plot(rows.month, rows["rows"].where(rows["rows"] > 0), marker=MARKERS[number % len(MARKERS)], markersize=4, label=name)
    for number, (words, day) in enumerate((marks or {}).items()):
        ax.axvline(day, color="#30343b", linestyle=":", linewidth=1.2)
        ax.annotate(
            words,
            (day, 1 - 0.07 * number),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -2),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    ax.set(yscale="log", ylabel="rows per month (log scale)", xlabel="month")
    _show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_stages(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the customers in each stage at every snapshot as stacked bars; who is gone is left out.

    Parameters
    ----------
    counts : DataFrame with columns snapshot, stage, customers
    """
    ax, wide = _axes(ax), counts[counts.stage != "gone"].pivot(index="snapshot", columns="stage", values="customers")
    width, below = 0.8 * _step_days(wide.index), pd.Series(0, wide.index)
    for stage in (name for name in STAGE_COLOURS if name in wide and wide[name].any()):
        ax.bar(wide.index, wide[stage], width, below, color=STAGE_COLOURS[stage], edgecolor="white", linewidth=0.6, label=stage)
        below = below + wide[stage]
    ax.set(ylabel="customers", xlabel="snapshot")
    _show_months(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _step_days(days: pd.DatetimeIndex) -> float:
    return (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else 30


def _show_months(ax: Axes, most: int = 9) -> None:
    ax.xaxis.set_major_locator(AutoDateLocator(maxticks=most))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def plot_transitions(moves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of moves from each stage (row) to each stage (column) as a heat map; empty where no move was seen.

    Parameters
    ----------
    moves : DataFrame with columns origin, stage, share, in the order of the stages
    """
    ax = _axes(ax)
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
            ax.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=8, color="white" if value > 0.6 * top else "#1f2937")


def plot_cohorts(cohorts: pd.DataFrame, ax: Axes | None = None, oldest_months: int = 24) -> Axes:
    """Draw retention by joining month (row) and age (column) as a heat map; cells that were not yet observed stay white.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort (first day of a month), age_months, share
    oldest_months : ages beyond it are left out
    """
    ax, rows = _axes(ax), cohorts[(cohorts.age_months > 0) & (cohorts.age_months <= oldest_months)]
    table = rows.pivot(index="cohort", columns="age_months", values="share")
    table.index = table.index.strftime("%b %Y")
    _draw_heat(ax, table, max(rows.share.max(), 1e-9))
    ax.set(xlabel="age in months of 30 days", ylabel="joined in")
    return ax


def plot_cohort_curves(cohorts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw retention over age, one line for each joining month; the darker, the later the customers joined.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort, age_months, share
    """
    ax, names = _axes(ax), sorted(cohorts.cohort.unique())
    shades = plt.get_cmap("Blues")(np.linspace(0.35, 1, len(names)))
    for shade, (name, rows) in zip(shades, cohorts.sort_values("age_months").groupby("cohort"), strict=True):
        ax.plot(rows.age_months, rows.share, color=shade, linewidth=1.3, label=f"{name:%b %Y}" if name in (names[0], names[-1]) else None)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="age in months of 30 days", ylabel="retained", ylim=(0, None))
    ax.legend(title="joined in", loc="upper right")
    return ax


def plot_stability(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how well two halves of the customers agree on their groups, per number of groups, beside data without any structure.

    Parameters
    ----------
    table : DataFrame with columns k, stability, low, high, reference, chosen
    """
    ax = _axes(ax)
    ax.errorbar(table.k, table.stability, yerr=[table.stability - table.low, table.high - table.stability], marker="o", label="these customers")
    ax.plot(table.k, table.reference, marker="s", linestyle=":", color="#6b7280", label="no structure")
    if (chosen := table[table.chosen]).size:
        ax.plot(chosen.k, chosen.stability, marker="o", markersize=13, markerfacecolor="none", color="#D55E00", linestyle="none", label="chosen")
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
    ax, rows = _axes(ax), rows.sort_values("snapshot")
    ax.fill_between(rows.snapshot, rows.low, rows.high, color="#0072B2", alpha=0.18, linewidth=0)
    ax.plot(rows.snapshot, rows.value, marker="o", markersize=3, color="#0072B2")
    if rows.target.notna().any():
        ax.axhline(rows.target.dropna().iloc[-1], color="#30343b", linestyle=":", linewidth=1.2)
    if unit == "share":
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set_title(title, fontsize=10)
    ax.set_ylabel("" if unit == "share" else textwrap.fill(unit, 22), fontsize=8)
    ax.tick_params(labelsize=8)
    _show_months(ax, 5)
    return ax


def plot_chart(rows: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw a control chart: the smoothed evidence of worsening against its limit, and since when it has worsened.

    Parameters
    ----------
    rows : DataFrame with columns snapshot, ewma, single, limit, alarm, since; in standard deviations, up is worse; empty while the chart learns
    """
    ax, rows = _axes(ax), rows.sort_values("snapshot")
    ax.plot(rows.snapshot, rows.ewma, marker="o", markersize=4, color="#0072B2", label="smoothed worsening")
    ax.plot(rows.snapshot, rows.limit, linestyle=":", color="#30343b", linewidth=1.2, label="alarm limit")
    ax.plot(rows.snapshot, rows.single, marker="s", markersize=3, linestyle="none", color="#6b7280", label="single period")
    if (alarms := rows[rows.alarm]).size:
        ax.plot(alarms.snapshot, alarms[["ewma", "single"]].max(axis=1), marker="D", linestyle="none", color="#D55E00", label="alarm")
    if rows.since.notna().any():
        ax.axvline(rows.since.dropna().iloc[0], color="#D55E00", linewidth=1.2, linestyle="--", label="since")
    ax.set(ylabel="standard deviations (up is worse)", title=title)
    _show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax
