"""Tenures since joining: one row per customer, and their survival curves by segment.

A tenure runs from the first day as a customer to its end, or to the end of the data, where it is
censored. Who joined before ``data_start`` enters late: the data don't show those who had left by
then, so the time before doesn't count as observed. A contractual tenure ends where unbroken cover
by contracts ends. A non-contractual one ends with the first day that ``inactive_days`` without a
purchase follow, and is observed until ``inactive_days`` before the data end. A flat study gives
``duration`` and ``event`` itself.
"""

from collections.abc import Iterator, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.terms import end_day
from research.errors import NotApplicable, StudyError
from research.evaluation.bootstrap import NO_DIFFERENCE
from research.evaluation.holm import adjust_holm
from research.evaluation.intervals import SIGNIFICANCE_LEVEL
from research.features.build import list_features, load_flat, tidy
from research.panel.evidence import Evidence, evidence_as_of
from research.panel.segments import (
    MAX_VALUES,
    MIN_VALUES,
    PLAN,
    UNKNOWN,
    list_segment_columns,
    name_segment,
)
from research.panel.spells import find_leavers
from research.store.keep import keep
from research.study import Study
from research.study_schema import CENTURY_DAYS
from research.survival.cox import log_rank_test
from research.survival.kaplan_meier import (
    MIN_AT_RISK,
    compute_median,
    compute_restricted_mean,
    condition,
    count_tenures,
    find_conditioning_time,
    fit_kaplan_meier,
)

FEE = "monthly_fee"
MIN_CUSTOMERS = 30  # of a segment with a curve of its own
GRID_STEPS = 120
AFTER_DAY_0 = 0.5  # entry of who is at risk from day 1 on; 0 would include day 0
ALL, OTHER = "all", "other"
CURVES_DIFFER = "curves differ"
KEYS = ["customer_id", "entry", "duration", "ended", "reason"]
CURVES = ["segment_by", "segment", "days", "survival", "low", "high", "at_risk", "given_days"]
SUMMARY = [
    "segment_by",
    "segment",
    "customers",
    "left",
    "given_days",
    "median_days",
    "low_days",
    "high_days",
    "until_days",
    "mean_days",
    "mean_low",
    "mean_high",
    "entered_later",
]


def require_duration(tables: Tables, study: Study) -> None:
    """Pass a dated study, and a flat one that has durations and says which of them ended.

    Raises
    ------
    NotApplicable
        If the snapshot of a flat study has no column ``duration``, or neither ``event`` nor
        ``churned``.
    """
    if study.kind != "flat":
        return
    columns = tables["snapshot"].columns
    if "event" not in columns and "churned" not in columns:
        raise NotApplicable(
            f"the study {study.name} is an experiment without churn: its snapshot has neither"
            " churned nor event, so nobody is known to have left"
        )
    if "duration" not in columns:
        raise NotApplicable(
            f"the study {study.name} has no durations: its snapshot has no column duration"
        )


def name_unit(study: Study) -> str:
    """Return the unit of durations: days, or what a flat study states."""
    if study.kind == "flat":
        return study.duration_unit or "units of duration"
    return "days"


@keep
def load_tenures(tables: Tables, study: Study) -> pd.DataFrame:
    """Return everybody's first tenure with what was known of the customer at its start.

    Returns
    -------
    DataFrame with columns customer_id, entry, duration, ended, reason, and attributes
        One row per customer, in days since joining (a flat study: in the unit of its
        ``duration``). ``reason`` is voluntary, involuntary or "not recorded", empty for a tenure
        that goes on and where the study records none. Attributes are those of the table customers,
        which carry no date, and for contracts ``plan`` and ``monthly_fee`` of the first term; of a
        flat study all features.

    Raises
    ------
    NotApplicable
        If a flat study has no durations.
    """
    require_duration(tables, study)
    if study.kind == "flat":
        return _load_flat(tables, study)
    evidence = evidence_as_of(tables, [find_data_end(tables, study)])
    counts = (
        count_tenures(evidence, study, "customer_id")
        .to_pandas()
        .rename(columns={"segment": "customer_id"})
    )
    tenures = counts[["customer_id", "entry", "duration", "ended"]]
    if study.kind == "non_contractual":
        tenures = _end_before_inactivity(tenures, study.churn.inactive_days)
    tenures = tenures.merge(_load_attributes(evidence, study), on="customer_id", how="left")
    tenures = tenures.merge(_load_reasons(evidence, study), on="customer_id", how="left")
    tenures["reason"] = tenures.reason.where(tenures.ended, None)
    return tenures.sort_values("customer_id", ignore_index=True)


