"""The next test: how many customers each arm needs, and how small an effect the planned campaign
can show.

Normal approximation, two-sided, for the difference of two means: n = (z_level + z_power)^2 (s0^2 +
s1^2) / effect^2, s the standard deviation of the outcome in either arm, or of what the features
leave of it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.errors import StudyError
from research.uplift.average_effects import ADJUSTED, Scored

LEVEL, POWER = 0.025, 0.8  # the level is that of the verdict, for all arms and outcomes together
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


def plan_test(
    scored: Sequence[Scored],
    effects: pd.DataFrame,
    planned: int,
    level: float = LEVEL,
    power: float = POWER,
) -> pd.DataFrame:
    """Return what the next test of the same arms needs and can show.

    Parameters
    ----------
    scored : see ``effects.score_trial``
    effects : see ``effects.tabulate_effects``
    planned : customers of the planned campaign, shared out equally among all arms, control included
    level : two-sided, divided by the number of arms times outcomes (Bonferroni)

    Returns
    -------
    DataFrame with columns outcome, arm, mean_control, sd, sd_adjusted, effect_seen, n_per_arm,
    n_per_arm_adjusted, planned_per_arm, smallest_effect, smallest_share
        ``n_per_arm``: customers in each arm that show the effect seen with the power asked for;
        adjusted, where the evaluation uses the features as this one does. ``smallest_effect``: that
        the planned campaign shows with that power, adjusted; ``smallest_share``: as a share of the
        mean under control.

    Raises
    ------
    StudyError
        If planned, level or power are out of their range.
    """
    _require(planned, max([len(part.sample.arms) for part in scored], default=2), level, power)
    rows, comparisons = [], sum(len(part.sample.arms) - 1 for part in scored)
    for part in scored:
        for arm, name in enumerate(part.sample.arms[1:], start=1):
            seen = effects[
                (effects.outcome == part.outcome)
                & (effects.arm == name)
                & (effects.segment_by == "")
                & (effects.method == ADJUSTED)
            ].iloc[0]
            rows.append(
                (
                    part.outcome,
                    name,
                    seen.mean_control,
                    *_plan_one(part, arm, seen, planned, level / comparisons, power),
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _plan_one(
    part: Scored, arm: int, seen: pd.Series, planned: int, level: float, power: float
) -> tuple:
    arms = len(part.sample.arms)
    reach = norm.isf(level / 2) + norm.isf(1 - power)
    plain = np.sqrt(
        np.mean([part.sample.outcome[part.sample.arm == code].var(ddof=1) for code in (0, arm)])
    )
    left = np.sqrt(np.mean([_find_residual(part, code) for code in (0, arm)]))
    sizes = [
        2 * (reach * spread / seen.effect) ** 2 if seen.effect else np.inf
        for spread in (plain, left)
    ]
    each = planned // arms
    smallest = reach * left * np.sqrt(2 / each)
    return (
        plain,
        left,
        seen.effect,
        *np.ceil(sizes),
        each,
        smallest,
        smallest / abs(seen.mean_control) if seen.mean_control else np.nan,
    )


def _find_residual(part: Scored, code: int) -> float:
    """Return the variance that the outcome models, which never saw the customer, leave in one
    arm.
    """
    inside = part.sample.arm == code
    return float(
        ((part.scores - part.expected)[inside, code] * part.sample.propensity[inside]).var(ddof=1)
    )


def _require(planned: int, arms: int, level: float, power: float) -> None:
    faults = [
        (
            planned >= 2 * arms,
            (
                f"expected a campaign of at least {2 * arms} customers to plan for {arms} arms,"
                f" got {planned}; raise the capacity"
            ),
        ),
        (0 < level < 1, f"expected a level between 0 and 1, got {level:g}; 0.05 is usual"),
        (0 < power < 1, f"expected a power between 0 and 1, got {power:g}; 0.8 is usual"),
    ]
    if broken := [words for holds, words in faults if not holds]:
        raise StudyError(*broken)
