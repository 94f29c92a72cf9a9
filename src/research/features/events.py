"""Features of what customers do, made alike for every event table: counts, recency, times of day,
rhythm and trends over windows at every snapshot.

Sums are rolled (see ``panel.windows``). What a table has beyond that is built by
``event_details``.
"""

from collections.abc import Iterator
from itertools import pairwise

import ibis.expr.types as ir

from research.data.contracts import CONTRACTS
from research.features.context import BuildContext
from research.features.dictionary import Block, Feature, name_rows
from research.features.event_details import Columns, Details, build_details
from research.panel.windows import KEYS, Measure, count_age, join, roll_rows

HOURS = {
    "morning": (6, 11, "6:00 to 12:00"),
    "afternoon": (12, 17, "12:00 to 18:00"),
    "evening": (18, 23, "18:00 to 24:00"),
}
SATURDAY = 5


def build_events(context: BuildContext, name: str) -> Block:
    """Return the features of one event table; see ``contracts.list_event_tables``."""
    table, rows = CONTRACTS[name], context.evidence.find_rows(name)
    details = build_details(rows, name, context)
    counted = f"{name_rows(context.study, name)}{details.qualifier}"
    rhythm = context.roll_rhythm(name) if table.rhythmic else None
    measures = _list_measures(rows, name, details, context)
    sums = roll_rows(rows, context.windows, details.counted, measures, rhythm)
    columns = [
        *_count(sums, name, counted, context),
        *details.columns(sums),
        *(_share_times(sums, name, counted, context) if table.timed else ()),
        *(_measure_rhythm(sums, name, context) if table.rhythmic else ()),
        *_compare_windows(sums, name, _list_compared(name, counted, details), context),
        *_measure_recency(sums, name),
    ]
    block = sums.select(*KEYS, **{feature.name: value for feature, value in columns})
    features = [feature for feature, _ in columns]
    if details.state is not None:
        state, more = details.state
        block, features = join(block, state), [*features, *more]
    return Block(block, tuple(features))


def _list_measures(
    rows: ir.Table, name: str, details: Details, context: BuildContext
) -> dict[str, Measure]:
    """Return what is added up of each row, by name."""
    measures = {column: Measure(value) for column, value in details.measures.items()}
    if CONTRACTS[name].timed:
        counted, longest = details.counted, (context.windows.longest,)
        for part, inside in _find_times(rows, name):
            value = inside if counted is None else counted & inside
            measures[part] = Measure(value, longest)
    return measures


def _find_times(rows: ir.Table, name: str) -> Iterator[tuple[str, ir.BooleanValue]]:
    """Return which rows fell into which part of the day and week.

    A row at midnight exactly has a date only, and no time of day.
    """
    at = rows[CONTRACTS[name].dated]
    yield "timed", at != rows.day
    yield "weekend", at.day_of_week.index() >= SATURDAY
    for part, (first, last, _) in HOURS.items():
        yield part, at.hour().between(first, last)


def _count(sums: ir.Table, name: str, counted: str, context: BuildContext) -> Columns:
    unit = name_rows(context.study, name)
    for days in context.windows.days:
        words = f"{counted} in the last {days} days"
        yield Feature(f"n_{name}_{days}d", words, unit, name, days, True), sums[f"n_{days}"]
    if CONTRACTS[name].rhythmic:
        for days in context.windows.days:
            words = f"{CONTRACTS[name].words.active_days} in the last {days} days"
            feature = Feature(f"n_{name}_days_{days}d", words, "days", name, days, True)
            yield feature, sums[f"active_{days}"]


def _share_times(sums: ir.Table, name: str, counted: str, context: BuildContext) -> Columns:
    days, things = context.windows.longest, f"share of the {counted}"
    span = f"in the last {days} days that fell"
    parts = {"weekend": (f"{things} {span} on a Saturday or Sunday", "n")}
    parts |= {
        part: (f"{things} with a time of day {span} from {hours} UTC", "timed")
        for part, (*_, hours) in HOURS.items()
    }
    for part, (words, of) in parts.items():
        share = sums[f"{part}_{days}"] / sums[f"{of}_{days}"].nullif(0)
        yield Feature(f"share_{part}_{name}_{days}d", words, "share", name, days), share


def _measure_rhythm(sums: ir.Table, name: str, context: BuildContext) -> Columns:
    """Return mean, standard deviation and coefficient of variation of the gaps, and the present
    inactivity in multiples of the mean gap.
    """
    days, gaps, total = context.windows.longest, sums.n_gaps.cast("float64"), sums.gap
    total, named = total.cast("float64"), CONTRACTS[name].words
    mean = total / gaps.nullif(0)
    spread = ((sums.gap_squared * gaps - total * total) / (gaps * (gaps - 1)).nullif(0)).sqrt()
    between = f"between {named.active_days} that ended in the last {days} days"
    words = f"mean gap {between}"
    yield Feature(f"mean_gap_{name}_{days}d", words, "days", name, days), mean
    words = f"standard deviation of the gaps {between}"
    yield Feature(f"sd_gap_{name}_{days}d", words, "days", name, days), spread
    words = (
        f"irregularity of the gaps {between}: 0 is like clockwork, 1 as by chance, measured by"
        " standard deviation over mean"
    )
    variation = spread / mean.nullif(0)
    yield Feature(f"variation_gap_{name}_{days}d", words, "ratio", name, days), variation
    words = (
        f"days since the last {named.one}, in multiples of the customer's own mean gap of the last"
        f" {days} days"
    )
    inactivity = count_age(sums, "last_day") / mean.nullif(0)
    yield Feature(f"silence_ratio_{name}", words, "ratio", name), inactivity


def _list_compared(name: str, counted: str, details: Details) -> dict[str, tuple[str, str]]:
    """Return the measures whose daily rates are compared, with name and words."""
    rows = {"n": (f"n_{name}", counted)} if CONTRACTS[name].timed else {}
    return rows | {**details.compared}


def _compare_windows(
    sums: ir.Table, name: str, compared: dict[str, tuple[str, str]], context: BuildContext
) -> Columns:
    """Return changes of daily rates, recent against earlier, as (recent - earlier) / (recent +
    earlier).
    """
    for column, (label, things) in compared.items():
        for recent, days in pairwise(context.windows.days):
            late = sums[f"{column}_{recent}"].fill_null(0)
            early = sums[f"{column}_{days}"].fill_null(0) - late
            late, early = late.cast("float64") * (days - recent), early.cast("float64") * recent
            words = (
                f"{things} a day, last {recent} days against days {recent + 1} to {days}: -1 is"
                " stopped, 0 as before, 1 newly begun"
            )
            feature = Feature(f"trend_{label}_{recent}d_{days}d", words, "-1 to 1", name, days)
            yield feature, (late - early) / (late + early).nullif(0)


def _measure_recency(sums: ir.Table, name: str) -> Columns:
    for end in ("last", "first"):
        words = f"days since the {end} {CONTRACTS[name].words.one}"
        feature = Feature(f"days_since_{end}_{name}", words, "days", name)
        yield feature, count_age(sums, f"{end}_day")
