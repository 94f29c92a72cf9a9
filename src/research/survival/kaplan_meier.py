"""Kaplan-Meier curves from counted durations, and the numbers read off them.

The engine counts the rows with the same entry, duration and end where the data are; a curve needs
no more than these counts, whatever the number of customers.
"""

from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter

from research.data.contracts import CONTRACTS, Tables
from research.data.terms import end_day, find_grace
from research.evaluation.intervals import Z
from research.panel.periods import name_spans
from research.panel.segments import PLAN, find_segments, name_segment
from research.panel.spells import days_before, find_ends, find_spells, is_purchase
from research.panel.windows import KEYS, join
from research.study import Study
from research.study_schema import CENTURY_DAYS

MIN_AT_RISK = 10
ROUNDING = 1e-9  # of a survival of exactly one half, which lifelines sums up in logarithms
COUNTED = ["snapshot", "segment", "entry", "duration", "ended"]
Estimate = dict[str, float]
EMPTY: Estimate = {"value": np.nan, "low": np.nan, "high": np.nan, "se": np.nan}


def fit_kaplan_meier(counts: pd.DataFrame) -> KaplanMeierFitter:
    """Return the Kaplan-Meier curve of durations with late entry.

    Parameters
    ----------
    counts : DataFrame with columns entry, duration, ended, rows
        Number of rows observed from ``entry`` (0: from the start, day 0 included) to ``duration``,
        and whether they ended then or were censored. Ends on day 0 count: the curve then begins
        below 1. A late entrant is at risk from the day after ``entry``. The curve ends where nobody
        is at risk any more; later entries say nothing about the gap.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958), doi:10.1080/01621459.1958.10501452; late entry after Klein,
    J. P. and Moeschberger, M. L. (2003), Survival Analysis, 2nd ed., Springer, section 4.6.
    """
    observed = _count_observed(counts)
    from_start = counts.entry == counts.entry.min()  # also where all of them end at once
    counts = counts[from_start | (counts.entry < observed.index[observed == 0].min())]
    late = counts.entry if (counts.entry > 0).any() else None
    return KaplanMeierFitter().fit(counts.duration, counts.ended, entry=late, weights=counts.rows)


def compute_restricted_mean(curve: KaplanMeierFitter, until: float) -> Estimate:
    """Return the restricted mean: the area under the curve up to ``until``, with its interval.

    Empty where follow-up ends before ``until`` while some had not ended; the 95 % interval is empty
    where nobody ended.

    References
    ----------
    Klein and Moeschberger (2003), eq. 4.5.1 and 4.5.2: the mean and its variance, with Greenwood's
    terms.
    """
    table = curve.event_table
    survival = curve.survival_function_.iloc[:, 0].reindex(table.index).ffill()
    last = table.index[table.at_risk - table.removed == 0].min()  # nobody is observed after it
    if last < until and survival[last] > ROUNDING:
        return EMPTY
    steps = survival[survival.index < until]
    area = steps.to_numpy() * np.diff(np.append(steps.index, until))
    value = area.sum()
    events, at_risk = (
        column.reindex(steps.index).to_numpy(float)
        for column in (table.observed, _find_at_risk(table))
    )
    remaining = value - np.cumsum(area) + area  # the area from each day on
    denominator = np.where(at_risk > events, at_risk * (at_risk - events), np.inf)
    variance = (remaining**2 * events / denominator).sum()
    se = np.sqrt(variance) if variance > 0 else np.nan
    low, high = max(value - Z * se, 0.0), min(value + Z * se, until)
    return {"value": value, "low": low, "high": high, "se": se}


def _find_at_risk(table: pd.DataFrame) -> pd.Series:
    """Return how many were at risk on each day: who entered before it, or at the very start."""
    entered = table.entrance.where(np.arange(len(table)) > 0, 0)
    return table.at_risk - entered


