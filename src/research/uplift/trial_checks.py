"""What a trial must be to be analysed: arms with names and a control, propensities that allow a
comparison, features with other names than the trial's own columns.
"""

from collections.abc import Iterator

import pandas as pd

from research.errors import StudyError
from research.study import Study
from research.study_schema import CONTROL, OUTCOMES

MIN_PROPENSITY = 0.001  # of an arm, and of not being in it
MIN_ARM_UNITS = 20  # of randomisation, in each arm: fewer make normal intervals too short
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


def require_units(rows: pd.DataFrame, unit: str, randomised: bool) -> None:
    """Refuse customers without a unit, randomised units in several arms, and arms of few units.

    Parameters
    ----------
    rows : with the unit in its column, and ``cluster``, see ``trials.Trial.clusters``
    unit : the column of the unit of randomisation

    Raises
    ------
    StudyError
        One sentence for every fault.
    """
    if unit == "customer_id":
        return
    if missing := int(rows[unit].isna().sum()):
        raise StudyError(
            f"study.yml, key experiment.unit: expected the {unit} of every customer in a trial, got"
            f" {missing:,} rows without one; give customers who are alone one of their own"
        )
    faults = [*_find_divided_units(rows, unit), *_find_few_units(rows, unit)] if randomised else []
    if faults:
        raise StudyError(*faults)


def _find_divided_units(rows: pd.DataFrame, unit: str) -> Iterator[str]:
    """Yield which units have customers in several arms of one trial, with the first as example."""
    arms = rows.groupby(["trial", unit]).arm.agg(lambda values: sorted({*values.astype(str)}))
    divided = arms[arms.str.len() > 1]
    if len(divided):
        (trial, name), own = divided.index[0], divided.iloc[0]
        yield (
            f"study.yml, key experiment.unit: expected one arm for each {unit} of a trial, got"
            f" {len(divided):,} of {len(arms):,} in several, such as {name} of {trial} in"
            f" {' and '.join(own)}; give the arm that was drawn for it, or name the unit that arms"
            " were drawn for"
        )


def _find_few_units(rows: pd.DataFrame, unit: str) -> Iterator[str]:
    counts = rows.groupby("arm").cluster.nunique()
    if len(small := counts[counts < MIN_ARM_UNITS]):
        sizes = ", ".join(f"{n} in {arm}" for arm, n in small.items())
        yield (
            f"study.yml, key experiment.unit: expected at least {MIN_ARM_UNITS} units ({unit}) in"
            f" every arm, got {sizes}; with fewer, intervals are too short: leave the arm out, or"
            " pool it"
        )


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
