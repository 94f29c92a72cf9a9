"""Tables for readers and sentences of ``20_lifecycle``, made from its result tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from great_tables import GT
from scipy.stats import norm

from research.evaluation.intervals import TAIL, Z
from research.lifecycle.control_charts import CHART_KEYS, chart_title
from research.lifecycle.feedback import FeedbackSentiment
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.personas import Personas
from research.lifecycle.scorecard import CHANGES, INCONCLUSIVE, MEASURED, YEAR_CHANGES
from research.panel.periods import Span, write_span
from research.reporting.format import join_words, write_interval, write_plain, write_quantity
from research.reporting.tables import show_ranges

MOST_GROWTH = 1.5  # of how many are counted, beyond which a change may be one of who is counted
MOST_SEGMENTS = 5  # that are named in one sentence


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


def describe_changes(
    warnings: pd.DataFrame,
    improvements: pd.DataFrame,
    charts: pd.DataFrame,
    titles: dict[str, str],
    units: dict[str, str],
) -> str:
    """Return which indicators have worsened or improved beyond chance, since when, where most.

    Parameters
    ----------
    warnings, improvements : DataFrames, see ``chart_changes.list_changes``
    charts : DataFrame, see ``control_charts.compute_charts``
    titles, units : by indicator
    """
    monitored = charts.dropna(subset="ewma")[CHART_KEYS].drop_duplicates()
    if monitored.empty:
        return "Too few periods for a control chart: no indicator can be monitored."
    worsened = _list_changes("Worsened", warnings, charts, titles, units) or (
        f"**No indicator has worsened beyond chance** in {len(monitored)} control charts, of"
        " the whole company and of its segments."
    )
    improved = _list_changes("Improved", improvements, charts, titles, units)
    return "\n\n".join(part for part in (worsened, improved) if part)


def _list_changes(
    head: str,
    changes: pd.DataFrame,
    charts: pd.DataFrame,
    titles: dict[str, str],
    units: dict[str, str],
) -> str:
    lines = [
        _describe_change(part.iloc[0], titles, units[indicator], part[1:])
        + _describe_selection(part.iloc[0], charts)
        for (indicator, _), part in changes.groupby(["indicator", "since"], sort=False)
    ]
    items = "\n".join(f"- {line}" for line in lines)
    return f"**{head} beyond chance:**\n\n{items}" if lines else ""


def _describe_change(
    row: pd.Series, titles: dict[str, str], unit: str, others: pd.DataFrame
) -> str:
    """Describe a change; ``others`` are those of segments on the same day, which are named."""
    measured_in = "" if unit == "share" else f" ({unit})"
    ended = pd.notna(row.until)
    over = "" if row.still_alarmed or ended else "; within the limit again at the last snapshot"
    return (
        f"{chart_title(row, titles)}, since the period up to {row.since:%Y-%m-%d}:"
        f" {_write_levels(row, unit)}{measured_in}{_write_year_ago(row, unit)}"
        f"{_write_most(row, unit)}{_list_segments(others)}{over}."
    )


def _describe_selection(row: pd.Series, charts: pd.DataFrame) -> str:
    """Return how many were counted before and after a change, where that differs much."""
    if "denominator" not in charts:
        return ""
    own = charts[(charts[CHART_KEYS] == row[CHART_KEYS]).all(axis=1)]
    own = own[~((own.snapshot < row.earlier_until) | (own.snapshot >= row.until))]
    counted = own.groupby(own.snapshot >= row.since).denominator.mean()
    if len(counted) < 2 or not counted.max() > MOST_GROWTH * counted.min():
        return ""
    return (
        f" On average {counted[False]:,.0f} were counted before and {counted[True]:,.0f} since:"
        " that others are counted may explain it."
    )


def describe_latest(summary: pd.DataFrame) -> str:
    """Return which indicators differ significantly from the period before.

    By the intervals of the changes, corrected for their number (Bonferroni).

    Parameters
    ----------
    summary : DataFrame, see ``scorecard.summarise_indicators``
    """
    compared = summary[summary[CHANGES].notna().all(axis=1)].astype(dict.fromkeys(CHANGES, float))
    towards_0 = compared.change_low.where(compared.change > 0, compared.change_high)
    widest = norm.isf(TAIL / max(len(compared), 1)) / Z
    told = compared[abs(compared.change) > widest * abs(compared.change - towards_0)]
    if told.empty:
        return ""
    items = [
        f"{row.title} {write_quantity(row.value, row.unit)}, {_write_change(row)}"
        for row in told.itertuples()
    ]
    return (
        f"**Against the period before** significantly different, of {len(compared)} indicators"
        f" compared: {'; '.join(items)} (95 % intervals of each alone). One period isn't a lasting"
        " change: control charts compare with the scatter of all earlier ones."
    )


def _write_change(row) -> str:
    """Return a change with its interval and its direction."""
    unit = "points" if row.unit == "share" else row.unit
    change, low, high = (
        write_quantity(value, unit) for value in (row.change, row.change_low, row.change_high)
    )
    better = (DEFINITIONS[row.indicator].better == "lower") == (row.change < 0)
    return f"a change of {change} ({low} to {high}), {'better' if better else 'worse'}"


def _list_segments(rows: pd.DataFrame) -> str:
    names = [
        f"{write_plain(row.segment_by)} {write_plain(row.segment)}" for row in rows.itertuples()
    ]
    more = [f"{len(names) - MOST_SEGMENTS} more"] if len(names) > MOST_SEGMENTS else []
    shown = [*names[:MOST_SEGMENTS], *more]
    return f"; also shown by itself in {join_words(shown)}" if names else ""


def _write_levels(row, unit: str) -> str:
    """Return the levels of a chart in the order of time, each with the day on which it ended."""
    earlier, before, now = (
        write_quantity(value, unit) for value in (row.earlier, row.before, row.now)
    )
    known = pd.notna(row.earlier_until)
    start = f"{earlier} before {row.earlier_until:%Y-%m-%d}, then {before}" if known else before
    end = f", until {row.until:%Y-%m-%d}" if pd.notna(row.until) else " since"
    return f"{start}{',' if known else ' before,'} {now}{end}"


def _write_year_ago(row, unit: str) -> str:
    """Return the level of the same periods a year before, and whether now differs from it."""
    if not np.isfinite(row.year_ago):
        return ""
    apart = abs(row.year_in_se) > Z
    significance = "a significant difference" if apart else "no significant difference"
    return f"; the same periods a year before: {write_quantity(row.year_ago, unit)}, {significance}"


def _write_most(row, unit: str) -> str:
    """Return the segment that changed most in the unit of the sentence, or that none stands out."""
    if not np.isfinite(row.segments_compared) or not row.segments_compared:
        return ""
    compared = f"{row.segments_compared:.0f} segments"
    if not row.most_segment:
        return f"; significant in none of {compared} alone"
    before, now = write_quantity(row.most_before, unit), write_quantity(row.most_now, unit)
    when = "then" if pd.notna(row.until) else "since"
    return (
        f"; most in {write_plain(row.most_by)} {write_plain(row.most_segment)}: {before} before,"
        f" {now} {when}; significant in {row.segments_changed:.0f} of {compared}"
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
    told = [
        "; ".join(part for part in pair if part)
        for pair in zip(summary.verdict, summary.note.fillna(""), strict=True)
    ]
    table["verdict"] = np.where(summary.status == MEASURED, told, missing)
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
