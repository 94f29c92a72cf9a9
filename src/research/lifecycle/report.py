"""Tables for readers and sentences of ``20_lifecycle``, made from its result tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from great_tables import GT

from research.lifecycle.control_charts import CHART_KEYS, chart_title
from research.lifecycle.feedback import FeedbackSentiment
from research.lifecycle.personas import Personas
from research.lifecycle.scorecard import CHANGES, INCONCLUSIVE, MEASURED, YEAR_CHANGES
from research.panel.periods import Span, write_span
from research.reporting.format import write_interval, write_plain, write_quantity
from research.reporting.tables import show_ranges


def describe_snapshots(days: list, step: Span) -> str:
    """Return how many snapshots there are, how far apart, from when to when."""
    return f"{len(days)} snapshots, {write_span(step)} apart, from {days[0]} to {days[-1]}."


def describe_stages(counts: pd.DataFrame, transitions: pd.DataFrame, step: Span) -> str:
    """Return how many customers there are, in which stages, and the exit rates of two of them.

    Parameters
    ----------
    counts, transitions : DataFrames, see ``stages.count_stages`` and ``stages.count_transitions``
    step : how far apart the snapshots are, see ``periods.find_step``
    """
    day = f"{counts.snapshot.max():%Y-%m-%d}"
    now = counts[counts.snapshot == counts.snapshot.max()].set_index("stage")
    gone = now.customers["gone"]
    active = now.drop(index="gone").query("customers > 0").sort_values("customers", ascending=False)
    if active.empty:
        return f"**On {day} nobody is a customer**; {gone:,} are gone."
    shares = ", ".join(
        f"{row.share:.0%} {stage if stage == 'won back' else f'in {stage}'}"
        for stage, row in active.iterrows()
    )
    total = active.customers.sum()
    sizes = f"**On {day} there are {total:,} customers**: {shares}; {gone:,} are gone."
    return f"{sizes} {_compare_exit_rates(transitions, step)}".strip()


def _compare_exit_rates(transitions: pd.DataFrame, step: Span) -> str:
    """Return how often customers leave from decline and from maturity, and if these differ."""
    exits = transitions[(transitions.stage == "gone") & transitions.low.notna()].set_index("origin")
    if not {"decline", "maturity"} <= {*exits.index}:
        return ""
    decline, maturity = exits.loc["decline"], exits.loc["maturity"]
    rates = (
        f"Within {write_span(step)} {_describe_share(decline)} of those in decline leave,"
        f" {_describe_share(maturity)} of those in maturity"
    )
    apart = decline.low > maturity.high or maturity.low > decline.high
    return f"{rates}." if apart else f"{rates}: no significant difference."


def _describe_share(row: pd.Series) -> str:
    return f"{row.share:.1%} ({row.low:.1%} to {row.high:.1%})"


def describe_warnings(
    warnings: pd.DataFrame, charts: pd.DataFrame, titles: dict[str, str], units: dict[str, str]
) -> str:
    """Return which indicators have worsened beyond chance, since when, and where most.

    Parameters
    ----------
    warnings, charts : DataFrames, see ``control_charts.list_warnings`` and ``compute_charts``
    titles, units : by indicator
    """
    monitored = charts.dropna(subset="ewma")[CHART_KEYS].drop_duplicates()
    if monitored.empty:
        return "Too few periods for a control chart: no indicator can be monitored."
    if warnings.empty:
        return (
            f"**No indicator has worsened beyond chance** in {len(monitored)} control charts, of"
            " the whole company and of its segments."
        )
    lines = [_describe_warning(row, titles, units[row.indicator]) for row in warnings.itertuples()]
    return "**Worsened beyond chance:**\n\n" + "\n".join(f"- {line}" for line in lines)


def _describe_warning(row, titles: dict[str, str], unit: str) -> str:
    before, now = write_quantity(row.before, unit), write_quantity(row.now, unit)
    measured_in = "" if unit == "share" else f" ({unit})"
    most = (
        f"; most in {write_plain(row.worst_by)} {write_plain(row.worst_segment)}"
        if row.worst_segment
        else ""
    )
    over = "" if row.still_alarmed else "; within the limit again at the last snapshot"
    return (
        f"{chart_title(row, titles)}, since {row.since:%Y-%m-%d}:"
        f" {before} before, {now} since{measured_in}{most}{over}."
    )


def describe_targets(summary: pd.DataFrame) -> str:
    """Return which targets are met, missed or inconclusive, and what is not measured.

    Parameters
    ----------
    summary : DataFrame, see ``scorecard.summarise_indicators``
    """
    measured = summary.status == MEASURED
    verdicts = summary[measured & (summary.verdict != "")]
    parts = [
        f"{verdict}: {', '.join(titles)}"
        for verdict in ("missed", "met", INCONCLUSIVE)
        if len(titles := list(verdicts.title[verdicts.verdict == verdict]))
    ]
    missing = list(summary.title[~measured])
    targets = (
        f"Targets {'; '.join(parts)}."
        if parts
        else "The study sets no target for what is measured."
    )
    return targets + (f" Not measured: {', '.join(missing)}." if missing else "")


def describe_sentiment(feedback: FeedbackSentiment) -> str:
    """Return whether sentiment ranks texts better than a rule on their length, by the AUC."""
    if feedback.reason:
        return f"Feedback text: not measured: {feedback.reason}."
    differences = feedback.differences
    if differences.empty:
        return "Feedback text: no later text has a clear score to evaluate on."
    on_length = differences.reference.str.startswith("rule")
    row = differences[(differences.metric == "auc") & on_length].iloc[0]
    difference = write_interval(row.value, row.low, row.high)
    return (
        f"Feedback text: the AUC differs from that of the {row.reference} by {difference}:"
        f" {row.verdict}."
    )


def describe_personas(personas: Personas) -> str:
    """Return how many personas there are, and why."""
    return f"**{personas.verdict[0].upper()}{personas.verdict[1:]}.**"


def describe_definitions(definitions: pd.DataFrame) -> str:
    """Return the definitions of the indicators as a list.

    Parameters
    ----------
    definitions : DataFrame, see ``indicator_glossary.definitions_table``
    """
    return "\n".join(
        f"- **{row.title}.** {row.definition} Counted: *{row.numerator} ÷ {row.denominator}*."
        for row in definitions.itertuples()
    )


def show_indicators(summary: pd.DataFrame, note: str = "") -> GT:
    """Return the last value of every indicator with its interval, its changes and its target.

    Indicators that are not measured are last, with the reason.

    Parameters
    ----------
    summary : DataFrame, see ``scorecard.summarise_indicators``
    """
    summary = summary.sort_values("status", key=lambda status: status != MEASURED, kind="stable")
    in_points = summary.unit.replace({"share": "points"})
    cells = {
        "value": _interval_cells(summary, ("value", "low", "high"), summary.unit),
        "change": _interval_cells(summary, CHANGES, in_points),
        "against a year ago": _interval_cells(summary, YEAR_CHANGES, in_points),
    }
    table = pd.DataFrame(
        {"indicator": summary.title, "unit": summary.unit.replace({"share": ""}), **cells}
    )
    if summary.target.notna().any():
        table["target"] = [
            write_quantity(row.target, row.unit) if pd.notna(row.target) else ""
            for row in summary.itertuples()
        ]
    reason = np.where(summary.needs != "", "needed: " + summary.needs, summary.note)
    missing = "not measured; " + pd.Series(reason, summary.index)
    table["verdict"] = np.where(summary.status == MEASURED, summary.verdict, missing)
    return show_ranges(table, [*cells], note=note)


def _interval_cells(summary: pd.DataFrame, columns: Sequence[str], units: pd.Series) -> list[str]:
    """Return cells of a value with its interval small below; ``columns`` name value and bounds."""
    numbers = (summary[name].astype(float) for name in columns)
    return [_interval_cell(*row) for row in zip(*numbers, units, strict=True)]


def _interval_cell(value: float, low: float, high: float, unit: str) -> str:
    written = write_quantity(value, unit)
    if not np.isfinite(value) or not np.isfinite([low, high]).any():
        return written
    return (
        f"{written}<br><small>{write_quantity(low, unit)} to {write_quantity(high, unit)}</small>"
    )
