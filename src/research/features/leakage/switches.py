"""Values that were switched when customers left, of some of them only.

An attribute without a date shows at every snapshot what it was at leaving, or at the export. What
makes customers leave does so all along: at any time they leave so many times as often as others
who have been there as long. A value that is written at leaving can't. Long before the export all
who are still to leave already have it, as many of them as of those who leave just then; shortly
before it only the few who stay are left, and customers who have the value seem to leave ever more
often until the day of the export.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from research.features.leakage.binning import list_groupings
from research.features.leakage.findings import FALSE_ALARM, MIN_CUSTOMERS, Finding

PARTS = (0, 0.5, 0.75, 0.875, 1)  # of the leavers by the day of leaving: each part half as long
WINDOWS = 8  # of each part, short enough that odds are rates
TENURES = 6  # bands of the time since joining
LEAST_RISE = np.log(1.5)  # of the hazard ratio, from the first part to the last
LEAST_ODDS = 3  # of leavers against those who stay, of a value that is looked at
STEP = 0.1  # chance at most that a ratio which stays rises as much from one part to the next
LEVEL = 0.01  # ... and that what differs by half of the rise seems not to
MOST_CUSTOMERS = 200_000  # looked at


@dataclass(frozen=True)
class Exposure:
    """Customers in windows between the first and the last day on which somebody leaves.

    Attributes
    ----------
    lives : the customers
    opens : days before the data end on which the windows open, falling
    rows, cells : (n,), of each customer in a window the row of ``lives``, and the number of window
        and band of tenure
    leaves : (n,), whether the customer leaves in the window
    """

    lives: pd.DataFrame
    opens: np.ndarray
    rows: np.ndarray
    cells: np.ndarray
    leaves: np.ndarray


@dataclass(frozen=True)
class Strength:
    """How strongly a value goes together with leaving, in each part and band of tenure.

    Attributes
    ----------
    ratio, ratio_variance : (parts, tenures), the logarithm of the hazard ratio
    odds, odds_variance : (parts, tenures), the logarithm of the odds of the value among leavers
    cohorts : by how much the logarithm of its odds differs among those who stay between who joined
        later and earlier
    """

    ratio: np.ndarray
    ratio_variance: np.ndarray
    odds: np.ndarray
    odds_variance: np.ndarray
    cohorts: float

    def pool(self, part: int) -> float:
        """Return the hazard ratio of a part over the bands of tenure."""
        return float(np.exp(_pool(self.ratio[part], self.ratio_variance[part])[0]))

    def is_switch(self) -> bool:
        """Say whether the hazard ratio surely rises from part to part, though neither the leavers
        of later parts have the value more often nor the older customers less often.
        """
        rise, error = self._compare(self.ratio, self.ratio_variance, 0, -1)
        if not rise - LEAST_RISE > stats.norm.isf(FALSE_ALARM) * error:
            return False
        steps = [
            self._compare(self.ratio, self.ratio_variance, part, part + 1)
            for part in range(len(PARTS) - 2)
        ]
        leavers, wide = self._compare(self.odds, self.odds_variance, 0, -1)
        return (
            all(step > stats.norm.isf(STEP) * wide for step, wide in steps)
            and rise - 2 * leavers > stats.norm.isf(LEVEL) * np.hypot(error, 2 * wide)
            and rise > 2 * abs(self.cohorts)
        )

    def _compare(
        self, values: np.ndarray, variances: np.ndarray, first: int, last: int
    ) -> tuple[float, float]:
        """Return by how much a part exceeds another at the same tenure, with its standard error."""
        both = np.isfinite(self.ratio_variance[first] + self.ratio_variance[last])
        difference = values[last, both] - values[first, both]
        return _pool(difference, variances[last, both] + variances[first, both])


def find_switched(exposure: Exposure, column: str) -> Finding | None:
    """Look for a value that was written when customers left, of enough of them to show.

    Parameters
    ----------
    exposure : see ``follow_lives``
    column : attribute of the customers
    """
    left = exposure.lives.left.to_numpy(bool)
    for grouping in list_groupings(exposure.lives[column], column):
        for number, words in enumerate(grouping.labels):
            inside = grouping.codes == number
            if _goes_with_leaving(inside, left):
                strength = measure_strength(exposure, inside)
                if strength.is_switch():
                    return _describe(exposure, strength, words)
    return None


def _goes_with_leaving(inside: np.ndarray, left: np.ndarray) -> bool:
    """Say whether so many more of those who left have a value that it is worth a look."""
    having, lacking = (inside & left).sum(), (~inside & left).sum()
    against = LEAST_ODDS * (inside & ~left).sum() * lacking
    return having >= MIN_CUSTOMERS and having * (~inside & ~left).sum() > against


def _describe(exposure: Exposure, strength: Strength, words: str) -> Finding:
    early, late = strength.pool(0), strength.pool(-1)
    first, last = (exposure.opens[part * WINDOWS] for part in (1, len(PARTS) - 2))
    return Finding(
        f"customers with {words} leave {late:.1f} times as often as others who have been there as"
        f" long in the last {last:.0f} days of the data and {early:.1f} times more than"
        f" {first:.0f} days before their end, though no more of the leavers have it",
        "as of the export: the value was switched when customers left, of some of them",
    )


def follow_lives(lives: pd.DataFrame) -> Exposure:
    """Return who is there in which window; windows have equally many leavers within a part.

    Parameters
    ----------
    lives : see ``as_of_export.load_lives``
    """
    step = max(-(-len(lives) // MOST_CUSTOMERS), 1)
    lives = lives.iloc[::step].reset_index(drop=True)
    joined, left = lives.age_days.to_numpy(float), lives.left.to_numpy(bool)
    gone = joined - lives.stay_days.to_numpy(float)  # days before the data end
    opens = _open_windows(gone[left])
    tenures = np.quantile(lives.stay_days[left], np.arange(1, TENURES) / TENURES)
    parts = []
    for number, (day, following) in enumerate(zip(opens, [*opens[1:], -1.0], strict=True)):
        rows = np.flatnonzero((joined >= day) & ~(left & (gone >= day)))
        band = np.searchsorted(tenures, joined[rows] - day, side="right")
        leaves = left[rows] & (gone[rows] >= following)
        parts.append((rows, number * TENURES + band, leaves))
    return Exposure(lives, opens, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _open_windows(gone: np.ndarray) -> np.ndarray:
    """Return on which days before the data end windows open, by the days on which leavers left."""
    shares = [
        share
        for opens, closes in zip(PARTS, PARTS[1:], strict=False)
        for share in np.linspace(opens, closes, WINDOWS, endpoint=False)
    ]
    days = np.quantile(gone, 1 - np.array(shares))
    days[0] += 1
    return days


def _pool(values: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """Return the mean of estimates by their precision, with its standard error."""
    known = np.isfinite(values) & np.isfinite(variances)
    if not known.any():
        return np.nan, np.inf
    weights = 1 / variances[known]
    return float(weights @ values[known] / weights.sum()), float(weights.sum() ** -0.5)


def measure_strength(exposure: Exposure, inside: np.ndarray) -> Strength:
    """Return how strongly a value goes together with leaving, over time.

    Parameters
    ----------
    inside : (customers,), who has the value

    References
    ----------
    Mantel, N. and Haenszel, W. (1959), doi:10.1093/jnci/22.4.719, over the windows of a part;
    variance by Robins, J., Breslow, N. and Greenland, S. (1986), doi:10.2307/2531052.
    """
    kinds = 4 * exposure.cells + 2 * exposure.leaves + inside[exposure.rows]
    counts = np.bincount(kinds, minlength=4 * TENURES * len(exposure.opens))
    shape = (len(PARTS) - 1, WINDOWS, TENURES, 4)
    d, b, c, a = np.moveaxis(counts.reshape(shape).astype(float), -1, 0)
    ratio = _estimate_ratio(a, b, c, d)
    with_value, without = a.sum(1) + 0.5, c.sum(1) + 0.5
    odds = np.log(with_value / without), 1 / with_value + 1 / without
    return Strength(*ratio, *odds, _compare_cohorts(exposure.lives, inside))


def _estimate_ratio(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of the common odds ratio over windows (axis 1), and its variance.

    ``a`` and ``b`` have the value, ``c`` and ``d`` don't; ``a`` and ``c`` leave.
    """
    n = np.maximum(a + b + c + d, 1)
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    total_r, total_s = r.sum(1), s.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (
            (p * r).sum(1) / (2 * total_r**2)
            + (p * s + q * r).sum(1) / (2 * total_r * total_s)
            + (q * s).sum(1) / (2 * total_s**2)
        )
        return np.log(total_r / total_s), np.where(variance > 0, variance, np.inf)


def _compare_cohorts(lives: pd.DataFrame, inside: np.ndarray) -> float:
    stays = ~lives.left.to_numpy(bool)
    late = (lives.age_days < lives.age_days[stays].median()).to_numpy()
    sizes = [
        (stays & chosen & having).sum() + 0.5
        for chosen in (late, ~late)
        for having in (inside, ~inside)
    ]
    return float(np.log(sizes[0] * sizes[3] / (sizes[1] * sizes[2])))
