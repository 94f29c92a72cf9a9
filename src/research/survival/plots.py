"""Pictures of the tables of ``40_survival``: each draws one table on one Axes.

Intervals are those of the table, drawn as they are. A table without rows is drawn as a sentence
that says so.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, PercentFormatter

from research.models.registry import BASELINE
from research.reporting.format import write_name
from research.reporting.style import (
    BOUNDS,
    COLOURS,
    FAMILY_COLOURS,
    INK,
    MARKERS,
    REFERENCE_LINE,
    draw_sentence,
    find_line,
    get_axes,
    repeat_to,
    stack_bounds,
    use_log,
)

TICKS = 5
RATIO_LIMITS = (0.01, 100)  # hazard ratios beyond are drawn at the limit
RATIO_TICKS = (0.01, 0.03, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10, 30, 100)
CLOSE_TICKS = (0.8, 1.25)  # only on an axis that is not wide


def plot_curves(curves: pd.DataFrame, by: str, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw the survival curves of one attribute's segments with their 95 % bands.

    Below the axis stand the numbers at risk.

    Parameters
    ----------
    curves : DataFrame with columns segment_by, segment, days, survival, low, high, at_risk,
        given_days
    by : value of segment_by; "all" draws the curve of all customers
    unit : of the days
    """
    ax, rows = get_axes(ax), curves[curves.segment_by == by]
    names, start, late = list(rows.segment.unique()), rows.given_days.min(), rows.given_days.max()
    days = np.linspace(start, rows.days.max(), TICKS).round()
    for number, name in enumerate(names):
        part = rows[rows.segment == name]
        _draw_steps(ax, part, "survival", write_name(name), number, alpha=0.15)
        _write_at_risk(ax, part, days, number)
    ax.text(-0.01, -0.27, "at risk", transform=ax.transAxes, fontsize=8, ha="right", va="top")
    ax.set(
        xticks=days,
        ylim=(0, 1.02),
        ylabel="still there",
        xlabel=f"{unit} since joining" + _name_start(start, late),
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title("all customers" if by == "all" else by.replace("_", " "))
    if len(names) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def _draw_steps(
    ax: Axes, part: pd.DataFrame, value: str, label: str, number: int, alpha: float
) -> None:
    """Draw a step function with its band in the look of the ``number``-th line."""
    look = find_line(number)
    band = {"step": "post", "color": look["color"], "alpha": alpha, "linewidth": 0}
    ax.fill_between(part.days, part.low, part.high, **band)
    ax.step(part.days, part[value], where="post", label=label, **look)


def _name_start(first: float, last: float) -> str:
    after = f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}, by segment"
    return f" (of those there after {after})" if last else ""


def _write_at_risk(ax: Axes, part: pd.DataFrame, days: np.ndarray, number: int) -> None:
    """Write how many are at risk at each tick, one line per segment, as far as its curve goes."""
    for day in days[(days <= part.days.max()) & (days >= part.days.min())]:
        before = part.at_risk[part.days <= day]
        at_risk = before.iloc[-1] if (part.days < day).any() else part.at_risk.iloc[0]
        ax.text(
            day,
            -0.27 - 0.085 * number,
            f"{at_risk:,.0f}",
            transform=ax.get_xaxis_transform(),
            fontsize=8,
            color=find_line(number)["color"],
            ha="center",
            va="top",
        )


def plot_incidence(reasons: pd.DataFrame, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw the share that has left by each day, one line per reason, with 95 % bands.

    Parameters
    ----------
    reasons : DataFrame with columns reason, days, share, low, high
    """
    if reasons.empty:
        return draw_sentence("No reason for leaving is recorded.", ax)
    ax = get_axes(ax)
    for number, (name, part) in enumerate(reasons.groupby("reason", sort=False)):
        _draw_steps(ax, part, "share", name, number, alpha=0.18)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set(xlabel=f"{unit} since joining", ylabel="has left for this reason", ylim=(0, None))
    ax.legend(loc="upper left")
    return ax


def plot_ratios(ratios: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw hazard ratios with their 95 % intervals on a logarithmic axis.

    The dotted line is 1: no difference.

    Parameters
    ----------
    ratios : DataFrame with columns column, hazard_ratio, low, high
    """
    rows = _clip_ratios(ratios)
    if rows.empty:
        return draw_sentence("No hazard ratio can be estimated.", ax)
    ax = get_axes(ax, (8, 0.8 + 0.26 * len(rows)))
    use_log(ax.xaxis)
    points = {"linestyle": "none", "markersize": 6, "err_kws": {"linewidth": 2.2}}
    bounds = stack_bounds(rows, "hazard_ratio")
    sns.pointplot(bounds, x="hazard_ratio", y="column", color=COLOURS[0], ax=ax, **points, **BOUNDS)
    ax.axvline(1, zorder=0, **REFERENCE_LINE)
    ax.set(xlabel="hazard ratio (above 1: leave sooner)", ylabel="")
    _tick_ratios(ax.xaxis, rows.low.min(), rows.high.max())
    ax.grid(axis="y", visible=False)
    return ax


def _clip_ratios(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the estimated ratios and their bounds within the limits of the axis."""
    if ratios.empty:
        return ratios
    low, high = RATIO_LIMITS
    names = ["low", "hazard_ratio", "high"]
    rows = ratios[ratios.hazard_ratio.notna()]
    return rows.assign(**{name: rows[name].clip(low, high) for name in names})


def _tick_ratios(axis: Axis, low: float, high: float) -> None:
    ticks = [tick for tick in RATIO_TICKS if low / 1.5 <= tick <= high * 1.5]
    wide = high / low > 8
    axis.set_major_locator(
        FixedLocator([tick for tick in ticks if not wide or tick not in CLOSE_TICKS])
    )
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axis.set_minor_formatter(NullFormatter())


def plot_periods(ratios: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the hazard ratios of one attribute in each period, with 95 % intervals.

    Parameters
    ----------
    ratios : DataFrame with the columns of ``plot_ratios``, named "level, period"
    """
    rows = _clip_ratios(ratios)
    if rows.empty:
        return draw_sentence("No ratio changes significantly over time.", ax)
    ax, named = get_axes(ax), rows.column.str.rsplit(", ", n=1)
    levels = named.str[0].str.split(": ", n=1).str[-1].map(write_name)
    rows = rows.assign(period=named.str[1], level=levels)
    use_log(ax.yaxis)
    _draw_groups(ax, rows, "period", "hazard_ratio", "level", linestyles="none")
    ax.axhline(1, zorder=0, **REFERENCE_LINE)
    ax.set(xlabel="", ylabel="hazard ratio")
    _tick_ratios(ax.yaxis, rows.low.min(), rows.high.max())
    sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), fontsize=9, title=None)
    return ax