def _end_before_inactivity(tenures: pd.DataFrame, days: int) -> pd.DataFrame:
    """End tenures where the inactivity begins, not where it is complete.

    Who was observed for less than one span of inactivity carries no information, and is left out.
    Who would have had to be inactive since day 0 on the last unobserved day is at risk from day 1.
    """
    observed = tenures[tenures.duration >= days]
    late = (observed.entry - days).clip(lower=0)
    return observed.assign(
        entry=late.mask(observed.entry == days, AFTER_DAY_0), duration=observed.duration - days
    ).query("entry == 0 or duration > entry")


def _load_attributes(evidence: Evidence, study: Study) -> pd.DataFrame:
    people = evidence["customers"]
    closed = {"customer_id", "joined_at", "known_at", "snapshot", *study.sensitive}
    named = people.select(
        customer_id=name_segment(people.customer_id),
        **{name: people[name] for name in people.columns if name not in closed},
    )
    attributes = tidy(named.to_pandas()).drop_duplicates("customer_id")
    if study.kind != "contractual":
        return attributes
    first = _find_first_terms(evidence["contracts"])
    new = [name for name in first.columns if name not in attributes or name == "customer_id"]
    return attributes.merge(tidy(first[new].to_pandas()), on="customer_id", how="left")


def _find_first_terms(contracts: ir.Table) -> ir.Table:
    """Return plan and fee of the term that began first, of those that covered a day."""
    started = contracts.started_at.truncate("D")
    terms = contracts.filter((end_day(contracts) > started).fill_null(True))
    named = {name: terms[name] for name in (PLAN, FEE) if name in terms.columns}
    terms = terms.select(
        customer_id=name_segment(terms.customer_id), started=terms.started_at.truncate("D"), **named
    )
    order = ["started", *(ibis.desc(name) for name in named)]
    terms = terms.mutate(
        place=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=order))
    )
    return terms.filter(terms.place == 0).select("customer_id", *named)


def _load_reasons(evidence: Evidence, study: Study) -> pd.DataFrame:
    """Return customer_id and reason of everybody's first end.

    No row where the study doesn't record who left voluntarily.
    """
    recorded = study.kind == "contractual" and {"ended_at", "voluntary"} <= {
        *evidence["contracts"].columns
    }
    if not recorded:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in ("customer_id", "reason")})
    left = find_leavers(evidence, study, CENTURY_DAYS)
    left = left.select(
        customer_id=name_segment(left.customer_id), ended=left.ended, voluntary=left.voluntary
    ).to_pandas()
    left = left.sort_values("ended").drop_duplicates("customer_id")
    reasons = left.voluntary.map({True: "voluntary", False: "involuntary"}).fillna("not recorded")
    return pd.DataFrame(
        {"customer_id": left.customer_id.astype(object), "reason": reasons.astype(object)}
    )


def _load_flat(tables: Tables, study: Study) -> pd.DataFrame:
    frame = load_flat(tables, study)
    ended = (frame.event if "event" in frame else frame.churned).astype(bool)
    tenures = pd.DataFrame(
        {
            "customer_id": frame.customer_id,
            "entry": 0.0,
            "duration": frame.duration.astype(float),
            "ended": ended,
            "reason": None,
        }
    )
    tenures = pd.concat([tenures, frame[list_features(frame, study)]], axis=1)
    return tenures[tenures.duration.notna()].reset_index(drop=True)


def tabulate_follow_up(tenures: pd.DataFrame) -> pd.DataFrame:
    """Return how many tenures are observed, entered late, ended, and are censored.

    Returns
    -------
    DataFrame with columns follow_up, customers
    """
    late, ended = int((tenures.entry > 0).sum()), int(tenures.ended.sum())
    counts = {
        "observed": len(tenures),
        "of them with late entry: before the data began, or before their first row was known, they"
        " had been customers for two days or more": late,
        "left": ended,
        "censored: still there when the data end": len(tenures) - ended,
    }
    return pd.DataFrame(counts.items(), columns=["follow_up", "customers"])


def list_segment_attributes(
    tenures: pd.DataFrame, tables: Tables, study: Study, allowed: Sequence[str] | None = None
) -> list[str]:
    """Return the attributes by which curves are segmented.

    Those of ``segments.list_segment_columns``; of a flat study every text of few values.

    Parameters
    ----------
    allowed : attributes that pass the leakage checks; all unless given
    """
    if study.kind == "flat":
        texts = [
            name
            for name in tenures
            if name not in KEYS and not pd.api.types.is_numeric_dtype(tenures[name])
        ]
        listed = [name for name in texts if MIN_VALUES <= tenures[name].nunique() <= MAX_VALUES]
    else:
        listed = [name for name in list_segment_columns(tables, study) if name in tenures]
    return [name for name in listed if allowed is None or name in allowed or name == PLAN]


def pool_small_segments(table: pd.DataFrame, by: str) -> pd.Series:
    """Return the segment of each row, with small segments pooled as "other".

    Pooled are segments of fewer than 30 customers, and those beyond the seven largest.

    Parameters
    ----------
    table : one row per customer
    by : a column; "" puts everybody into the segment "all"
    """
    if not by:
        return pd.Series(ALL, index=table.index)
    segments = table[by].astype(object).where(table[by].notna(), UNKNOWN).astype(str)
    counts = segments.value_counts()
    largest = counts[: MAX_VALUES - 1]
    return segments.where(segments.isin(largest.index[largest >= MIN_CUSTOMERS]), OTHER)


