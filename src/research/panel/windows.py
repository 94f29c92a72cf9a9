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
class WindowPlan:
    """The days on which the windows of snapshots open and close.

    Attributes
    ----------
    calendar : one row per day from the first edge on, with its ``bucket`` (counted from 1) and
        ``number`` (of the first snapshot on or after it, from 0)
    snapshots : one row per snapshot, with ``number``, ``upto`` (its buckets are below it) and, for
        each window, ``from_<days>`` (the window's first bucket)
    days : lengths of the windows, rising
    before : the day before the calendar
    last : the last snapshot
    several : whether there are other snapshots
    """

    calendar: ir.Table
    snapshots: ir.Table
    days: tuple[int, ...]
    before: datetime
    last: datetime
    several: bool

    @property
    def longest(self) -> int:
        """The longest window in days."""
        return self.days[-1]


def plan_windows(snapshots: Sequence[date], windows: Sequence[int]) -> WindowPlan:
    """Divide time into buckets such that every window of every snapshot is a run of whole buckets.

    A window of w days ends with its snapshot.
    """
    days = np.array(sorted(snapshots), dtype="datetime64[D]")
    opens = {window: days - (window - 1) for window in sorted(windows)}
    edges = np.unique(np.concatenate([days + 1, *opens.values()]))
    calendar = np.arange(edges[0], days[-1] + 1)
    by_day = {
        "day": _to_index(calendar),
        "bucket": np.searchsorted(edges, calendar, side="right"),
        "number": np.searchsorted(days, calendar),
    }
    by_snapshot = {
        "snapshot": _to_index(days),
        "number": np.arange(len(days)),
        "upto": np.searchsorted(edges, days + 1, side="right"),
    }
    by_snapshot |= {
        f"from_{window}": np.searchsorted(edges, first, side="right")
        for window, first in opens.items()
    }
    before, last = (pd.Timestamp(day).to_pydatetime() for day in (edges[0] - 1, days[-1]))
    return WindowPlan(
        ibis.memtable(pd.DataFrame(by_day)),
        ibis.memtable(pd.DataFrame(by_snapshot)),
        tuple(sorted(windows)),
        before,
        last,
        len(days) > 1,
    )


def _to_index(days: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days.astype("datetime64[us]"))


@dataclass(frozen=True)
class Measure:
    """A whole number of each row, or a flag that is counted, made of that row's own columns.

    ``windows``: those it is added up over; all unless given.
    """

    value: ir.Value
    windows: tuple[int, ...] = ()


def in_micros(amount: ir.NumericValue) -> ir.IntegerValue:
    """Return an amount in whole millionths, which add up to the same whatever their order."""
    return (amount * MICRO).round().cast("int64")


def roll_rows(
    rows: ir.Table,
    plan: WindowPlan,
    counted: ir.BooleanValue | None,
    measures: dict[str, Measure],
    rhythm: ir.Table | None = None,
) -> ir.Table:
    """Return sums over windows of every customer at every snapshot.

    Parameters
    ----------
    rows : table with columns customer_id, day and, where rows may become known later, known
        See ``evidence.find_known_rows``.
    plan : see ``plan_windows``
    counted : which rows are counted, and give the first and last day; all unless given
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
        If a measure looks at other rows than its own: it would include rows after the snapshot.
    """
    counted = ibis.literal(True) if counted is None else counted
    _require_own_columns({"counted": Measure(counted)} | measures)
    rows = rows if rhythm is None else rows.filter(rows.day > plan.before)
    rows = rows.select(
        "customer_id",
        "day",
        *_known_column(rows),
        n=counted,
        **{name: measure.value for name, measure in measures.items()},
    )
    windows = {"n": plan.days} | {
        name: measure.windows or plan.days for name, measure in measures.items()
    }
    table = add_up(rows.mutate(counts=rows.n), plan, windows, recent=rhythm is not None)
    return table if rhythm is None else _merge(rhythm, table.drop("first_day", "last_day"))


def _require_own_columns(measures: dict[str, Measure]) -> None:
    across_rows = (ops.Analytic, ops.Reduction, ops.WindowFunction)
    for name, measure in measures.items():
        if measure.value.op().find(across_rows, filter=ops.Value):
            raise TypeError(
                f"expected a measure of each row's own columns, got '{name}', which looks at"
                " other rows; write it over the evidence"
            )


def _known_column(rows: ir.Table) -> list[str]:
    """Return the column with the day from which a row is known, where there is one."""
    return ["known"] if "known" in rows.columns else []


