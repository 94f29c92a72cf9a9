"""Pictures of the tables of ``50_value``: each draws one table on one Axes.

Intervals are those of the table, drawn as they are.
"""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    MaxNLocator,
    PercentFormatter,
)

from research.models.registry import BASELINE
from research.reporting.format import write_name
from research.reporting.style import (
    BOUNDS,
    COLOURS,
    DASHES,
    FAMILY_COLOURS,
    INK,
    REFERENCE_LINE,
    draw_sentence,
    find_line,
    get_axes,
    show_months,
    stack_bounds,
    use_log,
    write_tick,
)
from research.value.holdout import OUTCOME_UNITS, UNITS_PER_CUSTOMER

LOWEST_SHARE = 0.005  # of the values, drawn together at the foot of a logarithmic axis


def plot_holdout(scores: pd.DataFrame, currency: str) -> Figure:
    """Draw the errors of every model, a row of panels for each outcome; see ``plot_errors``.

    Parameters
    ----------
    scores : see ``holdout.score_valuation``
    """
    if scores.empty:
        return draw_sentence("Nothing comes after the snapshot.").figure
    outcomes = list(scores.outcome.unique())
    size = (10.5, 2.9 * len(outcomes))
    fig, axes = plt.subplots(len(outcomes), 2, figsize=size, squeeze=False)
    for outcome, (left, right) in zip(outcomes, axes, strict=True):
        rows, unit = scores[scores.outcome == outcome], UNITS_PER_CUSTOMER[outcome]
        plot_errors(rows, "rmse", f"root mean squared error, {unit.format(currency)}", left)
        plot_errors(rows, "total_error_share", "predicted total less the actual one", right)
        right.set_yticklabels([])
    return fig


def plot_valuation_deciles(deciles: pd.DataFrame, model: str, currency: str) -> Figure:
    """Draw actual against predicted by decile, a panel for each outcome; see ``plot_deciles``.

    Parameters
    ----------
    deciles : see ``holdout.tabulate_valuation_deciles``
    """
    if deciles.empty:
        return draw_sentence("Nothing comes after the snapshot.").figure
    outcomes = list(deciles.outcome.unique())
    size = (4.6 * len(outcomes), 4.2)
    fig, axes = plt.subplots(1, len(outcomes), figsize=size, squeeze=False)
    for outcome, ax in zip(outcomes, axes.flat, strict=True):
        label = OUTCOME_UNITS[outcome].format(currency)
        plot_deciles(deciles[deciles.outcome == outcome], model, label, ax)
    return fig


