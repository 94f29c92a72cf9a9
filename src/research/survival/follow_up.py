"""Rows with their time to event: to learn survival models from, and to judge them on.

Dated studies are judged out of time: what a model learns from was known by the first test snapshot.
A flat study has one clock, since joining, and is judged by cross-validation; its columns are those
of the day on which it was drawn, not of the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_observed_start
from research.errors import StudyError
from research.features.build import load_flat, load_panel, load_training
from research.models.survival_at_horizon import frame_outcome
from research.panel.customer_sample import describe_sample
from research.panel.periods import YEAR_DAYS, Span, close_window, find_horizon, find_opening
from research.panel.splits import plan_split, require_windows
from research.study import Study

EVALUATION_DAYS = 5  # on which curves are judged
MAX_TRAINING_SNAPSHOTS = 3  # a horizon apart: closer ones carry much the same information
MIN_FOLLOW_UP_DAYS = 7
MIN_LEAVERS = 20
MIN_OBSERVED = 20  # rows at the end of the follow-up
# rank correlation with the duration from which on a column of a flat study stands for it
PROXY_CORRELATION = 0.8
# a total over the duration: rank correlation of its ratio to another column with the duration,
TOTAL_CORRELATION = 0.95
TOTAL_GROWTH = 0.3  # ... its own at least,
TOTAL_SHARE = 0.3  # ... and share of customers who have both at least


@dataclass(frozen=True)
class FollowUpPlan:
    """Snapshots to learn from and to be judged on, and the days on which curves are judged."""

    train: tuple[date, ...]
    test: tuple[date, ...]
    days: tuple[int, ...]


@dataclass(frozen=True)
class SurvivalPanel:
    """Rows with their features and their time to event.

    Attributes
    ----------
    train, test : one row per snapshot and customer; of a flat study both are the same rows, one
        per customer
    train_outcome, test_outcome : structured arrays with fields event and days
    days : on which curves are judged, from the snapshot or, in a flat study, from joining
    first_judged_day : the first test snapshot; none in a flat study
    sample : from how many of the training rows models learn, where they aren't all
    """

    train: pd.DataFrame
    test: pd.DataFrame
    train_outcome: np.ndarray
    test_outcome: np.ndarray
    days: tuple[int, ...]
    first_judged_day: date | None
    sample: str = ""

    @property
    def dated(self) -> bool:
        """Say whether the rows have snapshots."""
        return self.first_judged_day is not None

    def find_proxies(self, columns: Sequence[str]) -> list[str]:
        """Return the columns of a flat study that stand for the duration itself."""
        return [] if self.dated else find_duration_proxies(self.train, columns)

    @property
    def present(self) -> pd.DataFrame:
        """Return the rows of the last test snapshot."""
        return self.test[self.test.snapshot == self.test.snapshot.max()]

    @property
    def counts(self) -> pd.DataFrame:
        """Return rows, customers, who left, and the longest time observed, for each part."""
        parts = {"cross-validated": (self.train, self.train_outcome)}
        if self.dated:
            parts = {
                "train": (self.train, self.train_outcome),
                "test": (self.test, self.test_outcome),
            }
        rows = [
            (part, len(frame), frame.customer_id.nunique(), *_sum_up(outcome))
            for part, (frame, outcome) in parts.items()
        ]
        return pd.DataFrame(rows, columns=["part", "rows", "customers", "left", "longest_days"])


def _sum_up(outcome: np.ndarray) -> tuple[int, float]:
    return int(outcome["event"].sum()), outcome["days"].max()


def load_survival_panel(tables: Tables, study: Study, tenures: pd.DataFrame) -> SurvivalPanel:
    """Return rows to learn from and to be judged on, with their time to event.

    Parameters
    ----------
    tenures : see ``tenure.load_tenures``; a flat study takes its outcomes from them

    Raises
    ------
    StudyError
        If the data are too short, or too few customers are observed to leave.
    """
    if study.kind == "flat":
        rows = load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
        outcome = frame_outcome(tenures.ended, tenures.duration)
        days = choose_evaluation_days(tenures)
        panel = SurvivalPanel(rows, rows, outcome, outcome, days, None)
    else:
        plan = plan_follow_up(tables, study)
        first = min(plan.test)
        train, members = load_training(tables, study, plan.train, first)
        test = load_panel(tables, study, plan.test)
        outcomes = frame_durations(train), frame_durations(test)
        sample = describe_sample(len(train), int(members.members.sum()))
        panel = SurvivalPanel(train, test, *outcomes, plan.days, first, sample)
    require_leavers(panel.train_outcome, "training")
    require_leavers(panel.test_outcome, "judged")
    return panel


def plan_follow_up(tables: Tables, study: Study) -> FollowUpPlan:
    """Choose snapshots that leave room for follow-up before and after the first test snapshot.

    Contractual: the study's own split, with at most three of its training snapshots, a horizon
    apart; judged up to lead and horizon. Non-contractual: a lapse is known only ``inactive_days``
    later, on both sides; the snapshots move back until lapses over equally many days, at most lead
    and horizon, can be known in training and in test, after ``active_days`` of history.

    Raises
    ------
    StudyError
        If the data are too short for that.
    """
    if study.kind == "contractual":
        return _plan_contractual(tables, study)
    span = (close_window(study.churn, study.snapshots.last) - study.snapshots.last).days
    first, last = find_observed_start(tables, study), find_data_end(tables, study)
    last = min(last - timedelta(days=span), study.snapshots.last) + timedelta(days=span)
    inactive, active = study.churn.inactive_days, study.churn.active_days
    last_known = last - timedelta(days=inactive)
    followed = min(span, ((last_known - first).days - inactive - active) // 2)
    if followed < MIN_FOLLOW_UP_DAYS:
        raise StudyError(
            f"expected {2 * (inactive + MIN_FOLLOW_UP_DAYS) + active} days of orders to follow"
            f" lapses of {MIN_FOLLOW_UP_DAYS} days, got {(last - first).days}; use a shorter"
            " inactive_days or longer data"
        )
    test = last_known - timedelta(days=followed)
    train = test - timedelta(days=inactive + followed)
    return FollowUpPlan((train,), (test,), _space(followed))


def _plan_contractual(tables: Tables, study: Study) -> FollowUpPlan:
    split = plan_split(study)
    train = _choose_apart(split.train, find_horizon(study.churn))
    require_windows(tables, study, [*train, *split.test])
    span = min((close_window(study.churn, day) - day).days for day in split.test)
    return FollowUpPlan(train, split.test, _space(span))


def _choose_apart(days: Sequence[date], span: Span) -> tuple[date, ...]:
    """Return the last days that lie a span or more apart, at most so many as are learned from."""
    chosen: list[date] = []
    for day in reversed(days):
        if not chosen or day <= find_opening(chosen[0], span):
            chosen.insert(0, day)
    return tuple(chosen[-MAX_TRAINING_SNAPSHOTS:])


def _space(last: float) -> tuple[int, ...]:
    even = np.ceil(np.linspace(0, last, EVALUATION_DAYS + 1)[1:])
    return tuple(int(day) for day in np.unique(np.minimum(even, np.floor(last))) if day > 0)


def choose_evaluation_days(tenures: pd.DataFrame) -> tuple[int, ...]:
    """Return the times at which models of a flat study are judged.

    They reach to where four in five durations have ended or were censored.
    """
    return _space(tenures.duration.quantile(0.8))


def frame_durations(panel: pd.DataFrame) -> np.ndarray:
    """Return the outcome of the rows of a panel: days from the snapshot to leaving or censoring."""
    return frame_outcome(panel.event.to_numpy(bool), panel.duration_days.to_numpy(float))


def require_leavers(outcome: np.ndarray, part: str) -> None:
    """Refuse rows of which too few are observed to leave.

    No model, and no fold of a cross-validation, could learn when.

    Raises
    ------
    StudyError
        With their number.
    """
    if (left := int(outcome["event"].sum())) < MIN_LEAVERS:
        raise StudyError(
            f"expected at least {MIN_LEAVERS} customers who are observed to leave among the {part}"
            f" rows, got {left} of {len(outcome)}; choose an earlier snapshot, longer data, or"
            " a study with more customers"
        )


def find_duration_proxies(frame: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """Return the numbers of a flat study that stand for the duration, as a tenure or a total does.

    They grow with the duration and would show a model that the customer is still there. A column is
    one where its rank correlation with the duration reaches 0.8 on either side of 0, or where its
    ratio to another column has one of 0.95, as a total has over what is paid each month.
    """
    numeric = [
        name
        for name in features
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].nunique() > 1
    ]
    numbers = frame[numeric].astype(float)
    correlation = numbers.corrwith(frame.duration, method="spearman").abs()
    growing = correlation.index[
        correlation.between(TOTAL_GROWTH, PROXY_CORRELATION, inclusive="left")
    ]
    rest = correlation.index[correlation < PROXY_CORRELATION]
    totals = [
        name
        for name in growing
        if any(
            _is_total(numbers[name], numbers[other], frame.duration)
            for other in rest
            if other != name
        )
    ]
    return [name for name in numbers if correlation[name] >= PROXY_CORRELATION or name in totals]


def _is_total(total: pd.Series, part: pd.Series, duration: pd.Series) -> bool:
    """Say whether a column is another one times the duration, wherever the other is above 0."""
    both = (part > 0) & total.notna()
    return bool(
        both.mean() >= TOTAL_SHARE
        and abs(spearmanr(total[both] / part[both], duration[both]).statistic) >= TOTAL_CORRELATION
    )


def find_longest_follow_up(outcome: np.ndarray, least: int = MIN_OBSERVED) -> float:
    """Return the last day on which at least ``least`` rows were still observed.

    Beyond it a curve rests on a few.

    Raises
    ------
    StudyError
        If there are no more rows than that.
    """
    if len(outcome) <= least:
        raise StudyError(
            f"expected more than {least} training rows, got {len(outcome)}; use more or larger"
            " snapshots"
        )
    return float(np.sort(outcome["days"])[-least])


def choose_restriction_time(outcome: np.ndarray, study: Study) -> float:
    """Return up to which day remaining lifetimes are given: a year, or as far as follow-up reaches.

    A quarter of that for a flat study: it asks for the time beyond what a customer has lasted
    already, so most of the follow-up lies before.
    """
    reach = find_longest_follow_up(outcome)
    return (
        float(max(np.floor(reach / 4), 1)) if study.kind == "flat" else float(min(YEAR_DAYS, reach))
    )
