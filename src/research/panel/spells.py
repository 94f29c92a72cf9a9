"""Spells: from when to when somebody was a customer, and who came back.

Contractual customers are covered while a contract runs; terms that touch or overlap are one spell.
Non-contractual customers begin a spell with a purchase and end it with ``inactive_days`` of
inactivity.
"""

import ibis
import ibis.expr.types as ir

from research.data.contracts import Tables
from research.data.terms import end_day, group_spells, join_terms
from research.panel.periods import Span, subtract_span
from research.panel.windows import KEYS
from research.study import Study


def is_purchase(orders: ir.Table) -> ir.BooleanValue:
    """Return which order lines are a purchase: a positive amount, and not marked as a return; where
    amounts aren't recorded, all that are no return.
    """
    positive = orders.amount > 0 if "amount" in orders.columns else orders.ordered_at.notnull()
    if "returned" not in orders.columns:
        return positive
    return positive & ~orders.returned.fill_null(False)


def find_active(rows: ir.Table, name: str) -> ir.BooleanValue | None:
    """Return which rows of a table show a customer active: the purchases of orders, else all."""
    return is_purchase(rows) if name == "orders" else None


def net_amount(orders: ir.Table) -> ir.NumericValue:
    """Return the amount by which an order line changes what was spent.

    What is marked as a return is taken off, whatever its sign. Where amounts aren't recorded, lines
    are counted: 1 for a purchase, -1 for a return.
    """
    if "amount" not in orders.columns:
        return is_purchase(orders).ifelse(1.0, -1.0)
    if "returned" not in orders.columns:
        return orders.amount
    return orders.returned.fill_null(False).ifelse(-orders.amount.abs(), orders.amount)


def has_amounts(tables: Tables) -> bool:
    """Return whether there are orders whose amounts are recorded."""
    return "orders" in tables and "amount" in tables["orders"].columns


def days_before(table: ir.Table, days: Span) -> ir.TimestampValue:
    """Return the day so many days, or a month, before the snapshot of each row."""
    return subtract_span(table.snapshot, days)


def runs_on(started: ir.Value, ended: ir.Value, day: ir.Value) -> ir.BooleanValue:
    """Return what runs on a day: begun on or before it, and not ended by it."""
    return (started <= day) & (ended.isnull() | (ended > day))


def join_purchases(orders: ir.Table, inactive_days: int) -> ir.Table:
    """Return spells of purchases that no ``inactive_days`` without one interrupt.

    Parameters
    ----------
    orders : evidence, with a column snapshot

    Returns
    -------
    table with columns snapshot, customer_id, started, ended
        One row per spell, in days. ``ended`` is the day with which the inactivity after the last
        purchase was complete, empty while it isn't.
    """
    days = _find_purchase_days(orders).distinct()
    previous = days.day.lag().over(ibis.window(group_by=KEYS, order_by="day"))
    opens = previous.isnull() | (days.day.delta(previous, unit="day") > inactive_days)
    days = days.mutate(opens=opens.ifelse(1, 0))
    spells = group_spells(days, KEYS, ["day"]).agg(
        started=lambda t: t.day.min(), last=lambda t: t.day.max()
    )
    complete = spells.last + ibis.interval(days=inactive_days)
    return spells.mutate(
        ended=(complete <= spells.snapshot).ifelse(complete, ibis.null("timestamp(6)"))
    ).drop("spell", "last")


def _find_purchase_days(orders: ir.Table) -> ir.Table:
    """Return the day of each purchase: snapshot, customer_id, day."""
    bought = orders.filter(is_purchase(orders))
    return bought.select(*KEYS, day=bought.ordered_at.truncate("D"))


def find_spells(evidence: dict[str, ir.Table], study: Study) -> ir.Table:
    """Return everybody's spells as known at each snapshot.

    Parameters
    ----------
    evidence : see ``evidence.evidence_as_of``
    study : a contractual or non-contractual study

    Returns
    -------
    table with columns snapshot, customer_id, started, ended
        One row per snapshot, customer and spell; ``ended`` (the first day on which the customer
        counts as gone) is on or before the snapshot, or empty: a customer at the snapshot.
    """
    if study.kind == "contractual":
        return join_terms(evidence["contracts"], KEYS)
    return join_purchases(evidence["orders"], study.churn.inactive_days)