def compute_median(curve: KaplanMeierFitter) -> Estimate:
    """Return the median, with the times at which the bounds of the curve reach one half.

    Each is empty where it isn't reached.

    References
    ----------
    Brookmeyer, R. and Crowley, J. (1982), doi:10.2307/2530286; bounds on the log-log scale.
    """
    bounds = curve.confidence_interval_survival_function_
    value, low, high = (
        _cross_half(column)
        for column in (curve.survival_function_.iloc[:, 0], bounds.iloc[:, 0], bounds.iloc[:, 1])
    )
    return {"value": value, "low": low, "high": high, "se": np.nan} if np.isfinite(value) else EMPTY


def _cross_half(survival: pd.Series) -> float:
    reached = survival.index[survival <= 0.5 + ROUNDING]
    return float(reached[0]) if len(reached) else np.nan


def find_conditioning_time(counts: pd.DataFrame, until: float, least: int = MIN_AT_RISK) -> float:
    """Return the time from which on at least ``least`` were at risk until the last late entry.

    0 where nobody enters late. A curve multiplies from its start on: one end among two early rows
    halves it for all who enter later. Curves with late entry are therefore conditional on a time
    that enough rows passed under observation (Klein and Moeschberger 2003, section 4.6). Entries
    after ``until`` don't matter.
    """
    late = counts.entry[(counts.entry > 0) & (counts.entry < until)]
    if late.empty:
        return float(counts.entry.min())
    observed = _count_observed(counts)
    if 0 not in observed.index:
        observed = pd.concat([pd.Series({0: 0}), observed])
    thin = observed.index[(observed < least) & (observed.index < late.max())]
    return float(observed.index[observed.index > thin.max()].min()) if len(thin) else 0.0


def _count_observed(counts: pd.DataFrame) -> pd.Series:
    """Return how many were observed after each time at which somebody entered or ended."""
    moves = pd.concat([counts.groupby("entry").rows.sum(), -counts.groupby("duration").rows.sum()])
    return moves.groupby(level=0).sum().sort_index().cumsum()


def condition(counts: pd.DataFrame, begin: float) -> pd.DataFrame:
    """Return the counts of rows that lasted beyond a time, their durations counted from it.

    From time 0 on it is everybody: who ended on day 0 was there at the start.
    """
    beyond = counts[(counts.duration > begin) | (begin == 0)]
    return beyond.assign(
        entry=(beyond.entry - begin).clip(lower=0), duration=beyond.duration - begin
    )


