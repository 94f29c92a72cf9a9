"""Plots of the data, drawn from result tables."""

import pandas as pd
from matplotlib.axes import Axes

from research.reporting.style import (
    MARKERS,
    REFERENCE_LINE,
    find_line,
    get_axes,
    show_months,
    use_log,
)


def plot_months(
    table: pd.DataFrame, ax: Axes | None = None, marks: dict[str, pd.Timestamp] | None = None
) -> Axes | None:
    """Draw the rows per month of every table on a logarithmic axis; nothing without rows.

    Parameters
    ----------
    table : DataFrame with columns table, month, rows
    marks : days that a dotted line marks, by name
    """
    if table.empty:
        return None
    ax = get_axes(ax)
    for number, (name, rows) in enumerate(table.groupby("table", sort=False)):
        ax.plot(
            rows.month,
            rows["rows"].where(rows["rows"] > 0),
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            label=name,
            **find_line(number),
        )
    for number, (name, day) in enumerate((marks or {}).items()):
        _draw_mark(ax, name, day, 1 - 0.07 * number)
    use_log(ax.yaxis)
    ax.set(ylabel="rows per month (log scale)", xlabel="month")
    show_months(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _draw_mark(ax: Axes, name: str, day: pd.Timestamp, height: float) -> None:
    ax.axvline(day, **REFERENCE_LINE)
    ax.annotate(
        name,
        (day, height),
        xycoords=("data", "axes fraction"),
        xytext=(-4, -2),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )
