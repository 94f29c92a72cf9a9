"""Cohorts: of those who joined in one month, how many are retained after 1, 2, 3 … months.

A cohort is a calendar month of joining: the month in which a customer's first spell started. A
month of age is a month of the calendar from the customer's own start where contracts renew by it
(the same day of the next month, or its last day), and 30 days for purchases. There is a cell only
where the whole cohort was observed for it by the end of the snapshot; any other is absent, never 0.
Where rows reach the company late (``known_at``), the latest days are incomplete, so observation
ends that much earlier.
"""

from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.stats import t

from research.data.contracts import CONTRACTS, Tables
from research.data.terms import find_grace
from research.evaluation.bootstrap import NO_DIFFERENCE
from research.evaluation.intervals import Z, wilson_interval
from research.panel.periods import MONTH_OF_30_DAYS
from research.panel.spells import find_spells, is_purchase
from research.study import Study

KNOWN_SHARE = 0.99
ALL_RETAINED = "all retained in every cohort: nothing is estimated"
SUMMARY_AGES = (1, 3, 6, 12)  # months
LEAST_COHORTS = 4  # two earlier and two later ones: with fewer, their variance is unknown
INCLUDED = "in a cohort"
BEFORE = "joined before observation began"
RUN_IN = "first observed in the run-in"
INCOMPLETE = "joined in a month not complete yet"
INCLUSION = (INCLUDED, BEFORE, RUN_IN, INCOMPLETE)
COHORT_COLUMNS = ["cohort", "age_months", "customers", "retained", "share", "low", "high"]
SUMMARY_COLUMNS = ["age_months", "cohorts", "customers", "retained", "share", "low", "high"]
SUMMARY_COLUMNS += ["early_share", "late_share", "difference", "difference_low"]
SUMMARY_COLUMNS += ["difference_high", "verdict"]


def compute_retention(
    evidence: Tables, study: Study, snapshot: date, run_in_days: int | None = None
) -> pd.DataFrame:
    """Return the retention of every cohort at every age that the whole cohort was observed for.

    Contractual: retained at age m is under cover on the day m months after the start, as contracts
    renew: who leaves at the end of the first month is gone at age 1, whatever the month's length;
    who left and came back counts. Non-contractual: retained is a purchase on one of the days
    ``[start + 30 m, start + 30 (m + 1))``. At age 0 everybody is. A cell needs the last day of its
    month plus m months (the last day of the window) to lie on or before the snapshot, less the days
    of ``find_recording_delay`` and the days of grace, within which nobody has left for certain; so
    the month of the snapshot, unless complete, has no cell. Customers who joined before observation
    began are left out, see ``count_exclusions``.

    Parameters
    ----------
    evidence : tables as of ``snapshot``, see ``evidence.evidence_as_of``
    study : a contractual or non-contractual study
    snapshot : last day of the evidence, inclusive
    run_in_days : see ``count_exclusions``

    Returns
    -------
    DataFrame with columns cohort, age_months, customers, retained, share, low, high
        One row per cohort (first day of the month) and age; ``low`` and ``high`` are Wilson's 95 %
        interval of customers as independent, empty at age 0, where everybody is there.
    """
    joined = _list_joined(evidence, study, snapshot, run_in_days)
    joined = joined.filter(joined.inclusion == INCLUDED)
    sizes = joined.group_by("cohort").agg(customers=joined.count()).order_by("cohort").to_pandas()
    count = (
        _count_covered(evidence, study, snapshot, joined)
        if study.kind == "contractual"
        else _count_buyers(_list_purchase_days(evidence, snapshot), joined)
    )
    until = snapshot - timedelta(
        days=find_recording_delay(evidence, study, snapshot) + find_grace(study)
    )
    keys = ["cohort", "age_months"]
    observed = _list_renewed if study.kind == "contractual" else _list_observed
    cells = observed(sizes, until)
    cells = cells.merge(count, on=keys, how="left").sort_values(keys, ignore_index=True)
    retained = cells.retained.fillna(0).astype("int64")
    if study.kind == "contractual":  # counted as changes from age to age
        retained = retained.groupby(cells.cohort).cumsum()
    # a contract that ended on its first day covers no day
    cells["retained"] = retained.where(cells.age_months > 0, cells.customers)
    cells["share"] = cells.retained / cells.customers
    cells["low"], cells["high"] = wilson_interval(cells.share, cells.customers)
    cells.loc[cells.age_months == 0, ["low", "high"]] = np.nan  # everybody, by definition
    return cells[COHORT_COLUMNS]


