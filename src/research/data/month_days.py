"""Remarks on ends that fall on few days of the month, where windows are counted in days: one of 30
days holds the first of a month once, twice or never.
"""

from collections.abc import Iterator

from research.data.contracts import Tables
from research.data.remark import Remark
from research.data.terms import end_day
from research.study import Study
from research.study_schema import MEAN_MONTH_DAYS

FEW_DAYS, MOST_SHARE = 3, 0.5  # so many days of the month hold at least this share of all ends
LEAST_ENDS = 50


def find_month_days(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield on which few days of the month most ends fall, unless all windows are months."""
    contracts = tables.get("contracts")
    if study.kind != "contractual" or "ended_at" not in contracts.columns:
        return
    if study.churn.horizon and study.snapshots.every:
        return
    ends = contracts.select(day=end_day(contracts).day()).filter(lambda t: t.day.notnull())
    counts = ends.group_by("day").agg(ends=ends.count()).to_pandas().set_index("day").ends
    few = counts.sort_values(ascending=False).head(FEW_DAYS)
    if counts.sum() >= LEAST_ENDS and few.sum() >= MOST_SHARE * counts.sum():
        usual = sorted(few[few >= few.max() / 10].index)
        yield _describe_days(usual, int(few[usual].sum()), int(counts.sum()), study)


def _describe_days(days: list[int], number: int, ends: int, study: Study) -> Remark:
    months = max(1, round(study.churn.horizon_days / MEAN_MONTH_DAYS))
    keys = []
    if not study.churn.horizon:
        keys.append(f"'horizon: {months} month{'s' if months > 1 else ''}' under churn")
    if not study.snapshots.every:
        keys.append("'every: month' under snapshots")
    return Remark(
        "table contracts, column ended_at",
        f"{number:,} of {ends:,} ends fall on {len(days)} day{'s' if len(days) > 1 else ''} of the"
        f" month ({', '.join(map(str, days))}), which windows of days hold sometimes once more and"
        " sometimes once less",
        f"write {' and '.join(keys)} in study.yml in place of the days, so that windows are whole"
        " months",
    )
