"""Early warning on indicators: which one has worsened beyond noise, since when, and in which
segment.

A self-starting control chart per indicator and segment: each value is compared with the mean of the
earlier ones, and an exponentially weighted moving average (EWMA) of these readings gives the alarm.
The first ``baseline`` values only teach; mean and scatter are learned on until the first alarm, not
after it. An improvement beyond chance starts the chart anew, so that what was gained is the level
to hold and the average carries no credit: the mean is learned again, from half as many values, and
the scatter is kept. Three EWMAs must all be past the limit, so that no wrong idea of the noise
raises an alarm alone; or the latest reading of all three past a limit of its own, for a sudden
change (a combined Shewhart-EWMA chart, Lucas & Saccucci 1990, Technometrics 32:1-12,
doi:10.1080/00401706.1990.10484583):

1. the scatter is in proportion to the standard errors, of a size learned from the chart's own
  earlier values;
2. the scatter is the same in every period, of a size learned likewise;
3. the scatter is what the standard errors say: nothing within sampling error is a worsening.

For normal values the bound on false alarms holds if any of the three describes the noise. In
simulated reports of rates (2 to 30 %, 300 to 3,000 customers) it holds too, with and without
fluctuation beyond chance. It does not where values hang together from period to period (correlation
0.5: 30 of 100 reports alarm falsely at a stated 5, at 0.2 about 6) or the noise has a long tail
towards worse (exponential: 20 to 40). So windows must not overlap and seasons must be out. A
worsening slower than the learning is not seen.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr
from scipy.stats import norm

CHART = ["indicator", "segment_by", "segment"]
WHOLE = ""  # segment_by of a chart of the whole company
FARTHEST = 8.0  # standard deviations at which one reading is cut off
# chance that a chart without any change starts anew; it can then raise a false alarm twice, so it
# adds this share to the bound
ANEW = 0.05
NODES = 64  # of the quadrature behind a limit: twice as many change its tenth digit


def chart(
    series: pd.DataFrame, alarms: float = 0.05, baseline: int = 8, smoothing: float = 0.2
) -> pd.DataFrame:
    """Chart every indicator in every segment, one-sided towards worse.

    The residual is a value less the weighted mean of the earlier ones, over the standard deviation
    of this difference (the recursive residual of Brown, Durbin & Evans 1975, weights 1 / se²). Over
    the scatter of the earlier residuals it follows a t distribution; carried to the normal scale it
    is the reading ``q``, standard normal and independent while nothing changes (Quesenberry 1991;
    Hawkins 1987). An EWMA (Roberts 1959) starts at 0 after the baseline and is divided by its exact
    standard deviation.

    Parameters
    ----------
    series : DataFrame with columns indicator, segment_by, segment, snapshot, value, se, worse
        One row per chart and period; segment_by is "" and segment "all" for the whole company.
        ``se`` is the value's standard error, ``worse`` +1 where a rise is bad and -1 where a fall
        is. A value that is missing or infinite is skipped. A standard error that is missing or not
        positive is taken from the period before.
    alarms : float
        Chance of any false alarm in the whole report: half is shared equally by the monitored
        charts of the whole company, half by those of segments; all of it by one kind if there is no
        other. Each share is lessened by ``ANEW`` of it. A report of more periods has higher limits.
    baseline : int
        Measured periods, at least 3, before a chart can raise an alarm; a chart with no more than
        these is not monitored.
    smoothing : float
        Weight of the newest reading in the EWMA, above 0 and at most 1.

    Returns
    -------
    DataFrame with the rows and columns of ``series`` and expected, residual, q, ewma, single,
    baseline_from, limit, single_limit, alarm, since
        ``expected`` is the mean of the earlier values. ``residual`` and ``q`` (readings 3 and 1),
        ``ewma`` and ``single`` (the least of the three averages and of the three readings) are
        positive towards worse; the last two and their limits are empty where nothing is monitored.
        ``baseline_from``: the first period of the baseline in force. ``since`` is filled in charts
        with an alarm: the period at which a step explains the values up to the first alarm best
        (maximum likelihood). After steps of 3 se that is within one period of the truth in 9 of 10
        simulated alarms; the last zero of the EWMA is in 6.

    References
    ----------
    Roberts (1959), Technometrics 1:239-250, doi:10.1080/00401706.1959.10489860. Brown, Durbin &
    Evans (1975), J. R. Stat. Soc. B 37:149-192, doi:10.1111/j.2517-6161.1975.tb01532.x. Hawkins
    (1987), The Statistician 36:299-316, doi:10.2307/2348827. Quesenberry (1991), SPC Q charts for
    start-up processes and short or long runs, Journal of Quality Technology 23:213-224.
    """
    _require_series(series, alarms, baseline, smoothing)
    rows = series.reset_index(drop=True)
    codes = rows.groupby(CHART, sort=False).ngroup().to_numpy()
    errors = _fill_errors(rows)
    place = _place_rows(rows, codes, errors)
    there = place >= 0
    x, se, worse = (
        np.where(there, column.to_numpy(float)[place], np.nan)
        for column in (rows.value, errors, rows.worse)
    )
    whole = (rows.segment_by == WHOLE).groupby(codes).first().to_numpy(bool)
    limits, singles = _share_limits(there.sum(axis=1) - baseline, whole, alarms, smoothing)
    gains = np.array(
        [
            find_limit(ANEW, n, smoothing) if n > 0 else np.inf
            for n in map(int, there.sum(axis=1) - baseline)
        ]
    )
    found = follow(x, se, worse[:, :1], limits, singles, gains, baseline, smoothing)
    for name, bound in (("limit", limits), ("single_limit", singles)):
        found[name] = np.where(np.isfinite(found["ewma"]), bound[:, None], np.nan)
    opened = np.where(there, found.pop("opened"), 0).astype(int)
    found["baseline_from"] = rows.snapshot.to_numpy()[place[np.arange(len(place))[:, None], opened]]
    charted = rows.join(
        pd.DataFrame({name: matrix[there] for name, matrix in found.items()}, index=place[there])
    )
    in_force = np.where(np.arange(x.shape[1]) < opened.max(axis=1, initial=0)[:, None], np.inf, se)
    began = date_changes(
        x,
        in_force,
        worse[:, :1],
        (found["ewma"] > limits[:, None]) | (found["single"] > singles[:, None]),
    )
    since = rows.snapshot.reindex(np.where(began < 0, -1, place[np.arange(len(place)), began]))
    return charted.assign(
        alarm=(charted.ewma > charted.limit) | (charted.single > charted.single_limit),
        since=since.to_numpy()[codes],
    )


def _require_series(series: pd.DataFrame, alarms: float, baseline: int, smoothing: float) -> None:
    faults = []
    if not (0 < alarms < 1 and baseline >= 3 and 0 < smoothing <= 1):
        faults.append(
            f"expected 0 < alarms < 1, baseline >= 3 and 0 < smoothing <= 1, got {alarms},"
            f" {baseline} and {smoothing}; correct the parameter"
        )
    if (
        series[[*CHART, "snapshot"]].isna().any(axis=None)
        or series.duplicated([*CHART, "snapshot"]).any()
    ):
        faults.append(
            "expected one row per indicator, segment and snapshot, got rows without one of"
            " these or with the same; name each once"
        )
    if not series.worse.isin([-1, 1]).all() or (series.groupby(CHART).worse.nunique() > 1).any():
        faults.append(
            "expected worse to be +1 or -1, the same all along a chart, got other values; say"
            " which direction is bad"
        )
    if faults:
        raise ValueError("\n".join(faults))


def _fill_errors(rows: pd.DataFrame) -> pd.Series:
    """Return the standard errors, those missing or not positive taken from the chart's last period
    that has one.
    """
    errors = rows.se.astype(float)
    known = rows.assign(se=errors.where((errors > 0) & np.isfinite(errors))).sort_values(
        "snapshot", kind="stable"
    )
    return known.groupby(CHART).se.ffill().reindex(rows.index)


def _place_rows(rows: pd.DataFrame, codes: np.ndarray, errors: pd.Series) -> np.ndarray:
    """Return the row number of each chart's measured values in order of time, -1 beyond the
    last.
    """
    measured = np.isfinite(rows.value.astype(float)) & errors.notna()
    order = rows[measured].sort_values("snapshot", kind="stable").index.to_numpy()
    position = pd.Series(codes[order]).groupby(codes[order]).cumcount().to_numpy()
    place = np.full((codes.max(initial=-1) + 1, position.max(initial=0) + 1), -1)
    place[codes[order], position] = order
    return place


def _share_limits(
    periods: np.ndarray, whole: np.ndarray, alarms: float, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return each chart's limits of the average and of a single reading.

    The report's alarms are halved between the two kinds of charts, shared equally within a kind,
    and halved again between the two limits (Bonferroni).
    """
    monitored = periods > 0
    kinds = [kind & monitored for kind in (whole, ~whole) if (kind & monitored).any()]
    shares = sum(
        (kind * alarms / (1 + ANEW) / len(kinds) / kind.sum() for kind in kinds),
        np.zeros(len(periods)),
    )
    limits = np.array(
        [
            find_limit(share / 2, int(n), smoothing) if n > 0 else np.nan
            for share, n in zip(shares, periods, strict=True)
        ]
    )
    return limits, np.where(monitored, norm.isf(shares / 2 / np.maximum(periods, 1)), np.nan)


