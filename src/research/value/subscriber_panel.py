"""Customers under contract at a snapshot, and earlier ones from whom their survival is learned."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_start
from research.data.engines import Workbench
from research.errors import StudyError
from research.features.build import draw_customers, load_features
from research.features.leakage.gate import check_panel
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population, label_churn
from research.panel.periods import find_latest_snapshot
from research.study import Study
from research.survival.follow_up import frame_durations, require_leavers

MIN_HISTORY_DAYS = 90  # of data before the first snapshot that is learned from


@dataclass(frozen=True)
class SubscriberPanel:
    """Rows to learn survival from and rows to value.

    Attributes
    ----------
    train : one row per landmark and customer, with their ``outcome``
    present : one row per customer under contract at the snapshot
    allowed : features that pass the leakage checks
    leaks : findings of the leakage checks
    """

    train: pd.DataFrame
    present: pd.DataFrame
    outcome: np.ndarray
    allowed: list[str]
    leaks: pd.DataFrame


def load_subscribers(tables: Tables, study: Study, snapshot: date) -> SubscriberPanel:
    """Return who is under contract at the snapshot, and earlier customers, all as known by it.

    Raises
    ------
    StudyError
        If the data begin too late, too few customers left, or nobody is under contract.
    """
    landmarks = plan_landmarks(tables, study, snapshot)
    train = _load_rows(tables, study, landmarks, snapshot, study.snapshots.train_rows)
    present = _load_rows(tables, study, (snapshot,), snapshot)
    leakage = check_panel(tables, study, train, first_judged_day=snapshot)
    outcome = frame_durations(train)
    require_leavers(outcome, "training")
    if present.empty:
        raise StudyError(
            f"expected customers under contract on {snapshot}, got none; use another snapshot"
        )
    return SubscriberPanel(train, present, outcome, leakage.allowed, leakage.findings)


def plan_landmarks(tables: Tables, study: Study, snapshot: date) -> tuple[date, ...]:
    """Return the landmarks: snapshots to learn survival from.

    They lie the span of value, half of it, and lead and horizon before ``snapshot``, as far as the
    data reach back. The first shows the whole span, the last the recent past; each is followed to
    ``snapshot`` and no further.

    Raises
    ------
    StudyError
        If the data begin too late for any of them.
    """
    span = study.economics.value_days
    near = (snapshot - find_latest_snapshot(study.churn, snapshot)).days
    start = study.data_start or find_data_start(tables, study)
    first = start + timedelta(days=MIN_HISTORY_DAYS)
    days = sorted(
        {snapshot - timedelta(days=back) for back in (span, span // 2, near) if back >= near}
    )
    if not (landmarks := tuple(day for day in days if day >= first)):
        raise StudyError(
            f"expected data from {MIN_HISTORY_DAYS + near} days before the snapshot {snapshot} on"
            f" to learn who stays, got data from {start}; use a later snapshot or a shorter horizon"
        )
    return landmarks


def _load_rows(
    tables: Tables,
    study: Study,
    days: tuple[date, ...],
    known_by: date,
    most: int | None = None,
) -> pd.DataFrame:
    evidence = evidence_as_of(tables, days)
    labels = label_churn(tables, find_population(evidence, study), study, known_by)
    with Workbench() as workbench:
        labels = workbench.keep(labels, "labels")
        return load_features(evidence, draw_customers(labels, most) if most else labels, study)