def _at(table: ir.Table, snapshot: date) -> ir.Table:
    return table.filter(table.snapshot == _stamp(snapshot))


def _stamp(day: date) -> ir.Value:
    return ibis.literal(datetime(day.year, day.month, day.day))


def find_recording_delay(evidence: Tables, study: Study, snapshot: date) -> int:
    """Return the days within which 99 % of contracts or orders had reached the company.

    0 without ``known_at``. A cohort whose late rows are still to come is not complete, and its
    missing customers are no random sample: with contracts known from their second payment on, those
    who pay by the year. The rows known at the snapshot can't show a delay longer than they go back.
    """
    name = "contracts" if study.kind == "contractual" else "orders"
    rows = _at(evidence[name], snapshot)
    if "known_at" not in rows.columns:
        return 0
    delay = rows.known_at.truncate("D").delta(rows[CONTRACTS[name].dated].truncate("D"), unit="day")
    days = rows.agg(days=delay.quantile(KNOWN_SHARE)).to_pandas().days.iloc[0]
    return 0 if pd.isna(days) else int(np.ceil(days))


def count_exclusions(
    evidence: Tables, study: Study, snapshot: date, run_in_days: int | None = None
) -> pd.DataFrame:
    """Count the customers in the cohorts and those in none, by reason.

    Who joined before observation began (``data_start`` of study.yml, else the day of the first
    contract or purchase) is in the data only by having stayed until then: a survivor, whose cohort
    would look too good. For contracts the start is recorded, so without ``data_start`` nobody is
    left out. A first recorded purchase proves no start: who bought in the days before, unobserved,
    would be no newcomer. So purchases need a run-in of ``inactive_days``, after which a purchase
    opens a spell whatever happened unobserved. Somebody whom the table customers knows from before
    is left out as well.

    Parameters
    ----------
    run_in_days : int, optional
        Non-contractual only; ``churn.inactive_days`` unless given. 0 where the data begin with the
        company, or have newcomers only.

    Returns
    -------
    DataFrame with columns reason, customers
        One row for each of ``INCLUSION``.
    """
    joined = _list_joined(evidence, study, snapshot, run_in_days)
    counts = joined.group_by("inclusion").agg(customers=joined.count()).to_pandas()
    customers = counts.set_index("inclusion").customers
    return customers.reindex(INCLUSION, fill_value=0).rename_axis("reason").reset_index()


def _list_joined(
    evidence: Tables, study: Study, snapshot: date, run_in_days: int | None
) -> ir.Table:
    """Return customer_id, start (first day of the first spell), cohort and inclusion.

    ``inclusion`` is one of ``INCLUSION``.
    """
    days = (
        _list_purchase_days(evidence, snapshot)
        if study.kind == "non_contractual"
        else _at(evidence["contracts"], snapshot).mutate(day=lambda row: row.started_at)
    )
    first = days.group_by("customer_id").agg(start=days.day.min().truncate("D"))
    known = _at(evidence["customers"], snapshot).select("customer_id", "joined_at")
    first = first.join(known, "customer_id")
    opens = _find_opening(first, study)
    run_in_end = opens + timedelta(days=_read_run_in(study, run_in_days))
    until = snapshot - timedelta(days=find_recording_delay(evidence, study, snapshot))
    before = first.start < _stamp(opens)
    if study.kind == "non_contractual":
        before = before | (first.joined_at < _stamp(opens))
    inclusion = ibis.cases(
        (before, BEFORE),
        (first.start < _stamp(run_in_end), RUN_IN),
        (first.start.truncate("M") > _stamp(_last_complete_month(until)), INCOMPLETE),
        else_=INCLUDED,
    )
    cohort = first.start.truncate("M")
    return first.select("customer_id", "start", cohort=cohort, inclusion=inclusion)