def plot_deciles(table: pd.DataFrame, model: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw actual against predicted means by decile of one model's prediction, with the diagonal.

    Logarithmic where all means are above 0.

    Parameters
    ----------
    table : DataFrame with columns model, group, expected, actual, low, high; see
        ``holdout.tabulate_deciles``
    label : what is counted, per customer
    """
    ax, rows = get_axes(ax), table[(table.model == model) & (table.group > 0)]
    least = min(rows.expected.min(), rows.actual.min())
    top = 1.3 * max(rows.expected.max(), rows.high.max(), 1e-9)
    bottom = least / 2 if least > 0 else min(0, rows.low.min())
    if least > 0:
        use_log(ax.xaxis, ax.yaxis)
    ax.plot([bottom, top], [bottom, top], **REFERENCE_LINE)
    clipped = rows.assign(low=rows.low.clip(lower=bottom))
    sns.lineplot(
        stack_bounds(clipped, "actual"),
        x="expected",
        y="actual",
        marker="o",
        mew=0,
        linestyle="none",
        color=COLOURS[0],
        err_style="bars",
        err_kws={"elinewidth": 0.9},
        ax=ax,
        **BOUNDS,
    )
    ax.set(title=model, xlabel=f"predicted {label}", ylabel=f"actual {label}")
    ax.set(xlim=(bottom, top), ylim=(bottom, top))
    return ax


def plot_valuation_tracking(table: pd.DataFrame) -> Figure:
    """Draw repeat purchases so far, and week by week; see ``plot_tracking``.

    Parameters
    ----------
    table : see ``tracking.track_valuation``
    """
    if table.empty:
        return draw_sentence("No purchases of buyers without a contract to follow.").figure
    fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.9))
    plot_tracking(table, True, left)
    plot_tracking(table, False, right)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def plot_tracking(table: pd.DataFrame, total: bool, ax: Axes | None = None) -> Axes:
    """Draw repeat purchases over the weeks, expected by each model and actual.

    A dotted vertical line is the snapshot.

    Parameters
    ----------
    table : DataFrame with columns model, week_ends, expected, actual, expected_total, actual_total,
        holdout; see ``tracking.track_purchases``
    total : cumulative, else week by week
    """
    ax, end = get_axes(ax), "_total" if total else ""
    first = table[table.model == table.model.iloc[0]]
    sns.lineplot(
        first, x="week_ends", y=f"actual{end}", color=INK, linewidth=1.8, label="actual", ax=ax
    )
    for number, (name, rows) in enumerate(table.groupby("model", sort=False)):
        dashes = DASHES[(number + 1) % len(DASHES)]  # the actual line is solid
        look = find_line(number) | {"linestyle": dashes}
        sns.lineplot(rows, x="week_ends", y=f"expected{end}", label=name, ax=ax, **look)
    if len(learned := first[~first.holdout]):
        ax.axvline(learned.week_ends.max(), **REFERENCE_LINE)
    ax.get_legend().remove()
    show_months(ax, 7)
    ax.set(
        ylabel="repeat purchases so far" if total else "repeat purchases in the week",
        xlabel="week ends",
        ylim=(0, None),
    )
    return ax


def plot_errors(scores: pd.DataFrame, metric: str, label: str, ax: Axes | None = None) -> Axes:
    """Draw one score of every model with its 95 % interval; baselines are grey squares.

    The dotted line is the baseline from which differences count, or 0 for a total.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high, reference
    """
    ax, rows = get_axes(ax), scores[(scores.metric == metric) & scores.value.notna()]
    order = [write_name(name) for name in rows.model]
    points = {"linestyle": "none", "markersize": 7, "err_kws": {"linewidth": 2.2}}
    for baseline, colour, marker in (
        (True, FAMILY_COLOURS[BASELINE], "s"),
        (False, COLOURS[0], "o"),
    ):
        part = rows[(rows.family == BASELINE) == baseline]
        bounds = stack_bounds(part.assign(model=part.model.map(write_name)))
        look = {"color": colour, "marker": marker, **points, **BOUNDS}
        sns.pointplot(bounds, x="value", y="model", order=order, ax=ax, **look)
    _draw_reference(ax, rows, metric)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    share = metric.endswith("share") or metric.startswith("hit_rate")
    ax.xaxis.set_major_formatter(
        PercentFormatter(1, decimals=0) if share else FuncFormatter(write_tick)
    )
    ax.set(xlabel=label, ylabel="")
    ax.grid(axis="y", visible=False)
    return ax


def _draw_reference(ax: Axes, rows: pd.DataFrame, metric: str) -> None:
    """Draw the value of the reference, 0 for a total; nothing where it is not known."""
    references = rows.reference[rows.reference != ""]
    value = rows.value[rows.model == references.iloc[0]] if len(references) else rows.value[:0]
    if len(value):
        at = 0 if metric == "total_error_share" else value.item()
        ax.axvline(at, zorder=0, **REFERENCE_LINE)


def plot_concentration(shares: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of all value by share of customers; the dotted line is equal value.

    Parameters
    ----------
    shares : DataFrame with columns customers_share, value_share
    """
    ax = get_axes(ax)
    ax.plot([0, 1], [0, 1], **REFERENCE_LINE)
    look = {"marker": "o", "markersize": 4, "mew": 0, "color": COLOURS[0], "estimator": None}
    sns.lineplot(shares, x="customers_share", y="value_share", ax=ax, **look)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="customers, the most valuable first", ylabel="share of all value")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    return ax


