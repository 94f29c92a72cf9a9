"""Pictures of scores, calibration and drivers, drawn from result tables."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from research.reporting.style import FAMILY_COLOURS, MARKERS, get_axes


def plot_scores(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of every model with its interval; the dotted line is the best reference.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high
    metric : ``log_loss`` or ``brier``, of which less is better, or a score of which more is
    """
    ax, rows = (
        get_axes(ax),
        scores[(scores.metric == metric) & scores.value.notna()].iloc[::-1].reset_index(drop=True),
    )
    for at, row in rows.iterrows():
        colour = FAMILY_COLOURS.get(row.family, "#000000")
        ax.plot([row.low, row.high], [at, at], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(
            row.value,
            at,
            marker="s" if row.family == "reference" else "o",
            color=colour,
            markersize=7,
        )
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
    """Draw one model's observed against predicted churn per tenth of the customers, with the
    diagonal of perfect calibration.

    Parameters
    ----------
    table : DataFrame with columns model, predicted, observed, low, high; shares between 0 and 1
        All models of the table share the limits of the axes.
    """
    ax, rows = get_axes(ax), table[table.model == model]
    top = 1.05 * max(table.predicted.max(), table.high.max())
    ax.plot([0, top], [0, top], color="#30343b", linestyle=":", linewidth=1.2)
    ax.errorbar(
        rows.predicted,
        rows.observed,
        yerr=[rows.observed - rows.low, rows.high - rows.observed],
        marker="o",
        markersize=5,
        elinewidth=0.9,
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(
        title=model,
        xlabel="predicted churn",
        ylabel="observed churn",
        xlim=(0, top),
        ylim=(0, top),
        aspect="equal",
    )
    return ax


def plot_dependence(traced: dict[str, pd.DataFrame], title: str, ax: Axes | None = None) -> Axes:
    """Draw the mean predicted risk over the values of one feature, a line for each family;
    categories stand side by side.

    Parameters
    ----------
    traced : by family, DataFrame with columns at, level, predicted, low, high
    """
    ax = get_axes(ax)
    for number, (family, rows) in enumerate(traced.items()):
        where, colour = (
            (rows["at"] if rows["at"].notna().all() else rows.level.astype(str)),
            FAMILY_COLOURS[family],
        )
        ax.plot(
            where, rows.predicted, marker=MARKERS[number], markersize=4, color=colour, label=family
        )
        ax.fill_between(where, rows.low, rows.high, color=colour, alpha=0.15, linewidth=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title(textwrap.fill(title, 48), fontsize=9)
    ax.set(ylabel="predicted churn", ylim=(0, None))
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8)
    return ax