def _list_purchase_days(evidence: Tables, snapshot: date) -> ir.Table:
    """Return customer_id and day of every purchase."""
    orders = _at(evidence["orders"], snapshot)
    return (
        orders.filter(is_purchase(orders))
        .select("customer_id", day=lambda row: row.ordered_at.truncate("D"))
        .distinct()
    )


def _find_opening(first: ir.Table, study: Study) -> date:
    if study.data_start is not None:
        return study.data_start
    start = first.start.min().execute()
    return date(2200, 1, 1) if pd.isna(start) else start.date()


def _read_run_in(study: Study, run_in_days: int | None) -> int:
    if study.kind == "contractual":
        return 0
    return study.churn.inactive_days if run_in_days is None else run_in_days


def _last_complete_month(until: date) -> date:
    """Return the first day of the last month that is over by the end of a day."""
    tomorrow = until + timedelta(days=1)
    return (tomorrow.replace(day=1) - timedelta(days=1)).replace(day=1)


def _count_covered(
    evidence: Tables, study: Study, snapshot: date, joined: ir.Table
) -> pd.DataFrame:
    """Return how many more (or fewer) have a contract at each age than at the age before.

    A spell ``[started, ended)`` covers the ages from the first month that is full on or after
    ``started`` to before that on or after ``ended``: one more at the first, one fewer at the
    second. So nothing grows with the number of months.
    """
    spells = _at(find_spells(evidence, study), snapshot)
    both = joined.join(spells.select("customer_id", "started", "ended"), "customer_id")
    opens = both.select(
        "cohort", age_months=_round_up(both.started, both.start), change=ibis.literal(1, "int64")
    )
    grace = ibis.interval(days=find_grace(study))
    closed = both.filter(both.ended.notnull()).mutate(ended=lambda row: row.ended - grace)
    closes = closed.select(
        "cohort", age_months=_round_up(closed.ended, closed.start), change=ibis.literal(-1, "int64")
    )
    changes = opens.union(closes)
    return (
        changes.group_by(["cohort", "age_months"])
        .agg(retained=changes.change.sum().cast("int64"))
        .to_pandas()
    )


def _round_up(day: ir.Value, start: ir.Value) -> ir.Value:
    """Return the months from a start to a day, a month begun counted as a whole one."""
    months = (day.year() - start.year()) * 12 + day.month() - start.month()
    full = start + months.cast("int64").as_interval("M")
    return (months + (full < day).ifelse(1, 0)).cast("int64")


def _count_buyers(bought: ir.Table, joined: ir.Table) -> pd.DataFrame:
    """Return how many of each cohort bought at each age."""
    bought = bought.join(joined, "customer_id").mutate(
        age_months=lambda row: row.day.delta(row.start, unit="day") // MONTH_OF_30_DAYS
    )
    return (
        bought.group_by(["cohort", "age_months"])
        .agg(retained=bought.customer_id.nunique())
        .to_pandas()
    )


def _list_renewed(sizes: pd.DataFrame, until: date) -> pd.DataFrame:
    """Return every cohort with every age in months that its last possible joiner has reached."""
    joined, last = pd.to_datetime(sizes.cohort) + pd.offsets.MonthEnd(1), pd.Timestamp(until)
    months = (last.year - joined.dt.year) * 12 + last.month - joined.dt.month
    full = np.minimum(joined.dt.day, last.days_in_month) <= last.day
    return _repeat_cohorts(sizes, months + full)


