"""Sums over windows at many snapshots in one pass: each event is read once, whatever the number of snapshots and windows.

Rows become customer-days, customer-days become buckets between the days on which some window opens or closes, and only the few buckets
meet the snapshots. All sums are sums of whole numbers, so their order doesn't matter and every engine gives the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

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

    ``calendar``: one row per day from the first edge on, with its ``bucket`` (counted from 1) and ``number`` (of the first snapshot on or
    after it, from 0). ``snapshots``: one row per snapshot, with ``number``, ``upto`` (its buckets are below it) and, for each window,
    ``from_<days>`` (the window's first bucket).
    """

    calendar: ir.Table
    snapshots: ir.Table
    windows: tuple[int, ...]

    @property
    def longest(self) -> int:
        """The longest window in days."""
        return self.windows[-1]


def place_marks(snapshots: Sequence[date], windows: Sequence[int]) -> Marks:
    """Cut time into buckets such that every window of every snapshot is a run of whole buckets; a window of w days ends with its snapshot."""
    days = np.array(sorted(snapshots), dtype="datetime64[D]")
    opens = {window: days - (window - 1) for window in sorted(windows)}
    edges = np.unique(np.concatenate([days + 1, *opens.values()]))
    calendar = np.arange(edges[0], days[-1] + 1)
    bucket, number = np.searchsorted(edges, calendar, side="right"), np.searchsorted(days, calendar)
    starts = {f"from_{window}": np.searchsorted(edges, first, side="right") for window, first in opens.items()}
    marks = {"snapshot": _stamps(days), "number": np.arange(len(days)), "upto": np.searchsorted(edges, days + 1, side="right"), **starts}
    frame = pd.DataFrame({"day": _stamps(calendar), "bucket": bucket, "number": number})
    return Marks(ibis.memtable(frame), ibis.memtable(pd.DataFrame(marks)), tuple(sorted(windows)))


def _stamps(days: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days.astype("datetime64[us]"))


@dataclass(frozen=True)
class Measure:
    """A whole number or flag of each row, made of that row's own columns, and the windows it is added up over; all unless given."""

    value: ir.Value
    windows: tuple[int, ...] = ()


def in_micros(amount: ir.NumericValue) -> ir.IntegerValue:
    """Return an amount in whole millionths, which add up to the same whatever their order."""
    return (amount * MICRO).round().cast("int64")


def roll(rows: ir.Table, marks: Marks, counted: ir.BooleanValue | None, measures: dict[str, Measure], gaps: bool = False) -> ir.Table:
    """Return sums over windows of every customer at every snapshot.

    Parameters
    ----------
    rows : table with columns customer_id, day and, where rows may become known later, known; see ``snapshots.follow``
    marks : see ``place_marks``
    counted : which rows are counted, and make a day an active one; all unless given
    measures : what else is added up, by name
    gaps : whether the days between one active day and the next are wanted

    Returns
    -------
    table with columns snapshot, customer_id, n_<w>, active_<w>, <measure>_<w>, first_day, last_day and n_gaps, gap, gap_squared
        One row per snapshot and customer with a row known by then. ``n_<w>`` rows counted and ``active_<w>`` active days of the last w days;
        first and last active day ever; gaps that end in the longest window. Whole numbers; sums without a row are empty.

    Raises
    ------
    TypeError
        If a measure looks at other rows than its own: a window over rows not yet cut would see the future.
    """
    days = _add_up_days(rows, marks, ibis.literal(True) if counted is None else counted, {name: measure.value for name, measure in measures.items()})
    windows = {"n": marks.windows, "active": marks.windows} | {name: measure.windows or marks.windows for name, measure in measures.items()}
    if not gaps:
        return _roll_up(_fill_buckets(days, [*windows]), marks, windows)
    late = _find_late(days) if "known" in rows.columns else None
    spaced = _space(days, ["customer_id"] if counted is None else ["customer_id", "active"], late)
    table = _roll_up(_fill_buckets(spaced, [*windows, *GAPS]), marks, windows | dict.fromkeys(GAPS, (marks.longest,)))
    table = table.rename({name: f"{name}_{marks.longest}" for name in GAPS})
    return table if late is None else _add_late(table, _space_late(days.semi_join(late, "customer_id"), marks))


def _add_up_days(rows: ir.Table, marks: Marks, counted: ir.BooleanValue, values: dict[str, ir.Value]) -> ir.Table:
    """Return one row per customer, day and number of the snapshot by which it was known; see ``_place`` and ``_mark_active``."""
    for name, value in values.items():
        if value.op().find((ops.Analytic, ops.Reduction, ops.WindowFunction), filter=ops.Value):
            raise TypeError(f"required a measure of each row's own columns, arrived '{name}', which looks at other rows; write it over the evidence")
    late = ["known"] if "known" in rows.columns else []
    flagged = rows.select("customer_id", "day", *late, n=_whole(counted), **{name: _whole(value) for name, value in values.items()})
    flagged = _number(flagged, marks) if late else flagged
    days = flagged.group_by(["customer_id", "day", *late]).agg(**{name: flagged[name].sum().cast("int64") for name in ("n", *values)})
    return _mark_active(_place(days, marks), bool(late))