@keep
def compare_segments(tenures: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Test for each attribute whether the curves of its segments differ (log-rank, late entry).

    Returns
    -------
    DataFrame with columns segment_by, segments, chi2, df, p_value, p_adjusted, verdict
        In the order of the p-values, which are adjusted for the number of attributes (Holm 1979,
        Scandinavian Journal of Statistics 6, 65-70).
    """
    rows = [
        (by, (named := pool_small_segments(tenures, by)).nunique(), *log_rank_test(tenures, named))
        for by in columns
    ]
    table = pd.DataFrame(rows, columns=["segment_by", "segments", "chi2", "df", "p_value"])
    table = table[table.segments > 1].sort_values(
        ["p_value", "chi2"], ascending=[True, False], ignore_index=True
    )
    table["p_adjusted"] = adjust_holm(table.p_value)
    table["verdict"] = np.where(table.p_adjusted < SIGNIFICANCE_LEVEL, CURVES_DIFFER, NO_DIFFERENCE)
    return table


def count_alike(tenures: pd.DataFrame) -> pd.DataFrame:
    """Return tenures counted by entry, duration and end: entry, duration, ended, rows."""
    return tenures.groupby(["entry", "duration", "ended"]).size().rename("rows").reset_index()


@keep
def tabulate_curves(tenures: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return Kaplan-Meier curves of all customers and by segment, with 95 % bands.

    Returns
    -------
    DataFrame with columns segment_by, segment, days, survival, low, high, at_risk, given_days
        About 120 days per curve, until nobody is at risk. With late entry, a curve is conditional
        on a tenure of ``given_days``, from which on enough of the segment were at risk; see
        ``kaplan_meier.find_conditioning_time``. Bands by Greenwood's formula on the log-log scale.

    Raises
    ------
    StudyError
        If no curve has enough customers at risk.
    """
    tables = [
        _tabulate_curve(part).assign(segment_by=by, segment=name)
        for by, name, part in _split_segments(tenures, columns)
    ]
    if not any(len(table) for table in tables):
        raise StudyError(
            f"expected at least {MIN_AT_RISK} customers observed from a common tenure on, got"
            f" {len(tenures)} tenures that never have so many; check the dates, or the duration of"
            " a flat study"
        )
    return pd.concat([table for table in tables if len(table)], ignore_index=True)[CURVES]


def _split_segments(
    tenures: pd.DataFrame, columns: Sequence[str]
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield attribute, segment and its tenures, everybody first."""
    for by in ("", *columns):
        for name, part in tenures.groupby(pool_small_segments(tenures, by)):
            yield by or ALL, name, part


def _count_from_start(tenures: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """Return the time from which on enough are at risk, and the counts from then on.

    The counts are empty where there are never enough.
    """
    counts = count_alike(tenures)
    given = find_conditioning_time(counts, np.inf)
    beyond = condition(counts, given) if np.isfinite(given) else counts[:0]
    enough = beyond.rows.sum() >= MIN_AT_RISK and (beyond.entry == 0).any()
    return given, beyond if enough else beyond[:0]


def _tabulate_curve(tenures: pd.DataFrame) -> pd.DataFrame:
    given, counts = _count_from_start(tenures)
    if counts.empty:
        return pd.DataFrame()
    curve = fit_kaplan_meier(counts)
    last = curve.survival_function_.index.max()
    days = np.unique(np.floor(np.linspace(0, last, GRID_STEPS + 1)))
    bounds = pd.concat(
        [curve.survival_function_, curve.confidence_interval_survival_function_], axis=1
    )
    numbers = bounds.reindex(bounds.index.union(days)).ffill().fillna(1.0).loc[days].to_numpy()
    at_risk = [
        counts.rows[((counts.entry < day) | (counts.entry == 0)) & (counts.duration >= day)].sum()
        for day in days
    ]
    columns = {
        "days": given + days,
        "survival": numbers[:, 0],
        "low": numbers[:, 1],
        "high": numbers[:, 2],
        "at_risk": at_risk,
        "given_days": given,
    }
    return pd.DataFrame(columns)


@keep
def summarise_tenures(tenures: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return the median and the restricted mean tenure of all customers and of each segment.

    Returns
    -------
    DataFrame with columns segment_by, segment, customers, left, given_days, median_days, low_days,
    high_days, until_days, mean_days, mean_low, mean_high, entered_later
        The median (Brookmeyer and Crowley 1982) and the restricted mean up to ``until_days`` count
        from ``given_days`` on, with 95 % intervals; see ``kaplan_meier``. ``entered_later`` counts
        the customers who are observed only after the median (where none is reached, after
        ``until_days``): it is that of the others.
    """
    last, rows = float(tenures.duration.quantile(0.8)), []
    for by, name, part in _split_segments(tenures, columns):
        given, counts = _count_from_start(part)
        if len(counts) and last > given:
            numbers = _summarise(counts, given, last - given)
            late = counts[counts.entry > 0]
            read_at = np.nan_to_num(numbers[1], nan=numbers[4])
            later = int(late.rows[late.entry >= read_at].sum())
            rows.append((by, name, len(part), int(part.ended.sum()), *numbers, later))
    return pd.DataFrame(rows, columns=SUMMARY)


def _summarise(counts: pd.DataFrame, given: float, until: float) -> tuple[float, ...]:
    curve = fit_kaplan_meier(counts)
    median, mean = compute_median(curve), compute_restricted_mean(curve, until)
    bounds = ("value", "low", "high")
    return (given, *(median[key] for key in bounds), until, *(mean[key] for key in bounds))
