"""Remarks on the gaps between a customer's terms: ends that are the last covered day, and renewals
that come late. Without the key that settles it each such gap is a leave.
"""

from collections.abc import Iterator

import ibis
import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.data.terms import CUSTOMER, end_day
from research.study import Study

PLACE = "table contracts, column ended_at"
LATEST_RENEWAL_DAYS = 45  # who begins a term later than that came back
MOST_SHARE = 0.5  # of the terms that follow another one begin the day after its end
LATE_SHARE = 0.1  # of them begin late
LEAST_TERMS = 20  # that begin so: fewer may be chance
USUAL_SHARE = 0.95  # of the late ones come within the days of grace that are proposed


def find_term_gaps(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield what the days between the terms of one customer say about ends and renewals."""
    contracts = tables.get("contracts")
    if study.kind != "contractual" or "ended_at" not in contracts.columns:
        return
    gaps = count_gaps(contracts)
    following = int(gaps.sum())
    next_day = int(gaps.get(1, 0))
    if next_day >= max(LEAST_TERMS, MOST_SHARE * following):
        yield _describe_next_days(next_day, following)
        return
    late = gaps[(gaps.index > 0) & (gaps.index <= LATEST_RENEWAL_DAYS)]
    if late.sum() >= max(LEAST_TERMS, LATE_SHARE * following):
        yield _describe_late_renewals(late, following, study.churn.grace_days)


def count_gaps(contracts: ibis.Table) -> pd.Series:
    """Return how many terms follow an earlier one of the same customer, by days in between.

    Terms that begin while another runs follow none.
    """
    terms = contracts.select(
        "customer_id", started=contracts.started_at.truncate("D"), until=end_day(contracts)
    )
    terms = terms.filter((terms.until > terms.started).fill_null(True)).distinct()
    earlier = ibis.window(group_by=CUSTOMER, order_by="started", preceding=(None, 1))
    gaps = terms.select(gap=terms.started.delta(terms.until.max().over(earlier), unit="day"))
    counts = gaps.filter(gaps.gap >= 0).group_by("gap").agg(terms=lambda t: t.count())
    return counts.to_pandas().set_index("gap").terms.sort_index()


def _describe_next_days(next_day: int, following: int) -> Remark:
    return Remark(
        PLACE,
        f"{next_day:,} of {following:,} terms that follow another one begin on the day after it"
        " ended",
        "if ended_at is the last covered day, write 'ends: last_covered_day' under churn in"
        " study.yml, or each renewal counts as churn",
    )


def _describe_late_renewals(late: pd.Series, following: int, grace_days: int) -> Remark:
    usual = int(late.index[late.cumsum() >= USUAL_SHARE * late.sum()][0]) + grace_days
    present = f", beyond the {grace_days} of grace" if grace_days else ""
    first, last = int(late.index.min()), int(late.index.max())
    days = f"{first} to {last} days" if first < last else f"{first} day{'s' if first > 1 else ''}"
    return Remark(
        PLACE,
        f"{late.sum():,} of {following:,} terms that follow another one begin"
        f" {days} after it ended{present}, which counts as churn",
        f"if these are renewals that came late, write 'grace_days: {usual}' under churn in"
        f" study.yml ({USUAL_SHARE:.0%} of them come within so many)",
    )
