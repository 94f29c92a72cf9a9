"""The numerator and denominator of each indicator per customer and snapshot, as expressions.

``indicator_definitions`` describes in text what the expressions here compute;
``indicators`` adds them up. Every table here is point-in-time data (evidence).
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.terms import end_day
from research.panel.periods import RESOLVED_DAYS, YEAR_DAYS, Span, name_spans
from research.panel.segments import find_segments
from research.panel.spells import (
    as_number,
    days_before,
    find_ends,
    find_leavers,
    is_purchase,
    net_amount,
    runs_on,
)
from research.panel.windows import KEYS, join
from research.study import Study

Ratios = dict[str, tuple[ir.Value, ir.Value]]  # numerator and denominator by indicator


def find_customer_status(evidence: Tables, study: Study) -> ir.Table:
    """Return who was a customer at the start of the window, at its end, and a retention span ago.

    A customer on a day is one whose spell runs on it, and who was known as such by the end of that
    day: to count those whom a later row reveals would count, among the customers of that day, only
    those who stayed to be revealed (survivorship bias).

    Returns
    -------
    table with columns snapshot, customer_id, at_start, at_end, earlier, left
        One row per snapshot and customer on one of these days. ``at_start``: a customer on T − w;
        ``left``: and that spell ended by T; ``at_end``: a customer on T; ``earlier``: a customer on
        T − retention_days.
    """
    source = evidence["contracts" if study.kind == "contractual" else "orders"]
    spans = name_spans(study)
    days = {"at_start": spans["window"], "at_end": 0, "earlier": spans["retention"]}
    flags = {name: _makes_customer(source, study, back) for name, back in days.items()}
    source = source.mutate(**flags)
    source = source.filter(source.at_start | source.at_end | source.earlier)
    status = source.group_by(KEYS).agg(**{name: source[name].any() for name in days})
    ends = find_ends(evidence, study, spans["window"]).select(KEYS).distinct().mutate(ends=True)
    status = status.left_join(ends, KEYS)
    return status.select(*KEYS, *days, left=status.at_start & status.ends.fill_null(False))


def _makes_customer(source: ir.Table, study: Study, back: Span) -> ir.BooleanValue:
    """Return which rows make a customer ``back`` days before T, and were known on that day.

    A term of a contract that runs, or a purchase in the ``inactive_days`` before.
    """
    day = days_before(source, back)
    if study.kind == "contractual":
        current = runs_on(source.started_at.truncate("D"), end_day(source), day)
    else:
        bought = source.ordered_at.truncate("D")
        recently = bought > day - ibis.interval(days=study.churn.inactive_days)
        current = is_purchase(source) & (bought <= day) & recently
    if "known_at" not in source.columns:
        return current
    return current & (source.known_at < day + ibis.interval(days=1))


def sum_fees(contracts: ir.Table, study: Study) -> ir.Table:
    """Return the monthly fees of the terms that run on T − w and on T.

    Returns
    -------
    table with columns snapshot, customer_id, fee_start, fee_end
        Empty where a fee is not recorded.
    """
    start, ended = days_before(contracts, name_spans(study)["window"]), end_day(contracts)
    sums = {}
    for name, day in (("fee_start", start), ("fee_end", contracts.snapshot)):
        runs = runs_on(contracts.started_at.truncate("D"), ended, day)
        unknown = (runs & contracts.monthly_fee.isnull()).any()
        sums[name] = unknown.ifelse(
            ibis.null("float64"), contracts.monthly_fee.sum(where=runs).fill_null(0)
        )
    return contracts.group_by(KEYS).agg(**sums)


def sum_spend(orders: ir.Table, study: Study, opens: pd.DataFrame) -> ir.Table:
    """Return what customers spent, returns taken off, at least 0.

    Parameters
    ----------
    opens : DataFrame with columns snapshot, opens
        The day after which yearly spend is summed up, at each snapshot.

    Returns
    -------
    table with columns snapshot, customer_id, yearly, recent, former, bought
        ``yearly``: in (opens, T − w], scaled to a year; ``recent``: in (T − r, T]; ``former``: in
        (T − 2r, T − r]; ``bought``: a purchase in that time.
    """
    spans = name_spans(study)
    orders = orders.join(ibis.memtable(opens.astype("datetime64[us]")), "snapshot")
    day, start = orders.ordered_at.truncate("D"), days_before(orders, spans["window"])
    middle = days_before(orders, spans["retention"])
    former = (day > days_before(orders, spans["retention2"])) & (day <= middle)
    observed = start.delta(orders.opens, unit="day").max()
    sums = {
        "yearly": (day > orders.opens) & (day <= start),
        "recent": day > middle,
        "former": former,
    }
    spend = {
        name: ibis.greatest(net_amount(orders).sum(where=inside).fill_null(0), 0)
        for name, inside in sums.items()
    }
    spend["yearly"] = spend["yearly"] * YEAR_DAYS / observed.cast("float64")
    return orders.group_by(KEYS).agg(**spend, bought=(former & is_purchase(orders)).any())


def count_purchases(orders: ir.Table, study: Study) -> ir.Table:
    """Return the days with a purchase: snapshot, customer_id, days_in_year, days_in_window."""
    purchases = orders.filter(is_purchase(orders))
    days = purchases.select(*KEYS, day=purchases.ordered_at.truncate("D"))
    days = days.filter(days.day > days_before(days, YEAR_DAYS)).distinct()
    return days.group_by(KEYS).agg(
        days_in_year=days.count(),
        days_in_window=days.count(where=days.day > days_before(days, name_spans(study)["window"])),
    )


def count_answers(feedback: ir.Table, study: Study) -> ir.Table:
    """Return the number of answers in the window, by kind and score.

    Returns
    -------
    table with columns snapshot, customer_id, satisfied, csat, promoters, detractors, nps
        0 where the study lacks the column of the score.
    """
    inside = feedback.given_at.truncate("D") > days_before(feedback, name_spans(study)["window"])
    missing = ibis.null("float64")
    score, most = (
        feedback[name] if name in feedback.columns else missing for name in ("score", "score_max")
    )
    csat = inside & is_csat(feedback) & score.notnull() & (most > 0).fill_null(False)
    nps = inside & is_nps(feedback) & score.notnull()
    of_ten = score * 10 / (most > 0).ifelse(most, ibis.literal(10.0)).fill_null(10.0)
    flags = {
        "csat": csat,
        "satisfied": csat & (score >= 0.8 * most),
        "nps": nps,
        "promoters": nps & (of_ten >= 9),
        "detractors": nps & (of_ten <= 6),
    }
    return feedback.group_by(KEYS).agg(
        **{name: feedback.count(where=flag) for name, flag in flags.items()}
    )


def is_csat(feedback: ir.Table) -> ir.BooleanValue:
    """Return which answers are about satisfaction; all where the table has no kind."""
    return _is_kind(feedback, "csat") if "kind" in feedback.columns else ibis.literal(True)


def is_nps(feedback: ir.Table) -> ir.BooleanValue:
    """Return which answers are about recommending."""
    return _is_kind(feedback, "nps") if "kind" in feedback.columns else ibis.literal(False)


def _is_kind(feedback: ir.Table, kind: str) -> ir.BooleanValue:
    return (feedback.kind.strip().lower() == kind).fill_null(False)


def count_contacts(contacts: ir.Table, study: Study) -> ir.Table:
    """Return complaints in the window, and contacts with those of them resolved in 72 hours.

    Returns
    -------
    table with columns snapshot, customer_id, complaints, due, due_resolved
        ``due``: contacts up to three days before T, which all have had the 72 hours.
    """
    day, spans = contacts.contacted_at.truncate("D"), name_spans(study)
    complaint = contacts.complaint if "complaint" in contacts.columns else ibis.literal(False)
    due = (day > days_before(contacts, spans["window3"])) & (
        day <= days_before(contacts, RESOLVED_DAYS)
    )
    limit = contacts.contacted_at + ibis.interval(days=RESOLVED_DAYS)
    in_time = (
        contacts.resolved_at <= limit if "resolved_at" in contacts.columns else ibis.literal(False)
    )
    flags = {
        "complaints": complaint.fill_null(False) & (day > days_before(contacts, spans["window"])),
        "due": due,
        "due_resolved": due & in_time,
    }
    return contacts.group_by(KEYS).agg(
        **{name: contacts.count(where=flag) for name, flag in flags.items()}
    )


def count_referrals(referrals: ir.Table, study: Study) -> ir.Table:
    """Return referrals in the window: columns snapshot, customer_id, referrals."""
    inside = referrals.referred_at.truncate("D") > days_before(
        referrals, name_spans(study)["window"]
    )
    return referrals.group_by(KEYS).agg(referrals=referrals.count(where=inside))


def count_leavers(evidence: Tables, study: Study) -> ir.Table:
    """Return the number of spells ended in the window.

    Returns
    -------
    table with columns snapshot, customer_id, leavers, with_reason, with_will, involuntary
        ``with_will``: those for which it is recorded whether the customer wanted to leave.
    """
    leavers = find_leavers(evidence, study, name_spans(study)["window"])
    flags = {
        "leavers": ibis.literal(True),
        "with_reason": leavers.reason.notnull(),
        "with_will": leavers.voluntary.notnull(),
        "involuntary": ~leavers.voluntary,
    }
    return leavers.group_by(KEYS).agg(
        **{name: leavers.count(where=flag) for name, flag in flags.items()}
    )


def build_terms(
    evidence: Tables, study: Study, opens: pd.DataFrame, segment_by: str = ""
) -> tuple[ir.Table, Ratios]:
    """Return what each customer adds to the indicators, and which columns form each of them.

    Parameters
    ----------
    evidence : see ``snapshots.evidence_as_of``
    opens : see ``sum_spend``; used for non-contractual studies only
    segment_by : see ``find_segments``

    Returns
    -------
    terms : table with columns snapshot, customer_id, segment and what the functions above return
        One row per snapshot and customer known by then.
    ratios : dict by indicator of (numerator, denominator), for ``intervals.sum_moments``
    """
    blocks = [find_customer_status(evidence, study)]
    if study.kind == "non_contractual":
        blocks.append(sum_spend(evidence["orders"], study, opens))
    if study.kind == "contractual":
        blocks.append(count_leavers(evidence, study))
        if "monthly_fee" in evidence["contracts"].columns:
            blocks.append(sum_fees(evidence["contracts"], study))
    counts = {
        "orders": count_purchases,
        "feedback": count_answers,
        "contacts": count_contacts,
        "referrals": count_referrals,
    }
    blocks += [count(evidence[name], study) for name, count in counts.items() if name in evidence]
    terms = find_segments(evidence, study, segment_by)
    for block in blocks:
        terms = join(terms, block)
    return terms, _form_ratios(terms, study)


def _form_ratios(terms: ir.Table, study: Study) -> Ratios:
    """Return numerator and denominator by indicator.

    An empty denominator leaves the customer out, and so does 0 / 0.
    """
    customer, left, earlier = (as_number(terms[name]) for name in ("at_start", "left", "earlier"))
    ratios = {
        "customer_churn_rate": (left, customer),
        "retention_rate": (earlier * as_number(terms.at_end), earlier),
    }
    if "yearly" in terms.columns:
        ratios |= _spend_ratios(terms, customer, left)
    if "fee_start" in terms.columns:
        ratios |= _fee_ratios(terms, customer, left)
    if "days_in_year" in terms.columns:
        ratios["repeat_purchase_rate"] = (
            as_number(terms.days_in_year >= 2),
            as_number(terms.days_in_year >= 1),
        )
        ratios["purchase_frequency"] = (customer * terms.days_in_window.fill_null(0), customer)
    if "csat" in terms.columns:
        ratios |= {
            "csat": (terms.satisfied, terms.csat),
            "nps": (terms.promoters - terms.detractors, terms.nps),
        }
    if "due" in terms.columns:
        ratios |= {
            "complaint_rate": (customer * as_number(terms.complaints > 0), customer),
            "resolved_within_72h": (terms.due_resolved, terms.due),
        }
    if "referrals" in terms.columns:
        ratios["referral_rate"] = (customer * as_number(terms.referrals > 0), customer)
    if "leavers" in terms.columns:
        ratios |= {
            "reasons_recorded": (terms.with_reason, terms.leavers),
            "involuntary_share": (terms.involuntary, terms.with_will),
        }
    return ratios


def _fee_ratios(terms: ir.Table, customer: ir.Value, left: ir.Value) -> Ratios:
    """Return the ratios of fees; customers without a fee that one needs have no denominator."""
    start, end = terms.fee_start, terms.fee_end
    lost = (left > 0).ifelse(start, (end < start).ifelse(start - end, 0))
    known = start.notnull() & ((left > 0) | end.notnull())
    cost = (12 * start * left, customer * as_number(start.notnull()))
    return {
        "revenue_churn_rate": (lost * customer, customer * start * as_number(known)),
        "net_revenue_retention": (
            end * customer * as_number(start.notnull()),
            customer * start * as_number(end.notnull()),
        ),
        "revenue_lost": cost,
        "revenue_lost_per_customer": cost,
    }


def _spend_ratios(terms: ir.Table, customer: ir.Value, left: ir.Value) -> Ratios:
    former = terms.former * as_number(terms.bought)
    cost = (terms.yearly * left, customer)
    return {
        "revenue_churn_rate": (terms.yearly * left, terms.yearly * customer),
        "net_revenue_retention": (terms.recent * as_number(terms.bought), former),
        "revenue_lost": cost,
        "revenue_lost_per_customer": cost,
    }
