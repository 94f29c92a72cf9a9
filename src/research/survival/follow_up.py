"""When do customers leave? Survival models from the snapshot on, on rows that they never saw,
beside one Kaplan-Meier curve for everybody.

Dated studies are judged out of time: what a model learns from was known by the first test snapshot.
A flat study has one clock, since joining, and is judged by cross-validation; its columns are those
of the day on which it was drawn, not of the beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_data_start
from research.errors import StudyError
from research.evaluation.intervals import Z
from research.models.registry import BASELINE, Model, index_models, list_survival
from research.models.survival_at_horizon import frame_outcome
from research.panel.splits import plan_split, require_windows
from research.study import Study
from research.survival.cox import log_rank_test

KAPLAN_MEIER = "Kaplan-Meier"
HORIZONS = 5
MOST_TRAINING = 3  # snapshots, a horizon apart: closer ones tell much the same again
LEAST_FOLLOWED = 7  # days; less can't be told into five
LEAST_LEAVERS = 20
PART = 50_000  # rows predicted at once
YEAR = 365
# rank correlation with the duration from which on a column of a flat study is a clock itself
CLOCK = 0.8
TOTAL = 0.95  # that of the ratio of two columns, by which one of them is a total over the duration,
GROWS = 0.3  # which grows at least so clearly with it,
OFTEN = 0.3  # where at least such a share of customers has both


@dataclass(frozen=True)
class Plan:
    """Snapshots to learn from and to be judged on, and the days after them at which models are
    judged.
    """

    train: tuple[date, ...]
    test: tuple[date, ...]
    days: tuple[int, ...]


class KaplanMeier(BaseEstimator):
    """The same curve for everybody (Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452):
    what a model has to beat.
    """

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "KaplanMeier":
        """Count who left of those still there."""
        self.days_, at_risk, left = count_at_risk(outcome)
        self.survival_ = np.cumprod(1 - left / at_risk)
        return self

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of still being there after so many days, shape (rows, days)."""
        curve = np.r_[1.0, self.survival_][np.searchsorted(self.days_, days, side="right")]
        return np.tile(curve, (len(columns), 1))


BASELINE_CURVE = Model(
    name=KAPLAN_MEIER,
    family=BASELINE,
    task="time to event",
    estimator=KaplanMeier(),
    words="the same survival curve for everybody",
    source="Kaplan & Meier 1958, doi:10.1080/01621459.1958.10501452",
)


