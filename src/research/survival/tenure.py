"""Stays since joining: one row per customer, from the first day of custom to its end or to the end
of the data, and curves of them.

Who joined before ``data_start`` enters late: what the data would not have shown of those already
gone mustn't count as staying. A contractual stay ends where unbroken cover by contracts ends. A
non-contractual one ends with the first day that ``inactive_days`` without a purchase follow, and is
watched until ``inactive_days`` before the data end. A flat study gives ``duration`` and ``event``
itself.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.errors import StudyError
from research.features.build import list_features, load_flat, tidy
from research.panel.evidence import Evidence, cut_evidence
from research.panel.segments import FEW, MANY, PLAN, list_segment_columns, name_segment
from research.panel.spells import end_day, find_leavers
from research.study import Study
from research.study_schema import CENTURY_DAYS
from research.survival.cox import log_rank_test
from research.survival.kaplan_meier import (
    LEAST_AT_RISK,
    find_conditioning_time,
    condition,
    count_tenures,
    compute_median,
    fit_kaplan_meier,
    compute_restricted_mean,
)

FEE = "monthly_fee"
LEAST = 30  # customers of a segment with a curve of its own
GRID = 120
OTHER = "other"
KEYS = ["customer_id", "entry", "duration", "ended", "reason"]


def load_tenures(tables: Tables, study: Study) -> pd.DataFrame:
    """Return everybody's first stay with what was known of the customer at its beginning.

    Returns
    -------
    DataFrame with columns customer_id, entry, duration, ended, reason, and attributes
        One row per customer, in days since the stay began (a flat study: in the unit of its
        ``duration``). ``reason`` is voluntary, involuntary or "not recorded", empty while the stay
        lasts and where the study records none. Attributes are those of the table customers, which
        carry no date, and for contracts ``plan`` and ``monthly_fee`` of the first term; of a flat
        study all features.
    """
    if study.kind == "flat":
        return _load_flat(tables, study)
    evidence = cut_evidence(tables, [find_data_end(tables, study)])
    counts = (
        count_tenures(evidence, study, "customer_id")
        .to_pandas()
        .rename(columns={"segment": "customer_id"})
    )
    stays = counts[["customer_id", "entry", "duration", "ended"]]
    if study.kind == "non_contractual":
        stays = _shift(stays, study.churn.inactive_days)
    stays = stays.merge(_load_attributes(evidence, study), on="customer_id", how="left")
    stays = stays.merge(_load_reasons(evidence, study), on="customer_id", how="left")
    stays["reason"] = stays.reason.where(stays.ended, None)
    return stays.sort_values("customer_id", ignore_index=True)


def _shift(stays: pd.DataFrame, days: int) -> pd.DataFrame:
    """Let stays end where the silence begins, not where it is complete; who wasn't watched beyond
    one silence tells nothing.
    """
    watched = stays[stays.duration >= days]
    return watched.assign(
        entry=(watched.entry - days).clip(lower=0), duration=watched.duration - days
    ).query("entry == 0 or duration > entry")


def _load_attributes(evidence: Evidence, study: Study) -> pd.DataFrame:
    people = evidence["customers"]
    closed = {"customer_id", "joined_at", "known_at", "snapshot", *study.sensitive}
    named = people.select(
        customer_id=name_segment(people.customer_id),
        **{name: people[name] for name in people.columns if name not in closed},
    )
    found = tidy(named.to_pandas()).drop_duplicates("customer_id")
    if study.kind != "contractual":
        return found
    first = _find_first_terms(evidence["contracts"])
    known = [column for column in first.columns if column not in found or column == "customer_id"]
    return found.merge(tidy(first[known].to_pandas()), on="customer_id", how="left")


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
    """Return customer_id and reason of everybody's first leave; no row where the study doesn't say
    who left of their own will.
    """
    if study.kind != "contractual" or not {"ended_at", "voluntary"} <= {
        *evidence["contracts"].columns
    }:
        return pd.DataFrame(
            {"customer_id": pd.Series(dtype="object"), "reason": pd.Series(dtype="object")}
        )
    left = find_leavers(evidence, study, CENTURY_DAYS)
    left = left.select(
        customer_id=name_segment(left.customer_id), ended=left.ended, voluntary=left.voluntary
    ).to_pandas()
    left = left.sort_values("ended").drop_duplicates("customer_id")
    words = left.voluntary.map({True: "voluntary", False: "involuntary"}).fillna("not recorded")
    return pd.DataFrame(
        {"customer_id": left.customer_id.astype(object), "reason": words.astype(object)}
    )


def _load_flat(tables: Tables, study: Study) -> pd.DataFrame:
    frame = load_flat(tables, study)
    ended = (frame.event if "event" in frame else frame.churned).astype(bool)
    stays = pd.DataFrame(
        {
            "customer_id": frame.customer_id,
            "entry": 0.0,
            "duration": frame.duration.astype(float),
            "ended": ended,
            "reason": None,
        }
    )
    return pd.concat([stays, frame[list_features(frame, study)]], axis=1)[
        lambda table: table.duration.notna()
    ].reset_index(drop=True)


def tabulate_follow_up(stays: pd.DataFrame) -> pd.DataFrame:
    """Return how many customers are watched, how many of them from late on, and how many of their
    stays ended: columns stays, customers.
    """
    late, ended = int((stays.entry > 0).sum()), int(stays.ended.sum())
    counts = {
        "watched": len(stays),
        "of them from late on: joined before the data began": late,
        "left": ended,
        "still there, or lost from sight": len(stays) - ended,
    }
    return pd.DataFrame(counts.items(), columns=["stays", "customers"])


def list_segment_attributes(
    stays: pd.DataFrame, tables: Tables, study: Study, honest: Sequence[str] | None = None
) -> list[str]:
    """Return the attributes by which curves are told apart: those of
    ``slices.list_segment_columns``, in a flat study every text of few values.

    Parameters
    ----------
    honest : attributes that the leak gate lets pass; all unless given
    """
    texts = [
        name
        for name in stays
        if name not in KEYS and not pd.api.types.is_numeric_dtype(stays[name])
    ]
    few = [name for name in texts if FEW <= stays[name].nunique() <= MANY]
    listed = (
        few
        if study.kind == "flat"
        else [name for name in list_segment_columns(tables, study) if name in stays]
    )
    return [name for name in listed if honest is None or name in honest or name == PLAN]


def pool_small_segments(stays: pd.DataFrame, by: str) -> pd.Series:
    """Return each stay's segment; segments of fewer than 30 customers, and those beyond the seven
    largest, are put together as "other".
    """
    segments = (
        stays[by].astype(object).where(stays[by].notna(), "not known").astype(str)
        if by
        else pd.Series("all", index=stays.index)
    )
    counts = segments.value_counts()
    return segments.where(
        segments.isin(counts.index[: MANY - 1][counts[: MANY - 1] >= LEAST]), OTHER
    )


def compare_segments(stays: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Test for each attribute whether its segments leave alike (log-rank with late entry).

    Returns
    -------
    DataFrame with columns segment_by, segments, chi2, df, p_value, p_adjusted, verdict
        In the order of the p-values, which are adjusted for the number of attributes (Holm 1979,
        Scandinavian Journal of Statistics 6, 65-70).
    """
    rows = [
        (by, (named := pool_small_segments(stays, by)).nunique(), *log_rank_test(stays, named))
        for by in columns
    ]
    table = pd.DataFrame(rows, columns=["segment_by", "segments", "chi2", "df", "p_value"])
    table = table[table.segments > 1].sort_values(
        ["p_value", "chi2"], ascending=[True, False], ignore_index=True
    )
    steps = table.p_value * np.arange(len(table), 0, -1)
    table["p_adjusted"] = steps.cummax().clip(upper=1)
    table["verdict"] = np.where(table.p_adjusted < 0.05, "curves differ", "no difference shown")
    return table