def plot_risk_and_value(values: pd.DataFrame, currency: str, ax: Axes | None = None) -> Axes:
    """Draw customers by risk and value, the darker the more of them.

    Values are on a logarithmic axis, which leaves out those of 0.

    Parameters
    ----------
    values : DataFrame with columns risk, value
    """
    rows = values[values.value > 0]
    if rows.empty:
        return draw_sentence("No customer has a value.", ax)
    ax, low = get_axes(ax), rows.value.quantile(LOWEST_SHARE)
    cells = {"bins": 32, "cmap": "Blues", "norm": LogNorm(), "vmin": None, "vmax": None}
    drawn = rows.assign(value=rows.value.clip(lower=low))
    sns.histplot(drawn, x="risk", y="value", log_scale=(False, True), ax=ax, **cells)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    use_log(ax.yaxis)
    ax.set(xlabel="risk", ylabel=f"value, {currency} (log scale)")
    return ax


def list_plotted_attributes(by_segment: pd.DataFrame, most: int = 4) -> list[str]:
    """Return the attributes with several segments, none where churn costs nothing.

    Parameters
    ----------
    by_segment : see ``cost_of_churn.tabulate_segments``
    """
    if not by_segment.cost_of_churn.iloc[0] >= 1:
        return []
    segments = by_segment.groupby("segment_by", sort=False).size()
    return list(segments.index[segments > 1])[:most]


def plot_costs_of_churn(by_segment: pd.DataFrame, currency: str) -> Figure:
    """Draw the cost of churn, a panel for each attribute; see ``plot_cost_of_churn``.

    Parameters
    ----------
    by_segment : see ``cost_of_churn.tabulate_segments``
    """
    names = list_plotted_attributes(by_segment)
    if not names:
        return draw_sentence("There are no segments whose cost of churn can be compared.").figure
    rows, columns = -(-len(names) // 2), min(len(names), 2)
    fig, axes = plt.subplots(rows, columns, figsize=(10.5, 2.9 * rows), squeeze=False)
    for by, ax in zip(names, axes.flat, strict=False):
        plot_cost_of_churn(by_segment, by, currency, ax)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return fig


def plot_cost_of_churn(
    by_segment: pd.DataFrame, by: str, currency: str, ax: Axes | None = None
) -> Axes:
    """Draw the expected cost of churn by segment of one attribute, with 95 % intervals.

    The number beside a bar is the share of the segment's value.

    Parameters
    ----------
    by_segment : DataFrame with columns segment_by, segment, cost_of_churn, cost_low, cost_high,
        cost_share
    """
    ax, rows = get_axes(ax), by_segment[by_segment.segment_by == by].reset_index(drop=True)
    names = rows.segment.map(write_name)
    bounds = rows.assign(segment=names, low=rows.cost_low, high=rows.cost_high)
    bars = {"color": COLOURS[0], "saturation": 1, "width": 0.62}
    sns.barplot(
        stack_bounds(bounds, "cost_of_churn"),
        x="cost_of_churn",
        y="segment",
        err_kws={"color": INK, "linewidth": 1.6},
        ax=ax,
        **bars,
        **BOUNDS,
    )
    ends = rows[["cost_of_churn", "cost_high"]].max(axis=1)
    place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
    for at, share in rows.cost_share.items():
        ax.annotate(f"{share:.0%}", (ends[at], at), **place)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(write_tick))
    ax.set(title=by.replace("_", " "), xlim=(0, 1.15 * max(ends.max(), 1e-9)))
    ax.set(xlabel=f"cost of churn, {currency}", ylabel="")
    ax.grid(axis="y", visible=False)
    return ax
