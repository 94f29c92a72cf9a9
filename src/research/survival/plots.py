"""Pictures of the tables of ``40_survival``; as in ``plots``, each draws one table on one Axes, and
neither fits nor writes anything.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, PercentFormatter

from research.reporting.style import COLOURS, DASHES, FAMILY_COLOURS, MARKERS, get_axes

TICKS = 5
NARROW = 25  # letters of a name beside an axis


def plot_curves(curves: pd.DataFrame, by: str, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw the survival curves of one attribute's segments with their 95 % bands; below the axis,
    how many are at risk.

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
        part, colour = rows[rows.segment == name], COLOURS[number % len(COLOURS)]
        ax.fill_between(
            part.days, part.low, part.high, step="post", color=colour, alpha=0.15, linewidth=0
        )
        ax.step(
            part.days,
            part.survival,
            where="post",
            color=colour,
            linestyle=DASHES[number % len(DASHES)],
            label=_shorten(name),
        )
        _write_at_risk(ax, part, days, colour, number)
    ax.text(-0.01, -0.27, "at risk", transform=ax.transAxes, fontsize=8, ha="right", va="top")
    ax.set(
        xticks=days,
        ylim=(0, 1.02),
        ylabel="still there",
        xlabel=f"{unit} since joining" + _tell_start(start, late),
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title("all customers" if by == "all" else by.replace("_", " "))
    if len(names) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def _tell_start(first: float, last: float) -> str:
    after = f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}, by segment"
    return f" (of those there after {after})" if last else ""


def _write_at_risk(
    ax: Axes, part: pd.DataFrame, days: np.ndarray, colour: str, number: int
) -> None:
    """Write how many are at risk at each tick, one line per segment; nothing beyond the end of a
    curve.
    """
    for day in days[(days <= part.days.max()) & (days >= part.days.min())]:
        watched = (
            part.at_risk[part.days <= day].iloc[-1]
            if (part.days < day).any()
            else part.at_risk.iloc[0]
        )
        place = (day, -0.27 - 0.085 * number)
        ax.text(
            *place,
            f"{watched:,.0f}",
            transform=ax.get_xaxis_transform(),
            fontsize=8,
            color=colour,
            ha="center",
            va="top",
        )


def _shorten(name: str) -> str:
    return name if len(name) <= NARROW else name[: NARROW - 1] + "…"


def plot_incidence(reasons: pd.DataFrame, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw the share that has left by each day, one line per reason, with 95 % bands.

    Parameters
    ----------
    reasons : DataFrame with columns reason, days, share, low, high
    """
    ax = get_axes(ax)
    for number, (name, part) in enumerate(reasons.groupby("reason", sort=False)):
        colour = COLOURS[number % len(COLOURS)]
        ax.fill_between(
            part.days, part.low, part.high, step="post", color=colour, alpha=0.18, linewidth=0
        )
        ax.step(
            part.days,
            part.share,
            where="post",
            color=colour,
            linestyle=DASHES[number % len(DASHES)],
            label=name,
        )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set(xlabel=f"{unit} since joining", ylabel="has left for this reason", ylim=(0, None))
    ax.legend(loc="upper left")
    return ax


