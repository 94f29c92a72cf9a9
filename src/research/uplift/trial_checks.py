"""What a trial must be to be analysed: arms with names and a control, propensities that allow a
comparison, features with other names than the trial's own columns.
"""

from collections.abc import Iterator

import pandas as pd

from research.errors import StudyError
from research.study import Study
from research.study_schema import CONTROL, OUTCOMES

MIN_PROPENSITY = 0.001  # of an arm, and of not being in it
PROPENSITY_SUM_TOLERANCE = 0.02  # by which the propensities of all arms may miss 1
RESERVED_COLUMNS = (
    "trial",
    "assigned_at",
    "arm",
    "propensity",
    "planned",
    "varies",
    "cost",
    "kept",
    *OUTCOMES[1:],
)  # columns of a trial that are no features


def require_unreserved_names(columns: list[str]) -> None:
    """Refuse features and attributes that are named like a column of a trial.

    Raises
    ------
    StudyError
    """
    if taken := [name for name in columns if name in RESERVED_COLUMNS]:
        raise StudyError(
            "expected features and attributes whose names differ from the columns of a trial"
            f" ({', '.join(RESERVED_COLUMNS)}), got {', '.join(taken)}; rename them in the SQL"
        )


def require_one_arm_each(campaigns: pd.DataFrame) -> None:
    """Refuse customers who are in two arms of one campaign.

    Raises
    ------
    StudyError
    """
    arms = campaigns.groupby(["trial", "customer_id"]).arm.nunique()
    if (several := arms[arms > 1]).any():
        some = ", ".join(str(customer) for _, customer in several.index[:3])
        raise StudyError(
            "table campaigns: expected one arm for each customer of a campaign, got"
            f" {len(several):,} customers in two arms ({some}); give the arm that was drawn, or"
            " name the campaigns differently"
        )


def require_arms(rows: pd.DataFrame, study: Study) -> None:
    """Refuse trials without a control, with one arm alone, or with propensities near 0 or 1.

    Raises
    ------
    StudyError
        One sentence for every fault.
    """
    faults = []
    for trial, part in rows.groupby("trial"):
        faults += _find_arm_faults(str(trial), [*part.arm.value_counts().index], study)
    if faults := [*faults, *_find_propensity_faults(rows)]:
        raise StudyError(*faults)


def _find_arm_faults(trial: str, arms: list, study: Study) -> Iterator[str]:
    if any(not str(arm).strip() for arm in arms):
        yield (
            f"{trial}: expected a name for every arm, got an empty one; name it, or leave out the"
            " customers who were in none"
        )
    elif CONTROL not in arms:
        yield (
            f"{trial}: expected an arm called '{CONTROL}' to compare with, got"
            f" {', '.join(map(str, arms))}; give that name to the customers who were left alone"
        )
    elif len(arms) < 2:
        yield f"{trial}: expected an arm besides '{CONTROL}', got none; an effect needs two"
    for arm in study.experiment.shares if study.kind == "flat" else ():
        if arm not in arms:
            yield (
                f"{trial}: expected customers in the arm '{arm}' of study.yml, got none; remove"
                " its share or correct its name"
            )


def _find_propensity_faults(rows: pd.DataFrame) -> Iterator[str]:
    given = rows.propensity.dropna()
    if (wrong := (given < MIN_PROPENSITY) | (given > 1 - MIN_PROPENSITY)).any():
        yield (
            f"expected propensities from {MIN_PROPENSITY} to {1 - MIN_PROPENSITY}, got"
            f" {int(wrong.sum()):,} outside, such as {given[wrong].iloc[0]:g}; leave out customers"
            " whose arm was all but certain: hardly anybody like them is in another arm"
        )
    for trial, part in rows.groupby("trial"):
        by_arm = part.groupby("arm").propensity
        if part.propensity.isna().any() or (by_arm.nunique() != 1).any():
            continue
        if abs((total := by_arm.first().sum()) - 1) > PROPENSITY_SUM_TOLERANCE:
            yield (
                f"{trial}: expected propensities of all arms that add up to 1, got {total:g}; give"
                " the probability of the arm that was drawn"
            )
