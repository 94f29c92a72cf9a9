"""Pictures of result tables: each function draws one table on one Axes, and neither fits nor writes anything.

Colours are those of Okabe and Ito (2008), which survive colour blindness; markers differ too, so greyscale print does.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

FAMILY_COLOURS = {"reference": "#6b7280", "logistic": "#0072B2", "trees": "#D55E00", "survival": "#009E73"}
MARKERS = "osD^vPX"


def use_style() -> None:
    """Give every figure of a notebook the project's style, as SVG."""
    plt.style.use(Path(__file__).with_name("research.mplstyle"))
    set_matplotlib_formats("svg")


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def plot_scores(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None, reference: float | None = None) -> Axes:
    """Draw one score of every model with its interval; the dotted line is the reference.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high
    reference : where to draw the reference line, optional
    """
    ax, rows = _axes(ax), scores[(scores.metric == metric) & scores.value.notna()].iloc[::-1].reset_index(drop=True)
    for at, row in rows.iterrows():
        colour = FAMILY_COLOURS.get(row.family, "#000000")
        ax.plot([row.low, row.high], [at, at], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(row.value, at, marker="s" if row.family == "reference" else "o", color=colour, markersize=7)
    if reference is not None:
        ax.axvline(reference, color="#30343b", linestyle=":", linewidth=1.2, zorder=0)
    ax.set_yticks(range(len(rows)), rows.model)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


def plot_reliability(table: pd.DataFrame, ax: Axes | None = None, models: Sequence[str] | None = None) -> Axes:
    """Draw observed against predicted churn per tenth of the customers, with the diagonal of perfect calibration.

    Parameters
    ----------
    table : DataFrame with columns model, predicted, observed, low, high; shares between 0 and 1
    models : which models to draw, all unless given
    """
    ax = _axes(ax)
    top = 1.05 * max(table.predicted.max(), table.high.max())
    ax.plot([0, top], [0, top], color="#30343b", linestyle=":", linewidth=1.2, label="perfect calibration")
    for number, (model, rows) in enumerate(table.groupby("model", sort=False)):
        if models is None or model in models:
            bars = [rows.observed - rows.low, rows.high - rows.observed]
            ax.errorbar(
                rows.predicted, rows.observed, yerr=bars, marker=MARKERS[number % len(MARKERS)], markersize=5, linewidth=1.4, elinewidth=0.8, label=model
            )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="predicted churn in a tenth of the customers", ylabel="observed churn", xlim=(0, top), ylim=(0, top), aspect="equal")
    ax.legend(loc="upper left", fontsize=9)
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
            words, (day, 1 - 0.07 * number), xycoords=("data", "axes fraction"), xytext=(-4, -2), textcoords="offset points", ha="right", va="top", fontsize=9
        )
    ax.set(yscale="log", ylabel="rows per month (log scale)", xlabel="month")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_missing(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the columns that have empty values, by share.

    Parameters
    ----------
    table : DataFrame with columns table, column, missing_share
    """
    ax, rows = _axes(ax), table[table.missing_share > 0].sort_values("missing_share")
    names = rows.table + "." + rows.column
    ax.barh(names, rows.missing_share, color="#0072B2", height=0.6)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="share of rows without a value", xlim=(0, 1))
    ax.grid(axis="y", visible=False)
    return ax
