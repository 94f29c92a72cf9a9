"""Changes of indicators beyond chance: worsenings and improvements, their history and segments.

Control charts (``control_charts``) say that and since when an indicator has changed. Here stands
from which level to which: every measured period counts in one level, so that a worsening after an
improvement is told with the level before both.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from research.evaluation.intervals import TAIL
from research.lifecycle.control_charts import (
    CHART_KEYS,
    WHOLE_COMPANY,
    fill_errors,
    share_alarms,
)
from research.panel.periods import YEAR_DAYS

PAIRED = ("snapshot", "value", "se", "denominator")  # columns of a period a year ago
LEAST_PERIODS = 3  # of either level of an improvement
YEAR = pd.Timedelta(days=YEAR_DAYS)
CHANGE_COLUMNS = [*CHART_KEYS, "since", "until", "alarmed_at", "earlier", "earlier_until"]
CHANGE_COLUMNS += ["before", "now", "change_in_se", "still_alarmed", "year_ago", "year_in_se"]
CHANGE_COLUMNS += ["most_by", "most_segment", "most_before", "most_now"]
CHANGE_COLUMNS += ["segments_changed", "segments_compared"]


def list_changes(charts: pd.DataFrame, alarms: float = 0.05) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the charts that have worsened beyond chance, and those that have improved for good.

    The whole company first, then by change in standard errors, largest first. A worsening is a
    chart's alarm. An improvement is a step between two levels of at least ``LEAST_PERIODS`` each,
    before a worsening or after one that has passed: the step that explains the values best, by a t
    test on what scatters within the levels (at least the standard errors), corrected for the places
    where a step can lie and for the charts (Bonferroni).

    Parameters
    ----------
    charts : see ``control_charts.compute_charts``
    alarms : chance of telling of any improvement in a report in which nothing changes, shared
        between charts as that of false alarms is

    Returns
    -------
    two DataFrames with columns indicator, segment_by, segment, since, until, alarmed_at, earlier,
    earlier_until, before, now, change_in_se, still_alarmed, year_ago, year_in_se, most_by,
    most_segment, most_before, most_now, segments_changed, segments_compared
        One row per chart and change. A level lasts from one change to the next: ``now`` is the mean
        from ``since`` on, up to ``until`` where a change back followed; ``before`` that of the
        level before, and ``earlier`` that of the one before this, where the chart had changed
        already, at ``earlier_until``. Rates are pooled, other means weighted by 1 / se².
        ``change_in_se`` is the difference of now and before, in the direction of the change, over
        its standard error. ``still_alarmed`` is about the last measured period, of an improvement
        whether it lasts until then; ``alarmed_at`` is the first alarm, empty for an improvement.
        ``year_ago`` is the mean of the same periods a year before, empty where one isn't measured,
        and ``year_in_se`` the difference of now from it. The next four name, for the whole company,
        the segment with the largest change in the indicator's own unit among those whose change is
        significant (one-sided, corrected for the segments compared), whether or not its own chart
        shows it; empty where none is. The last two count those segments.
    """
    rows = charts.assign(se=fill_errors(charts)).sort_values("snapshot", kind="stable")
    by_chart = dict([*rows.groupby(CHART_KEYS, sort=False)])
    steps = _find_improvements(by_chart, alarms)
    worsened = [
        _summarise(part, rows, *_bound_worsening(part, [step for _, step, _ in steps[key]]))
        for key, part in by_chart.items()
        if part.since.notna().any()
    ]
    turned = rows.assign(worse=-rows.worse)
    improved = [
        _summarise(by_chart[key].assign(worse=-by_chart[key].worse), turned, *bounds)
        | {"alarmed_at": pd.NaT, "still_alarmed": pd.isna(bounds[-1])}
        for key, found in steps.items()
        for bounds in found
    ]
    return _tabulate(worsened), _tabulate(improved)