def _total(rows: ir.Table, name: str) -> ir.IntegerValue:
    """Return the sum of whole numbers, or the number of flags that are true."""
    flag = rows[name].type().is_boolean()
    return (rows.count(where=rows[name]) if flag else rows[name].sum()).cast("int64")


def count_age(table: ir.Table, column: str) -> ir.IntegerValue:
    """Return whole days from the day of a time to the snapshot."""
    return table.snapshot.delta(table[column].truncate("D"), unit="day")


def join(table: ir.Table, more: ir.Table) -> ir.Table:
    """Return all rows of a table, joined with another by snapshot and customer."""
    return table.left_join(more, KEYS).drop("snapshot_right", "customer_id_right")


def _merge(table: ir.Table, more: ir.Table) -> ir.Table:
    """Join two tables of which either may lack customers."""
    both = table.outer_join(more, KEYS)
    keys = {name: both[name].fill_null(both[f"{name}_right"]) for name in KEYS}
    return both.mutate(**keys).drop("snapshot_right", "customer_id_right")


def place_in_buckets(rows: ir.Table, plan: WindowPlan) -> ir.Table:
    """Add the ``bucket`` of the day and the ``number`` of the first snapshot on or after it.

    ``known`` becomes the number of the first snapshot that knows the row. All are 0 before the
    calendar begins. At one snapshot alone only the bucket is added: all rows are known.
    """
    if not plan.several:
        return rows.mutate(bucket=_find_bucket(rows.day, plan))
    placed = rows.left_join(plan.calendar, "day").drop("day_right")
    placed = placed.mutate(bucket=placed.bucket.fill_null(0), number=placed.number.fill_null(0))
    if not _known_column(rows):
        return placed.mutate(known=placed.number)
    days = plan.calendar.select(known="day", known_by="number")
    placed = placed.left_join(days, "known").drop("known_right")
    return placed.mutate(known=ibis.greatest(placed.known_by.fill_null(0), placed.number)).drop(
        "known_by"
    )


def add_up(
    rows: ir.Table,
    plan: WindowPlan,
    windows: dict[str, tuple[int, ...]],
    by: Sequence[str] = (),
    recent: bool = False,
) -> ir.Table:
    """Add measures up over the windows of every snapshot.

    Parameters
    ----------
    rows : table with columns customer_id, day, optionally known, and the measures
        See ``evidence.find_known_rows``. Where there are flags ``counts``, only rows that count
        give the first and last day; where there are days ``first``, they stand for the first.
    windows : windows in days by measure
    by : columns that, with the customer, make the groups
    recent : whether only rows of a snapshot's longest window make a row of it

    Returns
    -------
    table with columns snapshot, customer_id, those of ``by``, <measure>_<w>, first_day, last_day,
    and active_ever where active is a measure
    """
    buckets = _fill_buckets(place_in_buckets(rows, plan), windows, by)
    known, inside = _find_known_buckets(buckets, plan)
    known = known.filter(inside[plan.longest]) if recent else known
    ends = {"first_day": known.first_day.min(), "last_day": known.last_day.max()}
    return known.group_by([*KEYS, *by]).agg(**_sum_windows(known, windows, inside), **ends)


def _sum_windows(
    rows: ir.Table, windows: dict[str, tuple[int, ...]], inside: dict[int, ir.BooleanValue]
) -> dict[str, ir.IntegerValue]:
    sums = {
        f"{name}_{window}": rows[name].sum(where=inside[window]).cast("int64")
        for name, spans in windows.items()
        for window in spans
    }
    return sums | ({"active_ever": rows.active.sum().cast("int64")} if "active" in windows else {})


def _find_bucket(day: ir.TimestampValue, plan: WindowPlan) -> ir.IntegerValue:
    """Return the buckets of one snapshot, which are the steps from one window to the next.

    Faster than to look every day up in the calendar.
    """
    opens = [
        (ibis.literal(plan.last - timedelta(days=window)), len(plan.days) - step)
        for step, window in enumerate(plan.days)
    ]
    return ibis.cases(*((day > first, bucket) for first, bucket in opens), else_=0).cast("int64")


