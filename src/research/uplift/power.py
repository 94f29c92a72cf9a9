"""Statistical power: how many customers the next test needs, and how small an effect it can detect.

Normal approximation, two-sided, for the difference of two means: n = (z_level + z_power)^2 (s0^2 +
s1^2) / effect^2, s the standard deviation of the outcome in either arm. Of the adjusted estimate, s
is that of what the features leave of the outcome, and the variance of the effect between customers,
divided by the number of arms, comes on top: a campaign draws its customers, too, and the adjusted
estimate is a mean over all arms' customers (Hahn 1998, doi:10.2307/2998560, theorem 1).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.errors import StudyError
from research.uplift.average_effects import ADJUSTED, ScoredOutcome, compute_standard_error
from research.uplift.doubly_robust import subtract_control
from research.uplift.significance import FAMILY_LEVEL

POWER = 0.8
COLUMNS = [
    "outcome",
    "arm",
    "mean_control",
    "sd",
    "sd_adjusted",
    "effect_seen",
    "n_per_arm",
    "n_per_arm_adjusted",
    "planned_per_arm",
    "smallest_effect",
    "smallest_share",
]


def compute_reach(level: float, power: float) -> float:
    """Return how many standard errors an effect must be from 0 to be detected with this power by a
    two-sided test at this level.
    """
    return norm.isf(level / 2) + norm.isf(1 - power)


def find_planned_size(planned: int, capacity: int, arms: int) -> int:
    """Return the size of the planned campaign: as asked for, else the capacity, and at least two
    customers for each arm.

    Parameters
    ----------
    planned : customers, control included; 0 takes the capacity
    arms : control included
    """
    return planned or max(capacity, 2 * arms)


def plan_test(
    scored: Sequence[ScoredOutcome],
    effects: pd.DataFrame,
    planned: int,
    level: float = FAMILY_LEVEL,
    power: float = POWER,
) -> pd.DataFrame:
    """Return what the next test of the same arms needs and can detect.

    Parameters
    ----------
    scored : see ``average_effects.score_outcomes``
    effects : see ``average_effects.tabulate_effects``
    planned : customers of the planned campaign, shared out equally among all arms, control included
    level : two-sided, divided by the number of arms times outcomes (Bonferroni)

    Returns
    -------
    DataFrame with columns outcome, arm, mean_control, sd, sd_adjusted, effect_seen, n_per_arm,
    n_per_arm_adjusted, planned_per_arm, smallest_effect, smallest_share
        ``sd``: of the outcome; ``sd_adjusted``: that of one arm which would give the adjusted
        estimate its variance. ``n_per_arm``: customers in each arm that detect the effect seen with
        the power asked for, in units of randomisation such as these; adjusted, where the
        evaluation uses the features as this one does.
        ``smallest_effect``: that the planned campaign detects with that power, adjusted;
        ``smallest_share``: as a share of the mean under control.

    Raises
    ------
    StudyError
        If planned, level or power are out of their range.
    """
    arms = max([len(part.sample.arms) for part in scored], default=2)
    _require_ranges(planned, arms, level, power)
    comparisons = sum(len(part.sample.arms) - 1 for part in scored)
    rows = []
    for part in scored:
        spread = _widen_by_units(part)
        for code, arm in enumerate(part.sample.arms[1:], start=1):
            seen = _find_effect(effects, part.outcome, arm)
            plan = _plan_arm(
                part, code, seen, planned, compute_reach(level / comparisons, power) * spread
            )
            rows.append((part.outcome, arm, seen.mean_control, *plan))
    return pd.DataFrame(rows, columns=COLUMNS)


def _find_effect(effects: pd.DataFrame, outcome: str, arm: str) -> pd.Series:
    rows = effects[(effects.segment_by == "") & (effects.method == ADJUSTED)]
    return rows[(rows.outcome == outcome) & (rows.arm == arm)].iloc[0]


def _plan_arm(part: ScoredOutcome, code: int, seen: pd.Series, planned: int, reach: float) -> tuple:
    outcomes = [part.sample.outcome[part.sample.arm == one] for one in (0, code)]
    plain = np.sqrt(np.mean([values.var(ddof=1) for values in outcomes]))
    adjusted = np.sqrt(_compute_adjusted_variance(part, code) / 2)
    sizes = [
        2 * (reach * spread / seen.effect) ** 2 if seen.effect else np.inf
        for spread in (plain, adjusted)
    ]
    per_arm = planned // len(part.sample.arms)
    smallest = reach * adjusted * np.sqrt(2 / per_arm)
    share = smallest / abs(seen.mean_control) if seen.mean_control else np.nan
    return (plain, adjusted, seen.effect, *np.ceil(sizes), per_arm, smallest, share)


def _widen_by_units(part: ScoredOutcome) -> float:
    """Return by how much the error of an effect exceeds that of as many customers drawn one by one:
    the root of the design effect (Kish 1965).
    """
    sample, change = part.sample, subtract_control(part.scores)
    units = pd.MultiIndex.from_arrays([sample.trial, sample.clusters])
    if units.is_unique:
        return 1.0
    errors = [
        compute_standard_error(column - column.mean(), groups)
        for column in change.T
        for groups in (units, np.arange(sample.size))
    ]
    return float(np.mean(np.divide(errors[::2], errors[1::2])))


def _compute_adjusted_variance(part: ScoredOutcome, code: int) -> float:
    """Return the variance of the adjusted effect of an arm, times the customers of one arm, in a
    campaign of equal arms.

    The variance of a score is that of the residuals of its two arms over their propensities, and
    what is left: mostly that of the effects between customers, which more customers in one arm
    alone don't reduce.
    """
    sample, score = part.sample, subtract_control(part.scores)[:, code - 1]
    residuals = [_find_residuals(part, one) for one in (0, code)]
    noise = sum((residual**2 / sample.propensity**2).mean() for residual in residuals)
    within = sum((residual**2 / sample.propensity).mean() for residual in residuals)
    return float(within + (score.var(ddof=1) - noise) / len(sample.arms))


def _find_residuals(part: ScoredOutcome, code: int) -> np.ndarray:
    """Return the outcome less its out-of-fold prediction, 0 outside the arm: (rows,)."""
    return np.where(part.sample.arm == code, part.sample.outcome - part.predicted[:, code], 0.0)


def _require_ranges(planned: int, arms: int, level: float, power: float) -> None:
    faults = []
    if planned < 2 * arms:
        faults.append(
            f"expected a campaign of at least {2 * arms} customers to plan for {arms} arms, got"
            f" {planned}; raise the capacity"
        )
    if not 0 < level < 1:
        faults.append(f"expected a level between 0 and 1, got {level:g}; 0.05 is usual")
    if not 0 < power < 1:
        faults.append(f"expected a power between 0 and 1, got {power:g}; 0.8 is usual")
    if faults:
        raise StudyError(*faults)