def _draw_groups(ax: Axes, rows: pd.DataFrame, x: str, y: str, hue: str, **look) -> None:
    """Draw values with their intervals side by side, a colour and a marker for each group."""
    groups = rows[hue].nunique()
    shape = {
        "palette": repeat_to(COLOURS, groups),
        "markers": repeat_to(MARKERS, groups),
        "dodge": 0.08 * (groups - 1) if groups > 1 else False,
        "err_kws": {"linewidth": 1.2},
    }
    sns.pointplot(stack_bounds(rows, y), x=x, y=y, hue=hue, ax=ax, **BOUNDS, **(shape | look))


def plot_scores_over_time(
    scores: pd.DataFrame, metric: str, label: str, unit: str = "days", ax: Axes | None = None
) -> Axes:
    """Draw one score of every model at each day, side by side with 95 % intervals.

    The baseline is grey and dotted.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, days, value, low, high
    """
    inside = (scores.metric == metric) & scores.days.notna() & scores.value.notna()
    ax, rows = get_axes(ax), scores[inside]
    baseline = rows.drop_duplicates("model").family.to_numpy() == BASELINE
    colours = [
        FAMILY_COLOURS[BASELINE] if grey else COLOURS[(number - 1) % len(COLOURS)]
        for number, grey in enumerate(baseline)
    ]
    _draw_groups(
        ax,
        rows,
        "days",
        "value",
        "model",
        palette=colours,
        linestyles=[":" if grey else "-" for grey in baseline],
        dodge=0.6 if len(baseline) > 1 else False,
        native_scale=True,
        markersize=4.5,
        linewidth=1.1,
        err_kws={"linewidth": 1},
        legend=ax.get_legend() is None,
    )
    if metric == "calibration":
        ax.axhline(0, color=INK, linewidth=1, zorder=0)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set(xlabel=f"{unit} on the clock of the models", ylabel=label, xticks=np.unique(rows.days))
    ax.get_legend().remove()
    return ax


def plot_survival_calibration(bins: pd.DataFrame, model: str, ax: Axes | None = None) -> Axes:
    """Draw one model's predicted against observed shares who left by each day.

    The dotted diagonal is perfect calibration.

    Parameters
    ----------
    bins : DataFrame with columns model, days, bin, predicted, observed, low, high
        All models of the table share the limits of the axes.
    """
    ax, rows = get_axes(ax), bins[bins.model == model]
    top = min(1.05 * max(bins.predicted.max(), bins.high.max()), 1.02)
    ax.plot([0, top], [0, top], **REFERENCE_LINE)
    days = rows.days.map("{:g}".format)
    look = {"markersize": 4.5, "linewidth": 1, "err_style": "bars", "dashes": False, "mew": 0}
    sns.lineplot(
        stack_bounds(rows.assign(days=days), "observed"),
        x="predicted",
        y="observed",
        hue="days",
        style="days",
        palette=repeat_to(COLOURS, days.nunique()),
        markers=repeat_to(MARKERS, days.nunique()),
        ax=ax,
        **look,
        **BOUNDS,
    )
    ax.get_legend().remove()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(title=model, xlabel="predicted to have left", ylabel="observed")
    ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    return ax


def plot_lifetimes(lifetimes: pd.DataFrame, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw how many customers are expected to stay how long, of the days up to the stated one.

    Parameters
    ----------
    lifetimes : DataFrame with columns restricted_mean_days, until_days
    """
    estimated = lifetimes[lifetimes.restricted_mean_days.notna()]
    if estimated.empty:
        return draw_sentence("No remaining lifetime can be estimated.", ax)
    ax, until = get_axes(ax), estimated.until_days.max()
    sns.histplot(
        estimated,
        x="restricted_mean_days",
        bins=30,
        binrange=(0, until),
        color=COLOURS[0],
        edgecolor="white",
        ax=ax,
    )
    ax.set(xlabel=f"expected {unit} from now on, of the next {until:,.0f}", ylabel="customers")
    return ax