def _list_observed(sizes: pd.DataFrame, until: date) -> pd.DataFrame:
    """Return every cohort with every age whose days its last possible joiner was observed for."""
    last_joiner = pd.to_datetime(sizes.cohort) + pd.offsets.MonthEnd(1)
    observed = (pd.Timestamp(until) - last_joiner).dt.days
    return _repeat_cohorts(sizes, (observed + 1) // MONTH_OF_30_DAYS)


def _repeat_cohorts(sizes: pd.DataFrame, ages: pd.Series) -> pd.DataFrame:
    """Return each cohort once per age: so many, from 0."""
    ages = np.maximum(ages, 0)
    cells = sizes.loc[sizes.index.repeat(ages)]
    return cells.assign(age_months=cells.groupby("cohort").cumcount().astype("int64"))


def summarise_cohorts(cohorts: pd.DataFrame, ages: tuple[int, ...] = SUMMARY_AGES) -> pd.DataFrame:
    """Pool retention over the cohorts observed at an age, and compare their earlier and later half.

    Parameters
    ----------
    cohorts : see ``compute_retention``
    ages : months of age

    Returns
    -------
    DataFrame with columns age_months, cohorts, customers, retained, share, low, high, early_share,
    late_share, difference, difference_low, difference_high, verdict
        One row per age that some cohort has reached. ``difference`` is later minus earlier, of
        halves with equally many cohorts (the middle one of an odd number is in neither). Its
        Where all of at least four cohorts are retained, as before a first term can end, there is
        no interval and no difference. Its
        interval is Newcombe's, on numbers of customers divided by the overdispersion of the cohorts
        of a half (Pearson's statistic; Student's t for the few cohorts), since seasons move whole
        months; it holds for all ages together at 95 % (Bonferroni), and decides the verdict, which
        needs four cohorts.

    References
    ----------
    Newcombe, R. G. (1998). Statistics in Medicine 17, 873-890, method 10. McCullagh, P. and Nelder,
    J. A. (1989). Generalized Linear Models, 2nd ed., ch. 4.5: overdispersion.
    """
    rows = [
        _summarise_age(part.sort_values("cohort"), len(ages))
        for age in ages
        if len(part := cohorts[cohorts.age_months == age])
    ]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _summarise_age(part: pd.DataFrame, comparisons: int) -> tuple:
    customers, retained = part.customers.sum(), part.retained.sum()
    pooled = (
        part.age_months.iloc[0],
        len(part),
        customers,
        retained,
        retained / customers,
        *wilson_interval(retained / customers, customers),
    )
    if len(part) < LEAST_COHORTS:
        return *pooled, *[np.nan] * 5, "too few cohorts"
    if retained == customers:
        return *pooled[:5], *[np.nan] * 7, ALL_RETAINED
    early, late = part.head(len(part) // 2), part.tail(len(part) // 2)
    shares = [half.retained.sum() / half.customers.sum() for half in (early, late)]
    compared = _compare(early, late, comparisons)
    return *pooled, *shares, *compared, _describe_difference(*compared[1:])


def _compare(
    early: pd.DataFrame, late: pd.DataFrame, comparisons: int
) -> tuple[float, float, float]:
    """Return the difference of the halves' shares and its interval (Newcombe).

    On effective numbers of customers: those divided by the overdispersion.
    """
    excess = _compute_overdispersion((early, late), comparisons)
    (p, p_low, p_high), (q, q_low, q_high) = (_share(half, excess) for half in (early, late))
    return q - p, q - p - np.hypot(q - q_low, p_high - p), q - p + np.hypot(q_high - q, p - p_low)


def _compute_overdispersion(halves: tuple[pd.DataFrame, ...], comparisons: int) -> float:
    """Return by how much the variance exceeds that of independent customers, at least 1."""
    freedom = sum(len(half) for half in halves) - len(halves)
    pearson = 0.0
    for half in halves:
        share = half.retained.sum() / half.customers.sum()
        variance = half.customers * share * (1 - share)
        residual = half.retained - half.customers * share
        pearson += (residual**2 / variance).sum() if 0 < share < 1 else 0
    tail = 0.025 / comparisons
    return max(1.0, pearson / freedom * (t.isf(tail, freedom) / Z) ** 2)


def _share(half: pd.DataFrame, excess: float) -> tuple[float, float, float]:
    share = half.retained.sum() / half.customers.sum()
    return share, *wilson_interval(share, half.customers.sum() / excess)


def _describe_difference(low: float, high: float) -> str:
    if low > 0:
        return "later cohorts are retained better"
    return "later cohorts are retained worse" if high < 0 else NO_DIFFERENCE