def count(stays: pd.DataFrame) -> pd.DataFrame:
    """Return how many stays entered, lasted and ended alike: columns entry, duration, ended,
    rows.
    """
    return stays.groupby(["entry", "duration", "ended"]).size().rename("rows").reset_index()


def tabulate_curves(stays: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return Kaplan-Meier curves of all customers and by segment, with 95 % bands and how many are
    at risk.

    Returns
    -------
    DataFrame with columns segment_by, segment, days, survival, low, high, at_risk, given_days
        About 120 days per curve, until nobody is watched any more. Where customers enter late, a
        curve holds for those who lasted ``given_days`` already: the time from which on enough of
        the segment were watched; see ``durations.find_conditioning_time``. ``at_risk``: how many were
        watched on the day. Bands by Greenwood's formula on the log-log scale.
    """
    parts = [
        (by, name, part)
        for by in ("", *columns)
        for name, part in stays.groupby(pool_small_segments(stays, by))
    ]
    tables = [
        _tabulate_curve(part).assign(segment_by=by or "all", segment=name)
        for by, name, part in parts
    ]
    order = ["segment_by", "segment", "days", "survival", "low", "high", "at_risk", "given_days"]
    if not any(len(table) for table in tables):
        raise StudyError(
            f"expected at least {LEAST_AT_RISK} customers watched for some time from a common age"
            f" on, got {len(stays)} stays without; check the dates, or the duration of a flat"
            " study"
        )
    return pd.concat([table for table in tables if len(table)], ignore_index=True)[order]


def _begin(stays: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """Return from which time on enough were watched, and the counts from then on, empty where they
    never were.
    """
    counts = count(stays)
    given = find_conditioning_time(counts, np.inf)
    beyond = condition(counts, given) if np.isfinite(given) else counts[:0]
    return given, (
        beyond if beyond.rows.sum() >= LEAST_AT_RISK and (beyond.entry == 0).any() else beyond[:0]
    )


def _tabulate_curve(stays: pd.DataFrame) -> pd.DataFrame:
    given, counts = _begin(stays)
    if counts.empty:
        return pd.DataFrame()
    curve = fit_kaplan_meier(counts)
    last = curve.survival_function_.index.max()
    days = np.unique(np.floor(np.linspace(0, last, GRID + 1)))
    bounds = pd.concat(
        [curve.survival_function_, curve.confidence_interval_survival_function_], axis=1
    )
    found = bounds.reindex(bounds.index.union(days)).ffill().fillna(1.0).loc[days].to_numpy()
    watched = [
        counts.rows[((counts.entry < day) | (counts.entry == 0)) & (counts.duration >= day)].sum()
        for day in days
    ]
    columns = {
        "days": given + days,
        "survival": found[:, 0],
        "low": found[:, 1],
        "high": found[:, 2],
        "at_risk": watched,
        "given_days": given,
    }
    return pd.DataFrame(columns)


def summarise_tenures(stays: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return how many customers of each segment were seen and left, when half had left, and how
    long they stay on average up to a common day.

    Returns
    -------
    DataFrame with columns segment_by, segment, customers, left, given_days, median_days, low_days,
    high_days, until_days, mean_days, mean_low, mean_high
        The median (Brookmeyer and Crowley 1982) and the restricted mean up to ``until_days`` count
        from ``given_days`` on, with 95 % intervals; see ``durations``.
    """
    parts = [
        (by, name, part)
        for by in ("", *columns)
        for name, part in stays.groupby(pool_small_segments(stays, by))
    ]
    last, rows = float(stays.duration.quantile(0.8)), []
    for by, name, part in parts:
        given, counts = _begin(part)
        if len(counts) and last > given:
            curve, until = fit_kaplan_meier(counts), last - given
            median, mean = compute_median(curve), compute_restricted_mean(curve, until)
            numbers = (
                given,
                median["value"],
                median["low"],
                median["high"],
                until,
                mean["value"],
                mean["low"],
                mean["high"],
            )
            rows.append((by or "all", name, len(part), int(part.ended.sum()), *numbers))
    names = (
        "segment_by segment customers left given_days median_days low_days high_days until_days"
        " mean_days mean_low mean_high"
    )
    return pd.DataFrame(rows, columns=names.split())
