"""Ledgers: what each customer adds to numerator and denominator of each indicator at each snapshot,
as expressions on cut evidence.

``definitions`` says in words what the expressions here compute. Nothing here takes an uncut table.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.panel.periods import RESOLVED_DAYS, YEAR_DAYS, name_spans
from research.panel.segments import find_segments
from research.panel.spells import (
    as_number,
    days_before,
    end_day,
    find_ends,
    find_leavers,
    is_purchase,
    net_amount,
    runs_on,
)
from research.panel.windows import KEYS, join
from research.study import Study

Pairs = dict[str, tuple[ir.Value, ir.Value]]


def find_standing(evidence: Tables, study: Study) -> ir.Table:
    """Return who was a customer when.

    A customer on a day is one whose spell runs on it, and who was known as such by the end of that
    day: to count those whom a later row reveals would count, among the customers of that day, only
    those who stayed to be revealed.

    Returns
    -------
    table with columns snapshot, customer_id, at_start, at_end, earlier, left
        One row per snapshot and customer on one of these days. ``at_start``: a customer on T − w;
        ``left``: and that spell ended by T; ``at_end``: a customer on T; ``earlier``: a customer on
        T − retention_days.
    """
    source, spans = (
        evidence["contracts" if study.kind == "contractual" else "orders"],
        name_spans(study),
    )
    days = {"at_start": spans["window"], "at_end": 0, "earlier": spans["retention"]}
    source = source.mutate(**{name: _stands(source, study, back) for name, back in days.items()})
    source = source.filter(source.at_start | source.at_end | source.earlier)
    standing = source.group_by(KEYS).agg(**{name: source[name].any() for name in days})
    ends = find_ends(evidence, study, spans["window"]).select(KEYS).distinct().mutate(ends=True)
    standing = standing.left_join(ends, KEYS)
    return standing.select(*KEYS, *days, left=standing.at_start & standing.ends.fill_null(False))


def _stands(source: ir.Table, study: Study, back: int) -> ir.BooleanValue:
    """Say which rows make a customer so many days before T, and were known by the end of that day:
    a term that runs, a purchase in the days before.
    """
    day = days_before(source, back)
    if study.kind == "contractual":
        stands = runs_on(source.started_at.truncate("D"), end_day(source), day)
    else:
        bought = source.ordered_at.truncate("D")
        stands = (
            is_purchase(source)
            & (bought <= day)
            & (bought > day - ibis.interval(days=study.churn.inactive_days))
        )
    return (
        stands & (source.known_at < days_before(source, back - 1))
        if "known_at" in source.columns
        else stands
    )


def sum_fees(contracts: ir.Table, study: Study) -> ir.Table:
    """Return the monthly fees of the terms that run on T − w and on T; empty where one of them is
    not recorded.

    Returns
    -------
    table with columns snapshot, customer_id, fee_start, fee_end
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
    firsts = ibis.memtable(opens.astype("datetime64[us]"))
    orders = orders.join(firsts, "snapshot")
    day, start, middle = (
        orders.ordered_at.truncate("D"),
        days_before(orders, spans["window"]),
        days_before(orders, spans["retention"]),
    )
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
    """Return on how many days customers bought: columns snapshot, customer_id, days_in_year,
    days_in_window.
    """
    days = orders.filter(is_purchase(orders)).select(
        *KEYS, day=lambda t: t.ordered_at.truncate("D")
    )
    days = days.filter(days.day > days_before(days, YEAR_DAYS)).distinct()
    return days.group_by(KEYS).agg(
        days_in_year=days.count(),
        days_in_window=days.count(where=days.day > days_before(days, name_spans(study)["window"])),
    )


