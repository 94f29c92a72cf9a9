"""Who can churn after a snapshot, and who did.

The label window is half-open, ``(T + lead, T + lead + horizon]``.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.terms import find_grace, join_terms
from research.panel.evidence import Evidence, as_timestamp
from research.panel.periods import add_span, find_horizon
from research.panel.spells import days_before, is_purchase
from research.panel.windows import KEYS
from research.study import Study

LABELS = [
    "churned",
    "left_in_lead",
    "duration_days",
    "event",
    "time_to_event_days",
    "event_observed",
    "leaves_in_data",
]
NEVER = date(9999, 1, 1)


def find_population(evidence: Evidence, study: Study) -> ir.Table:
    """Return who can churn after each snapshot.

    Contractual: customers with a contract that runs at the end of the snapshot, or that ended less
    than ``grace_days`` before. Non-contractual:
    customers with an order of a positive amount on one of the last ``active_days`` days, the
    snapshot's own day included. Both must be known in the table customers.

    Returns
    -------
    table with columns snapshot, customer_id
        One row per snapshot and customer.
    """
    if study.kind == "contractual":
        active = evidence["contracts"]
        if "ended_at" in active.columns:
            active = active.filter(active.ended_at.isnull())
    else:
        orders = evidence["orders"]
        opens = days_before(orders, study.churn.active_days - 1)
        active = orders.filter(is_purchase(orders), orders.ordered_at >= opens)
    return active.select(KEYS).distinct().semi_join(evidence["customers"], KEYS)


def label_churn(
    tables: Tables, population: ir.Table, study: Study, known_by: date | None = None
) -> ir.Table:
    """Label a population with what happened after its snapshots.

    Contractual: the customer leaves on the day on which unbroken cover by contracts ends; churned
    is an end in ``(T + lead, T + lead + horizon]``, and an end by T + lead is counted apart as
    ``left_in_lead``: within the lead or, where the days of grace of an earlier end run at T and no
    term follows, before it. Non-contractual: churned is no order of a positive amount in the
    window.

    Parameters
    ----------
    tables : contract tables, unfiltered
    population : table with columns snapshot, customer_id
    known_by : date, optional
        Rows that reached the company after this day are unknown to the label: what a model trained
        on that day could have learned from.

    Returns
    -------
    table with columns snapshot, customer_id and ``LABELS``
        One row per row of the population. ``duration_days`` runs from T to the event, or is
        censored (``event`` false) where the follow-up ends: at the end of the data, or at
        ``known_by`` before it, for lapses ``inactive_days`` and for ends ``grace_days`` before
        that. ``time_to_event_days`` runs from T + lead to what decides churn: the end of cover, or
        the first purchase; ``event_observed`` says whether it was observed, else the time is
        censored.
        ``leaves_in_data`` says whether the customer leaves in the data at all, also after
        ``known_by``: for the leakage checks, and never for a model.
    """
    data_end = find_data_end(tables, study)
    followed_until = min(data_end, known_by or data_end)
    known = {name: _find_known(table, known_by) for name, table in tables.items()}
    if study.kind == "contractual":
        return _label_ends(known["contracts"], population, study, data_end, followed_until)
    return _label_lapses(known["orders"], population, study, data_end, followed_until)


def _find_known(table: ir.Table, known_by: date | None) -> ir.Table:
    if known_by is None or "known_at" not in table.columns:
        return table
    return table.filter(table.known_at < pd.Timestamp(known_by + timedelta(days=1)).to_pydatetime())


def _add_days(column: ir.Value, days: int) -> ir.Value:
    return column + ibis.interval(days=days)


def _close_window(opens: ir.Value, study: Study) -> ir.Value:
    """Return the last day of a window by the day after which it opens."""
    return add_span(opens, find_horizon(study.churn))


def _label_ends(
    contracts: ir.Table, population: ir.Table, study: Study, data_end: date, followed_until: date
) -> ir.Table:
    """Label a contractual population: churn is the end of unbroken cover.

    It lies ``grace_days`` before the day on which it is certain.
    """
    grace = timedelta(days=find_grace(study))
    spells = join_terms(contracts, ["customer_id"], data_end)
    at = population.left_join(
        spells,
        [
            population.customer_id == spells.customer_id,
            spells.started <= population.snapshot,
            spells.ended.isnull() | (spells.ended > population.snapshot),
        ],
    ).select(
        population.snapshot,
        population.customer_id,
        left=spells.ended - ibis.interval(days=grace.days),
    )
    opens = _add_days(at.snapshot, study.churn.lead_days)
    closes = _close_window(opens, study)
    followed_until -= grace
    observed = _censor_after(at.left, followed_until)
    duration = observed.fill_null(as_timestamp(followed_until)).delta(at.snapshot, unit="day")
    return at.select(
        *KEYS,
        churned=((at.left > opens) & (at.left <= closes)).fill_null(False),
        left_in_lead=(at.left <= opens).fill_null(False),
        duration_days=ibis.greatest(duration, 0),
        event=observed.notnull(),
        **_time_to_event(observed, opens, followed_until),
        leaves_in_data=at.left.notnull(),
    )


def _censor_after(day: ir.Value, followed_until: date) -> ir.Value:
    """Return a day, empty where it lies after the end of the follow-up."""
    return (day <= as_timestamp(followed_until)).ifelse(day, ibis.null(day.type()))


def _time_to_event(
    observed: ir.Value, opens: ir.Value, followed_until: date
) -> dict[str, ir.Value]:
    """Return the days from the end of the lead to an event, or to the end of the follow-up, and
    whether the event was observed.
    """
    days = observed.fill_null(as_timestamp(followed_until)).delta(opens, unit="day")
    return {"time_to_event_days": ibis.greatest(days, 0), "event_observed": observed.notnull()}


def _label_lapses(
    orders: ir.Table, population: ir.Table, study: Study, data_end: date, followed_until: date
) -> ir.Table:
    """Label a non-contractual population: churn is no purchase in the window."""
    bought = orders.filter(
        is_purchase(orders), orders.ordered_at < as_timestamp(data_end + timedelta(days=1))
    )
    bought = bought.select("customer_id", day=bought.ordered_at.truncate("D")).distinct()
    after = population.join(
        bought, [population.customer_id == bought.customer_id, bought.day > population.snapshot]
    )
    after = after.select(population.snapshot, population.customer_id, bought.day)
    back = (
        after.filter(after.day > _add_days(after.snapshot, study.churn.lead_days))
        .group_by(KEYS)
        .agg(back=lambda t: t.day.min())
    )
    at = population.left_join(back, KEYS).select(population, "back")
    opens = _add_days(at.snapshot, study.churn.lead_days)
    in_window = (at.back <= _close_window(opens, study)).fill_null(False)
    durations = _lapse_durations(population, after, study, data_end, followed_until)
    labels = at.select(
        *KEYS,
        churned=~in_window,
        left_in_lead=False,
        **_time_to_event(_censor_after(at.back, followed_until), opens, followed_until),
    )
    return labels.join(durations, KEYS).select(*KEYS, *LABELS)


def _lapse_durations(
    population: ir.Table, after: ir.Table, study: Study, data_end: date, followed_until: date
) -> ir.Table:
    """Return the days from T to the first day, T included, that ``inactive_days`` without an order
    follow; censored where unknown.
    """
    inactive_days = study.churn.inactive_days
    starts = population.mutate(day=population.snapshot)
    days = starts.union(after.select(starts.columns).cast(starts.schema()))
    following = days.day.lead().over(ibis.window(group_by=KEYS, order_by="day"))
    gap = following.fill_null(as_timestamp(NEVER)).delta(days.day, unit="day")
    inactive = days.mutate(lapse=(gap > inactive_days).ifelse(days.day, ibis.null("timestamp(6)")))
    lapses = inactive.group_by(KEYS).agg(lapse=inactive.lapse.min())
    latest, limit = (
        as_timestamp(day - timedelta(days=inactive_days)) for day in (data_end, followed_until)
    )
    known = (lapses.lapse <= limit).fill_null(False)
    duration = ibis.ifelse(known, lapses.lapse, limit).delta(lapses.snapshot, unit="day")
    return lapses.select(
        *KEYS,
        duration_days=ibis.greatest(duration, 0),
        event=known,
        leaves_in_data=(lapses.lapse <= latest).fill_null(False),
    )