@lru_cache(maxsize=1024)
def find_limit(alarms: float, periods: int, smoothing: float) -> float:
    """Return the limit that a standardised EWMA of standard normal readings passes with probability
    ``alarms`` within ``periods``.
    """
    return brentq(lambda limit: pass_limit(limit, periods, smoothing) - alarms, -5, 8)


def pass_limit(limit: float, periods: int, smoothing: float) -> float:
    """Return the chance that the standardised EWMA passes ``limit`` in any of its first
    ``periods``.

    The density of an EWMA that has not passed yet is carried from period to period by
    Gauss-Legendre quadrature (the continuous form of the Markov chain of Brook & Evans 1972,
    Biometrika 59:539-549, doi:10.1093/biomet/59.3.539).
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    before, mass = np.zeros(1), np.ones(1)
    for scale in _scale(np.arange(1, periods + 1), smoothing):
        half = (limit + FARTHEST) * scale / 2
        now = limit * scale + half * (nodes - 1)
        step = norm.pdf((now - (1 - smoothing) * before[:, None]) / smoothing) / smoothing
        before, mass = now, (mass @ step) * weights * half
    return 1 - mass.sum()


def _scale(period: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the standard deviation of an EWMA of standard normal readings that started at 0
    (Roberts 1959).
    """
    return np.sqrt(
        smoothing / (2 - smoothing) * (1 - (1 - smoothing) ** (2 * np.asarray(period, float)))
    )