def plot_ratios(ratios: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw hazard ratios with their 95 % intervals on a logarithmic axis; the dotted line is 1: no
    difference.

    Parameters
    ----------
    ratios : DataFrame with columns column, hazard_ratio, low, high
    """
    ax, rows = get_axes(ax), ratios[ratios.hazard_ratio.notna()].iloc[::-1].reset_index(drop=True)
    low, high = rows.low.clip(lower=0.01), rows.high.clip(upper=100)
    ax.hlines(rows.index, low, high, color="#0072B2", linewidth=2.2)
    ax.plot(
        rows.hazard_ratio.clip(0.01, 100),
        rows.index,
        marker="o",
        linestyle="none",
        color="#0072B2",
        markersize=6,
    )
    ax.axvline(1, color="#30343b", linestyle=":", linewidth=1.2, zorder=0)
    ax.set(
        xscale="log",
        yticks=rows.index,
        yticklabels=rows.column,
        xlabel="hazard ratio (above 1: leave sooner)",
        ylim=(-0.6, len(rows) - 0.4),
    )
    _tick_ratios(ax.xaxis, low.min(), high.max())
    ax.grid(axis="y", visible=False)
    return ax


def _tick_ratios(axis: Axis, low: float, high: float) -> None:
    ticks = [
        tick
        for tick in (0.01, 0.03, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10, 30, 100)
        if low / 1.5 <= tick <= high * 1.5
    ]
    wide = high / low > 8
    axis.set_major_locator(
        FixedLocator([tick for tick in ticks if not wide or tick not in (0.8, 1.25)])
    )
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axis.set_minor_formatter(NullFormatter())


def plot_periods(ratios: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the hazard ratios of one column in each period, with 95 % intervals; columns as in
    ``plot_ratios``, named "level, period".
    """
    ax, rows = get_axes(ax), ratios[ratios.hazard_ratio.notna()]
    level, period = (
        rows.column.str.rsplit(", ", n=1).str[0],
        rows.column.str.rsplit(", ", n=1).str[1],
    )
    periods, levels = list(dict.fromkeys(period)), list(dict.fromkeys(level))
    for number, name in enumerate(levels):
        part = rows[level == name]
        at = period[level == name].map(periods.index) + 0.08 * (number - (len(levels) - 1) / 2)
        colour, clipped = (
            COLOURS[number % len(COLOURS)],
            part[["low", "hazard_ratio", "high"]].clip(0.01, 100),
        )
        ax.vlines(at, clipped.low, clipped.high, color=colour, linewidth=2)
        ax.plot(
            at,
            clipped.hazard_ratio,
            marker=MARKERS[number % len(MARKERS)],
            color=colour,
            linestyle="none",
            label=_shorten(name.split(": ", 1)[-1]),
        )
    ax.axhline(1, color="#30343b", linestyle=":", linewidth=1.2, zorder=0)
    ax.set(
        yscale="log",
        xticks=range(len(periods)),
        xticklabels=periods,
        xlim=(-0.5, len(periods) - 0.5),
        ylabel="hazard ratio",
    )
    _tick_ratios(ax.yaxis, rows.low.clip(lower=0.01).min(), rows.high.clip(upper=100).max())
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def plot_scores_over_time(
    scores: pd.DataFrame, metric: str, label: str, unit: str = "days", ax: Axes | None = None
) -> Axes:
    """Draw one score of every model at each day, side by side with 95 % intervals; the reference is
    grey and dotted.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, days, value, low, high
    """
    ax, rows = (
        get_axes(ax),
        scores[(scores.metric == metric) & scores.days.notna() & scores.value.notna()],
    )
    models = list(rows.model.unique())
    step = np.diff(np.unique(rows.days)).min(initial=rows.days.max()) * 0.6 / max(len(models), 1)
    for number, name in enumerate(models):
        part, dotted = (
            rows[rows.model == name],
            rows.family[rows.model == name].iloc[0] == "reference",
        )
        colour, shift = (
            FAMILY_COLOURS["reference"] if dotted else COLOURS[number - 1],
            (number - (len(models) - 1) / 2) * step,
        )
        ax.errorbar(
            part.days + shift,
            part.value,
            yerr=np.maximum([part.value - part.low, part.high - part.value], 0),
            color=colour,
            linestyle=":" if dotted else "-",
            linewidth=1.1,
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            elinewidth=1,
            label=name,
        )
    if metric == "calibration":
        ax.axhline(0, color="#30343b", linewidth=1, zorder=0)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set(xlabel=f"{unit} on the clock of the models", ylabel=label, xticks=np.unique(rows.days))
    return ax


def plot_survival_calibration(bins: pd.DataFrame, model: str, ax: Axes | None = None) -> Axes:
    """Draw one model's predicted against observed shares who left by each day, with the diagonal of
    perfect calibration.

    Parameters
    ----------
    bins : DataFrame with columns model, days, bin, predicted, observed, low, high
        All models of the table share the limits of the axes.
    """
    ax, rows = get_axes(ax), bins[bins.model == model]
    top = min(1.05 * max(bins.predicted.max(), bins.high.max()), 1.02)
    ax.plot([0, top], [0, top], color="#30343b", linestyle=":", linewidth=1.2)
    for number, (day, part) in enumerate(rows.groupby("days")):
        spread = [part.observed - part.low, part.high - part.observed]
        colour = COLOURS[number % len(COLOURS)]
        ax.errorbar(
            part.predicted,
            part.observed,
            yerr=np.maximum(spread, 0),
            marker=MARKERS[number],
            markersize=4.5,
            color=colour,
            linewidth=1,
            label=f"{day:g}",
        )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(
        title=model,
        xlabel="predicted to have left",
        ylabel="observed",
        xlim=(0, top),
        ylim=(0, top),
        aspect="equal",
    )
    return ax


def plot_lifetimes(lifetimes: pd.DataFrame, unit: str = "days", ax: Axes | None = None) -> Axes:
    """Draw how many customers are expected to stay how long, of the days up to the stated one.

    Parameters
    ----------
    lifetimes : DataFrame with columns restricted_mean_days, until_days
    """
    ax, known = get_axes(ax), lifetimes[lifetimes.restricted_mean_days.notna()]
    ax.hist(known.restricted_mean_days, bins=30, range=(0, known.until_days.max()), color="#0072B2")
    ax.set(
        xlabel=f"expected {unit} from now on, of the next {known.until_days.max():,.0f}",
        ylabel="customers",
    )
    return ax
