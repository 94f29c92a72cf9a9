"""Remarks on data that record ends only from some day on: without ``data_start`` all who had left
before are missing, and those who remain seem to stay for years.
"""

from collections.abc import Iterator

import ibis
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.remark import Remark
from research.data.terms import end_day
from research.study import Study

PLACE = "table contracts, column ended_at"
LEAST_SHARE, LEAST_DAYS = 0.1, 90  # of the observed span without ends, and at least
LEAST_EXPECTED = 5  # ends at the later rate: a chance of 1 in 150 that none comes
LEAST_RECORDED = 28  # days with a record of ends: fewer are a day of many ends, not a record
STRAY = 0.05  # of the ends expected before that day, and of those after it: so few are strays


def find_late_ends(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when ends begin long after the first start, or after ``data_start``, where more were to
    be expected.

    The day from which they are recorded is the one that parts the days under contract into two
    rates of leaving with the highest likelihood (of Poisson counts). A few stray ends before it
    don't hide it.
    """
    contracts = tables.get("contracts")
    if study.kind != "contractual" or "ended_at" not in contracts.columns:
        return
    days = _count_by_day(contracts, pd.Timestamp(find_data_end(tables, study)))
    since = "the first contract began"
    if study.data_start and pd.Timestamp(study.data_start) > days.index[0]:
        days, since = days[pd.Timestamp(study.data_start) :], "data_start"
        days = days.assign(followed=days.followed - days.followed.iloc[0])
    if days.ends.sum():
        candidates = _find_candidates(days)
        if len(candidates):
            yield _describe_late_ends(candidates.loc[candidates.gain.idxmax()], since)


def _count_by_day(contracts: ibis.Table, data_end: pd.Timestamp) -> pd.DataFrame:
    """Return ends of a day and the days under contract so far, one row per day that is observed."""
    terms = contracts.select(started=contracts.started_at.truncate("D"), ended=end_day(contracts))
    terms = terms.filter((terms.ended > terms.started).fill_null(True))
    starts, ends = (
        terms[column].topk(None, name="n").to_pandas().dropna().set_index(column).n
        for column in ("started", "ended")
    )
    observed = pd.date_range(starts.index.min(), data_end)
    counts = pd.DataFrame({"starts": starts, "ends": ends}).reindex(observed).fillna(0)
    under_contract = (counts.starts - counts.ends).cumsum()
    return counts.assign(followed=under_contract.cumsum().shift(fill_value=0))


def _find_candidates(days: pd.DataFrame) -> pd.DataFrame:
    """Return the days with an end before which ends are rare; ``gain`` is the log-likelihood ratio
    of two rates of leaving against one.
    """
    before = days.ends.cumsum() - days.ends
    after, later = days.ends.sum() - before, days.followed.iloc[-1] - days.followed
    expected = after * days.followed / later.clip(lower=1)
    silent = np.arange(len(days))
    gain = _score(before, days.followed) + _score(after, later)
    rare = (before <= STRAY * np.minimum(expected, after)) & (expected - before >= LEAST_EXPECTED)
    long = silent >= max(LEAST_DAYS, LEAST_SHARE * len(days))
    recorded = silent <= len(days) - LEAST_RECORDED
    table = days.assign(before=before, after=after, expected=expected, silent=silent, gain=gain)
    return table[rare & long & recorded & (days.ends > 0)]


def _score(ends: pd.Series, followed: pd.Series) -> pd.Series:
    return ends * np.log(ends.clip(lower=1) / followed.clip(lower=1))


def _describe_late_ends(found: pd.Series, since: str) -> Remark:
    day = f"{found.name:%Y-%m-%d}"
    stray = f" but {found.before:,.0f}" if found.before else ""
    return Remark(
        PLACE,
        f"the first of {found.after:,.0f} ends{stray} is of {day}, {found.silent:,.0f} days after"
        f" {since}, where {found.expected:,.0f} ends would have been expected at the later rate",
        f"if ends were not recorded before, write 'data_start: {day}' in study.yml, or who had left"
        " by then is missing and customers seem to stay longer than they do",
    )
