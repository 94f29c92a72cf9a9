"""Indicators of churn and loyalty at every snapshot, from what was known by then, with intervals.

``indicator_definitions`` defines them, ``indicator_terms`` and ``survival.kaplan_meier`` compute
their parts in the engine, and only sums and counts come back.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_data_start
from research.errors import StudyError
from research.evaluation.intervals import SUMS, estimate_ratio, sum_moments, t_quantile
from research.lifecycle.coverage import compute_coverage, explain_unobserved, open_windows
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_glossary import fill_in, is_charted, list_missing, require_targets
from research.lifecycle.indicator_terms import build_terms
from research.panel.evidence import evidence_as_of
from research.panel.periods import (
    YEAR_DAYS,
    find_end,
    find_opening,
    find_step,
    list_days_back,
    name_spans,
    write_span,
)
from research.panel.segments import list_segment_columns
from research.store.keep import keep
from research.study import Study
from research.survival.kaplan_meier import (
    EMPTY,
    compute_median,
    compute_restricted_mean,
    condition,
    count_contacting,
    count_resolutions,
    count_tenures,
    find_conditioning_time,
    fit_kaplan_meier,
)

FIGURES = ["value", "low", "high", "se", "numerator", "denominator", "n"]
INDICATOR_COLUMNS = ["indicator", "segment_by", "segment", "snapshot", *FIGURES]
INDICATOR_COLUMNS += ["unit", "worse", "note"]
LEAST_CHARTED, LEAST_EVENTS = 30, 5  # customers, and events of either kind, of a charted value
MOST_TERM_ROWS = 4_000_000  # customers times snapshots in one batch of snapshots


def list_snapshots(tables: Tables, study: Study, periods: int) -> list[date]:
    """Return the snapshots at which indicators are computed, oldest first.

    The last one and those before it, as far apart as the study says, at most ``periods`` of
    them. Snapshots whose window would begin before the first observed day are left out.

    Raises
    ------
    StudyError
        If the last snapshot lies after the data end, or no window lies within the data.
    """
    _require_dated(study)
    window = find_step(study)
    last = study.lifecycle.last or study.snapshots.last
    first = study.data_start or find_data_start(tables, study)
    days = list_days_back(study, last, periods)
    snapshots = [day for day in days if find_opening(day, window) >= first]
    _require_observed(tables, study, [last])
    if not snapshots:
        raise StudyError(
            f"study {study.name}: expected a window of {write_span(window)} within the data,"
            f" which begin {first}, got the last day {last}; use lifecycle.last on or after"
            f" {find_end(first, window)}, and at least 1 period"
        )
    return snapshots


def _require_dated(study: Study) -> None:
    if study.kind == "flat":
        raise StudyError(
            f"study {study.name}: expected dated tables, without which there are no indicators over"
            " time, got a flat study; use a dated one"
        )


def _require_observed(tables: Tables, study: Study, snapshots: Sequence[date]) -> None:
    _require_dated(study)
    first, end = study.data_start or find_data_start(tables, study), find_data_end(tables, study)
    if min(snapshots) < first:
        raise StudyError(
            f"study {study.name}: expected indicators from the first day {first} on, got the"
            f" day {min(snapshots)}; use later snapshots"
        )
    if max(snapshots) > end:
        raise StudyError(
            f"study {study.name}: expected indicators up to the data end {end}, got the day"
            f" {max(snapshots)}; use lifecycle.last on or before {end}"
        )


def compute_indicators(
    tables: Tables, study: Study, snapshots: Sequence[date], segment_by: str = ""
) -> pd.DataFrame:
    """Return every indicator whose tables the study has, at every snapshot.

    Parameters
    ----------
    tables : contract tables; only what was known by each snapshot is used
    segment_by : one of ``segments.list_segment_columns``; empty takes the whole company as the one
        segment "all"

    Returns
    -------
    DataFrame with columns indicator, segment_by, segment, snapshot, value, low, high, se,
    numerator, denominator, n, unit, worse, note
        One row per indicator, segment and snapshot; ``low`` and ``high`` bound the 95 % interval,
        ``n`` counts the customers in the denominator, ``worse`` is 1 where a rise is bad and -1
        where a fall is. ``value`` is empty where it can't be known at that snapshot, and ``note``
        says why.

    Raises
    ------
    StudyError
        If a snapshot lies before the first day or after the data end, or ``segment_by`` is no
        column to segment customers by.
    """
    require_targets(study)
    _require_observed(tables, study, snapshots)
    if segment_by and segment_by not in list_segment_columns(tables, study):
        known = ", ".join(list_segment_columns(tables, study)) or "none"
        raise StudyError(
            f"study {study.name}: expected a segment column among {known}, got {segment_by!r};"
            " use one of them"
        )
    parts = [
        part
        for days in _batch_snapshots(tables, snapshots)
        for part in _compute_batch(tables, study, days, segment_by)
    ]
    if not parts:
        return pd.DataFrame(columns=INDICATOR_COLUMNS)
    return _complete(pd.concat(parts, ignore_index=True), study, segment_by)


@keep
def compute_with_segments(tables: Tables, study: Study, snapshots: Sequence[date]) -> pd.DataFrame:
    """Return the indicators of the whole company, then those of every segment.

    Segments are the values of each of ``segments.list_segment_columns``.

    Returns
    -------
    DataFrame, see ``compute_indicators``
    """
    columns = ["", *list_segment_columns(tables, study)]
    return pd.concat([compute_indicators(tables, study, snapshots, name) for name in columns])


def _batch_snapshots(tables: Tables, snapshots: Sequence[date]) -> list[list[date]]:
    """Return the snapshots in batches whose terms fit into the engine's memory."""
    customers = int(tables["customers"].count().execute())
    size, days = max(1, MOST_TERM_ROWS // max(customers, 1)), sorted(set(snapshots))
    return [days[begin : begin + size] for begin in range(0, len(days), size)]


def _compute_batch(
    tables: Tables, study: Study, snapshots: Sequence[date], segment_by: str
) -> Iterator[pd.DataFrame]:
    evidence = evidence_as_of(tables, snapshots)
    coverage = compute_coverage(evidence, study)
    for part in (
        *_compute_ratios(evidence, study, coverage, segment_by),
        *_compute_durations(evidence, study, segment_by),
    ):
        name = part.indicator.iloc[0] if len(part) else ""
        if name and not list_missing(name, study, tables):
            yield _blank_unobserved(part, explain_unobserved(name, coverage, study))


def _compute_ratios(
    evidence: Tables, study: Study, coverage: pd.DataFrame, segment_by: str
) -> Iterator[pd.DataFrame]:
    terms, ratios = build_terms(evidence, study, _open_year(coverage, study), segment_by)
    keys = ["segment", "snapshot"]
    sums = terms.group_by(keys).agg(
        **{
            name: value
            for i, ratio in enumerate(ratios.values())
            for name, value in sum_moments(terms, *ratio, f"i{i}_").items()
        }
    )
    frame = sums.order_by(keys).to_pandas()
    for i, name in enumerate(ratios):
        own = frame[[f"i{i}_{key}" for key in SUMS]].set_axis(list(SUMS), axis=1)
        counts = {"numerator": own.y, "denominator": own.x, "n": own.n}
        values = _estimate(own, name)
        yield frame[keys].assign(indicator=name, **counts, note="").join(values)


def _open_year(coverage: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the day after which yearly spend is summed up at each snapshot.

    A year before the start of the window, but not before observation began.
    """
    start = open_windows(coverage.index, name_spans(study)["window"])
    year = start - pd.Timedelta(days=YEAR_DAYS)
    first = (
        pd.DatetimeIndex(coverage["first_spend"]) - pd.Timedelta(days=1)
        if "first_spend" in coverage
        else year
    )
    return pd.DataFrame({"snapshot": coverage.index, "opens": np.where(first > year, first, year)})


def _estimate(sums: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return value, low, high and se of one indicator from its sums."""
    spec = DEFINITIONS[name]
    if spec.estimate == "total":
        return _estimate_total(sums)
    values = estimate_ratio(sums, share=spec.estimate == "share") * spec.scale
    return (
        values.assign(low=values.low.clip(-100), high=values.high.clip(upper=100))
        if name == "nps"
        else values.assign(low=values.low.clip(0))
    )


def _estimate_total(sums: pd.DataFrame) -> pd.DataFrame:
    """Return totals over customers and their symmetric interval, at least 0.

    The interval is that of a sum over independent customers.
    """
    squares = (sums.yy - sums.y**2 / sums.n.clip(1)).clip(0)
    variance = squares * sums.n / (sums.n - 1).where(sums.n >= 2)
    se = np.sqrt(variance.where(variance > 0).astype(float))
    value = sums.y.where(sums.n > 0)
    half = t_quantile(sums.n.to_numpy(float)) * se
    return pd.DataFrame(
        {"value": value, "low": (value - half).clip(0), "high": value + half, "se": se}
    )


def _compute_durations(evidence: Tables, study: Study, segment_by: str) -> Iterator[pd.DataFrame]:
    least = study.churn.inactive_days if study.kind == "non_contractual" else 0
    tenures = count_tenures(evidence, study, segment_by).to_pandas()
    yield from _read_curves(tenures, partial(_read_tenure, least=least))
    if "contacts" in evidence and "resolved_at" in evidence["contacts"].columns:
        counts = count_resolutions(evidence, study, segment_by).to_pandas()
        parts = [*_read_curves(counts, _read_resolutions)]
        n = count_contacting(evidence, study, segment_by).to_pandas()
        yield from (part.drop(columns="n").merge(n, on=["segment", "snapshot"]) for part in parts)


def _read_curves(
    counts: pd.DataFrame, read: Callable[[pd.DataFrame], dict[str, dict]]
) -> Iterator[pd.DataFrame]:
    """Yield one table per indicator: the estimates from the curve of each segment and snapshot."""
    rows = []
    for (segment, snapshot), part in counts.groupby(["segment", "snapshot"], sort=True):
        total, ends = part.rows.sum(), part.rows[part.ended].sum()
        base = {"segment": segment, "snapshot": snapshot}
        base |= {"numerator": ends, "denominator": total, "n": total}
        estimates = read(part.sort_values(["entry", "duration", "ended"]))
        rows += [base | {"indicator": name} | estimate for name, estimate in estimates.items()]
    if rows:
        yield from (part for _, part in pd.DataFrame(rows).groupby("indicator", sort=False))


def _read_tenure(counts: pd.DataFrame, least: int = 0) -> dict[str, dict]:
    """Return mean and median tenure, of those who stayed until enough were at risk.

    Parameters
    ----------
    least : the days that every spell lasts by definition; a median with both bounds there has none
    """
    begin = find_conditioning_time(counts, YEAR_DAYS)
    rest = condition(counts, begin)
    if 2 * begin > YEAR_DAYS or rest.empty:
        note = "too few customers were observed from their first days on"
        return dict.fromkeys(["retention_time", "retention_time_median"], EMPTY | {"note": note})
    curve = fit_kaplan_meier(rest)
    mean, median = compute_restricted_mean(curve, YEAR_DAYS - begin), compute_median(curve)
    few = find_conditioning_time(rest, median["value"]) > 0
    no_mean = f"nobody has been observed for {YEAR_DAYS} days"
    no_median = "too few were observed at some time before" if few else "fewer than half have left"
    if begin == 0 and median["value"] == median["low"] == median["high"] == least:
        shortest = f"half or more bought on one day only, and a spell lasts {least} days at least"
        median = EMPTY | {"value": median["value"]}
    else:
        shortest = ""
    return {
        "retention_time": _add_begin(mean, begin, no_mean),
        "retention_time_median": _add_begin(EMPTY if few else median, begin, no_median, shortest),
    }


def _add_begin(
    estimate: dict[str, float], begin: float, no_value: str, no_interval: str = ""
) -> dict:
    """Return an estimate counted from day 0 again, with the note that belongs to it.

    Parameters
    ----------
    begin : tenure, in days, on which the estimate is conditional
    no_value : the note where there is no estimate
    no_interval : the note where there is no interval, empty where there is one
    """
    shifted = {name: value if name == "se" else value + begin for name, value in estimate.items()}
    if not np.isfinite(estimate["value"]):
        return shifted | {"note": no_value}
    stayed = f"of customers who stayed {begin:.0f} days: too few were observed before"
    return shifted | {"note": stayed if begin else no_interval}


def _read_resolutions(counts: pd.DataFrame) -> dict[str, dict]:
    median = compute_median(fit_kaplan_meier(counts))
    note = "" if np.isfinite(median["value"]) else "fewer than half are resolved"
    return {"resolution_time": median | {"note": note}}


def _blank_unobserved(part: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """Return the part without the figures that can't be known at a snapshot, with the reason."""
    known, reason = part.denominator > 0, part.snapshot.map(reasons)
    note = np.where(reason != "", reason, np.where(known, part.note, "nobody to count"))
    figures = {name: part[name].astype(float).where(reason == "") for name in FIGURES}
    return part.assign(known=known, note=note, **figures)


def _complete(table: pd.DataFrame, study: Study, segment_by: str) -> pd.DataFrame:
    """Return the table with unit and direction, rows and columns in their order.

    Segments in which nobody ever counts are left out.
    """
    if segment_by:
        table = table[table.groupby(["indicator", "segment"]).known.transform("any")]
    units = {name: fill_in(study, spec.unit) for name, spec in DEFINITIONS.items()}
    worse = {name: 1 if spec.better == "lower" else -1 for name, spec in DEFINITIONS.items()}
    table = table.assign(
        segment_by=segment_by,
        unit=table.indicator.map(units),
        worse=table.indicator.map(worse),
        place=table.indicator.map({name: i for i, name in enumerate(DEFINITIONS)}),
    )
    ordered = table.sort_values(["place", "segment", "snapshot"], ignore_index=True)
    return ordered[INDICATOR_COLUMNS]


def select_charted(measured: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the rows that a control chart may show: known values of enough customers.

    Of indicators whose consecutive windows don't overlap. A chart is of enough customers if half of
    its windows count at least ``LEAST_CHARTED`` and, for shares, at least ``LEAST_EVENTS`` of
    either kind: with fewer, a standard error is a poor guide to the next value.
    """
    charted = [name for name in DEFINITIONS if is_charted(name, study)]
    rows = measured[measured.indicator.isin(charted) & measured.value.notna()]
    shares = rows.indicator.map(
        {name: DEFINITIONS[name].estimate == "share" for name in charted}
    ).astype(bool)
    rarer = np.minimum(rows.numerator, rows.denominator - rows.numerator).where(shares, np.inf)
    keys = [rows[name] for name in ("indicator", "segment_by", "segment")]
    enough = (rows.n.groupby(keys).transform("median") >= LEAST_CHARTED) & (
        rarer.groupby(keys).transform("median") >= LEAST_EVENTS
    )
    return rows[enough].reset_index(drop=True)
