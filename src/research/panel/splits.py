"""Which snapshots a study learns from and is judged on, out of time, and the labelled population
of many snapshots at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_observed_start
from research.errors import StudyError
from research.panel.evidence import Evidence, evidence_as_of
from research.panel.labels import find_population, label_churn
from research.panel.periods import (
    add_months,
    close_window,
    complete_labels,
    find_latest_snapshot,
    list_days_back,
)
from research.study import Study
from research.study_schema import Churn

LEAST_TRAIN_SHARE = 0.5  # of a study's training snapshots, that an earlier origin needs


@dataclass(frozen=True)
class Split:
    """Snapshots to learn from and snapshots to be judged on, out of time."""

    train: tuple[date, ...]
    test: tuple[date, ...]

    @property
    def origin(self) -> date:
        """Return the first test snapshot, by which all that teaches a model was known."""
        return min(self.test)


def plan_split(study: Study) -> Split:
    """Choose a study's snapshots: the test ones end on ``last``, the train ones precede them.

    No windows overlap: the last training label window and the days of grace after it close on or
    before the first test snapshot, so nothing that the model learns from happened after the
    evidence of the first test row.
    """
    plan, churn = study.snapshots, study.churn
    test = list_days_back(study, plan.last, plan.test)
    latest = find_latest_snapshot(churn, test[0])
    if plan.every:  # on the days of the month on which the test snapshots lie
        back = 0
        while add_months(test[0], -back) > latest:
            back += 1
        latest = add_months(test[0], -back)
    return Split(tuple(list_days_back(study, latest, plan.train)), tuple(test))


def plan_origins(tables: Tables, study: Study, number: int) -> tuple[list[Split], str]:
    """Choose earlier origins: splits as the study would have had them then, the latest first.

    Each lies the fewest steps between snapshots back at which its test windows close before those
    of the next one open. It has the study's training snapshots, as far as the data reach back.

    Parameters
    ----------
    number : of origins asked for

    Returns
    -------
    splits, and a sentence that says why there are no more; empty where there are as many as asked
    """
    first, splits = find_observed_start(tables, study), []
    while len(splits) < number:
        study = end_before(study, plan_split(study).origin)
        split = plan_split(study)
        train = tuple(day for day in split.train if day >= first)
        if len(train) < LEAST_TRAIN_SHARE * study.snapshots.train:
            return splits, _describe_missing_origin(study, split.origin, len(train), first)
        splits.append(Split(train, split.test))
    return splits, ""


def end_before(study: Study, origin: date) -> Study:
    """Return the study with the latest last snapshot whose window closes before that of the origin
    opens.
    """
    opens, back = origin + timedelta(days=study.churn.lead_days), 1
    while close_window(study.churn, _step_back(study, origin, back)) > opens:
        back += 1
    return move_last(study, _step_back(study, origin, back))


def move_last(study: Study, last: date) -> Study:
    """Return the study with another last test snapshot."""
    plan = study.snapshots.model_copy(update={"last": last})
    return study.model_copy(update={"snapshots": plan})


def _step_back(study: Study, day: date, steps: int) -> date:
    return list_days_back(study, day, steps + 1)[0]


def _describe_missing_origin(study: Study, origin: date, found: int, first: date) -> str:
    needed = ceil(LEAST_TRAIN_SHARE * study.snapshots.train)
    return (
        f"An origin on {origin} would have {found} training snapshots of the"
        f" {study.snapshots.train} in study.yml, where {needed} are needed: leaving is on record"
        f" since {first}."
    )


def require_windows(tables: Tables, study: Study, snapshots: Sequence[date]) -> None:
    """Refuse snapshots without evidence and snapshots whose label window the data do not cover.

    With ``churn.grace_days`` the data must go on for as long after the window: a leave on its last
    day is known only then.

    Raises
    ------
    StudyError
        One sentence for each of both faults: absence after the data's end would mean "not
        observed", not "did not happen".
    """
    first, last = find_observed_start(tables, study), find_data_end(tables, study)
    faults = []
    if complete_labels(study.churn, max(snapshots)) > last:
        faults.append(_describe_open_window(study.churn, max(snapshots), first, last))
    if min(snapshots) < first:
        reason = "data_start is" if first == study.data_start else "the first row is of"
        faults.append(
            f"expected evidence at every snapshot, got a snapshot on {min(snapshots)} but {reason}"
            f" {first}; use fewer training snapshots, a shorter horizon or a later snapshot"
        )
    if faults:
        raise StudyError(*faults)


def _describe_open_window(churn: Churn, snapshot: date, first: date, last: date) -> str:
    latest = find_latest_snapshot(churn, last)
    keys = "horizon, lead and grace_days" if churn.grace_days else "horizon and lead"
    remedy = (
        f"use a snapshot on or before {latest}"
        if latest >= first
        else f"use a {keys} of at most {(last - first).days} days together"
    )
    closes, known = close_window(churn, snapshot), complete_labels(churn, snapshot)
    waits = f", known {known} after {churn.grace_days} days of grace," if churn.grace_days else ""
    return (
        f"expected label windows within the data, but the window after snapshot {snapshot} ends"
        f" {closes}{waits} and the data end {last}; {remedy}"
    )


def require_out_of_time(split: Split, study: Study) -> None:
    """Refuse a split in which a training label window closes after the first test snapshot.

    Raises
    ------
    StudyError
        With the latest training snapshot that would be allowed.
    """
    first = min(split.test)
    late = [day for day in split.train if complete_labels(study.churn, day) > first]
    if late:
        raise StudyError(
            f"expected training windows that close by the first test snapshot {first},"
            f" got the training snapshot {max(late)} whose window closes"
            f" {complete_labels(study.churn, max(late))}; use training snapshots on or before"
            f" {find_latest_snapshot(study.churn, first)}"
        )


def label_panel(
    tables: Tables, study: Study, snapshots: Sequence[date], known_by: date | None = None
) -> tuple[Evidence, ir.Table]:
    """Return evidence and labels for many snapshots at once.

    Returns
    -------
    evidence : see ``evidence_as_of``
    labels : table, see ``label_churn``
    """
    require_windows(tables, study, snapshots)
    evidence = evidence_as_of(tables, snapshots)
    return evidence, label_churn(tables, find_population(evidence, study), study, known_by)


def require_disjoint(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Refuse a random split with customers on both sides.

    Raises
    ------
    StudyError
        With the number of such customers and a few of them.
    """
    both = sorted({*train.customer_id} & {*test.customer_id})
    if both:
        raise StudyError(
            f"expected each customer on one side of a random split, got {len(both)} on both"
            f" ({', '.join(map(str, both[:3]))}); split by customer_id"
        )