def _fill_buckets(rows: ir.Table, measures: Iterable[str], by: Sequence[str]) -> ir.Table:
    """Add placed rows up to buckets, each with its first and last day."""
    counts = rows.counts if "counts" in rows.columns else None
    first = rows["first"] if "first" in rows.columns else rows.day
    return rows.group_by(["customer_id", *by, "bucket", *_known_column(rows)]).agg(
        **{name: _total(rows, name) for name in measures},
        first_day=first.min(where=counts),
        last_day=rows.day.max(where=counts),
    )


def _find_known_buckets(
    buckets: ir.Table, plan: WindowPlan
) -> tuple[ir.Table, dict[int, ir.BooleanValue]]:
    """Return the buckets that each snapshot knows, and which of them lie in which window.

    All are known at one snapshot alone.
    """
    if not plan.several:
        known = buckets.mutate(snapshot=ibis.literal(plan.last, type="timestamp(6)"))
        return known, {
            window: known.bucket > step for step, window in enumerate(reversed(plan.days))
        }
    known = buckets.join(
        plan.snapshots,
        [buckets.bucket < plan.snapshots.upto, buckets.known <= plan.snapshots.number],
    )
    return known, {window: known.bucket >= known[f"from_{window}"] for window in plan.days}


def roll_days(days: ir.Table, plan: WindowPlan, span: int | None = None) -> ir.Table:
    """Return how many active days each customer had, and the gaps between them.

    Parameters
    ----------
    days : each customer's days with a row that counts, see ``Evidence.find_active_days``
    plan : see ``plan_windows``
    span : one of the windows; the gaps that end in it are added up

    Returns
    -------
    table with columns snapshot, customer_id, active_<w>, active_ever, first_day, last_day and, with
    ``span``, n_gaps, gap, gap_squared
        One row per snapshot and customer with an active day known by then: number, sum and sum of
        squares of the gaps in days.
    """
    active = {"active": plan.days}
    if span is None:
        return add_up(days.mutate(active=ibis.literal(1, "int64")), plan, active)
    late = None
    if _known_column(days):
        placed = place_in_buckets(days, plan)
        late = placed.filter(placed.known > placed.number).select("customer_id").distinct()
        days = days.mutate(active=ibis.literal(1, "int64"))
    else:
        days = _merge_old_days(days, plan)
    table = add_up(_measure_gaps(days, late), plan, active | dict.fromkeys(GAPS, (span,)))
    table = table.rename({name: f"{name}_{span}" for name in GAPS})
    if late is None:
        return table
    return _replace_gaps(table, _sum_late_gaps(placed.semi_join(late, "customer_id"), plan, span))


def _merge_old_days(days: ir.Table, plan: WindowPlan) -> ir.Table:
    """Merge each customer's days before the calendar into the last of them, with their number and
    the ``first``: no window holds a gap that ends there.
    """
    old = days.filter(days.day <= plan.before)
    merged = old.group_by("customer_id").agg(
        day=old.day.max(), first=old.day.min(), active=old.count().cast("int64")
    )
    recent = days.filter(days.day > plan.before)
    return recent.mutate(first=recent.day, active=ibis.literal(1, "int64")).union(merged)


def _measure_gaps(days: ir.Table, late: ir.Table | None) -> ir.Table:
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


def _sum_late_gaps(days: ir.Table, plan: WindowPlan, span: int) -> ir.Table:
    """Return the sums of the gaps of late customers, measured at each snapshot among the days that
    it knows.
    """
    at = plan.snapshots.select("snapshot", "number", "upto", opens=f"from_{span}")
    days = days.select("customer_id", "day", "bucket", "known")
    known = days.join(at, [days.bucket < at.upto, days.known <= at.number]).select(
        *KEYS, "day", "bucket", "opens"
    )
    before = known.day.lag().over(ibis.window(group_by=KEYS, order_by="day"))
    gaps = known.mutate(gap=known.day.delta(before, unit="day"))
    gaps = gaps.filter(gaps.gap.notnull(), gaps.bucket >= gaps.opens)
    return gaps.group_by(KEYS).agg(
        n_gaps=gaps.count(),
        gap=gaps.gap.sum().cast("int64"),
        gap_squared=(gaps.gap * gaps.gap).sum().cast("int64"),
    )


def _replace_gaps(table: ir.Table, late: ir.Table) -> ir.Table:
    """Put the gaps of late customers in place of the empty ones."""
    joined = join(table, late.rename({f"late_{name}": name for name in GAPS}))
    filled = {name: joined[f"late_{name}"].fill_null(joined[name]) for name in GAPS}
    return joined.mutate(**filled).drop(*(f"late_{name}" for name in GAPS))
