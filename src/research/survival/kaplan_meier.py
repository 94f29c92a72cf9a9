"""How long until: durations counted where the data are, Kaplan-Meier curves from the counts, and
the numbers read off them.

The engine counts how many entered, lasted and ended alike; a curve needs no more than that,
whatever the number of customers.
"""

from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter

from research.data.contracts import CONTRACTS, Tables
from research.evaluation.intervals import Z
from research.panel.periods import name_spans
from research.panel.segments import PLAN, find_segments, name_segment
from research.panel.spells import days_before, end_day, find_ends, find_spells, is_purchase
from research.panel.windows import KEYS, join
from research.study import Study
from research.study_schema import CENTURY_DAYS

LEAST_AT_RISK = 10
ROUNDING = 1e-9  # of a survival of exactly one half, which lifelines sums up in logarithms
Estimate = dict[str, float]
EMPTY: Estimate = {"value": np.nan, "low": np.nan, "high": np.nan, "se": np.nan}


def fit_kaplan_meier(counts: pd.DataFrame) -> KaplanMeierFitter:
    """Return the Kaplan-Meier curve of durations that may enter late.

    Parameters
    ----------
    counts : DataFrame with columns entry, duration, ended, rows
        How many were watched from ``entry`` on (0: from their beginning) to ``duration``, and
        whether they ended with it or were lost from sight. Who enters on a day is at risk from the
        following one. The curve ends where nobody is left to be watched; who enters later tells
        nothing of the stretch between.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958), doi:10.1080/01621459.1958.10501452; late entry after Klein,
    J. P. and Moeschberger, M. L. (2003), Survival Analysis, 2nd ed., Springer, section 4.6.
    """
    watched = _watch(counts)
    counts = counts[counts.entry < watched.index[watched == 0].min()]
    late = counts.entry if (counts.entry > 0).any() else None
    return KaplanMeierFitter().fit(counts.duration, counts.ended, entry=late, weights=counts.rows)


def compute_restricted_mean(curve: KaplanMeierFitter, until: float) -> Estimate:
    """Return the restricted mean: the area below the curve up to ``until``, with its 95 % interval.

    Empty where nobody was watched that long while some had not ended; the interval is empty where
    nobody ended.

    References
    ----------
    Klein and Moeschberger (2003), eq. 4.5.1 and 4.5.2: the mean and its variance, with Greenwood's
    terms.
    """
    table = curve.event_table
    survival = curve.survival_function_.iloc[:, 0].reindex(table.index).ffill()
    alone = table.index[table.at_risk - table.removed == 0].min()  # nobody is watched after it
    if alone < until and survival[alone] > ROUNDING:
        return EMPTY
    steps = survival[survival.index < until]
    area = steps.to_numpy() * np.diff(np.append(steps.index, until))
    value = area.sum()
    died, risk = (
        column.reindex(steps.index).to_numpy(float) for column in (table.observed, _at_risk(table))
    )
    left = value - np.cumsum(area) + area  # the area from each day on
    spread = (left**2 * died / np.where(risk > died, risk * (risk - died), np.inf)).sum()
    se = np.sqrt(spread) if spread > 0 else np.nan
    return {
        "value": value,
        "low": max(value - Z * se, 0.0),
        "high": min(value + Z * se, until),
        "se": se,
    }


def _at_risk(table: pd.DataFrame) -> pd.Series:
    """Return how many were at risk on each day: those who entered before it, or at the very
    beginning.
    """
    entered = table.entrance.where(np.arange(len(table)) > 0, 0)
    return table.at_risk - entered


def compute_median(curve: KaplanMeierFitter) -> Estimate:
    """Return the first time by which half have ended, with the times at which the bounds of the
    curve reach one half; empty where they don't.

    References
    ----------
    Brookmeyer, R. and Crowley, J. (1982), doi:10.2307/2530286; bounds on the log-log scale.
    """
    bounds = curve.confidence_interval_survival_function_
    value, low, high = (
        _first_half(column)
        for column in (curve.survival_function_.iloc[:, 0], bounds.iloc[:, 0], bounds.iloc[:, 1])
    )
    return {"value": value, "low": low, "high": high, "se": np.nan} if np.isfinite(value) else EMPTY


def _first_half(survival: pd.Series) -> float:
    reached = survival.index[survival <= 0.5 + ROUNDING]
    return float(reached[0]) if len(reached) else np.nan


def find_conditioning_time(counts: pd.DataFrame, until: float, least: int = LEAST_AT_RISK) -> float:
    """Return the time from which on, until the last late entry, at least ``least`` were watched; 0
    where nobody enters late.

    A curve multiplies what it sees from its beginning on: one end among two who happen to be in
    sight halves it for all who enter later. Curves of late entries are therefore conditional on a
    time that enough were seen to pass (Klein and Moeschberger 2003, section 4.6). Entries after
    ``until`` don't matter.
    """
    late = counts.entry[(counts.entry > 0) & (counts.entry < until)]
    if late.empty:
        return float(counts.entry.min())
    watched = _watch(counts)
    watched = watched if 0 in watched.index else pd.concat([pd.Series({0: 0}), watched])
    thin = watched.index[(watched < least) & (watched.index < late.max())]
    return float(watched.index[watched.index > thin.max()].min()) if len(thin) else 0.0