def _whole(value: ir.Value) -> ir.IntegerValue:
    return (value.fill_null(False) if value.type().is_boolean() else value).cast("int64")


def _number(rows: ir.Table, marks: Marks) -> ir.Table:
    """Replace the day on which a row was known by the number of the first snapshot on or after it."""
    days = marks.calendar.select(known="day", known_by="number")
    return rows.left_join(days, "known").mutate(known=lambda t: t.known_by.fill_null(0)).drop("known_right", "known_by")


def _place(days: ir.Table, marks: Marks) -> ir.Table:
    """Add the bucket and the number of the first snapshot on or after the day, both 0 before the calendar begins."""
    placed = days.left_join(marks.calendar, "day").drop("day_right")
    placed = placed.mutate(bucket=placed.bucket.fill_null(0), number=placed.number.fill_null(0))
    return placed.mutate(known=ibis.greatest(placed.known, placed.number) if "known" in days.columns else placed.number)


def _mark_active(days: ir.Table, late: bool) -> ir.Table:
    """Add ``active``: 1 on the row of each day by which it was first known to be an active one."""
    counts = days.n > 0
    if not late:
        return days.mutate(active=counts.cast("int64"))
    first = counts.ifelse(days.known, ibis.null("int64")).min().over(ibis.window(group_by=["customer_id", "day"]))
    return days.mutate(active=(counts & (days.known == first)).fill_null(False).cast("int64"))


def _find_late(days: ir.Table) -> ir.Table:
    """Return the customers of whom some active day became known only after a snapshot that it precedes: their gaps change from then on."""
    return days.filter(days.n > 0, days.known > days.number).select("customer_id").distinct()


def _space(days: ir.Table, keys: list[str], late: ir.Table | None) -> ir.Table:
    """Add the days since the customer's active day before: ``gap``, its square and ``n_gaps`` (1), empty where there is none or customers are late."""
    own = ibis.window(group_by=keys, order_by="day")
    gap = (days.active == 1).ifelse(days.day.delta(days.day.lag().over(own), unit="day"), ibis.null("int64"))
    spaced = days.mutate(gap=gap)
    if late is not None:
        spaced = spaced.left_join(late.mutate(late=True), "customer_id").drop("customer_id_right")
        spaced = spaced.mutate(gap=spaced.late.isnull().ifelse(spaced.gap, ibis.null("int64"))).drop("late")
    return spaced.mutate(gap_squared=spaced.gap * spaced.gap, n_gaps=spaced.gap.notnull().cast("int64"))


def _space_late(days: ir.Table, marks: Marks) -> ir.Table:
    """Return the sums of the gaps of late customers, measured at each snapshot among the days that it knows."""
    at = marks.snapshots.select("snapshot", "number", "upto", opens=f"from_{marks.longest}")
    known = days.filter(days.n > 0).select("customer_id", "day", "bucket", "known")
    known = known.join(at, [known.bucket < at.upto, known.known <= at.number]).select(*KEYS, "day", "bucket", "opens").distinct()
    gap = known.day.delta(known.day.lag().over(ibis.window(group_by=KEYS, order_by="day")), unit="day")
    gaps = known.mutate(gap=gap).filter(lambda t: t.gap.notnull() & (t.bucket >= t.opens))
    return gaps.group_by(KEYS).agg(n_gaps=gaps.count(), gap=gaps.gap.sum().cast("int64"), gap_squared=(gaps.gap * gaps.gap).sum().cast("int64"))


def _fill_buckets(days: ir.Table, measures: list[str]) -> ir.Table:
    """Add customer-days up to buckets."""
    active = (days.active == 1).ifelse(days.day, ibis.null("timestamp(6)"))
    sums = {name: days[name].sum().cast("int64") for name in measures}
    return days.group_by(["customer_id", "bucket", "known"]).agg(**sums, first_day=active.min(), last_day=active.max())


def _roll_up(buckets: ir.Table, marks: Marks, windows: dict[str, tuple[int, ...]]) -> ir.Table:
    """Let every snapshot add up the buckets of its windows that it knows."""
    at = marks.snapshots
    seen = buckets.join(at, [buckets.bucket < at.upto, buckets.known <= at.number])
    inside = {window: seen.bucket >= seen[f"from_{window}"] for window in marks.windows}
    sums = {f"{name}_{window}": seen[name].sum(where=inside[window]).cast("int64") for name, spans in windows.items() for window in spans}
    return seen.group_by(KEYS).agg(**sums, first_day=seen.first_day.min(), last_day=seen.last_day.max())


def _add_late(table: ir.Table, late: ir.Table) -> ir.Table:
    """Put the gaps of late customers in place of the empty ones."""
    late = late.rename({f"late_{name}": name for name in GAPS})
    joined = table.left_join(late, KEYS).drop("snapshot_right", "customer_id_right")
    return joined.mutate(**{name: joined[f"late_{name}"].fill_null(joined[name]) for name in GAPS}).drop(*late.drop(*KEYS).columns)
