"""The largest step of a survival curve: the month in which most leave, against those around it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.data.contracts import Tables
from research.evaluation.intervals import Z
from research.panel.periods import MEAN_MONTH_DAYS
from research.survival.kaplan_meier import find_conditioning_time
from research.survival.tenure import count_alike

WIDTH_DAYS = 30  # of a step, where durations are in days; else one unit
MIN_OBSERVED = 50  # customers at risk until the end of a window
COMMON_TERM = 0.05  # share of the contracts that a term needs to be named
LEAST_STAYING = 0.5  # in place of 0, whose logarithm has no bound
SAME_STEP = 0.9  # of the largest excess: a window that shows the same step
DAYS = "days"
COLUMNS = ["from_days", "until_days", "left_share", "low", "high", "before_share", "after_share"]
COLUMNS += ["p_value", "windows", "term_months"]


@dataclass(frozen=True)
class DailyCurve:
    """Logarithm of the Kaplan-Meier curve by day, its variance, and how many were at risk.

    The first place is the day before day 0, on which everybody is still there.
    """

    log_survival: np.ndarray
    variance: np.ndarray
    at_risk: np.ndarray

    def measure(self, begin: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the share of those there on days who leave within ``width``, and its variance.

        Empty where the days reach beyond the follow-up, or fewer than ``MIN_OBSERVED`` remain.
        """
        begin, end = begin + 1, begin + 1 + width  # places of the days
        known = (begin >= 0) & (end < len(self.at_risk))
        first, last = np.where(known, begin, 0), np.where(known, end, 0)
        known &= np.minimum(self.at_risk[first + 1], self.at_risk[last]) >= MIN_OBSERVED
        left = -np.expm1(self.log_survival[last] - self.log_survival[first])
        spread = (1 - left) ** 2 * (self.variance[last] - self.variance[first])
        return np.where(known, left, np.nan), np.where(known, spread, np.nan)


def find_largest_step(
    tenures: pd.DataFrame, unit: str = DAYS, terms: tuple[int, ...] = ()
) -> pd.DataFrame:
    """Find where most customers leave within a month, more than in the months around.

    Every day is tried as the beginning of a window. The step is the window whose share exceeds the
    larger of those just before and just after it most, and of neighbours that show the same step
    the latest; its p-value, one-sided, is corrected for the number of windows (Bonferroni). Where
    some leave on day 0, the first window begins with that day and ends before day ``width``.

    Parameters
    ----------
    tenures : see ``tenure.load_tenures``
    unit : of the durations; a window is 30 days, or one unit of another kind
    terms : months for which contracts bind, see ``list_terms``

    Returns
    -------
    DataFrame with columns from_days, until_days, left_share, low, high, before_share, after_share,
    p_value, windows, term_months
        One row; none where too few are observed. ``left_share`` is of those still there at
        ``from_days``, with its 95 % interval by Greenwood's formula; ``before_share`` and
        ``after_share`` are those of the windows around, empty where not observed. ``term_months``
        is the term that ends for the first time in the window, empty where none does.

    References
    ----------
    Klein, J. P. and Moeschberger, M. L. (2003), Survival Analysis, 2nd ed., section 4.2.
    """
    width = WIDTH_DAYS if unit == DAYS else 1
    counts = count_alike(tenures)
    start = find_conditioning_time(counts, np.inf)
    curve = _count_by_day(counts)
    days = len(curve.at_risk) - 1
    if not np.isfinite(start) or days <= width:
        return pd.DataFrame(columns=COLUMNS)
    at_once = counts.rows[counts.ended & (counts.duration == 0)].sum()
    start = -1 if at_once and start == 0 else int(start)
    begin = np.arange(start, days - width)
    (left, spread), (before, spread_before), (after, spread_after) = (
        curve.measure(begin + shift, width) for shift in (0, -width, width)
    )
    before = np.where(begin - width >= start, before, np.nan)
    larger = np.fmax(before, after)
    beside = np.where(larger == after, spread_after, spread_before)
    excess = left - larger
    if not np.isfinite(excess).any():
        return pd.DataFrame(columns=COLUMNS)
    at, windows = _find_last_beginning(excess), int(np.isfinite(excess).sum())
    error = np.sqrt(spread[at] + beside[at])
    p = norm.sf(excess[at] / error) if error > 0 else 1.0
    half = Z * np.sqrt(spread[at])
    since = max(begin[at], 0)
    row = (since, since + width, left[at], max(left[at] - half, 0), left[at] + half)
    row += (before[at], after[at], min(p * windows, 1.0), windows)
    term = _find_term(begin[at], width, terms) if unit == DAYS else np.nan
    return pd.DataFrame([(*row, term)], columns=COLUMNS)


def _find_last_beginning(excess: np.ndarray) -> int:
    """Return the latest of the windows next to the largest that show the same step.

    A step within a few days is in every window around it; the latest one begins with it.
    """
    at = int(np.nanargmax(excess))
    lower = ~(excess[at:] >= SAME_STEP * excess[at])
    return at + (int(lower.argmax()) if lower.any() else len(lower)) - 1


def _count_by_day(counts: pd.DataFrame) -> DailyCurve:
    """Return the curve by whole days; who enters late is at risk from the next day on."""
    first = np.where(counts.entry > 0, np.floor(counts.entry) + 1, 0).astype(int) + 1
    last = np.ceil(counts.duration).astype(int) + 1
    days = int(last.max()) + 2
    begun, gone = (np.bincount(day, counts.rows, days) for day in (first, last + 1))
    at_risk = (begun - gone).cumsum()
    events = np.bincount(last, counts.rows * counts.ended, days)
    there = np.maximum(at_risk, 1)
    staying = np.maximum(at_risk - events, LEAST_STAYING)
    terms = np.where(events > 0, np.log(staying / there), 0), events / (there * staying)
    return DailyCurve(*(term.cumsum() for term in terms), at_risk)


def _find_term(begin: int, width: int, terms: tuple[int, ...]) -> float:
    """Return the term of several months that ends for the first time in a window."""
    ends = {term: term * MEAN_MONTH_DAYS for term in terms if term > 1}
    inside = [term for term, end in ends.items() if begin - 1 <= end <= begin + width]
    return float(inside[0]) if inside else np.nan


def list_terms(tables: Tables) -> tuple[int, ...]:
    """Return the months for which contracts commonly bind, the commonest first."""
    contracts = tables.get("contracts")
    if contracts is None or "term_months" not in contracts.columns:
        return ()
    counts = contracts.group_by("term_months").agg(rows=contracts.count()).to_pandas().dropna()
    common = counts[counts.rows >= COMMON_TERM * counts.rows.sum()]
    return tuple(common.sort_values("rows", ascending=False).term_months.astype(int))