def _watch(counts: pd.DataFrame) -> pd.Series:
    """Return how many were watched after each time at which somebody came or went."""
    moves = pd.concat([counts.groupby("entry").rows.sum(), -counts.groupby("duration").rows.sum()])
    return moves.groupby(level=0).sum().sort_index().cumsum()


def condition(counts: pd.DataFrame, begin: float) -> pd.DataFrame:
    """Return the counts of those who were watched beyond a time, their durations counted from
    it.
    """
    beyond = counts[counts.duration > begin]
    return beyond.assign(
        entry=(beyond.entry - begin).clip(lower=0), duration=beyond.duration - begin
    )


def count_tenures(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Count the first spells that entered, lasted and ended alike.

    Returns
    -------
    table with columns snapshot, segment, entry, duration, ended, rows
        Days from the beginning of a first spell to its end or to T, ``entry`` those before
        ``data_start`` or before the row that it begins with was known. By plan, a spell belongs to
        the plan with which it began: a later one would have been reached only by those who stayed.
    """
    first = _drop_unseen_beginnings(_find_first(evidence, study), evidence["customers"], study)
    stays = _add_delay(
        first.join(_segments_of_stays(first, evidence, study, segment_by), KEYS), evidence, study
    )
    unseen = [_stamp(study).delta(stays.started, unit="day")] if study.data_start else []
    stays = stays.mutate(
        entry=ibis.greatest(stays.delay, 0, *unseen),
        duration=stays.ended.fill_null(stays.snapshot).delta(stays.started, unit="day"),
        ended=stays.ended.notnull(),
    )
    stays = stays.filter(stays.duration > stays.entry)
    return stays.group_by(["snapshot", "segment", "entry", "duration", "ended"]).agg(
        rows=stays.count()
    )


def _find_first(evidence: Tables, study: Study) -> ir.Table:
    """Return everybody's first spell of at least one day: columns snapshot, customer_id, started,
    ended.
    """
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


def _stamp(study: Study) -> ir.Value:
    return ibis.literal(
        datetime(study.data_start.year, study.data_start.month, study.data_start.day)
    )


def _add_delay(stays: ir.Table, evidence: Tables, study: Study) -> ir.Table:
    """Add the days from the beginning of a spell until the row that it begins with was known."""
    name = "contracts" if study.kind == "contractual" else "orders"
    source = (
        evidence[name]
        if study.kind == "contractual"
        else evidence[name].filter(is_purchase(evidence[name]))
    )
    if "known_at" not in source.columns:
        return stays.mutate(delay=0)
    rows = source.select(
        *KEYS,
        started=source[CONTRACTS[name].dated].truncate("D"),
        known=source.known_at.truncate("D"),
    )
    known = rows.group_by([*KEYS, "started"]).agg(known=rows.known.min())
    found = stays.join(known, [*KEYS, "started"])
    return found.mutate(delay=found.known.delta(found.started, unit="day")).drop("known")


def _drop_unseen_beginnings(first: ir.Table, people: ir.Table, study: Study) -> ir.Table:
    """Leave out buyers who joined before observation began, but whose first purchase seen lies
    after that: when their spell began nobody knows.
    """
    if study.kind == "contractual" or study.data_start is None:
        return first
    begin = _stamp(study)
    older = people.filter(people.joined_at < begin)
    return first.anti_join(older, KEYS).union(
        first.filter(first.started < begin).semi_join(older, KEYS)
    )


def _segments_of_stays(
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
    """Count the contacts of the window that took equally long, in whole minutes, to be resolved or,
    still open, until the end of T.

    Returns
    -------
    table with columns snapshot, segment, entry, duration, ended, rows
        ``duration`` in hours, ``entry`` always 0.
    """
    contacts = _window_contacts(evidence, study, segment_by)
    until = contacts.resolved_at.fill_null(contacts.snapshot + ibis.interval(days=1))
    minutes = ibis.greatest(until.delta(contacts.contacted_at, unit="second"), 0) // 60
    timed = contacts.mutate(
        duration=minutes.cast("float64") / 60, ended=contacts.resolved_at.notnull(), entry=0
    )
    return timed.group_by(["snapshot", "segment", "entry", "duration", "ended"]).agg(
        rows=timed.count()
    )


def count_contacting(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Return how many customers made the contacts of the window: columns snapshot, segment, n."""
    contacts = _window_contacts(evidence, study, segment_by)
    return contacts.group_by(["snapshot", "segment"]).agg(n=contacts.customer_id.nunique())


def _window_contacts(evidence: Tables, study: Study, segment_by: str) -> ir.Table:
    contacts = evidence["contacts"]
    inside = contacts.filter(
        contacts.contacted_at.truncate("D") > days_before(contacts, name_spans(study)["window"])
    )
    inside = inside.select(*KEYS, "contacted_at", "resolved_at")
    return inside.join(find_segments(evidence, study, segment_by), KEYS)