def count_answers(feedback: ir.Table, study: Study) -> ir.Table:
    """Return answers in the window: columns snapshot, customer_id, satisfied, csat, promoters,
    detractors, nps (empty where a column lacks).
    """
    inside = feedback.given_at.truncate("D") > days_before(feedback, name_spans(study)["window"])
    nobody = ibis.null("float64")
    score, most = (
        feedback[name] if name in feedback.columns else nobody for name in ("score", "score_max")
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
    """Say which answers are about satisfaction; all of them where the table has no kind."""
    return _is_kind(feedback, "csat") if "kind" in feedback.columns else ibis.literal(True)


def is_nps(feedback: ir.Table) -> ir.BooleanValue:
    """Say which answers are about recommending."""
    return _is_kind(feedback, "nps") if "kind" in feedback.columns else ibis.literal(False)


def _is_kind(feedback: ir.Table, kind: str) -> ir.BooleanValue:
    return (feedback.kind.strip().lower() == kind).fill_null(False)


def count_contacts(contacts: ir.Table, study: Study) -> ir.Table:
    """Return complaints in the window, and contacts up to three days before T with those resolved
    in 72 hours.

    Returns
    -------
    table with columns snapshot, customer_id, complaints, ripe, ripe_resolved
    """
    day, spans = contacts.contacted_at.truncate("D"), name_spans(study)
    complaint = contacts.complaint if "complaint" in contacts.columns else ibis.literal(False)
    ripe = (day > days_before(contacts, spans["window3"])) & (
        day <= days_before(contacts, RESOLVED_DAYS)
    )
    limit = contacts.contacted_at + ibis.interval(days=RESOLVED_DAYS)
    soon = (
        contacts.resolved_at <= limit if "resolved_at" in contacts.columns else ibis.literal(False)
    )
    flags = {
        "complaints": complaint.fill_null(False) & (day > days_before(contacts, spans["window"])),
        "ripe": ripe,
        "ripe_resolved": ripe & soon,
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
    """Return spells ended in the window: columns snapshot, customer_id, leavers, with_reason, told,
    involuntary.
    """
    found = find_leavers(evidence, study, name_spans(study)["window"])
    flags = {
        "leavers": ibis.literal(True),
        "with_reason": found.reason.notnull(),
        "told": found.voluntary.notnull(),
        "involuntary": ~found.voluntary,
    }
    return found.group_by(KEYS).agg(
        **{name: found.count(where=flag) for name, flag in flags.items()}
    )


def build_ledger(
    evidence: Tables, study: Study, opens: pd.DataFrame, segment_by: str = ""
) -> tuple[ir.Table, Pairs]:
    """Return one row per snapshot and customer known, and the numerator and denominator of each
    indicator on it.

    Parameters
    ----------
    evidence : see ``snapshots.cut_evidence``
    opens : see ``sum_spend``; used for non-contractual studies only
    segment_by : see ``find_segments``

    Returns
    -------
    ledger : table with columns snapshot, customer_id, segment and what the blocks above return
    pairs : dict by indicator of (numerator, denominator), for ``ratios.add_up``
    """
    blocks = [find_standing(evidence, study)]
    if study.kind == "non_contractual":
        blocks.append(sum_spend(evidence["orders"], study, opens))
    if study.kind == "contractual":
        blocks.append(count_leavers(evidence, study))
        blocks += (
            [sum_fees(evidence["contracts"], study)]
            if "monthly_fee" in evidence["contracts"].columns
            else []
        )
    counts = {
        "orders": count_purchases,
        "feedback": count_answers,
        "contacts": count_contacts,
        "referrals": count_referrals,
    }
    blocks += [count(evidence[name], study) for name, count in counts.items() if name in evidence]
    ledger = find_segments(evidence, study, segment_by)
    for block in blocks:
        ledger = join(ledger, block)
    return ledger, _pair_up(ledger, study)


def _pair_up(ledger: ir.Table, study: Study) -> Pairs:
    """Return numerator and denominator by indicator; an empty denominator leaves the customer out,
    and so does 0 / 0.
    """
    customer, left, one = (as_number(ledger[name]) for name in ("at_start", "left", "earlier"))
    pairs = {
        "customer_churn_rate": (left, customer),
        "retention_rate": (one * as_number(ledger.at_end), one),
    }
    if "yearly" in ledger.columns:
        pairs |= _spend_pairs(ledger, customer, left)
    if "fee_start" in ledger.columns:
        pairs |= _fee_pairs(ledger, customer, left)
    if "days_in_year" in ledger.columns:
        pairs["repeat_purchase_rate"] = (
            as_number(ledger.days_in_year >= 2),
            as_number(ledger.days_in_year >= 1),
        )
        pairs["purchase_frequency"] = (customer * ledger.days_in_window.fill_null(0), customer)
    if "csat" in ledger.columns:
        pairs |= {
            "csat": (ledger.satisfied, ledger.csat),
            "nps": (ledger.promoters - ledger.detractors, ledger.nps),
        }
    if "ripe" in ledger.columns:
        pairs |= {
            "complaint_rate": (customer * as_number(ledger.complaints > 0), customer),
            "resolved_within_72h": (ledger.ripe_resolved, ledger.ripe),
        }
    if "referrals" in ledger.columns:
        pairs["referral_rate"] = (customer * as_number(ledger.referrals > 0), customer)
    if "leavers" in ledger.columns:
        pairs |= {
            "reasons_recorded": (ledger.with_reason, ledger.leavers),
            "involuntary_share": (ledger.involuntary, ledger.told),
        }
    return pairs


def _fee_pairs(ledger: ir.Table, customer: ir.Value, left: ir.Value) -> Pairs:
    """Customers without the fees that an indicator needs drop out: their denominator is empty."""
    start, end = ledger.fee_start, ledger.fee_end
    lost = (left > 0).ifelse(start, (end < start).ifelse(start - end, 0))
    known = start.notnull() & ((left > 0) | end.notnull())
    cost = (12 * start * left, customer * as_number(start.notnull()))
    return {
        "revenue_churn_rate": (lost * customer, customer * start * as_number(known)),
        "net_revenue_retention": (
            end * customer * as_number(start.notnull()),
            customer * start * as_number(end.notnull()),
        ),
        "cost_of_churn": cost,
        "cost_of_churn_per_customer": cost,
    }


def _spend_pairs(ledger: ir.Table, customer: ir.Value, left: ir.Value) -> Pairs:
    former = ledger.former * as_number(ledger.bought)
    cost = (ledger.yearly * left, customer)
    return {
        "revenue_churn_rate": (ledger.yearly * left, ledger.yearly * customer),
        "net_revenue_retention": (ledger.recent * as_number(ledger.bought), former),
        "cost_of_churn": cost,
        "cost_of_churn_per_customer": cost,
    }
