"""Sums over windows at many snapshots in one pass: each event is read once, whatever the number of
snapshots and windows.

Rows are added up in buckets between the days on which some window opens or closes, and only the few
buckets meet the snapshots. All sums are sums of whole numbers, so their order doesn't matter and
every engine gives the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
import pandas as pd

KEYS = ["snapshot", "customer_id"]
GAPS = ("n_gaps", "gap", "gap_squared")
MICRO = 1_000_000  # amounts are summed in whole millionths


@dataclass(frozen=True)
class Marks:
    """The days on which windows open and close.

    ``calendar``: one row per day from the first edge on, with its ``bucket`` (counted from 1) and
    ``number`` (of the first snapshot on or after it, from 0). ``snapshots``: one row per snapshot,
    with ``number``, ``upto`` (its buckets are below it) and, for each window, ``from_<days>`` (the
    window's first bucket). ``before``: the day before the calendar. ``last``: the last snapshot;
    ``several``: whether there are others.
    """

    calendar: ir.Table
    snapshots: ir.Table
    windows: tuple[int, ...]
    before: datetime
    last: datetime
    several: bool

    @property
    def longest(self) -> int:
        """The longest window in days."""
        return self.windows[-1]


def place_marks(snapshots: Sequence[date], windows: Sequence[int]) -> Marks:
    """Cut time into buckets such that every window of every snapshot is a run of whole buckets; a
    window of w days ends with its snapshot.
    """
    days = np.array(sorted(snapshots), dtype="datetime64[D]")
    opens = {window: days - (window - 1) for window in sorted(windows)}
    edges = np.unique(np.concatenate([days + 1, *opens.values()]))
    calendar = np.arange(edges[0], days[-1] + 1)
    bucket, number = np.searchsorted(edges, calendar, side="right"), np.searchsorted(days, calendar)
    starts = {
        f"from_{window}": np.searchsorted(edges, first, side="right")
        for window, first in opens.items()
    }
    marks = {
        "snapshot": _stamps(days),
        "number": np.arange(len(days)),
        "upto": np.searchsorted(edges, days + 1, side="right"),
        **starts,
    }
    frame = pd.DataFrame({"day": _stamps(calendar), "bucket": bucket, "number": number})
    before, last = (pd.Timestamp(day).to_pydatetime() for day in (edges[0] - 1, days[-1]))
    return Marks(
        ibis.memtable(frame),
        ibis.memtable(pd.DataFrame(marks)),
        tuple(sorted(windows)),
        before,
        last,
        len(days) > 1,
    )


def _stamps(days: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days.astype("datetime64[us]"))


@dataclass(frozen=True)
class Measure:
    """A whole number of each row, or a flag that is counted, made of that row's own columns, and
    the windows it is added up over; all unless given.
    """

    value: ir.Value
    windows: tuple[int, ...] = ()


def in_micros(amount: ir.NumericValue) -> ir.IntegerValue:
    """Return an amount in whole millionths, which add up to the same whatever their order."""
    return (amount * MICRO).round().cast("int64")


def roll(
    rows: ir.Table,
    marks: Marks,
    counted: ir.BooleanValue | None,
    measures: dict[str, Measure],
    rhythm: ir.Table | None = None,
) -> ir.Table:
    """Return sums over windows of every customer at every snapshot.

    Parameters
    ----------
    rows : table with columns customer_id, day and, where rows may become known later, known; see
        ``snapshots.follow``
    marks : see ``place_marks``
    counted : which rows are counted, and tell the first and last day; all unless given
    measures : what else is added up, by name
    rhythm : what ``roll_days`` returns, where active days are wanted too

    Returns
    -------
    table with columns snapshot, customer_id, n_<w>, <measure>_<w>, first_day, last_day and those of
    ``rhythm``
        One row per snapshot and customer with a row known by then; with ``rhythm``, with an active
        day or a row of the longest window. ``n_<w>``: rows counted in the last w days; first and
        last day ever with such a row. Whole numbers; sums without a row are empty.

    Raises
    ------
    TypeError
        If a measure looks at other rows than its own: a window over rows not yet cut would see the
        future.
    """
    counted = ibis.literal(True) if counted is None else counted
    _require_own_columns({"counted": Measure(counted)} | measures)
    rows = rows if rhythm is None else rows.filter(rows.day > marks.before)
    rows = rows.select(
        "customer_id",
        "day",
        *_knows(rows),
        n=counted,
        **{name: measure.value for name, measure in measures.items()},
    )
    windows = {"n": marks.windows} | {
        name: measure.windows or marks.windows for name, measure in measures.items()
    }
    table = add_up(rows.mutate(counts=rows.n), marks, windows, recent=rhythm is not None)
    return table if rhythm is None else _merge(rhythm, table.drop("first_day", "last_day"))


def _require_own_columns(measures: dict[str, Measure]) -> None:
    for name, measure in measures.items():
        if measure.value.op().find(
            (ops.Analytic, ops.Reduction, ops.WindowFunction), filter=ops.Value
        ):
            raise TypeError(
                f"expected a measure of each row's own columns, got '{name}', which looks at"
                " other rows; write it over the evidence"
            )


def _knows(rows: ir.Table) -> list[str]:
    return ["known"] if "known" in rows.columns else []


def _total(rows: ir.Table, name: str) -> ir.IntegerValue:
    """Return the sum of whole numbers, or the number of flags that are true."""
    return (
        rows.count(where=rows[name]) if rows[name].type().is_boolean() else rows[name].sum()
    ).cast("int64")


def count_age(table: ir.Table, column: str) -> ir.IntegerValue:
    """Return whole days from the day of a time to the snapshot."""
    return table.snapshot.delta(table[column].truncate("D"), unit="day")


def join(table: ir.Table, more: ir.Table) -> ir.Table:
    """Return all rows of a table, with the columns of another beside those of the same snapshot and
    customer.
    """
    return table.left_join(more, KEYS).drop("snapshot_right", "customer_id_right")


def _merge(table: ir.Table, more: ir.Table) -> ir.Table:
    """Join two tables of which either may lack customers."""
    both = table.outer_join(more, KEYS)
    keys = {name: both[name].fill_null(both[f"{name}_right"]) for name in KEYS}
    return both.mutate(**keys).drop("snapshot_right", "customer_id_right")


def place(rows: ir.Table, marks: Marks) -> ir.Table:
    """Add the bucket of the day, the ``number`` of the first snapshot on or after it, and replace
    ``known`` by the number of the first that knows.

    All are 0 before the calendar begins. At one snapshot alone only the bucket is told: all rows
    are known.
    """
    if not marks.several:
        return rows.mutate(bucket=_place_once(rows.day, marks))
    placed = rows.left_join(marks.calendar, "day").drop("day_right")
    placed = placed.mutate(bucket=placed.bucket.fill_null(0), number=placed.number.fill_null(0))
    if not _knows(rows):
        return placed.mutate(known=placed.number)
    days = marks.calendar.select(known="day", known_by="number")
    placed = placed.left_join(days, "known").drop("known_right")
    return placed.mutate(known=ibis.greatest(placed.known_by.fill_null(0), placed.number)).drop(
        "known_by"
    )


def add_up(
    rows: ir.Table,
    marks: Marks,
    windows: dict[str, tuple[int, ...]],
    by: Sequence[str] = (),
    recent: bool = False,
) -> ir.Table:
    """Add measures up over the windows of every snapshot.

    Parameters
    ----------
    rows : table with columns customer_id, day, optionally known, and the measures
        See ``snapshots.follow``. Where there are flags ``counts``, only rows that count tell the
        first and last day; where there are days ``first``, they stand for the first.
    windows : windows in days by measure
    by : columns that, beside the customer, are told apart
    recent : whether only rows of a snapshot's longest window make a row of it

    Returns
    -------
    table with columns snapshot, customer_id, those of ``by``, <measure>_<w>, first_day, last_day,
    and active_ever where active is a measure
    """
    return _roll_up(_fill_buckets(place(rows, marks), windows, by), marks, windows, by, recent)


def _sum_up(
    rows: ir.Table, windows: dict[str, tuple[int, ...]], inside: dict[int, ir.BooleanValue]
) -> dict[str, ir.IntegerValue]:
    sums = {
        f"{name}_{window}": rows[name].sum(where=inside[window]).cast("int64")
        for name, spans in windows.items()
        for window in spans
    }
    return sums | ({"active_ever": rows.active.sum().cast("int64")} if "active" in windows else {})


def _find_ends(rows: ir.Table) -> dict[str, ir.TimestampValue]:
    counts, first = (
        rows.counts if "counts" in rows.columns else None,
        rows["first"] if "first" in rows.columns else rows.day,
    )
    return {"first_day": first.min(where=counts), "last_day": rows.day.max(where=counts)}


def _place_once(day: ir.TimestampValue, marks: Marks) -> ir.IntegerValue:
    """Return the buckets of one snapshot, which are the steps from one window to the next: faster
    than to look every day up.
    """
    opens = [
        (ibis.literal(marks.last - timedelta(days=window)), len(marks.windows) - step)
        for step, window in enumerate(marks.windows)
    ]
    return ibis.cases(*((day > first, bucket) for first, bucket in opens), else_=0).cast("int64")


def _fill_buckets(rows: ir.Table, measures: Iterable[str], by: Sequence[str]) -> ir.Table:
    """Add placed rows up to buckets, each with its first and last day."""
    sums = {name: _total(rows, name) for name in measures}
    return rows.group_by(["customer_id", *by, "bucket", *_knows(rows)]).agg(
        **sums, **_find_ends(rows)
    )


def _roll_up(
    buckets: ir.Table,
    marks: Marks,
    windows: dict[str, tuple[int, ...]],
    by: Sequence[str],
    recent: bool,
) -> ir.Table:
    """Let every snapshot add up the buckets that it knows."""
    seen, inside = _see(buckets, marks)
    seen = seen.filter(inside[marks.longest]) if recent else seen
    ends = {"first_day": seen.first_day.min(), "last_day": seen.last_day.max()}
    return seen.group_by([*KEYS, *by]).agg(**_sum_up(seen, windows, inside), **ends)


def _see(buckets: ir.Table, marks: Marks) -> tuple[ir.Table, dict[int, ir.BooleanValue]]:
    """Return the buckets that each snapshot knows, and which of them lie in which window; all are
    known at one snapshot alone.
    """
    if not marks.several:
        seen = buckets.mutate(snapshot=ibis.literal(marks.last, type="timestamp(6)"))
        return seen, {
            window: seen.bucket > place for place, window in enumerate(reversed(marks.windows))
        }
    seen = buckets.join(
        marks.snapshots,
        [buckets.bucket < marks.snapshots.upto, buckets.known <= marks.snapshots.number],
    )
    return seen, {window: seen.bucket >= seen[f"from_{window}"] for window in marks.windows}


def roll_days(days: ir.Table, marks: Marks, span: int | None = None) -> ir.Table:
    """Return how many active days each customer had, and the gaps between them.

    Parameters
    ----------
    days : each customer's days with a row that counts, see ``Evidence.list_days``
    marks : see ``place_marks``
    span : one of the windows; the gaps that end in it are added up

    Returns
    -------
    table with columns snapshot, customer_id, active_<w>, active_ever, first_day, last_day and, with
    ``span``, n_gaps, gap, gap_squared
        One row per snapshot and customer with an active day known by then: number, sum and sum of
        squares of the gaps in days.
    """
    if span is None:
        return add_up(
            days.mutate(active=ibis.literal(1, "int64")), marks, {"active": marks.windows}
        )
    late = None
    if _knows(days):
        placed = place(days, marks)
        late = placed.filter(placed.known > placed.number).select("customer_id").distinct()
        days = days.mutate(active=ibis.literal(1, "int64"))
    spaced = _space(days if _knows(days) else _skip_old(days, marks), late)
    table = add_up(spaced, marks, {"active": marks.windows} | dict.fromkeys(GAPS, (span,)))
    table = table.rename({name: f"{name}_{span}" for name in GAPS})
    return (
        table
        if late is None
        else _replace_gaps(table, _space_late(placed.semi_join(late, "customer_id"), marks, span))
    )


def _skip_old(days: ir.Table, marks: Marks) -> ir.Table:
    """Put each customer's days before the calendar into their last, with their number and the
    ``first``: no window holds a gap that ends there.
    """
    old = days.filter(days.day <= marks.before)
    lasts = old.group_by("customer_id").agg(
        day=old.day.max(), first=old.day.min(), active=old.count().cast("int64")
    )
    return (
        days.filter(days.day > marks.before)
        .mutate(first=lambda t: t.day, active=ibis.literal(1, "int64"))
        .union(lasts)
    )


def _space(days: ir.Table, late: ir.Table | None) -> ir.Table:
    """Add the days since the customer's active day before: ``gap``, its square and ``n_gaps`` (1).

    Empty on the first day, and for late customers: of whom some day became known only after a
    snapshot that it precedes, so that the gaps around it change from then on.
    """
    before = days.day.lag().over(ibis.window(group_by="customer_id", order_by="day"))
    spaced = days.mutate(gap=days.day.delta(before, unit="day"))
    if late is not None:
        spaced = spaced.left_join(late.mutate(late=ibis.literal(1)), "customer_id").drop(
            "customer_id_right"
        )
        spaced = spaced.mutate(
            gap=spaced.late.isnull().ifelse(spaced.gap, ibis.null("int64"))
        ).drop("late")
    return spaced.mutate(gap_squared=spaced.gap * spaced.gap, n_gaps=spaced.gap.notnull())


def _space_late(days: ir.Table, marks: Marks, span: int) -> ir.Table:
    """Return the sums of the gaps of late customers, measured at each snapshot among the days that
    it knows.
    """
    at = marks.snapshots.select("snapshot", "number", "upto", opens=f"from_{span}")
    days = days.select("customer_id", "day", "bucket", "known")
    known = days.join(at, [days.bucket < at.upto, days.known <= at.number]).select(
        *KEYS, "day", "bucket", "opens"
    )
    gaps = known.mutate(
        gap=known.day.delta(
            known.day.lag().over(ibis.window(group_by=KEYS, order_by="day")), unit="day"
        )
    )
    gaps = gaps.filter(gaps.gap.notnull(), gaps.bucket >= gaps.opens)
    return gaps.group_by(KEYS).agg(
        n_gaps=gaps.count(),
        gap=gaps.gap.sum().cast("int64"),
        gap_squared=(gaps.gap * gaps.gap).sum().cast("int64"),
    )


def _replace_gaps(table: ir.Table, late: ir.Table) -> ir.Table:
    """Put the gaps of late customers in place of the empty ones."""
    joined = join(table, late.rename({f"late_{name}": name for name in GAPS}))
    return joined.mutate(
        **{name: joined[f"late_{name}"].fill_null(joined[name]) for name in GAPS}
    ).drop(*(f"late_{name}" for name in GAPS))
