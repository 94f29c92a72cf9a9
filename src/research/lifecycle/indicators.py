"""Indicators of churn and loyalty: measured at every snapshot from what was known by then, with
their intervals.

What each of them means stands in ``definitions``; ``ledger`` and ``durations`` compute them where
the data are, and only sums and counts come back.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_data_start
from research.errors import StudyError
from research.evaluation.intervals import SUMS, add_up, estimate_ratio, widen
from research.lifecycle.coverage import explain, observe
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_glossary import is_charted, list_missing, require_targets, word
from research.lifecycle.indicator_terms import build_ledger
from research.panel.evidence import cut_evidence
from research.panel.periods import YEAR_DAYS
from research.panel.segments import list_segment_columns
from research.study import Study
from research.survival.kaplan_meier import (
    EMPTY,
    begin_soundly,
    condition,
    count_contacting,
    count_resolutions,
    count_stays,
    find_median,
    fit_curve,
    restrict_mean,
)

LEAST_CHARTED, LEAST_EVENTS = 30, 5
COLUMNS = [
    "indicator",
    "segment_by",
    "segment",
    "snapshot",
    "value",
    "low",
    "high",
    "se",
    "numerator",
    "denominator",
    "n",
    "unit",
    "worse",
    "note",
]
LEDGER_ROWS = 4_000_000  # customers times snapshots in one portion


def list_periods(tables: Tables, study: Study, periods: int) -> list[date]:
    """Return the snapshots at which indicators are measured: the last one and those before it,
    ``every_days`` apart, oldest first.

    Snapshots whose window would begin before the first observed day are left out.

    Raises
    ------
    StudyError
        If the last snapshot lies after the data end, or no window lies within the data.
    """
    _require_dated(study)
    step, last = (
        timedelta(days=study.snapshots.every_days),
        study.lifecycle.last or study.snapshots.last,
    )
    first = study.data_start or find_data_start(tables, study)
    found = [
        last - step * back for back in reversed(range(periods)) if last - step * (back + 1) >= first
    ]
    _require_observed(tables, study, [last])
    if not found:
        raise StudyError(
            f"study {study.name}: expected a window of {step.days} days within the data, which"
            f" begin {first}, got the last day {last}; use lifecycle.last on or after"
            f" {first + step}, and at least 1 period"
        )
    return found


def _require_dated(study: Study) -> None:
    if study.kind == "flat":
        raise StudyError(
            f"study {study.name}: expected dated tables to measure indicators over time, got a"
            " flat study; use a dated one"
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


def measure(
    tables: Tables, study: Study, snapshots: Sequence[date], segment_by: str = ""
) -> pd.DataFrame:
    """Measure every indicator whose tables the study has, at every snapshot.

    Parameters
    ----------
    tables : contract tables; only what was known by each snapshot is used
    segment_by : one of ``slices.list_segment_columns``; empty measures the whole company, as the
        one segment "all"

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
        column to tell customers apart by.
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
        for days in _share_out(tables, snapshots)
        for part in _measure_some(tables, study, days, segment_by)
    ]
    return (
        _order(pd.concat(parts, ignore_index=True), study, segment_by)
        if parts
        else pd.DataFrame(columns=COLUMNS)
    )


