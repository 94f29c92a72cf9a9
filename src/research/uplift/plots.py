"""Pictures of the tables of ``60_uplift`` and ``65_targeting``; as in ``plots``, each draws one
table on one Axes, and neither fits nor writes anything.
"""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import norm

from research.reporting.format import write_plain
from research.reporting.style import get_axes
from research.uplift.average_effects import ADJUSTED

COLOURS = {"reference": "#6b7280", "rival": "#D55E00", "learner": "#0072B2", "averaged": "#CC79A7"}
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")


def plot_effects(
    effects: pd.DataFrame, outcome: str, label: str, scale: float = 1, ax: Axes | None = None
) -> Axes:
    """Draw the adjusted effects of one outcome with their intervals: all customers, single trials,
    segments.

    Parameters
    ----------
    effects : see ``effects.tabulate_effects``
    scale : 100 tells shares in percentage points
    """
    ax = get_axes(ax)
    rows = effects[(effects.outcome == outcome) & (effects.method == ADJUSTED)].iloc[::-1]
    names = [*dict.fromkeys(zip(rows.segment_by, rows.segment, rows.trial, strict=True))]
    arms = sorted(rows.arm.unique())
    for number, arm in enumerate(arms):
        part = rows[rows.arm == arm]
        where = (
            np.array(
                [
                    names.index(key)
                    for key in zip(part.segment_by, part.segment, part.trial, strict=True)
                ]
            )
            - 0.16 * (number - (len(arms) - 1) / 2) * 2
        )
        error = scale * np.array([part.effect - part.low, part.high - part.effect])
        ax.errorbar(
            scale * part.effect.to_numpy(),
            where,
            xerr=error,
            fmt="os^Dv"[number % 5],
            color=LINES[number % len(LINES)],
            markersize=5,
            elinewidth=1.4,
            label=write_plain(arm),
        )
    ax.axvline(0, color="#30343b", linestyle=":", linewidth=1.2)
    words = [f"{by}: {segment}" if by else write_plain(trial) for by, segment, trial in names]
    ax.set_yticks(
        range(len(names)),
        [textwrap.shorten(word.replace("_", " "), 40, placeholder="…") for word in words],
    )
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=label, ylim=(-0.7, len(names) - 0.3))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9) if len(arms) > 1 else None
    return ax


def plot_uplift_scores(
    scores: pd.DataFrame,
    arm: str,
    metric: str,
    label: str,
    scale: float = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw one score of every model for one arm with its interval; the dotted line is 0, where
    lists by lot lie.
    """
    ax, rows = (
        get_axes(ax),
        scores[(scores.arm == arm) & (scores.metric == metric)].iloc[::-1].reset_index(drop=True),
    )
    for at, row in rows.iterrows():
        colour = COLOURS[row.family]
        ax.plot(
            [scale * row.low, scale * row.high],
            [at, at],
            color=colour,
            linewidth=2.2,
            solid_capstyle="butt",
        )
        ax.plot(
            scale * row.value,
            at,
            marker="s" if row.family in ("reference", "rival") else "o",
            color=colour,
            markersize=7,
        )
    ax.axvline(0, color="#30343b", linestyle=":", linewidth=1.2, zorder=0)
    ax.set_yticks(range(len(rows)), rows.model)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(axis="y", visible=False)
    ax.set_title(write_plain(arm))
    ax.set_xlabel(label)
    return ax


def plot_groups(
    groups: pd.DataFrame, arm: str, label: str, scale: float = 1, ax: Axes | None = None
) -> Axes:
    """Draw the effect in each fifth of the customers, sorted by predicted effect, against what was
    predicted.

    Parameters
    ----------
    groups : see ``heterogeneity.sort_groups``
    """
    ax, rows = get_axes(ax), groups[groups.arm == arm]
    error = [scale * (rows.effect - rows.low), scale * (rows.high - rows.effect)]
    ax.errorbar(
        rows.group,
        scale * rows.effect,
        yerr=error,
        fmt="o",
        color=LINES[0],
        markersize=6,
        elinewidth=1.4,
        label="seen, 95 % interval",
    )
    ax.plot(
        rows.group,
        scale * rows.predicted,
        marker="x",
        linestyle="--",
        color=LINES[1],
        label="predicted",
    )
    ax.axhline(0, color="#30343b", linestyle=":", linewidth=1.2)
    ax.set(xlabel="fifth of the customers, by predicted effect", ylabel=label, xticks=rows.group)
    ax.set_title(write_plain(arm))
    ax.legend(fontsize=8, loc="upper left")
    return ax


def plot_placebos(placebos: pd.DataFrame, tests: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the test of differences with the arms dealt out anew (dots) and as they were (diamonds),
    arm by arm.
    """
    ax = get_axes(ax)
    arms = [*placebos.arm.unique()]
    for number, arm in enumerate(arms):
        part = placebos[placebos.arm == arm]
        rise = np.linspace(-0.22, 0.22, len(part))
        ax.plot(
            part.z_differences,
            number + rise,
            "o",
            color="#6b7280",
            markersize=4,
            label="arms dealt out anew" if not number else None,
        )
        real = tests[(tests.arm == arm) & (tests.outcome == placebos.outcome.iloc[0])]
        ax.plot(
            real.z,
            [number] * len(real),
            "D",
            color=LINES[1],
            markersize=9,
            label="as they were" if not number else None,
        )
    least = norm.isf(0.025 / len(tests))
    ax.axvline(least, color="#30343b", linestyle=":", linewidth=1.2)
    ax.set_yticks(range(len(arms)), [write_plain(arm) for arm in arms])
    ax.set(
        xlabel=(
            f"z of the test whether effects differ; dotted: {least:.2f}, which the largest of"
            f" {len(tests)} must pass"
        ),
        ylim=(-0.6, len(arms) - 0.4),
    )
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.25), ncols=2, fontsize=9)
    return ax


def plot_profit(curve: pd.DataFrame, currency: str, ax: Axes | None = None) -> Axes:
    """Draw the profit of every policy over the budget, or over the contacts where they cost
    nothing; the band is the interval of the first.

    Parameters
    ----------
    curve : DataFrame with columns policy, budget, profit, low, high
    """
    ax, free = get_axes(ax), curve.budget.max() == 0
    curve = curve.assign(budget=curve.contacted) if free else curve
    for number, (policy, rows) in enumerate(curve.groupby("policy", sort=False)):
        colour = LINES[number % len(LINES)]
        ax.plot(
            rows.budget,
            rows.profit,
            color=colour,
            linestyle=DASHES[number % len(DASHES)],
            label=policy,
        )
        if not number:
            ax.fill_between(rows.budget, rows.low, rows.high, color=colour, alpha=0.15, linewidth=0)
    ax.axhline(0, color="#30343b", linestyle=":", linewidth=1.2)
    ax.set(
        xlabel="contacts, which cost nothing" if free else f"budget, {currency}",
        ylabel=f"profit against contacting nobody, {currency}",
        xlim=(0, None),
    )
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax
