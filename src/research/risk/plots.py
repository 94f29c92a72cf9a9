"""Pictures of scores, calibration and drivers, drawn from result tables."""

import textwrap

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from research.models.registry import BASELINE
from research.reporting.metric import find_metric
from research.reporting.style import (
    GREY,
    MARKERS,
    REFERENCE_LINE,
    draw_band,
    draw_sentence,
    find_family_colours,
    find_line,
    get_axes,
)


def plot_scores(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of every model with its interval; the dotted line is the best baseline.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high
    metric : name of a registered score
    label : of the axis, with the unit
    """
    ax, rows = get_axes(ax), scores[(scores.metric == metric) & scores.value.notna()]
    rows = rows.iloc[::-1].reset_index(drop=True)
    families = rows.family.unique()
    colours = find_family_colours(families)
    rows["place"] = rows.index
    ax.hlines(rows.place, rows.low, rows.high, rows.family.map(colours), linewidth=2.2)
    sns.scatterplot(
        rows,
        x="value",
        y="place",
        hue="family",
        style="family",
        palette=colours,
        markers={family: "s" if family == BASELINE else "o" for family in families},
        edgecolor="none",
        s=52,
        legend=False,
        zorder=3,
        ax=ax,
    )
    baselines = rows.value[rows.family == BASELINE]
    if len(baselines):
        best = baselines[find_metric(metric).find_best(baselines)]
        ax.axvline(best, zorder=0, **REFERENCE_LINE)
    ax.set_yticks(rows.place, rows.model)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=label, ylabel="", ylim=(-0.6, len(rows) - 0.4))
    return ax


def plot_windows(
    scores: pd.DataFrame, metric: str, models: list[str], label: str, ax: Axes | None = None
) -> Axes:
    """Draw one score of a few models over the windows judged, each with its interval.

    Parameters
    ----------
    scores : DataFrame with columns origin, model, family, metric, value, low, high; see
        ``rolling_origin.Windows.judge``
    models : those that are drawn
    label : of the axis, with the unit
    """
    if scores.empty:
        return draw_sentence("A study without dates has one window: no picture.", ax)
    ax, rows = get_axes(ax), scores[(scores.metric == metric) & scores.model.isin(models)]
    colours, days = find_family_colours(rows.family), sorted(rows.origin.unique())
    for number, name in enumerate(dict.fromkeys(models)):
        part = rows[rows.model == name].sort_values("origin")
        places = part.origin.map(days.index) + 0.08 * (number - 0.5)
        family = part.family.iloc[0]
        ax.vlines(places, part.low, part.high, colours[family], linewidth=1.5)
        marker = "s" if family == BASELINE else "o"
        ax.plot(places, part.value, color=colours[family], marker=marker, label=name)
    ax.set_xticks(range(len(days)), [f"{pd.Timestamp(day):%Y-%m-%d}" for day in days])
    ax.set(xlabel="test snapshot", ylabel=label, xlim=(-0.5, len(days) - 0.5))
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.2))
    return ax


def plot_decision_curve(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw net benefit over thresholds, each list with its interval; the dotted line is nobody.

    Parameters
    ----------
    curve : see ``decision_curve.trace_net_benefit``
    """
    ax = get_axes(ax)
    for number, (policy, part) in enumerate(curve.groupby("policy", sort=False)):
        values = (100 * part[name] for name in ("net_benefit", "low", "high"))
        draw_band(ax, part.threshold, *values, label=policy, **find_line(number))
    ax.axhline(0, zorder=0, label="contact nobody", **REFERENCE_LINE)
    models = curve[curve.policy != curve.policy.iloc[-1]]
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(
        xlabel="risk from which customers are contacted",
        ylabel="net benefit, churners per 100 customers",
        ylim=(min(-0.5, 100 * models.low.min()), 105 * curve.high.max()),
    )
    ax.legend(fontsize=8)
    return ax


def plot_reliability(table: pd.DataFrame, model: str, ax: Axes | None = None) -> Axes:
    """Draw one model's observed against predicted churn in tenths of the customers.

    The dotted diagonal is perfect calibration.

    Parameters
    ----------
    table : DataFrame with columns model, predicted, observed, low, high; shares between 0 and 1
        All models of the table share the limits of the axes.
    """
    ax, rows = get_axes(ax), table[table.model == model]
    top = 1.05 * max(table.predicted.max(), table.high.max())
    ax.axline((0, 0), slope=1, **REFERENCE_LINE)
    ax.vlines(rows.predicted, rows.low, rows.high, "C0", linewidth=0.9)
    sns.lineplot(
        rows, x="predicted", y="observed", estimator=None, marker="o", markeredgewidth=0, ax=ax
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


def plot_dependence(traced: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw the mean predicted risk over the values of one feature, a line for each family.

    Marks on the axis are the percentiles traced: where they lie far apart there are few customers.

    Parameters
    ----------
    traced : DataFrame with columns family, at, level, predicted, low, high; see
        ``explain.trace_dependence``
    title : what the feature is, in words
    """
    families = traced.family.unique()
    ax, colours = get_axes(ax), find_family_colours(families)
    numeric = traced["at"].notna().all()
    rows = traced.assign(on=traced["at"] if numeric else traced.level.astype(str))
    sns.lineplot(
        rows,
        x="on",
        y="predicted",
        hue="family",
        style="family",
        palette=colours,
        markers=dict(zip(families, MARKERS, strict=False)),
        dashes=False,
        estimator=None,
        sort=False,
        markersize=5,
        markeredgewidth=0,
        ax=ax,
    )
    for family, part in rows.groupby("family", sort=False):
        ax.fill_between(
            part.on, part.low, part.high, color=colours[family], alpha=0.15, linewidth=0
        )
    if numeric:  # the points part the customers into equal shares
        sns.rugplot(x=rows.on.unique(), height=0.04, color=GREY, ax=ax)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title(textwrap.fill(title, 48), fontsize=9)
    ax.set(xlabel="", ylabel="predicted churn", ylim=(0, None))
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8)
    return ax
