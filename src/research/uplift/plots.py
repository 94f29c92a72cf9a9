"""Pictures of the tables of ``60_uplift``; each draws one table, and neither fits nor writes
anything.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from research.models.registry import BASELINE
from research.reporting.format import write_plain
from research.reporting.style import COLOURS, GREY, REFERENCE_LINE, draw_sentence, get_axes
from research.uplift.average_effects import ADJUSTED
from research.uplift.learners.families import AVERAGE, HEURISTIC, LEARNER
from research.uplift.trials import Trial

FAMILY_COLOURS = {
    BASELINE: GREY,
    HEURISTIC: COLOURS[1],
    LEARNER: COLOURS[0],
    AVERAGE: COLOURS[3],
}
FAMILY_MARKERS = {BASELINE: "s", HEURISTIC: "s", LEARNER: "o", AVERAGE: "o"}
MARKERS = "os^Dv"
PANEL_INCHES = 4.6
NO_PICTURE = "Nothing is compared."


def describe_scale(trial: Trial, outcome: str) -> tuple[float, str]:
    """Return what an outcome's effects are multiplied by, and the unit they then have."""
    return (100, "percentage points") if trial.shares[outcome] else (1, trial.outcomes[outcome])


def plot_effects(effects: pd.DataFrame, trial: Trial, ax: Axes | None = None) -> Axes:
    """Draw the adjusted effects on the primary outcome with their intervals: all customers, single
    trials, segments.

    Parameters
    ----------
    effects : see ``average_effects.tabulate_effects``
    """
    scale, unit = describe_scale(trial, trial.primary)
    rows = effects[(effects.outcome == trial.primary) & (effects.method == ADJUSTED)].iloc[::-1]
    keys = [*zip(rows.segment_by, rows.segment, rows.trial, strict=True)]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    ax = get_axes(ax, (8, 1.4 + 0.38 * len(places)))
    arms = sorted(rows.arm.unique())
    for number, arm in enumerate(arms):
        inside = (rows.arm == arm).to_numpy()
        part = rows[inside]
        offset = 0.32 * (number - (len(arms) - 1) / 2)
        ax.errorbar(
            scale * part.effect.to_numpy(),
            [places[key] - offset for key, here in zip(keys, inside, strict=True) if here],
            xerr=scale
            * np.array([part.effect - part.adjusted_low, part.adjusted_high - part.effect]),
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=5,
            elinewidth=1.4,
            label=write_plain(arm),
        )
    ax.axvline(0, **REFERENCE_LINE)
    ax.set_yticks(range(len(places)), [_write_group(*key) for key in places])
    ax.grid(axis="y", visible=False)
    label = f"effect on “{trial.outcomes[trial.primary]}”, {unit}"
    ax.set(xlabel=label, ylim=(-0.7, len(places) - 0.3))
    if len(arms) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax


def _write_group(by: str, segment: str, trial: str) -> str:
    words = f"{by}: {segment}" if by else write_plain(trial)
    return textwrap.shorten(words.replace("_", " "), 40, placeholder="…")


def plot_uplift_scores(
    scores: pd.DataFrame, trial: Trial, metric: str = "auuc"
) -> sns.FacetGrid | Axes:
    """Draw one score of every model with its interval, a panel for each arm; the dotted line is 0,
    where random lists lie.

    Parameters
    ----------
    scores : of the primary outcome, see ``metrics.tabulate_uplift``
    """
    rows = scores[scores.metric == metric]
    if rows.empty:
        return draw_sentence(NO_PICTURE)
    scale, unit = describe_scale(trial, trial.primary)
    models = [*rows.model.unique()][::-1]
    rows = rows.assign(
        arm=rows.arm.map(write_plain),
        place=rows.model.map(models.index),
        **{name: scale * rows[name] for name in ("value", "low", "high")},
    )
    grid = _make_grid(rows, height=4.4)
    grid.map_dataframe(_draw_scores)
    for ax in grid.axes.flat:
        ax.axvline(0, zorder=0, **REFERENCE_LINE)
        ax.grid(axis="y", visible=False)
        ax.set_yticks(range(len(models)), models)
    grid.set(ylim=(-0.6, len(models) - 0.4)).set_axis_labels(f"{metric.upper()}, {unit}", "")
    return grid.tight_layout()


