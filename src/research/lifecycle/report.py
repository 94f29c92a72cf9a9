"""Where customers stand, in words: sentences computed from the tables of the lifecycle; "nothing
shown" is one of them.
"""

import pandas as pd

from research.reporting.format import write_interval, write_plain, write_quantity


def judge_stages(counts: pd.DataFrame, moves: pd.DataFrame, every_days: int) -> str:
    """Say how many customers there are, in which stages, and whether decline is followed by leaving
    more often than maturity is.

    Parameters
    ----------
    counts, moves : DataFrames, see ``transitions.count_stages`` and
        ``transitions.count_transitions``
    every_days : days between two snapshots
    """
    now = counts[counts.snapshot == counts.snapshot.max()].set_index("stage")
    active = now.drop(index="gone").query("customers > 0").sort_values("customers", ascending=False)
    if active.empty:
        return (
            f"**On {counts.snapshot.max():%Y-%m-%d} nobody is a customer**;"
            f" {now.customers['gone']:,} are gone."
        )
    shares = ", ".join(
        f"{row.share:.0%} in {stage}" if stage != "won back" else f"{row.share:.0%} won back"
        for stage, row in active.iterrows()
    )
    start = (
        f"**On {counts.snapshot.max():%Y-%m-%d} there are {active.customers.sum():,} customers**:"
        f" {shares}; {now.customers['gone']:,} are gone."
    )
    return f"{start} {_compare_exits(moves, every_days)}".strip()


def _compare_exits(moves: pd.DataFrame, every_days: int) -> str:
    exits = moves[(moves.stage == "gone") & moves.low.notna()].set_index("origin")
    if not {"decline", "maturity"} <= {*exits.index}:
        return ""
    settled, falling = exits.loc["maturity"], exits.loc["decline"]
    said = (
        f"Within {every_days} days {_say_share(falling)} of those in decline leave,"
        f" {_say_share(settled)} of those in maturity"
    )
    return (
        f"{said}."
        if falling.low > settled.high or settled.low > falling.high
        else f"{said}: no difference shown."
    )


def _say_share(row: pd.Series) -> str:
    return f"{row.share:.1%} ({row.low:.1%} to {row.high:.1%})"


def judge_warnings(
    warnings: pd.DataFrame, charted: pd.DataFrame, titles: dict[str, str], units: dict[str, str]
) -> str:
    """Say which indicators have worsened beyond noise, since when, and where most; or that none
    has.

    Parameters
    ----------
    warnings, charted : DataFrames, see ``monitoring.list_warnings`` and ``monitoring.chart``
    titles, units : by indicator
    """
    charts = charted.dropna(subset="ewma")[["indicator", "segment_by", "segment"]].drop_duplicates()
    if charts.empty:
        return "Too few periods for a control chart: nothing can be said about worsening."
    if warnings.empty:
        return (
            f"**No indicator has worsened beyond noise** in {len(charts)} control charts, of the"
            " whole company and of its segments."
        )
    lines = [_describe_warning(row, titles, units[row.indicator]) for row in warnings.itertuples()]
    return "**Worsened beyond noise:**\n\n" + "\n".join(f"- {line}" for line in lines)


def name_chart(row, titles: dict[str, str]) -> str:
    """Return what a chart is of: the indicator, and where it isn't the whole company the
    segment.
    """
    return titles[row.indicator] + (
        f" in {write_plain(row.segment_by)} {write_plain(row.segment)}" if row.segment_by else ""
    )


def _describe_warning(row, titles: dict[str, str], unit: str) -> str:
    told = "" if unit == "share" else f" ({unit})"
    change = (
        f"{write_quantity(row.before, unit)} before, {write_quantity(row.now, unit)} since{told}"
    )
    most = (
        f"; most in {write_plain(row.worst_by)} {write_plain(row.worst_segment)}"
        if row.worst_segment
        else ""
    )
    return (
        f"{name_chart(row, titles)}, since {row.since:%Y-%m-%d}:"
        f" {change}{most}{'' if row.still_alarmed else '; within the limit again at the last snapshot'}."
    )


def judge_targets(summary: pd.DataFrame) -> str:
    """Say which targets are met, missed or not shown either way, and what is not measured."""
    aimed = summary[(summary.status == "measured") & (summary.verdict != "")]
    parts = [
        f"{words}: {', '.join(names)}"
        for words in ("missed", "met", "not shown")
        if len(names := list(aimed.title[aimed.verdict == words]))
    ]
    missing = list(summary.title[summary.status != "measured"])
    targets = (
        f"Targets {'; '.join(parts)}."
        if parts
        else "The study sets no target for what is measured."
    )
    return targets + (f" Not measured: {', '.join(missing)}." if missing else "")


def judge_sentiment(differences: pd.DataFrame) -> str:
    """Say whether the sentiment model tells texts apart better than a rule on their length, by the
    paired interval of the AUC.
    """
    if differences.empty:
        return "Feedback text: no later text has a clear score to judge by."
    row = differences[
        (differences.metric == "auc") & differences.reference.str.startswith("rule")
    ].iloc[0]
    start = (
        f"Feedback text: the AUC differs from that of the {row.reference} by"
        f" {write_interval(row.value, row.low, row.high)}"
    )
    return f"{start}: {row.verdict}."