def plan_follow_up(tables: Tables, study: Study) -> Plan:
    """Choose the snapshots of a dated study so that durations can be followed on either side of the
    first test snapshot.

    Contractual: the study's own split, of its training snapshots at most three, a horizon apart;
    judged up to lead and horizon. Non-contractual: a lapse is known only ``inactive_days`` later,
    on both sides; the snapshots are moved back so far that lapses of as many days, up to lead and
    horizon, can be known in training and in test, after ``active_days`` of history.

    Raises
    ------
    StudyError
        If the data are too short for that.
    """
    span = study.churn.lead_days + study.churn.horizon_days
    if study.kind == "contractual":
        split = plan_split(study)
        apart = -(-study.churn.horizon_days // study.snapshots.every_days)
        train = split.train[::-1][::apart][:MOST_TRAINING][::-1]
        require_windows(tables, study, [*train, *split.test])
        return Plan(train, split.test, _space(span))
    silence, first, last = (
        study.churn.inactive_days,
        find_data_start(tables, study),
        find_data_end(tables, study),
    )
    last = min(last - timedelta(days=span), study.snapshots.last) + timedelta(days=span)
    known = last - timedelta(days=silence)
    followed = min(span, ((known - first).days - silence - study.churn.active_days) // 2)
    if followed < LEAST_FOLLOWED:
        raise StudyError(
            f"expected {2 * (silence + LEAST_FOLLOWED) + study.churn.active_days} days of orders to"
            f" follow lapses of {LEAST_FOLLOWED} days, got {(last - first).days}; use a shorter"
            " inactive_days or longer data"
        )
    test = known - timedelta(days=followed)
    return Plan((test - timedelta(days=silence + followed),), (test,), _space(followed))


def _space(last: float) -> tuple[int, ...]:
    return tuple(
        int(day)
        for day in np.unique(
            np.minimum(np.ceil(np.linspace(0, last, HORIZONS + 1)[1:]), np.floor(last))
        )
        if day > 0
    )


def choose_evaluation_days(stays: pd.DataFrame) -> tuple[int, ...]:
    """Return the times at which models of a flat study are judged: up to where four in five
    durations have ended or were cut off.
    """
    return _space(stays.duration.quantile(0.8))


def find_duration_proxies(frame: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """Return the numbers of a flat study that tell how long the customer has been there, such as a
    tenure or all that was ever paid.

    They grow with the duration and would tell a model that the customer is still there. A column is
    one where its rank correlation with the duration reaches 0.8 on either side of 0, or where its
    ratio to another column has one of 0.95, as a total has over what is paid each month.
    """
    numbers = frame[
        [
            name
            for name in features
            if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].nunique() > 1
        ]
    ].astype(float)
    alike = numbers.corrwith(frame.duration, method="spearman").abs()
    growing, rest = (
        alike.index[alike.between(GROWS, CLOCK, inclusive="left")],
        alike.index[alike < CLOCK],
    )
    totals = [
        name
        for name in growing
        if any(
            _is_total(numbers[name], numbers[other], frame.duration)
            for other in rest
            if other != name
        )
    ]
    return [name for name in numbers if alike[name] >= CLOCK or name in totals]


def _is_total(total: pd.Series, part: pd.Series, duration: pd.Series) -> bool:
    """Say whether a column is another one times the duration, wherever the other is above 0."""
    known = (part > 0) & total.notna()
    return bool(
        known.mean() >= OFTEN
        and abs(spearmanr(total[known] / part[known], duration[known]).statistic) >= TOTAL
    )


def require_leavers(outcome: np.ndarray, where: str) -> None:
    """Refuse rows of which too few are seen leaving: no model, and no part of a cross-validation,
    could learn when.

    Raises
    ------
    StudyError
        With their number.
    """
    if (left := int(outcome["event"].sum())) < LEAST_LEAVERS:
        raise StudyError(
            f"expected at least {LEAST_LEAVERS} customers who are seen leaving among the {where}"
            f" rows, got {left} of {len(outcome)}; choose an earlier snapshot, longer data, or"
            " a study with more customers"
        )


def frame_durations(panel: pd.DataFrame) -> np.ndarray:
    """Return the outcome of the rows of a panel: days from the snapshot to leaving, or to where
    sight ends.
    """
    return frame_outcome(panel.event.to_numpy(bool), panel.duration_days.to_numpy(float))


def list_models(days: Sequence[float], seed: int) -> dict[str, Model]:
    """Return the survival models by name, the baseline (Kaplan-Meier) first.

    See ``registry.list_survival``.
    """
    return index_models([BASELINE_CURVE, *list_survival(days, seed).values()])


def predict_curves(
    model: BaseEstimator, columns: pd.DataFrame, days: Sequence[float]
) -> np.ndarray:
    """Return the survival of many rows, 50,000 at a time, so that what a model needs beside its
    answer stays small.
    """
    found = np.empty((len(columns), len(days)))
    for start in range(0, len(columns), PART):
        found[start : start + PART] = model.predict_survival(
            columns.iloc[start : start + PART], days
        )
    return np.clip(found, 0, 1)


def predict_curves_out_of_fold(
    columns: pd.DataFrame,
    outcome: np.ndarray,
    models: dict[str, Model],
    days: Sequence[float],
    folds: int,
    seed: int,
):
    """Return by model the survival of every row, by a model that was fitted without it."""
    found = {name: np.empty((len(columns), len(days))) for name in models}
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(columns):
        for name, model in models.items():
            found[name][test] = predict_curves(
                clone(model.estimator).fit(columns.iloc[train], outcome[train]),
                columns.iloc[test],
                days,
            )
    return found


def bin_calibration(
    outcome: np.ndarray, curves: dict[str, np.ndarray], days: Sequence[float], bins: int = 5
) -> pd.DataFrame:
    """Return predicted against observed shares who left by each day, in groups of equally many rows
    by their prediction.

    Returns
    -------
    DataFrame with columns model, days, bin, predicted, observed, low, high, n
        Observed: one minus Kaplan-Meier of the group, with its 95 % interval (Greenwood, log-log).
        Groups of equal predictions are put together.
    """
    rows = []
    for model, curve in curves.items():
        for place, day in enumerate(days):
            risk = 1 - curve[:, place]
            bin_of = np.ceil(pd.Series(risk).rank() / len(risk) * bins).astype(int).to_numpy()
            for number in np.unique(bin_of):
                inside = bin_of == number
                rows.append(
                    (
                        model,
                        day,
                        number,
                        risk[inside].mean(),
                        *_observe(outcome[inside], day),
                        int(inside.sum()),
                    )
                )
    return pd.DataFrame(
        rows, columns=["model", "days", "bin", "predicted", "observed", "low", "high", "n"]
    )


def _observe(outcome: np.ndarray, day: float) -> tuple[float, float, float]:
    """Return the share that left by a day, one minus Kaplan-Meier, with its interval; the interval
    is empty where nobody, or everybody, did.
    """
    days, at_risk, left = count_at_risk(outcome)
    at_risk, left = at_risk[days <= day], left[days <= day]
    survival = np.prod(1 - left / at_risk)
    if not 0 < survival < 1:
        return 1 - survival, np.nan, np.nan
    error = np.sqrt((left / (at_risk * (at_risk - left))).sum()) / np.log(survival)
    return 1 - survival, 1 - survival ** np.exp(Z * error), 1 - survival ** np.exp(-Z * error)


def count_at_risk(outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the days on which somebody left or was lost from sight, how many were at risk on each,
    and how many left.
    """
    days, place = np.unique(outcome["days"], return_inverse=True)
    return (
        days,
        len(outcome) - np.searchsorted(np.sort(outcome["days"]), days),
        np.bincount(place, outcome["event"], len(days)),
    )


def check_independent_censoring(outcome: np.ndarray, curve: np.ndarray, groups: int = 5) -> float:
    """Return the p-value of the test that customers of different predicted risk are lost from sight
    alike (log-rank of censoring, fifths of the risk).

    Kaplan-Meier, and scores that weigh by one curve of censoring for everybody, need that. It holds
    where all are lost at the data end, counted from one snapshot; in a flat study who joined lately
    may differ from who joined long ago.
    """
    risk = 1 - curve[:, -1]
    group = np.ceil(pd.Series(risk).rank() / len(risk) * groups).astype(int)
    lost = pd.DataFrame({"entry": 0.0, "duration": outcome["days"], "ended": ~outcome["event"]})
    return log_rank_test(lost, group)[2] if lost.ended.any() and group.nunique() > 1 else np.nan


def find_longest_follow_up(outcome: np.ndarray, least: int = 20) -> float:
    """Return the last day on which at least so many training rows were still watched: beyond it a
    curve rests on a few.
    """
    if len(outcome) <= least:
        raise StudyError(
            f"expected more than {least} training rows, got {len(outcome)}; use more or larger"
            " snapshots"
        )
    return float(np.sort(outcome["days"])[-least])


def choose_restriction_time(outcome: np.ndarray, study: Study) -> float:
    """Return up to which day remaining lifetimes are told: a year, or as far as enough rows were
    watched; a quarter of that for a flat study.

    A flat study asks for the time beyond what a customer has lasted already, so most of what was
    watched is spent before.
    """
    reach = find_longest_follow_up(outcome)
    return float(max(np.floor(reach / 4), 1)) if study.kind == "flat" else float(min(YEAR, reach))