def follow(
    x: np.ndarray,
    se: np.ndarray,
    worse: np.ndarray,
    limits: np.ndarray,
    singles: np.ndarray,
    gains: np.ndarray,
    baseline: int,
    smoothing: float,
) -> dict[str, np.ndarray]:
    """Follow many charts at once: matrices of charts by measured periods, empty beyond a chart's
    last.

    A chart raises an alarm above either limit, and learns its mean anew where all its averages are
    lower than minus its gain in two periods in a row and the later reading is no worse than the
    mean.

    Returns
    -------
    dict of such matrices: expected, residual, q, ewma, see ``chart``, and opened: the position at
    which the baseline in force begins
    """
    start, unit, worse = x[:, :1], se[:, :1], np.broadcast_to(worse, (len(x), 1))[:, 0]
    x, se = np.clip((x - start) / unit, -1e60, 1e60), np.clip(se / unit, 1e-60, 1e60)
    variances = np.stack([se**2, np.ones_like(se)])  # of readings 1 and 2, but for a factor
    weight, total, squares = np.zeros((3, *variances.shape[:2]))
    (opened, freedom), ewma = np.zeros((2, len(x)), int), np.zeros((3, len(x)))
    found = {
        name: np.full(x.shape, np.nan)
        for name in ("expected", "residual", "q", "ewma", "single", "opened")
    }
    learning, gained = np.ones(len(x), bool), np.zeros(len(x), bool)
    for k in range(x.shape[1]):
        here, variance, age = np.isfinite(x[:, k]), variances[:, :, k], k - opened
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / weight
            residual = np.where(
                age > 0, (x[:, k] - mean) / np.sqrt(variance + 1 / weight) * worse, 0
            )
        q = _to_normal(residual, squares, freedom)
        found["expected"][:, k] = np.where(here, mean[0] * unit[:, 0] + start[:, 0], np.nan)
        found["residual"][:, k], found["q"][:, k] = (
            np.where(age > 0, residual[0], np.nan),
            np.where(here & (age > 0), q[0], np.nan),
        )
        first = np.where(opened > 0, baseline // 2, baseline)
        found["opened"][:, k], watched = opened, age >= first
        readings = np.concatenate([q, residual[:1]])
        ewma = np.where(watched, (1 - smoothing) * ewma + smoothing * readings, 0)
        scaled = ewma / _scale(np.maximum(age - first, 0) + 1, smoothing)
        found["ewma"][:, k] = np.where(watched, scaled.min(axis=0), np.nan)
        found["single"][:, k] = np.where(watched, readings.min(axis=0), np.nan)
        learning &= ~((found["ewma"][:, k] > limits) | (found["single"][:, k] > singles))
        better = learning & (-scaled.max(axis=0) > gains)
        improved, gained = better & gained & (readings.max(axis=0) <= 0), better
        taught = here & learning & ~better
        weight += np.where(taught, 1 / variance, 0)
        total += np.where(taught, x[:, k] / variance, 0)
        squares += np.where(taught, residual**2, 0)
        freedom += taught & (age > 0)
        for learned in (weight, total, ewma):
            learned[:, improved] = 0
        opened = np.where(improved, k + 1, opened)
    return found


def _to_normal(residual: np.ndarray, squares: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return residuals over the scatter of the earlier ones, carried from the t to the standard
    normal distribution.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(residual == 0, 0, residual / np.sqrt(squares / freedom))
    normal = -np.sign(ratio) * ndtri(stdtr(freedom, -np.abs(ratio)))
    return np.clip(normal, -FARTHEST, FARTHEST)


def date_changes(x: np.ndarray, se: np.ndarray, worse: np.ndarray, alarm: np.ndarray) -> np.ndarray:
    """Return where each chart's worsening began: the step that explains its values up to the first
    alarm best, -1 without alarm.

    The likelihood ratio of a step before position k is ``d² W1 W2 / (W1 + W2)``, with the
    difference d of the weighted means and the sums of weights 1 / se² on both sides (Hinkley 1970,
    Biometrika 57:1-17, doi:10.1093/biomet/57.1.1).
    """
    until = np.arange(x.shape[1]) <= alarm.argmax(axis=1)[:, None]
    weight = np.where(until & np.isfinite(x), 1 / se**2, 0)
    before, total = (
        weight.cumsum(axis=1),
        np.where(weight > 0, (x - x[:, :1]) * weight, 0).cumsum(axis=1),
    )
    after, rest = before[:, -1:] - before, total[:, -1:] - total
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (rest / after - total / before) * worse
        gain = np.where(
            until[:, 1:] & (step[:, :-1] > 0),
            (step**2 * before * after / before[:, -1:])[:, :-1],
            0,
        )
    return np.where(alarm.any(axis=1), gain.argmax(axis=1) + 1 if gain.shape[1] else 0, -1)


def list_warnings(charted: pd.DataFrame) -> pd.DataFrame:
    """List the charts with an alarm, those of the whole company first, then the largest change
    first.

    Returns
    -------
    DataFrame with columns indicator, segment_by, segment, since, alarmed_at, before, now,
    change_in_se, still_alarmed, worst_by, worst_segment
        One row per chart. ``before`` and ``now`` are the means before ``since``, within the
        baseline in force, and from it on, weighted by 1 / se²; ``change_in_se`` is their difference
        towards worse over its standard error. ``still_alarmed`` speaks of the last measured period.
        The last two name, for the whole company, the segment in which the indicator has changed
        most by ``change_in_se`` from ``since`` on, whether or not its own chart has an alarm: a
        description, not a test.
    """
    columns = [
        *CHART,
        "since",
        "alarmed_at",
        "before",
        "now",
        "change_in_se",
        "still_alarmed",
        "worst_by",
        "worst_segment",
    ]
    filled = charted.assign(se=_fill_errors(charted)).sort_values("snapshot", kind="stable")
    found = pd.DataFrame(
        [
            _describe(rows, filled)
            for _, rows in filled[filled.since.notna()].groupby(CHART, sort=False)
        ],
        columns=columns,
    )
    return found.iloc[
        np.lexsort([-found.change_in_se.astype(float), found.segment_by != WHOLE])
    ].reset_index(drop=True)


def _describe(rows: pd.DataFrame, charted: pd.DataFrame) -> dict:
    first, since, begin = rows.iloc[0], rows.since.iloc[0], rows.baseline_from[rows.alarm].iloc[0]
    facts = (
        {name: first[name] for name in CHART}
        | compare_means(rows[rows.snapshot >= begin], since)
        | {"since": since, "worst_by": "", "worst_segment": ""}
    )
    facts |= {
        "alarmed_at": rows.snapshot[rows.alarm].iloc[0],
        "still_alarmed": bool(rows.alarm[rows.ewma.notna()].iloc[-1]),
    }
    parts = charted[
        (charted.indicator == first.indicator)
        & (charted.segment_by != WHOLE)
        & (charted.snapshot >= begin)
    ].groupby(["segment_by", "segment"], sort=False)
    changes = {key: compare_means(part, since)["change_in_se"] for key, part in parts}
    known = {key: change for key, change in changes.items() if np.isfinite(change)}
    if first.segment_by == WHOLE and known:
        facts["worst_by"], facts["worst_segment"] = max(known, key=known.get)
    return facts


def compare_means(rows: pd.DataFrame, since) -> dict[str, float]:
    """Return a chart's weighted means before ``since`` and from it on, and their difference towards
    worse over its standard error.
    """
    used = rows[np.isfinite(rows.value.astype(float)) & rows.se.notna()]
    weight, late = 1 / used.se**2, used.snapshot >= since
    w1, w2 = weight[~late].sum(), weight[late].sum()
    if not (w1 and w2):
        return {"before": np.nan, "now": np.nan, "change_in_se": np.nan}
    before, now = (used.value * weight)[~late].sum() / w1, (used.value * weight)[late].sum() / w2
    return {
        "before": before,
        "now": now,
        "change_in_se": (now - before) * rows.worse.iloc[0] / np.sqrt(1 / w1 + 1 / w2),
    }
