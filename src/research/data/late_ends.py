"""Remarks on data that record ends only from some day on: without ``data_start`` all who had left
before are missing, and those who remain seem to stay for years.
"""

from collections.abc import Iterator
from datetime import datetime

import ibis
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.remark import Remark
from research.data.terms import end_day
from research.study import Study

PLACE = "table contracts, column ended_at"
LEAST_SHARE, LEAST_DAYS = 0.1, 90  # of the observed span without any end, and at least
LEAST_EXPECTED = 5  # ends at the later rate: a chance of 1 in 150 that none comes


def find_late_ends(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when the first end comes long after the first start, or after ``data_start``, where
    more were to be expected.
    """
    contracts = tables.get("contracts")
    if study.kind != "contractual" or "ended_at" not in contracts.columns:
        return
    span = _find_span(contracts, pd.Timestamp(find_data_end(tables, study)))
    if pd.isna(span.first_end):
        return
    since = "the first contract began"
    if study.data_start and pd.Timestamp(study.data_start) > span.first_start:
        span["first_start"], since = pd.Timestamp(study.data_start), "data_start"
    silent = (span.first_end - span.first_start).days
    if silent < max(LEAST_DAYS, LEAST_SHARE * (span.data_end - span.first_start).days):
        return
    expected = _expect_ends(contracts, span)
    if expected >= LEAST_EXPECTED:
        yield _describe_late_ends(span, silent, since, expected)


def _find_span(contracts: ibis.Table, data_end: pd.Timestamp) -> pd.Series:
    """Return first_start, first_end, ends (their number) and data_end."""
    started, ended = contracts.started_at.truncate("D"), end_day(contracts)
    seen = (ended > started) & (ended <= ibis.literal(data_end.to_pydatetime()))
    span = contracts.agg(
        first_start=started.min(), first_end=ended.min(where=seen), ends=ended.count(where=seen)
    )
    return (
        span.to_pandas()
        .iloc[0]
        .set_axis(["first_start", "first_end", "ends"])
        .pipe(lambda row: pd.concat([row, pd.Series({"data_end": data_end})]))
    )


def _expect_ends(contracts: ibis.Table, span: pd.Series) -> float:
    """Return how many ends the days under contract before the first end would have brought, at the
    rate of those after it.
    """
    first_start, first_end, data_end = (
        span[name].to_pydatetime() for name in ("first_start", "first_end", "data_end")
    )
    before = contracts.agg(days=_count_days(contracts, first_start, first_end).sum())
    after = contracts.agg(days=_count_days(contracts, first_end, data_end).sum())
    exposed, followed = (float(part.to_pandas().days[0]) for part in (before, after))
    return span.ends * exposed / max(followed, 1.0)


def _count_days(contracts: ibis.Table, first: datetime, last: datetime) -> ibis.Value:
    """Return the days between two moments on which each term ran."""
    low, high = ibis.literal(first), ibis.literal(last)
    starts = ibis.greatest(contracts.started_at.truncate("D"), low)
    ends = ibis.least(end_day(contracts).fill_null(high), high)
    return ibis.greatest(ends.delta(starts, unit="day"), 0)


def _describe_late_ends(span: pd.Series, silent: int, since: str, expected: float) -> Remark:
    day = f"{span.first_end:%Y-%m-%d}"
    return Remark(
        PLACE,
        f"the first of {span.ends:,} ends is of {day}, {silent:,} days after {since},"
        f" where {expected:,.0f} ends would have been expected at the later rate",
        f"if ends were not recorded before, write 'data_start: {day}' in study.yml, or who had left"
        " by then is missing and customers seem to stay longer than they do",
    )
