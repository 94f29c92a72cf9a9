"""Pictures of stages, cohorts, personas, indicators and control charts, drawn from result tables.

A table without rows is drawn as a sentence that says so.
"""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from research.lifecycle.control_charts import CHART_KEYS, WHOLE_COMPANY, chart_title
from research.reporting.style import (
    COLOURS,
    GREY,
    REFERENCE_LINE,
    draw_band,
    draw_intervals,
    draw_sentence,
    get_axes,
    show_months,
)

BLUE, ORANGE = COLOURS[:2]
STAGE_COLOURS = {
    "introduction": "#56B4E9",
    "growth": "#009E73",
    "maturity": "#0072B2",
    "decline": "#D55E00",
    "won back": "#CC79A7",
    "gone": "#9ca3af",
}
PANELS_PER_ROW = 3
MOST_COHORT_MONTHS = 24  # ages beyond it are left out of the heat map
MOST_CHARTS = 2  # control charts with an alarm that are drawn


def plot_stages(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the customers in each stage at every snapshot as stacked bars, without those gone.

    Parameters
    ----------
    counts : DataFrame with columns snapshot, stage, customers
    """
    ax = get_axes(ax)
    present = counts[counts.stage != "gone"]
    wide = present.pivot(index="snapshot", columns="stage", values="customers")
    width, bottom = 0.8 * _step_days(wide.index), pd.Series(0, wide.index)
    bars = {"edgecolor": "white", "linewidth": 0.6}
    for stage in (name for name in STAGE_COLOURS if name in wide and wide[name].any()):
        heights = wide[stage]
        ax.bar(wide.index, heights, width, bottom, color=STAGE_COLOURS[stage], label=stage, **bars)
        bottom = bottom + heights
    ax.set(ylabel="customers", xlabel="snapshot")
    show_months(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _step_days(days: pd.DatetimeIndex) -> float:
    return (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else 30


def plot_transitions(transitions: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of moves from each stage (row) to each stage (column) as a heat map.

    Parameters
    ----------
    transitions : DataFrame with columns origin, stage, share, in the order of the stages
    """
    if transitions.empty:
        return draw_sentence("No customer was observed at two consecutive snapshots.", ax)
    table = transitions.pivot(index="origin", columns="stage", values="share")
    stages = [name for name in STAGE_COLOURS if name in table]
    ax = get_axes(ax, (8, 4.2))
    _draw_heat_map(ax, table.loc[transitions.origin.unique(), stages], top=1)
    ax.set(xlabel="stage at the next snapshot", ylabel="stage at a snapshot")
    ax.tick_params(axis="x", rotation=30)
    return ax


def _draw_heat_map(ax: Axes, shares: pd.DataFrame, top: float) -> None:
    """Draw shares as shades with their percentages; cells without a value stay white."""
    cells = {"annot": True, "fmt": ".0%", "annot_kws": {"fontsize": 8}, "cbar": False}
    sns.heatmap(shares.astype(float), cmap="Blues", vmin=0, vmax=top, ax=ax, **cells)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.tick_params(axis="y", rotation=0)


def plot_cohorts(cohorts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw retention by joining month (row) and age (column) as a heat map.

    Cells that are not observed yet stay white.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort (first day of a month), age_months, share
    """
    cells = cohorts[(cohorts.age_months > 0) & (cohorts.age_months <= MOST_COHORT_MONTHS)]
    if cells.empty:
        return draw_sentence("No cohort has been observed for a month.", ax)
    table = cells.pivot(index="cohort", columns="age_months", values="share")
    table.index = table.index.strftime("%b %Y")
    ax = get_axes(ax, (10, 0.9 + 0.27 * len(table)))
    _draw_heat_map(ax, table, top=max(cells.share.max(), 1e-9))
    ax.set(xlabel="age in months", ylabel="joined in")
    return ax


def plot_cohort_curves(cohorts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw retention over age, one line for each joining month; the later, the darker.

    Parameters
    ----------
    cohorts : DataFrame with columns cohort, age_months, share
    """
    if cohorts.empty:
        return draw_sentence("No customer is in a cohort.", ax)
    ax, months = get_axes(ax), sorted(cohorts.cohort.unique())
    names = [f"{month:%b %Y}" for month in months]
    rows = cohorts.assign(month=cohorts.cohort.map(dict(zip(months, names, strict=True))))
    look = {"hue_order": names, "palette": sns.color_palette("crest", len(names)), "linewidth": 1.3}
    sns.lineplot(
        rows, x="age_months", y="share", hue="month", errorbar=None, legend=False, ax=ax, **look
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="age in months", ylabel="retained", ylim=(0, None))
    ends = sorted({0, len(names) - 1})
    ax.legend([ax.lines[i] for i in ends], [names[i] for i in ends], title="joined in")
    return ax


def plot_stability(stability: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how far two halves of the customers agree on their clusters, by number of clusters.

    Compared with reference data without clusters.

    Parameters
    ----------
    stability : DataFrame with columns k, stability, low, high, reference, chosen
    """
    if stability.empty:
        return draw_sentence("No number of clusters was tried.", ax)
    ax, k = get_axes(ax), stability.k
    bounds = stability.stability, stability.low, stability.high
    draw_intervals(ax, k, *bounds, marker="o", label="these customers")
    reference = {"marker": "s", "linestyle": ":", "color": GREY}
    ax.plot(k, stability.reference, label="reference data without clusters", **reference)
    chosen = stability[stability.chosen]
    if len(chosen):
        ring = {"markersize": 13, "markerfacecolor": "none", "color": ORANGE, "linestyle": "none"}
        ax.plot(chosen.k, chosen.stability, marker="o", label="chosen", **ring)
    ax.set(xlabel="number of clusters", ylabel="agreement (adjusted Rand index)", ylim=(0, 1.05))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_indicators(scores: pd.DataFrame) -> sns.FacetGrid | Axes:
    """Draw every indicator over the snapshots as small multiples; see ``plot_indicator``.

    Parameters
    ----------
    scores : DataFrame with columns indicator, title, unit, snapshot, value, low, high, target
        Indicators measured at one snapshot only are left out.
    """
    measured = scores[scores.value.notna()]
    several = measured.groupby("indicator").snapshot.transform("size") > 1
    rows = scores[scores.indicator.isin(measured.indicator[several])]
    if rows.empty:
        return draw_sentence("No indicator is measured at two snapshots.")
    shape = {"height": 2.1, "aspect": 10 / PANELS_PER_ROW / 2.1, "despine": False}
    free = {"sharex": False, "sharey": False}
    with plt.rc_context({"figure.constrained_layout.use": False}):  # the grid has its own layout
        grid = sns.FacetGrid(rows, col="indicator", col_wrap=PANELS_PER_ROW, **free, **shape)
    for name, ax in grid.axes_dict.items():
        plot_indicator(rows[rows.indicator == name], ax)
    return grid.tight_layout()


def plot_indicator(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one indicator over the snapshots with its 95 % intervals; a dotted line is the target.

    Parameters
    ----------
    rows : DataFrame with columns title, unit, snapshot, value, low, high, target
        Of one indicator; its unit "share" gives percentages, any other labels the axis.
    """
    ax, rows = get_axes(ax), rows.sort_values("snapshot")
    title, unit = rows.title.iloc[0], rows.unit.iloc[0]
    bounds = rows.value, rows.low, rows.high
    draw_band(ax, rows.snapshot, *bounds, marker="o", markersize=3, color=BLUE)
    if rows.target.notna().any():
        ax.axhline(rows.target.dropna().iloc[-1], **REFERENCE_LINE)
    if unit == "share":
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("")
    ax.set_ylabel("" if unit == "share" else textwrap.fill(unit, 22), fontsize=8)
    ax.tick_params(labelsize=8)
    show_months(ax, 7)
    return ax


def plot_control_charts(
    charts: pd.DataFrame, warnings: pd.DataFrame, titles: dict[str, str]
) -> list[Axes]:
    """Draw the control charts with the first warnings, or that of churn where there is no warning.

    Parameters
    ----------
    charts : DataFrame, see ``control_charts.compute_charts``
    warnings : DataFrame, see ``chart_changes.list_changes``
    titles : title of each indicator
    """
    keys = [*warnings[CHART_KEYS].head(MOST_CHARTS).itertuples(index=False, name=None)]
    keys = keys or [("customer_churn_rate", WHOLE_COMPANY, "all")]
    drawn = [charts[(charts[CHART_KEYS] == key).all(axis=1)] for key in keys]
    drawn = [rows for rows in drawn if rows.ewma.notna().any()]
    if not drawn:
        return [draw_sentence("Too few periods for a control chart.")]
    _, axes = plt.subplots(len(drawn), figsize=(8, 4 * len(drawn)), squeeze=False)
    return [
        plot_control_chart(rows, chart_title(rows.iloc[0], titles), ax)
        for rows, ax in zip(drawn, axes.flat, strict=True)
    ]


def plot_control_chart(rows: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw a control chart: the smoothed readings, their limit, and since when it has worsened.

    Parameters
    ----------
    rows : DataFrame with columns snapshot, ewma, single, limit, alarm, since; in standard
        deviations, up is worse; empty in the periods of a baseline, which are shaded
    """
    ax, rows = get_axes(ax), rows.sort_values("snapshot")
    days, averages = rows.snapshot, {"marker": "o", "markersize": 4, "color": BLUE}
    points = {"marker": "s", "markersize": 3, "linestyle": "none", "color": GREY}
    _shade_baseline(rows, ax)
    ax.plot(days, rows.ewma, label="moving average (EWMA)", **averages)
    ax.plot(days, rows.limit, label="alarm limit", **REFERENCE_LINE)
    ax.plot(days, rows.single, label="single period", **points)
    alarms, since = rows[rows.alarm], rows.since.dropna()
    if len(alarms):
        highest = alarms[["ewma", "single"]].max(axis=1)
        diamonds = {"marker": "D", "linestyle": "none", "color": ORANGE}
        ax.plot(alarms.snapshot, highest, label="alarm", **diamonds)
    if len(since):
        ax.axvline(since.iloc[0], color=ORANGE, linewidth=1.2, linestyle="--", label="since")
    ax.set(ylabel="standard deviations (up is worse)", title=title)
    show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _shade_baseline(rows: pd.DataFrame, ax: Axes) -> None:
    """Shade the periods that a baseline is estimated from: they have no average."""
    without = rows.ewma.isna()
    if without.any():
        look = {"color": GREY, "alpha": 0.12, "linewidth": 0, "label": "baseline"}
        of_axes = ax.get_xaxis_transform()
        ax.fill_between(rows.snapshot, 0, 1, where=without, transform=of_axes, **look)