def _tabulate(changes: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(changes, columns=CHANGE_COLUMNS)
    in_segments = table.segment_by != WHOLE_COMPANY
    order = np.lexsort([-table.change_in_se.astype(float), in_segments])
    return table.iloc[order].reset_index(drop=True)


def _find_improvements(by_chart: dict[tuple, pd.DataFrame], alarms: float) -> dict[tuple, list]:
    """Return for every chart the days at which a level began, improved and ended."""
    monitored = np.array([part.ewma.notna().any() for part in by_chart.values()], bool)
    whole = np.array([key[1] == WHOLE_COMPANY for key in by_chart], bool)
    shares, found = share_alarms(monitored, whole, alarms), {}
    for (key, part), share in zip(by_chart.items(), shares, strict=True):
        tested = [
            (first, *_test_step(_cut(part, first, until)), until)
            for first, until in _list_levels(part)
        ]
        least = share / max(len(part) - 1, 1)
        found[key] = [(first, step, until) for first, step, p, until in tested if p < least]
    return found


def _list_levels(rows: pd.DataFrame) -> list[tuple]:
    """Return where a chart may have improved: before a worsening, and after one that has passed."""
    since = rows.since.iloc[0]
    if pd.isna(since):
        return [(pd.NaT, pd.NaT)]
    spans = [(pd.NaT, since)]
    return spans if _is_alarmed(rows) else [*spans, (since, pd.NaT)]


def _is_alarmed(rows: pd.DataFrame) -> bool:
    return bool(rows.alarm[rows.ewma.notna()].iloc[-1])


def _test_step(rows: pd.DataFrame) -> tuple[pd.Timestamp, float]:
    """Return the best step towards better, and the p-value of one at this place, one-sided."""
    step = _find_step(rows, -1, LEAST_PERIODS)
    if pd.isna(step):
        return step, 1.0
    late = rows.snapshot >= step
    (before, w1), (now, w2) = _weigh(rows[~late]), _weigh(rows[late])
    known = _list_known(rows)
    level = np.where(known.snapshot >= step, now, before)
    freedom = len(known) - 2
    scatter = max(1.0, (((known.value - level) / known.se) ** 2).sum() / freedom)
    gain = (before - now) * rows.worse.iloc[0] / np.sqrt(scatter * (1 / w1 + 1 / w2))
    return step, float(t.sf(gain, freedom))


def _find_step(rows: pd.DataFrame, sign: int, least: int = 1) -> pd.Timestamp:
    """Return where a step explains the values best, with so many periods on either side.

    Parameters
    ----------
    sign : 1 for a step towards worse, -1 towards better
    """
    known = _list_known(rows)
    if len(known) < 2 * least:
        return pd.NaT
    ratios = measure_steps(
        *(known[name].to_numpy(float) for name in ("value", "se")), sign * known.worse.iloc[0]
    )[least - 1 : len(known) - least]
    return known.snapshot.iloc[least + ratios.argmax()] if ratios.max() > 0 else pd.NaT


def measure_steps(x: np.ndarray, se: np.ndarray, sign: int) -> np.ndarray:
    """Return the likelihood ratio of a step before each value but the first; 0 if it is opposite.

    See ``control_charts.estimate_change_points``.
    """
    x, se = np.clip((x - x[0]) / se[0], -1e60, 1e60), np.clip(se / se[0], 1e-60, 1e60)
    weight = 1 / se**2
    before, total = weight.cumsum(), (weight * x).cumsum()
    after, rest = before[-1] - before, total[-1] - total
    step = (rest[:-1] / after[:-1] - total[:-1] / before[:-1]) * sign
    ratio = step**2 * before[:-1] * after[:-1] / before[-1]
    return np.where(step > 0, ratio, 0)


def _list_known(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[np.isfinite(rows.value.astype(float)) & rows.se.notna()]


def _bound_worsening(rows: pd.DataFrame, improved: list[pd.Timestamp]) -> tuple:
    """Return when the level before a worsening began, when it came, and when it ended.

    Parameters
    ----------
    improved : the days on which the chart improved
    """
    since, begin = rows.since.iloc[0], rows.baseline_from[rows.alarm].iloc[0]
    first = max([day for day in improved if day < since], default=pd.NaT)
    until = min([day for day in improved if day > since], default=pd.NaT)
    if pd.isna(first) and begin > rows.snapshot.iloc[0]:  # it restarted at a better level
        first = _find_step(rows[rows.snapshot <= begin], -1)
    if pd.isna(until) and not _is_alarmed(rows):
        until = _find_step(rows[rows.snapshot >= since], -1)
    return first, since, until


def _summarise(
    rows: pd.DataFrame,
    charts: pd.DataFrame,
    first: pd.Timestamp,
    since: pd.Timestamp,
    until: pd.Timestamp,
) -> dict:
    """Return the change of one chart.

    Parameters
    ----------
    charts : all charts, among which are those of its segments; ``worse`` is the direction of the
        change
    first : the day on which the level before the change began, if the chart had changed before
    until : the day on which it changed back, if it did
    """
    change = {name: rows[name].iloc[0] for name in CHART_KEYS}
    change |= {"since": since, "until": until, "earlier_until": first}
    change |= {"alarmed_at": rows.snapshot[rows.alarm].min(), "still_alarmed": _is_alarmed(rows)}
    change["earlier"] = _weigh(rows[rows.snapshot < first])[0]
    level = _cut(rows, first, until)
    change |= compare_means(level, since) | _compare_with_year_ago(rows, level, since)
    if change["segment_by"] == WHOLE_COMPANY:
        of_segments = charts.indicator == change["indicator"]
        of_segments &= charts.segment_by != WHOLE_COMPANY
        change |= _compare_segments(_cut(charts[of_segments], first, until), since)
    return change


def _cut(rows: pd.DataFrame, first: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Return the rows from a day on and before another, either of which may be missing."""
    after = rows.snapshot >= first if pd.notna(first) else True
    before = rows.snapshot < until if pd.notna(until) else True
    return rows[np.broadcast_to(after & before, len(rows))]


def _weigh(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the mean of rows, and the inverse of its variance (0 without rows).

    Rates are pooled, so weighted by their denominators: by 1 / se² low ones would count more, whose
    error is smaller. What has no denominator is weighted by 1 / se².
    """
    used = _list_known(rows)
    if used.empty:
        return np.nan, 0.0
    counted = "denominator" in used and bool((used.denominator > 0).all())
    weight = used.denominator if counted else 1 / used.se**2
    share = weight / weight.sum()
    return (used.value * share).sum(), 1 / ((share * used.se) ** 2).sum()


def compare_means(rows: pd.DataFrame, since) -> dict[str, float]:
    """Return a chart's weighted means before ``since`` and from it on, and their difference.

    The difference is in the direction of ``worse``, over its standard error.
    """
    late = rows.snapshot >= since
    (before, w1), (now, w2) = _weigh(rows[~late]), _weigh(rows[late])
    if not (w1 and w2):
        return {"before": np.nan, "now": np.nan, "change_in_se": np.nan}
    in_se = (now - before) * rows.worse.iloc[0] / np.sqrt(1 / w1 + 1 / w2)
    return {"before": before, "now": now, "change_in_se": in_se}


def _compare_with_year_ago(rows: pd.DataFrame, level: pd.DataFrame, since) -> dict[str, float]:
    """Compare the first year of a level with the same periods a year before it.

    Parameters
    ----------
    rows : all periods of the chart
    level : those of the level and of the one before
    """
    measured = _list_known(rows)
    now = measured[
        measured.snapshot.isin(level.snapshot)
        & (measured.snapshot >= since)
        & (measured.snapshot < since + YEAR)
    ]
    paired = pd.merge_asof(
        (now[["snapshot"]] - YEAR).astype(measured.snapshot.dtype),
        measured[[name for name in PAIRED if name in measured]].assign(day=measured.snapshot),
        on="snapshot",
        direction="nearest",
        tolerance=measured.snapshot.diff().median() / 2,
    )
    if paired.day.isna().any() or paired.day.duplicated().any() or now.empty:
        return {"year_ago": np.nan, "year_in_se": np.nan}
    (before, w1), (value, w2) = _weigh(paired), _weigh(now)
    in_se = (value - before) * rows.worse.iloc[0] / np.sqrt(1 / w1 + 1 / w2)
    return {"year_ago": before, "year_in_se": in_se}


def _compare_segments(rows: pd.DataFrame, since) -> dict:
    """Return the segment with the largest significant change, in the indicator's unit."""
    parts = rows.groupby(["segment_by", "segment"], sort=False)
    table = pd.DataFrame(
        {
            (by, segment): compare_means(part, since) | {"worse": part.worse.iloc[0]}
            for (by, segment), part in parts
        },
        index=["before", "now", "change_in_se", "worse"],
    ).T.dropna()
    changed = table[table.change_in_se > norm.isf(TAIL / max(len(table), 1))]
    counts = {"segments_changed": len(changed), "segments_compared": len(table)}
    most = dict.fromkeys(["most_by", "most_segment"], "")
    if len(changed):
        by, segment = ((changed.now - changed.before) * changed.worse).idxmax()
        row = changed.loc[(by, segment)]
        most = {"most_by": by, "most_segment": segment}
        most |= {"most_before": row.before, "most_now": row.now}
    return counts | most
