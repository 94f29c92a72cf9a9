"""Control charts of indicators: which one has worsened beyond chance, and since when.

``chart_changes`` lists them, and which one has improved.

A self-starting control chart per indicator and segment: each value is compared with the mean of the
earlier ones, and an exponentially weighted moving average (EWMA) of these readings gives the alarm.
The first ``baseline`` values only estimate mean and variance; both are updated until the first
alarm, not after it. An improvement beyond chance restarts the chart, so that the better level is
the new baseline and the average carries no credit: the mean is estimated again, from half as many
values, and the variance is kept. Three EWMAs must all be past the limit, so that no misspecified
noise raises an alarm alone; or the latest reading of all three past a limit of its own, for a
sudden change (a combined Shewhart-EWMA chart, Lucas & Saccucci 1990, Technometrics 32:1-12,
doi:10.1080/00401706.1990.10484583):

1. the standard deviation is proportional to the standard errors, with a factor estimated from the
  chart's own earlier values;
2. the standard deviation is the same in every period, estimated likewise;
3. the standard deviation is the standard error: nothing within sampling error is a worsening.

For normal values the bound on false alarms is valid if any of the three describes the noise. In
simulated reports of rates (2 to 30 %, 300 to 3,000 customers) it is valid too, with and without
overdispersion. It is not where values are autocorrelated (correlation 0.5: 30 of 100 reports alarm
falsely at a stated 5, at 0.2 about 6) or the noise has a long tail towards worse (exponential: 20
to 40). So windows must not overlap and seasons must be out. A drift slower than the updating of the
mean is not detected.

References
----------
Roberts (1959), Technometrics 1:239-250, doi:10.1080/00401706.1959.10489860. Brown, Durbin &
Evans (1975), J. R. Stat. Soc. B 37:149-192, doi:10.1111/j.2517-6161.1975.tb01532.x. Hawkins
(1987), The Statistician 36:299-316, doi:10.2307/2348827. Quesenberry (1991), SPC Q charts for
start-up processes and short or long runs, Journal of Quality Technology 23:213-224.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr
from scipy.stats import norm

from research.reporting.format import write_plain
from research.store.keep import keep

CHART_KEYS = ["indicator", "segment_by", "segment"]
WHOLE_COMPANY = ""  # segment_by of a chart of the whole company
MOST_DEVIATIONS = 8.0  # standard deviations at which one reading is clipped
# chance that a chart without any change restarts; it can then raise a false alarm twice, so it adds
# this share to the bound
RESTART_CHANCE = 0.05
NODES = 64  # of the quadrature behind a limit: twice as many change its tenth digit
RESULTS = ("expected", "residual", "q", "ewma", "single", "baseline_start")  # of a run


@keep
def compute_charts(
    series: pd.DataFrame, alarms: float = 0.05, baseline: int = 8, smoothing: float = 0.2
) -> pd.DataFrame:
    """Chart every indicator in every segment, one-sided towards worse.

    The residual is a value less the weighted mean of the earlier ones, over the standard deviation
    of this difference (the recursive residual of Brown, Durbin & Evans 1975, weights 1 / se²).
    Divided by the standard deviation of the earlier residuals it follows a t distribution;
    transformed to the normal scale it is the reading ``q``, standard normal and independent while
    nothing changes (Quesenberry 1991; Hawkins 1987). An EWMA (Roberts 1959) starts at 0 after the
    baseline and is divided by its exact standard deviation.

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
        other. Each share is reduced by ``RESTART_CHANCE`` of it. A report of more periods has
        higher limits.
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
    """
    _require_series(series, alarms, baseline, smoothing)
    grid = _lay_out(series.reset_index(drop=True))
    bounds = _find_bounds(grid, alarms, baseline, smoothing)
    results = run_charts(grid.x, grid.se, grid.worse, *bounds, baseline, smoothing)
    start = np.where(grid.measured, results.pop("baseline_start"), 0).astype(int)
    charts = _read_rows(grid, results | _list_limits(grid, results, bounds, start))
    return charts.assign(
        alarm=(charts.ewma > charts.limit) | (charts.single > charts.single_limit),
        since=_find_changes(grid, results, bounds, start).to_numpy()[grid.codes],
    )


@dataclass(frozen=True)
class _Grid:
    """Series as matrices of charts by measured periods, empty beyond a chart's last.

    Attributes
    ----------
    rows : the series
    codes : (rows,), the number of the chart
    place : the row of each cell, -1 beyond the last
    x, se : values and standard errors
    worse : (charts, 1), the direction that is bad
    """

    rows: pd.DataFrame
    codes: np.ndarray
    place: np.ndarray
    x: np.ndarray
    se: np.ndarray
    worse: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """Return which cells hold a measured period."""
        return self.place >= 0


Bounds = tuple[np.ndarray, np.ndarray, np.ndarray]  # limits, single limits and gains of charts


def _lay_out(rows: pd.DataFrame) -> _Grid:
    codes = rows.groupby(CHART_KEYS, sort=False).ngroup().to_numpy()
    errors = fill_errors(rows)
    place = _place_rows(rows, codes, errors)
    x, se, worse = (
        np.where(place >= 0, column.to_numpy(float)[place], np.nan)
        for column in (rows.value, errors, rows.worse)
    )
    return _Grid(rows, codes, place, x, se, worse[:, :1])


def _find_bounds(grid: _Grid, alarms: float, baseline: int, smoothing: float) -> Bounds:
    """Return each chart's two limits, and how far below 0 its averages restart it."""
    whole = (grid.rows.segment_by == WHOLE_COMPANY).groupby(grid.codes).first().to_numpy(bool)
    periods = grid.measured.sum(axis=1) - baseline
    return *_share_limits(periods, whole, alarms, smoothing), _find_gains(periods, smoothing)