def count_tenures(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Count first spells by entry, duration and end.

    Returns
    -------
    table with columns snapshot, segment, entry, duration, ended, rows
        Days from the start of a first spell to its end or to T, both less ``grace_days``: an end
        is certain only so many days later. ``entry`` are those up to the day before ``data_start``,
        or before its first row was known. By plan, a spell belongs to the plan with which it began:
        only those who stayed would reach a later one.
    """
    first = _drop_unknown_starts(_find_first(evidence, study), evidence["customers"], study)
    tenures = _add_delay(
        first.join(_find_first_segments(first, evidence, study, segment_by), KEYS), evidence, study
    )
    grace = find_grace(study)
    unobserved = [_count_unobserved(tenures, study)] if study.data_start else []
    tenures = tenures.mutate(
        entry=ibis.greatest(tenures.delay, 0, *unobserved),
        duration=tenures.ended.fill_null(tenures.snapshot).delta(tenures.started, unit="day")
        - grace,
        ended=tenures.ended.notnull(),
    )
    tenures = tenures.filter(tenures.duration > tenures.entry)
    return tenures.group_by(COUNTED).agg(rows=tenures.count())


def _find_first(evidence: Tables, study: Study) -> ir.Table:
    """Return first spells of at least a day: snapshot, customer_id, started, ended."""
    if study.kind == "contractual":
        terms = evidence["contracts"]
        begun = terms.filter((end_day(terms) > terms.started_at.truncate("D")).fill_null(True))
        begun = begun.group_by(KEYS).agg(started=begun.started_at.truncate("D").min())
        ends = find_ends(evidence, study, CENTURY_DAYS)
        ends = ends.group_by(KEYS).agg(ended=ends.ended.min())
        return join(begun, ends)
    spells = find_spells(evidence, study)
    return (
        spells.mutate(place=ibis.row_number().over(ibis.window(group_by=KEYS, order_by="started")))
        .filter(lambda t: t.place == 0)
        .drop("place")
    )


def _count_unobserved(tenures: ir.Table, study: Study) -> ir.IntegerValue:
    """Return the days of a tenure before ``data_start``, on which itself ends are recorded."""
    return _stamp(study).delta(tenures.started, unit="day") - 1


def _stamp(study: Study) -> ir.Value:
    return ibis.literal(
        datetime(study.data_start.year, study.data_start.month, study.data_start.day)
    )


def _add_delay(tenures: ir.Table, evidence: Tables, study: Study) -> ir.Table:
    """Add the days from the start of a spell until its first row was known."""
    name = "contracts" if study.kind == "contractual" else "orders"
    source = (
        evidence[name]
        if study.kind == "contractual"
        else evidence[name].filter(is_purchase(evidence[name]))
    )
    if "known_at" not in source.columns:
        return tenures.mutate(delay=0)
    rows = source.select(
        *KEYS,
        started=source[CONTRACTS[name].dated].truncate("D"),
        known=source.known_at.truncate("D"),
    )
    first_known = rows.group_by([*KEYS, "started"]).agg(known=rows.known.min())
    dated = tenures.join(first_known, [*KEYS, "started"])
    return dated.mutate(delay=dated.known.delta(dated.started, unit="day")).drop("known")


def _drop_unknown_starts(first: ir.Table, people: ir.Table, study: Study) -> ir.Table:
    """Leave out buyers who joined before ``data_start`` but first bought after it.

    Nobody knows when their spell began.
    """
    if study.kind == "contractual" or study.data_start is None:
        return first
    start = _stamp(study)
    older = people.filter(people.joined_at < start)
    return first.anti_join(older, KEYS).union(
        first.filter(first.started < start).semi_join(older, KEYS)
    )


def _find_first_segments(
    first: ir.Table, evidence: Tables, study: Study, segment_by: str
) -> ir.Table:
    people = evidence["customers"]
    if segment_by != PLAN or PLAN in people.columns:
        return find_segments(evidence, study, segment_by)
    terms = evidence["contracts"]
    terms = terms.select(
        *KEYS, started=terms.started_at.truncate("D"), plan=name_segment(terms.plan)
    )
    begun = (
        first.select(*KEYS, "started")
        .join(terms, [*KEYS, "started"])
        .group_by(KEYS)
        .agg(segment=lambda t: t.plan.max())
    )
    return begun.semi_join(people, KEYS)


def count_resolutions(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Count the contacts of the window by their time to resolution, in whole minutes.

    Contacts still open are censored at the end of T.

    Returns
    -------
    table with columns snapshot, segment, entry, duration, ended, rows
        ``duration`` in hours, ``entry`` always 0.
    """
    contacts = _find_window_contacts(evidence, study, segment_by)
    until = contacts.resolved_at.fill_null(contacts.snapshot + ibis.interval(days=1))
    minutes = ibis.greatest(until.delta(contacts.contacted_at, unit="second"), 0) // 60
    timed = contacts.mutate(
        duration=minutes.cast("float64") / 60, ended=contacts.resolved_at.notnull(), entry=0
    )
    return timed.group_by(COUNTED).agg(rows=timed.count())


def count_contacting(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Return how many customers made the contacts of the window: columns snapshot, segment, n."""
    contacts = _find_window_contacts(evidence, study, segment_by)
    return contacts.group_by(["snapshot", "segment"]).agg(n=contacts.customer_id.nunique())


def _find_window_contacts(evidence: Tables, study: Study, segment_by: str) -> ir.Table:
    contacts = evidence["contacts"]
    inside = contacts.filter(
        contacts.contacted_at.truncate("D") > days_before(contacts, name_spans(study)["window"])
    )
    inside = inside.select(*KEYS, "contacted_at", "resolved_at")
    return inside.join(find_segments(evidence, study, segment_by), KEYS)