def _share_out(tables: Tables, snapshots: Sequence[date]) -> list[list[date]]:
    """Return the snapshots in portions of which the engine can hold the ledgers."""
    size, days = (
        max(1, LEDGER_ROWS // max(int(tables["customers"].count().execute()), 1)),
        sorted(set(snapshots)),
    )
    return [days[begin : begin + size] for begin in range(0, len(days), size)]


def _measure_some(
    tables: Tables, study: Study, snapshots: Sequence[date], segment_by: str
) -> Iterator[pd.DataFrame]:
    evidence = cut_evidence(tables, snapshots)
    observed = observe(evidence, study)
    for part in (
        *_measure_ratios(evidence, study, observed, segment_by),
        *_measure_durations(evidence, study, segment_by),
    ):
        name = part.indicator.iloc[0] if len(part) else ""
        if name and not list_missing(name, study, tables):
            yield _blank(part, explain(name, observed, study))


def _measure_ratios(
    evidence: Tables, study: Study, observed: pd.DataFrame, segment_by: str
) -> Iterator[pd.DataFrame]:
    ledger, pairs = build_ledger(evidence, study, _open_year(observed, study), segment_by)
    keys = ["segment", "snapshot"]
    sums = ledger.group_by(keys).agg(
        **{
            name: value
            for i, pair in enumerate(pairs.values())
            for name, value in add_up(ledger, *pair, f"i{i}_").items()
        }
    )
    frame = sums.order_by(keys).to_pandas()
    for i, name in enumerate(pairs):
        own = frame[[f"i{i}_{key}" for key in SUMS]].set_axis(list(SUMS), axis=1)
        values = _estimate(own, name)
        yield (
            frame[keys]
            .assign(indicator=name, numerator=own.y, denominator=own.x, n=own.n, note="")
            .join(values)
        )


def _open_year(observed: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the day after which yearly spend is summed up: a year before the start, but not before
    observation began.
    """
    start = observed.index - pd.Timedelta(days=study.snapshots.every_days)
    year = start - pd.Timedelta(days=YEAR_DAYS)
    first = (
        pd.DatetimeIndex(observed["first_spend"]) - pd.Timedelta(days=1)
        if "first_spend" in observed
        else year
    )
    return pd.DataFrame({"snapshot": observed.index, "opens": np.where(first > year, first, year)})


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
    """Return totals over customers, with the symmetric interval of a sum of independent customers,
    cut off at 0.
    """
    spread = (
        (sums.yy - sums.y**2 / sums.n.clip(1)).clip(0) * sums.n / (sums.n - 1).where(sums.n >= 2)
    )
    se = np.sqrt(spread.where(spread > 0).astype(float))
    value = sums.y.where(sums.n > 0)
    half = widen(sums.n.to_numpy(float)) * se
    return pd.DataFrame(
        {"value": value, "low": (value - half).clip(0), "high": value + half, "se": se}
    )


def _measure_durations(evidence: Tables, study: Study, segment_by: str) -> Iterator[pd.DataFrame]:
    yield from _read_curves(count_stays(evidence, study, segment_by).to_pandas(), _read_stays)
    if "contacts" in evidence and "resolved_at" in evidence["contacts"].columns:
        found = [
            *_read_curves(
                count_resolutions(evidence, study, segment_by).to_pandas(), _read_resolutions
            )
        ]
        n = count_contacting(evidence, study, segment_by).to_pandas()
        yield from (part.drop(columns="n").merge(n, on=["segment", "snapshot"]) for part in found)


def _read_curves(
    counts: pd.DataFrame, read: Callable[[pd.DataFrame], dict[str, dict]]
) -> Iterator[pd.DataFrame]:
    """Yield one table per indicator, with what is read off the curve of each segment and
    snapshot.
    """
    rows = []
    for (segment, snapshot), part in counts.groupby(["segment", "snapshot"], sort=True):
        total, ends = part.rows.sum(), part.rows[part.ended].sum()
        base = {
            "segment": segment,
            "snapshot": snapshot,
            "numerator": ends,
            "denominator": total,
            "n": total,
        }
        rows += [
            base | {"indicator": name} | found
            for name, found in read(part.sort_values(["entry", "duration", "ended"])).items()
        ]
    if rows:
        yield from (part for _, part in pd.DataFrame(rows).groupby("indicator", sort=False))


def _read_stays(counts: pd.DataFrame) -> dict[str, dict]:
    """Return mean and median stay, of those who stayed until enough were watched."""
    begin = begin_soundly(counts, YEAR_DAYS)
    rest = condition(counts, begin)
    note = f"of customers who stayed {begin:.0f} days: too few were watched before" if begin else ""
    if 2 * begin > YEAR_DAYS or rest.empty:
        return dict.fromkeys(
            ["retention_time", "retention_time_median"],
            EMPTY | {"note": "too few customers were watched from their first days on"},
        )
    curve = fit_curve(rest)
    mean, median = restrict_mean(curve, YEAR_DAYS - begin), find_median(curve)
    thin = begin_soundly(rest, median["value"]) > 0
    return {
        "retention_time": _shift(
            mean, begin, note, f"nobody has been watched for {YEAR_DAYS} days"
        ),
        "retention_time_median": _shift(
            EMPTY if thin else median,
            begin,
            note,
            "too few were watched at some time before" if thin else "fewer than half have left",
        ),
    }


def _shift(found: dict[str, float], begin: float, note: str, otherwise: str) -> dict:
    """Count from the beginning again, and say on what the estimate is conditional or why there is
    none.
    """
    shifted = {name: value if name == "se" else value + begin for name, value in found.items()}
    return shifted | {"note": note if np.isfinite(found["value"]) else otherwise}


def _read_resolutions(counts: pd.DataFrame) -> dict[str, dict]:
    found = find_median(fit_curve(counts))
    return {
        "resolution_time": found
        | {"note": "" if np.isfinite(found["value"]) else "fewer than half are resolved"}
    }


def _blank(part: pd.DataFrame, unseen: pd.Series) -> pd.DataFrame:
    """Blank what can't be known at a snapshot, and say why."""
    known, reason = part.denominator > 0, part.snapshot.map(unseen)
    note = np.where(reason != "", reason, np.where(known, part.note, "nobody to count"))
    figures = ["value", "low", "high", "se", "numerator", "denominator", "n"]
    return part.assign(
        known=known,
        note=note,
        **{name: part[name].astype(float).where(reason == "") for name in figures},
    )


def _order(table: pd.DataFrame, study: Study, segment_by: str) -> pd.DataFrame:
    """Add what the definitions say, and bring rows and columns into their order; segments in which
    nobody ever counts tell nothing.
    """
    table = (
        table[table.groupby(["indicator", "segment"]).known.transform("any")]
        if segment_by
        else table
    )
    table = table.assign(
        segment_by=segment_by,
        unit=table.indicator.map(
            {name: word(study, spec.unit) for name, spec in DEFINITIONS.items()}
        ),
        worse=table.indicator.map(
            {name: 1 if spec.better == "lower" else -1 for name, spec in DEFINITIONS.items()}
        ),
        place=table.indicator.map({name: i for i, name in enumerate(DEFINITIONS)}),
    )
    return table.sort_values(["place", "segment", "snapshot"], ignore_index=True)[COLUMNS]


def select_charted(measured: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the rows that a control chart may show: values known, of indicators whose consecutive
    windows don't overlap, of enough customers.

    A chart is of enough customers if half of its windows hold at least ``LEAST_CHARTED`` and, for
    shares, at least ``LEAST_EVENTS`` of either kind: below that a standard error says too little
    about the next value.
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