def find_ends(evidence: dict[str, ir.Table], study: Study, days: Span) -> ir.Table:
    """Return the ends of spells in the last days before each snapshot.

    As ``find_spells`` knows them, but without computing all spells.

    Parameters
    ----------
    days : the ends of ``(T − days, T]`` are looked for

    Returns
    -------
    table with columns snapshot, customer_id, ended
        One row per snapshot, customer and spell of at least one day.
    """
    if study.kind == "contractual":
        return _end_cover(evidence["contracts"], days)
    return _end_purchases(evidence["orders"], study.churn.inactive_days, days)


def _end_cover(contracts: ir.Table, days: Span) -> ir.Table:
    """Cover ends on the day on which a term ends and no other runs."""
    terms = contracts.select(
        *KEYS, started=contracts.started_at.truncate("D"), until=end_day(contracts)
    )
    if "ended_at" not in contracts.columns:
        return terms.select(*KEYS, ended="until").limit(0)
    ends = (
        terms.filter(terms.until > days_before(terms, days), terms.until > terms.started)
        .select(*KEYS, ended="until")
        .distinct()
    )
    # few: the engine hashes the ends
    covered = terms.join(ends, [*KEYS, runs_on(terms.started, terms.until, ends.ended)])
    return ends.anti_join(covered.select(*KEYS, "ended"), [*KEYS, "ended"])


def _end_purchases(orders: ir.Table, inactive_days: int, days: Span) -> ir.Table:
    """A spell ends with the inactivity after a purchase.

    Purchases too old for theirs to end in the last days don't matter.
    """
    bought = _find_purchase_days(orders)
    opens = days_before(bought, days) - ibis.interval(days=inactive_days)
    bought = bought.filter(bought.day > opens).distinct()
    following = bought.day.lead().over(ibis.window(group_by=KEYS, order_by="day"))
    inactive = following.isnull() | (following.delta(bought.day, unit="day") > inactive_days)
    last = bought.mutate(inactive=inactive).filter(lambda t: t.inactive)
    ends = last.select(*KEYS, ended=last.day + ibis.interval(days=inactive_days))
    return ends.filter(ends.ended <= ends.snapshot)


def as_number(flag: ir.BooleanValue) -> ir.IntegerValue:
    """Return 1 where a flag is true, else 0."""
    return flag.fill_null(False).ifelse(1, 0).cast("int64")


def find_leavers(evidence: Tables, study: Study, days: Span) -> ir.Table:
    """Return the spells of cover that ended in ``(T − days, T]``, with the reason recorded on the
    term with which cover ended.

    Of several terms that ended that day the one begun last counts, and of those one with a reason
    before one without.

    Returns
    -------
    table with columns snapshot, customer_id, ended, reason, voluntary
        One row per spell; ``reason`` is empty where it is missing or blank, ``voluntary`` where the
        table doesn't say.
    """
    terms = evidence["contracts"]
    reason = (
        terms.end_reason.strip().nullif("")
        if "end_reason" in terms.columns
        else ibis.null("string")
    )
    voluntary = terms.voluntary if "voluntary" in terms.columns else ibis.null("boolean")
    terms = terms.select(
        *KEYS,
        ended=end_day(terms),
        begun=terms.started_at.truncate("D"),
        reason=reason,
        voluntary=voluntary,
    )
    ends = find_ends(evidence, study, days).join(terms, [*KEYS, "ended"])
    order = [
        ibis.desc("begun"),
        as_number(ends.reason.isnull()),
        "reason",
        as_number(ends.voluntary.isnull()),
        "voluntary",
    ]
    place = ibis.row_number().over(ibis.window(group_by=[*KEYS, "ended"], order_by=order))
    ends = ends.mutate(place=place)
    return ends.filter(ends.place == 0).drop("place", "begun")
