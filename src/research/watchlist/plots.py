"""Pictures of ``70_watchlist``; they neither fit nor write anything."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from research.reporting.style import (
    COLOURS,
    GREY,
    INK,
    REFERENCE_LINE,
    draw_intervals,
    draw_sentence,
    get_axes,
    show_months,
)

NOTHING = "Nothing was replayed, so there is nothing to show."


def plot_windows(windows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw for each replayed window how many were expected to leave, and how many did.

    Parameters
    ----------
    windows : see ``forecast.REPLAYED``
    """
    if windows.empty:
        return draw_sentence(NOTHING, ax)
    ax, days = get_axes(ax, (8, 3.4)), pd.to_datetime(windows.snapshot)
    known = windows.high.notna() & (windows.high <= 3 * windows.actual.max())
    ax.plot(days, windows.expected, "o", color=COLOURS[0], label="expected")
    bounded = windows[known].astype({"expected": float, "low": float, "high": float})
    if len(bounded):
        ends = (bounded.expected, bounded.low, bounded.high)
        draw_intervals(ax, days[known], *ends, fmt="o", color=COLOURS[0], capsize=2)
    ax.plot(days, windows.actual, "D", color=COLOURS[1], label="left")
    ax.set(xlabel="day of the list", ylabel="customers", ylim=(0, None))
    show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_scores(scores: pd.DataFrame, score: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of each ranking with its 95 % interval.

    Parameters
    ----------
    scores : see ``backtest.score_lists``
    """
    if scores.empty:
        return draw_sentence(NOTHING, ax)
    rows = scores[scores.score == score].iloc[::-1]
    if rows.value.isna().all():
        return draw_sentence("No value is known, so nothing is counted by it.", ax)
    ax, places = get_axes(ax, (8, 2.4)), np.arange(len(rows))
    colours = [GREY] * (len(rows) - 1) + [COLOURS[0]]
    for place, row, colour in zip(places, rows.itertuples(), colours, strict=True):
        ends = [[row.value - row.low], [row.high - row.value]]
        ax.errorbar([row.value], [place], xerr=ends, fmt="o", color=colour, capsize=3)
    ax.set_yticks(places, rows.ranking)
    ax.set(xlabel=label, ylim=(-0.5, len(rows) - 0.5), xlim=(0, None))
    return ax


def plot_lead_times(leavers: pd.DataFrame, lead_days: int, ax: Axes | None = None) -> Axes:
    """Draw how long before leaving those who left were listed first.

    Parameters
    ----------
    leavers : see ``backtest.measure_lead_times``
    lead_days : that the team needs, marked by a line
    """
    days = leavers.lead_time_days.dropna() if len(leavers) else pd.Series(dtype=float)
    if days.empty:
        return draw_sentence("Nobody who left had been on a replayed list before.", ax)
    ax = get_axes(ax, (8, 2.8))
    ax.hist(days.astype(float), bins=min(24, max(6, days.nunique())), color=COLOURS[0])
    ax.axvline(lead_days, **REFERENCE_LINE)
    ax.annotate(
        f"{lead_days} days to act",
        (lead_days, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -10),
        textcoords="offset points",
        color=INK,
        fontsize=9,
    )
    ax.set(
        xlabel="days from being listed first to leaving",
        ylabel="customers who left",
        xlim=(0, None),
    )
    return ax