def _draw_scores(data: pd.DataFrame, color: str, **_) -> None:
    """Draw the scores of one arm into the current axes."""
    ax = sns.scatterplot(
        data,
        x="value",
        y="place",
        hue="family",
        style="family",
        palette=FAMILY_COLOURS,
        markers=FAMILY_MARKERS,
        s=60,
        legend=False,
        zorder=3,
    )
    for family, part in data.groupby("family"):
        ax.hlines(part.place, part.low, part.high, color=FAMILY_COLOURS[family], linewidth=2.2)


def plot_groups(groups: pd.DataFrame, trial: Trial) -> sns.FacetGrid | Axes:
    """Draw the effect in each fifth of the customers, sorted by predicted effect, with what was
    predicted; a panel for each arm.

    Parameters
    ----------
    groups : see ``heterogeneity.tabulate_groups``
    """
    rows = groups[groups.outcome == trial.primary]
    if rows.empty:
        return draw_sentence(NO_PICTURE)
    scale, unit = describe_scale(trial, trial.primary)
    rows = rows.assign(
        arm=rows.arm.map(write_plain),
        **{name: scale * rows[name] for name in ("predicted", "effect", "low", "high")},
    )
    grid = _make_grid(rows, height=3.8)
    grid.map_dataframe(_draw_groups)
    grid.refline(y=0, **REFERENCE_LINE)
    grid.axes.flat[0].legend(fontsize=8, loc="upper left")
    grid.set(xticks=sorted(rows.group.unique()))
    grid.set_axis_labels("fifth of the customers, by predicted effect", f"effect, {unit}")
    return grid.tight_layout()


def _draw_groups(data: pd.DataFrame, color: str, **_) -> None:
    """Draw the groups of one arm into the current axes."""
    ax = sns.lineplot(
        data,
        x="group",
        y="predicted",
        estimator=None,
        marker="X",
        linestyle="--",
        color=COLOURS[1],
        label="predicted",
        legend=False,
    )
    ax.errorbar(
        data.group,
        data.effect,
        yerr=[data.effect - data.low, data.high - data.effect],
        fmt="o",
        color=COLOURS[0],
        markersize=6,
        elinewidth=1.4,
        label="estimated, 95 % interval",
    )


def _make_grid(rows: pd.DataFrame, height: float) -> sns.FacetGrid:
    """Return an empty panel for each arm, titled with its name."""
    with plt.rc_context({"figure.constrained_layout.use": False}):  # the grid has its own layout
        grid = sns.FacetGrid(
            rows, col="arm", height=height, aspect=PANEL_INCHES / height, despine=False
        )
    return grid.set_titles("{col_name}")


def plot_placebos(placebos: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the test of differences with permuted arms (dots) and with the real ones (diamonds), arm
    by arm.

    Parameters
    ----------
    placebos : see ``heterogeneity.run_placebos``
    """
    if placebos.empty:
        return draw_sentence(NO_PICTURE, ax)
    arms = [*placebos.arm.unique()]
    ax = get_axes(ax, (8, 1.4 + 0.7 * len(arms)))
    real = placebos.drop_duplicates("arm")
    common = {"y": "arm", "order": arms, "ax": ax}
    sns.swarmplot(placebos, x="z_differences", color=GREY, size=4, label="permuted arms", **common)
    look = {"color": COLOURS[1], "size": 9, "marker": "D", "jitter": False}
    sns.stripplot(real, x="z_real", label="real arms", **look, **common)
    ax.axvline(0, **REFERENCE_LINE)
    ax.set_yticks(range(len(arms)), [write_plain(arm) for arm in arms])
    ax.set(
        xlabel="z of the test whether effects differ, in one division into halves",
        ylabel="",
        ylim=(-0.6, len(arms) - 0.4),
    )
    ax.grid(axis="y", visible=False)
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    ax.legend(
        handles.values(), handles, loc="upper left", bbox_to_anchor=(0, -0.25), ncols=2, fontsize=9
    )
    return ax
