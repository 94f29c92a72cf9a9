"""Pictures of result tables: each function draws one table on one Axes, and neither fits nor writes anything.

Colours are those of Okabe and Ito (2008), which survive colour blindness; markers differ too, so greyscale print does.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
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
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax
