"""Terms of contracts: how a study's ends are read, and unbroken cover.

``settle_terms`` brings the ends of every study into one form, so that all that reads contracts may
take ``ended_at`` as the first day on which somebody is no customer any more.
"""

from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable

from research.data import engines
from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.study import Study
from research.study_schema import LAST_COVERED

FOREVER = datetime(9999, 1, 1)
CUSTOMER = ["customer_id"]
COVERED_UNTIL = "covered_until"
CERTAIN = ibis.util.gen_name("certain")  # as no company names a column of its own


def end_day(contracts: ir.Table) -> ir.TimestampValue:
    """Return the first day that a term doesn't cover, empty where no end is known."""
    return (
        contracts.ended_at.truncate("D")
        if "ended_at" in contracts.columns
        else ibis.null("timestamp(6)")
    )


def covered_until(contracts: ir.Table) -> ir.TimestampValue:
    """Return the first day that a term doesn't cover, the days of grace not counted as covered."""
    return contracts[COVERED_UNTIL] if COVERED_UNTIL in contracts.columns else end_day(contracts)


def join_terms(contracts: ir.Table, keys: list[str], ends_at: date | None = None) -> ir.Table:
    """Return spells of unbroken cover by contracts.

    Parameters
    ----------
    contracts : table with the columns of ``keys``, started_at, optionally ended_at
    keys : columns that name a customer, of evidence also ``snapshot``
    ends_at : day after which no end is known; none for evidence, which ends with its snapshot

    Returns
    -------
    table with columns *keys, started, ended
        One row per spell, in days; ``ended`` is the first day without cover, empty while cover
        runs.
    """
    ended = end_day(contracts)
    known = ended.notnull()
    if ends_at is not None:
        known = (ended <= ibis.literal(_stamp(ends_at))).fill_null(False)
    spans = contracts.select(
        *keys,
        started=contracts.started_at.truncate("D"),
        until=known.ifelse(ended, ibis.literal(FOREVER)),
    )
    # a contract that ended on its first day covered none
    spans = spans.filter(spans.until > spans.started)
    # one per first day: the order of spans is then certain
    spans = spans.group_by([*keys, "started"]).agg(until=spans.until.max())
    earlier = ibis.window(group_by=keys, order_by="started", preceding=(None, 1))
    spans = spans.mutate(reach=spans.until.max().over(earlier))
    spans = spans.mutate(opens=(spans.reach.isnull() | (spans.started > spans.reach)).ifelse(1, 0))
    spells = group_spells(spans, keys, ["started"]).agg(
        started=lambda t: t.started.min(), until=lambda t: t.until.max()
    )
    return spells.mutate(ended=spells.until.nullif(ibis.literal(FOREVER))).drop("spell", "until")


def group_spells(spans: ir.Table, keys: list[str], order: list[str]) -> GroupedTable:
    """Group spans by customer and by the number of openings so far."""
    running = ibis.window(group_by=keys, order_by=order, preceding=None, following=0)
    return spans.mutate(spell=spans.opens.sum().over(running)).group_by([*keys, "spell"])


def settle_terms(tables: Tables, study: Study) -> Tables:
    """Return the tables with ``ended_at`` as the first day on which somebody is gone.

    An end at 23:59 or later counts as the next midnight. With ``churn.ends: last_covered_day`` the
    recorded day is covered, and the end is the next one. With ``churn.grace_days`` it is the day on
    which it is certain, see ``allow_grace``. An end that then lies after the data end is empty.
    """
    contracts, churn = tables.get("contracts"), study.churn
    if "ended_at" not in getattr(contracts, "columns", ()):
        return tables
    covered, grace = churn is not None and churn.ends == LAST_COVERED, find_grace(study)
    if not covered and not grace and not contracts.filter(_ends_late).count().execute():
        return tables
    data_end = find_data_end(tables, study) if study.kind == "contractual" else None
    contracts = _end_at_midnight(contracts, covered)
    contracts = allow_grace(contracts, grace) if grace else contracts
    if data_end is not None:
        contracts = _forget_ends_after(contracts, data_end)
    return tables | {"contracts": engines.keep(contracts, "contracts", packed=True)}


def find_grace(study: Study) -> int:
    """Return the days for which a gap between two terms is no leave; 0 without contracts."""
    return study.churn.grace_days if study.churn else 0


def _ends_late(contracts: ir.Table) -> ir.BooleanValue:
    """Return which terms end in the last minute of a day."""
    return (contracts.ended_at.hour() == 23) & (contracts.ended_at.minute() == 59)


def _end_at_midnight(contracts: ir.Table, covered: bool) -> ir.Table:
    """Let terms end with the day that they still cover: all of them, or the late ones."""
    following = end_day(contracts) + ibis.interval(days=1)
    late = ibis.literal(True) if covered else _ends_late(contracts)
    return contracts.mutate(ended_at=late.ifelse(following, contracts.ended_at))


def _forget_ends_after(contracts: ir.Table, data_end: date) -> ir.Table:
    """Empty the ends that the data can't have shown by their end."""
    known = contracts.ended_at < ibis.literal(_stamp(data_end + timedelta(days=1)))
    return contracts.mutate(ended_at=known.ifelse(contracts.ended_at, ibis.null("timestamp(6)")))


def allow_grace(contracts: ir.Table, grace_days: int) -> ir.Table:
    """Move the ends of unbroken cover to the day on which they are certain.

    That is the day on which the next term begins (or is known to), at most ``grace_days`` later. A
    gap of that length or less is then none, and at a snapshot inside it nobody has left yet,
    whether or not a term follows: that lies in the future.

    Returns
    -------
    table with the columns of ``contracts`` and ``covered_until``, the end as it was recorded
    """
    ends = _find_certain_ends(contracts, grace_days)
    terms = contracts.mutate(**{COVERED_UNTIL: end_day(contracts)})
    joined = terms.left_join(ends, ["customer_id", COVERED_UNTIL])
    covers = joined.started_at.truncate("D") < joined[COVERED_UNTIL]
    ended = (covers & joined[CERTAIN].notnull()).ifelse(joined[CERTAIN], joined.ended_at)
    return joined.mutate(ended_at=ended).select(terms.columns)


def _find_certain_ends(contracts: ir.Table, grace_days: int) -> ir.Table:
    """Return the ends of unbroken cover, each with the day on which it is certain.

    Returns
    -------
    table with columns customer_id, covered_until and ``CERTAIN``
    """
    spells = join_terms(contracts, CUSTOMER)
    by_start = ibis.window(group_by=CUSTOMER, order_by="started")
    spells = spells.mutate(started=spells.started.lead().over(by_start))
    spells = spells.filter(spells.ended.notnull())
    both = spells.left_join(_find_first_known(contracts), ["customer_id", "started"])
    latest = both.ended + ibis.interval(days=grace_days)
    certain = ibis.least(latest, both.known.fill_null(latest))
    return both.select("customer_id", **{COVERED_UNTIL: both.ended, CERTAIN: certain})


def _find_first_known(contracts: ir.Table) -> ir.Table:
    """Return when the terms that begin on a day were first known: customer_id, started, known."""
    started = known = contracts.started_at.truncate("D")
    if "known_at" in contracts.columns:
        known = ibis.greatest(started, contracts.known_at.truncate("D"))
    terms = contracts.select("customer_id", started=started, known=known)
    return terms.group_by(["customer_id", "started"]).agg(known=terms.known.min())


def _stamp(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