def _list_limits(
    grid: _Grid, results: dict[str, np.ndarray], bounds: Bounds, start: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the matrices limit and single_limit, empty where nothing is monitored, and
    baseline_from.
    """
    monitored = np.isfinite(results["ewma"])
    limit, single = (np.where(monitored, bound[:, None], np.nan) for bound in bounds[:2])
    by_chart = np.arange(len(grid.place))[:, None]
    begun = grid.rows.snapshot.to_numpy()[grid.place[by_chart, start]]
    return {"limit": limit, "single_limit": single, "baseline_from": begun}


def _read_rows(grid: _Grid, results: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the rows of the series with the results of their cells."""
    columns = {name: matrix[grid.measured] for name, matrix in results.items()}
    return grid.rows.join(pd.DataFrame(columns, index=grid.place[grid.measured]))


def _find_changes(
    grid: _Grid, results: dict[str, np.ndarray], bounds: Bounds, start: np.ndarray
) -> pd.Series:
    """Return since when each chart with an alarm has changed.

    What came before the baseline in force says nothing.
    """
    replaced = np.arange(grid.x.shape[1]) < start.max(axis=1, initial=0)[:, None]
    limits, single_limits = (bound[:, None] for bound in bounds[:2])
    alarm = (results["ewma"] > limits) | (results["single"] > single_limits)
    errors = np.where(replaced, np.inf, grid.se)
    change = estimate_change_points(grid.x, errors, grid.worse, alarm)
    place = grid.place[np.arange(len(grid.place)), change]
    return grid.rows.snapshot.reindex(np.where(change < 0, -1, place))


def _require_series(series: pd.DataFrame, alarms: float, baseline: int, smoothing: float) -> None:
    faults = []
    if not (0 < alarms < 1 and baseline >= 3 and 0 < smoothing <= 1):
        faults.append(
            f"expected 0 < alarms < 1, baseline >= 3 and 0 < smoothing <= 1, got {alarms},"
            f" {baseline} and {smoothing}; correct the parameter"
        )
    if (
        series[[*CHART_KEYS, "snapshot"]].isna().any(axis=None)
        or series.duplicated([*CHART_KEYS, "snapshot"]).any()
    ):
        faults.append(
            "expected one row per indicator, segment and snapshot, got rows that lack one of these"
            " or repeat it; name each once"
        )
    directions = series.groupby(CHART_KEYS).worse.nunique()
    if not series.worse.isin([-1, 1]).all() or (directions > 1).any():
        faults.append(
            "expected worse to be +1 or -1, the same all along a chart, got other values; give the"
            " direction that is bad"
        )
    if faults:
        raise ValueError("\n".join(faults))


def fill_errors(rows: pd.DataFrame) -> pd.Series:
    """Return the standard errors; a missing one is that of the chart's last period with one.

    An error that is not positive counts as missing.
    """
    errors = rows.se.astype(float)
    positive = errors.where((errors > 0) & np.isfinite(errors))
    ordered = rows.assign(se=positive).sort_values("snapshot", kind="stable")
    return ordered.groupby(CHART_KEYS).se.ffill().reindex(rows.index)


def _place_rows(rows: pd.DataFrame, codes: np.ndarray, errors: pd.Series) -> np.ndarray:
    """Return the row numbers of each chart's measured values by time, -1 beyond the last."""
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

    A chart's share of the alarms is halved again between the two limits (Bonferroni).
    """
    shares = share_alarms(periods > 0, whole, alarms / (1 + RESTART_CHANCE))
    limits = np.array(
        [
            find_limit(share / 2, int(n), smoothing) if n > 0 else np.nan
            for share, n in zip(shares, periods, strict=True)
        ]
    )
    return limits, np.where(periods > 0, norm.isf(shares / 2 / np.maximum(periods, 1)), np.nan)


def share_alarms(monitored: np.ndarray, whole: np.ndarray, alarms: float) -> np.ndarray:
    """Return each chart's share of a report's chance of a false alarm.

    It is halved between the charts of the whole company and those of segments, and shared equally
    within a kind (Bonferroni).
    """
    kinds = [kind & monitored for kind in (whole, ~whole) if (kind & monitored).any()]
    return sum((kind * alarms / len(kinds) / kind.sum() for kind in kinds), np.zeros(len(whole)))


def _find_gains(periods: np.ndarray, smoothing: float) -> np.ndarray:
    """Return how far below 0 each chart's averages restart it."""
    gains = [
        find_limit(RESTART_CHANCE, n, smoothing) if n > 0 else np.inf for n in map(int, periods)
    ]
    return np.array(gains)


@lru_cache(maxsize=1024)
def find_limit(alarms: float, periods: int, smoothing: float) -> float:
    """Return the limit that the EWMA passes with probability ``alarms`` within ``periods``.

    Of a standardised EWMA of standard normal readings.
    """
    return brentq(
        lambda limit: compute_alarm_probability(limit, periods, smoothing) - alarms, -5, 8
    )


def compute_alarm_probability(limit: float, periods: int, smoothing: float) -> float:
    """Return the chance that the standardised EWMA passes ``limit`` within ``periods``.

    The density of an EWMA that has not passed yet is carried from period to period by
    Gauss-Legendre quadrature (the continuous form of the Markov chain of Brook & Evans 1972,
    Biometrika 59:539-549, doi:10.1093/biomet/59.3.539).
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    before, mass = np.zeros(1), np.ones(1)
    for scale in _ewma_deviation(np.arange(1, periods + 1), smoothing):
        half = (limit + MOST_DEVIATIONS) * scale / 2
        now = limit * scale + half * (nodes - 1)
        step = norm.pdf((now - (1 - smoothing) * before[:, None]) / smoothing) / smoothing
        before, mass = now, (mass @ step) * weights * half
    return 1 - mass.sum()


def _ewma_deviation(period: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the standard deviation of an EWMA of standard normal readings (Roberts 1959)."""
    return np.sqrt(
        smoothing / (2 - smoothing) * (1 - (1 - smoothing) ** (2 * np.asarray(period, float)))
    )


def run_charts(
    x: np.ndarray,
    se: np.ndarray,
    worse: np.ndarray,
    limits: np.ndarray,
    single_limits: np.ndarray,
    gains: np.ndarray,
    baseline: int,
    smoothing: float,
) -> dict[str, np.ndarray]:
    """Run many charts at once: matrices of charts by measured periods, empty beyond a chart's last.

    A chart raises an alarm above either limit. It restarts where all its averages are below minus
    its gain in two periods in a row and the later reading is no worse than the mean.

    Returns
    -------
    dict of such matrices: expected, residual, q, ewma, single, see ``compute_charts``, and
    baseline_start: the position at which the baseline in force begins
    """
    start, unit, worse = x[:, :1], se[:, :1], np.broadcast_to(worse, (len(x), 1))[:, 0]
    x, se = np.clip((x - start) / unit, -1e60, 1e60), np.clip(se / unit, 1e-60, 1e60)
    variances = np.stack([se**2, np.ones_like(se)])  # of readings 1 and 2, up to a factor
    weight, total, squares = np.zeros((3, *variances.shape[:2]))
    (began, freedom), ewma = np.zeros((2, len(x)), int), np.zeros((3, len(x)))
    in_control, was_better = np.ones(len(x), bool), np.zeros(len(x), bool)
    results = {name: np.full(x.shape, np.nan) for name in RESULTS}
    for k in range(x.shape[1]):
        here, variance, age = np.isfinite(x[:, k]), variances[:, :, k], k - began
        mean, residual = _compute_residuals(x[:, k], variance, weight, total)
        residual = np.where(age > 0, residual * worse, 0)
        q = _to_normal(residual, squares, freedom)
        first = np.where(began > 0, baseline // 2, baseline)
        monitored, readings = age >= first, np.concatenate([q, residual[:1]])
        ewma = np.where(monitored, (1 - smoothing) * ewma + smoothing * readings, 0)
        averages = ewma / _ewma_deviation(np.maximum(age - first, 0) + 1, smoothing)
        results["baseline_start"][:, k] = began
        results["expected"][:, k] = np.where(here, mean[0] * unit[:, 0] + start[:, 0], np.nan)
        results["residual"][:, k] = np.where(age > 0, residual[0], np.nan)
        results["q"][:, k] = np.where(here & (age > 0), q[0], np.nan)
        results["ewma"][:, k] = np.where(monitored, averages.min(axis=0), np.nan)
        results["single"][:, k] = np.where(monitored, readings.min(axis=0), np.nan)
        single_alarm = results["single"][:, k] > single_limits
        in_control &= ~((results["ewma"][:, k] > limits) | single_alarm)
        better = in_control & (-averages.max(axis=0) > gains)
        restarted = better & was_better & (readings.max(axis=0) <= 0)
        updated = here & in_control & ~better
        weight += np.where(updated, 1 / variance, 0)
        total += np.where(updated, x[:, k] / variance, 0)
        squares += np.where(updated, residual**2, 0)
        freedom += updated & (age > 0)
        for state in (weight, total, ewma):
            state[:, restarted] = 0
        began, was_better = np.where(restarted, k + 1, began), better
    return results


def _compute_residuals(
    x: np.ndarray, variance: np.ndarray, weight: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the earlier values and the residual from it over its deviation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / weight
        return mean, (x - mean) / np.sqrt(variance + 1 / weight)


def _to_normal(residual: np.ndarray, squares: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return residuals standardised by the earlier ones, on the standard normal scale.

    Transformed from the t to the normal distribution.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(residual == 0, 0, residual / np.sqrt(squares / freedom))
    normal = -np.sign(ratio) * ndtri(stdtr(freedom, -np.abs(ratio)))
    return np.clip(normal, -MOST_DEVIATIONS, MOST_DEVIATIONS)


def estimate_change_points(
    x: np.ndarray, se: np.ndarray, worse: np.ndarray, alarm: np.ndarray
) -> np.ndarray:
    """Return where each chart's worsening began, -1 without alarm.

    The step that explains its values up to the first alarm best (maximum likelihood). The
    likelihood ratio of a step before position k is ``d² W1 W2 / (W1 + W2)``, with the difference d
    of the weighted means and the sums of weights 1 / se² on both sides (Hinkley 1970, Biometrika
    57:1-17, doi:10.1093/biomet/57.1.1).
    """
    until = np.arange(x.shape[1]) <= alarm.argmax(axis=1)[:, None]
    weight = np.where(until & np.isfinite(x), 1 / se**2, 0)
    weighted = np.where(weight > 0, (x - x[:, :1]) * weight, 0)
    before, total = weight.cumsum(axis=1), weighted.cumsum(axis=1)
    after, rest = before[:, -1:] - before, total[:, -1:] - total
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (rest / after - total / before) * worse
        ratio = (step**2 * before * after / before[:, -1:])[:, :-1]
        ratio = np.where(until[:, 1:] & (step[:, :-1] > 0), ratio, 0)
    return np.where(alarm.any(axis=1), ratio.argmax(axis=1) + 1 if ratio.shape[1] else 0, -1)


def chart_title(row, titles: dict[str, str]) -> str:
    """Return the title of a chart: its indicator, and its segment if it has one.

    Parameters
    ----------
    row : any row of the chart, or its warning
    titles : by indicator
    """
    segment = f" in {write_plain(row.segment_by)} {write_plain(row.segment)}"
    return titles[row.indicator] + (segment if row.segment_by else "")
