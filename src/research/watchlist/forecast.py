"""How many will leave by the end of the window after the scored day, and how far off that may be.

The forecast is the sum of the customers' risks. Three things make it uncertain: whether each leaves
or not, given the risks (sampling); how well the level of the risks is known from those who left in
training (model); and what moves all customers alike from window to window (drift), which only
earlier windows can show. They are replayed: the kept model's classifier learns again on what had
closed by each earlier day, and its forecast is compared with what came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy.special import stdtrit

from research.data.contracts import Tables
from research.data.coverage import find_observed_start
from research.evaluation.intervals import TAIL, Z
from research.panel.labels import LABELS, label_churn
from research.panel.periods import close_window, complete_labels, list_days_back
from research.panel.segments import find_segments, list_segment_columns
from research.panel.splits import LEAST_TRAIN_SHARE
from research.panel.windows import KEYS
from research.risk.predict import LEAST_OF_CLASS
from research.risk.window_risk import compare_lead
from research.study import Study
from research.survival.tenure import ALL, pool_small_segments
from research.watchlist.fitted import fit_kept
from research.watchlist.kept_model import describe_words, load_rows, restore_end
from research.watchlist.model_choice import list_candidates
from research.watchlist.model_store import KeptModel
from research.watchlist.scored_day import Outlook, look_from
from research.watchlist.scoring import Scores

MOST_WINDOWS = 24  # earlier windows that are replayed, the latest ones
COLUMNS = [
    "segment_by",
    "segment",
    "after",
    "until",
    "customers",
    "expected",
    "low",
    "high",
    "expected_share",
    "monthly_amount",
    "amount_low",
    "amount_high",
]
COSTS = ["value_of_keeping", "keeping_low", "keeping_high"]
REPLAYED = [
    "snapshot",
    "after",
    "until",
    "customers",
    "churners_learned",
    "expected",
    "low",
    "high",
    "actual",
    "ratio",
    "inside",
]


@dataclass(frozen=True)
class Drift:
    """How far forecasts of earlier windows were off.

    Attributes
    ----------
    spread : root mean square of log(actual / expected); missing without a window
    windows : how many of the windows don't overlap, which is what the spread rests on
    """

    spread: float
    windows: int

    @property
    def reach(self) -> float:
        """Return the log ratio that 95 % of forecasts stay within, by Student's t."""
        return float(stdtrit(self.windows, 1 - TAIL) * self.spread) if self.windows else np.nan


def read_drift(model: KeptModel) -> Drift:
    """Return the drift of the windows that were replayed when a model was trained."""
    return measure_drift(pd.DataFrame(model.card.get("replay", []), columns=REPLAYED))


def measure_drift(replayed: pd.DataFrame) -> Drift:
    """Return the drift that replayed windows show.

    Parameters
    ----------
    replayed : windows with columns after, until, expected and actual

    Forecasts aren't corrected by their mean error, so that the spread is around 0 and a lasting
    bias widens it. Windows that overlap share customers and days, and count once.
    """
    known = replayed[(replayed.actual > 0) & (replayed.expected > 0)]
    if known.empty:
        return Drift(np.nan, 0)
    logs = np.log(known.actual.astype(float) / known.expected.astype(float))
    return Drift(float(np.sqrt((logs**2).mean())), count_windows(known))


def count_windows(replayed: pd.DataFrame) -> int:
    """Return how many windows fit one after the other, without overlap."""
    count, closed = 0, None
    for row in replayed.sort_values("until").itertuples():
        if closed is None or pd.Timestamp(row.after) >= closed:
            count, closed = count + 1, pd.Timestamp(row.until)
    return count


def bound_total(
    risk: np.ndarray, churners: int, drift: Drift, weight: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return a sum of risks with its 95 % prediction interval.

    Parameters
    ----------
    risk : of each customer, (customers,)
    churners : customers who left among those that the model learned from
    drift : see ``measure_drift``; without a window the interval is empty
    weight : what each customer counts, such as a fee; 1 unless given
    """
    weight = np.ones(len(risk)) if weight is None else np.nan_to_num(weight)
    total, most = float(weight @ risk), float(weight.sum())
    sampling = float(weight**2 @ (risk * (1 - risk)))
    model = total**2 / max(churners, 1)
    own = Z * np.sqrt(sampling + model)
    down, up = total - total * np.exp(-drift.reach), total * np.exp(drift.reach) - total
    if not np.isfinite(up):
        return total, np.nan, np.nan
    low, high = total - np.hypot(own, down), total + np.hypot(own, up)
    return total, max(low, 0.0), min(high, most)


def forecast(scores: Scores, model: KeptModel, study: Study, drift: Drift) -> pd.DataFrame:
    """Return how many will leave, and the monthly amount that goes with them.

    Parameters
    ----------
    scores : see ``scoring.score_day``
    drift : of windows closed by the scored day, see ``replay_forecast``

    Returns
    -------
    DataFrame
        See ``tabulate_forecast``.
    """
    segments, window = load_segments(scores.outlook, scores.rows), find_window(scores)
    return tabulate_forecast(scores.rows, segments, window, count_churners(model), drift)


def find_window(scores: Scores) -> tuple[date, date]:
    """Return the scored day, and the last day of its label window."""
    return scores.day, scores.outlook.closes


def count_churners(model: KeptModel) -> int:
    """Return how many customers left among those that a kept model learned from."""
    return int(model.card["train"]["churners"])


def tabulate_forecast(
    rows: pd.DataFrame,
    segments: pd.DataFrame,
    window: tuple[date, date],
    churners: int,
    drift: Drift,
    worth: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return how many will leave by the end of a window, and what goes with them.

    Parameters
    ----------
    rows : see ``scoring.Scores``
    segments : of each row, one column per attribute
    churners, drift : see ``bound_total``
    worth : the value of keeping each row, in the study's currency

    Returns
    -------
    DataFrame with columns segment_by, segment, after, until, customers, expected, low, high,
    expected_share, monthly_amount, amount_low, amount_high; with ``worth`` also
    value_of_keeping, keeping_low, keeping_high
        First all, then each segment (those of the lifecycle; fewer than 30 customers are pooled).
        ``low`` and ``high``: 95 % prediction interval; empty where no earlier window shows the
        drift. ``monthly_amount``: fees of a month, or mean spend in 30 days, of those expected to
        leave. ``value_of_keeping``: what they would bring if they stayed, less what they bring.
    """
    parts = [(ALL, ALL, np.ones(len(rows), bool))]
    for by in segments:
        names = pool_small_segments(segments, by)
        parts += [(by, name, (names == name).to_numpy()) for name in sorted(names.unique())]
    table = [
        (by, name, *window, *_sum_up(rows[inside], churners, drift)) for by, name, inside in parts
    ]
    found = pd.DataFrame(table, columns=COLUMNS)
    if worth is None:
        return found
    risk = rows.risk_by_end.to_numpy()
    costs = [bound_total(risk[part], churners, drift, worth[part]) for *_, part in parts]
    return found.join(pd.DataFrame(costs, columns=COSTS))


def _sum_up(rows: pd.DataFrame, churners: int, drift: Drift) -> tuple:
    risk = rows.risk_by_end.to_numpy()
    expected, low, high = bound_total(risk, churners, drift)
    amount = (np.nan,) * 3
    if rows.monthly_amount.notna().any():
        amount = bound_total(risk, churners, drift, rows.monthly_amount.to_numpy())
    return len(rows), expected, low, high, expected / len(rows), *amount


def load_segments(outlook: Outlook, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the segments of each scored customer, one column per attribute, in their order."""
    columns = {}
    for by in list_segment_columns(outlook.tables, outlook.study):
        found = find_segments(outlook.evidence, outlook.study, by).to_pandas()
        by_customer = found.drop_duplicates("customer_id").set_index("customer_id").segment
        columns[by] = rows.customer_id.map(by_customer).to_numpy()
    return pd.DataFrame(columns, index=rows.index)


def replay_forecast(
    tables: Tables, study: Study, model: KeptModel, day: date, seed: int = 0
) -> pd.DataFrame:
    """Return forecasts of earlier windows beside what came.

    At every snapshot whose window had closed by the day, as far back as the data allow, the kept
    classifier learns again on the snapshots whose windows had closed by then, and on what was known
    of them then. The features are those of the kept model.

    Parameters
    ----------
    day : by which the windows have closed
    seed : every random draw derives from it

    Returns
    -------
    DataFrame with columns snapshot, after, until, customers, churners_learned, expected, low, high,
    actual, ratio, inside
        Oldest first. The interval of each rests on windows that had closed by its snapshot; it is
        empty where there was none. ``inside`` says whether it holds the actual number.
    """
    outlook = look_from(tables, study, day)
    plan = plan_replay(outlook, study)
    rows: list[dict[str, Any]] = []
    if plan:
        history = sorted({snapshot for train in plan.values() for snapshot in train} | {*plan})
        panel = load_rows(tables, restore_end(outlook.study, study), history, day, seed)
        names = [name for name in model.card["allowed"] if name in panel]
        models = list_candidates(
            outlook.study, names, describe_words(outlook), seed, model.card["model"]
        )
        for snapshot, train in plan.items():
            learned = label_then(outlook, panel, train, snapshot)
            if is_enough(learned):
                fit = (model.card["model"], models, learned, names, seed)
                rows.append(_replay_one(outlook, panel, snapshot, fit, rows))
    return pd.DataFrame(rows, columns=REPLAYED)


def plan_replay(outlook: Outlook, study: Study) -> dict[date, tuple[date, ...]]:
    """Return by earlier snapshot the snapshots that a model could have learned from then.

    Oldest first. As many as the study plans, and at least half of them, lie where their windows had
    closed by the earlier snapshot.
    """
    if not outlook.train:
        return {}
    plan, churn = study.snapshots, outlook.study.churn
    first = find_observed_start(outlook.tables, outlook.study)
    step = max((outlook.judged - list_days_back(study, outlook.judged, 2)[0]).days, 1)
    wait = ceil((complete_labels(churn, outlook.judged) - outlook.judged).days / step) + 1
    days = list_days_back(study, outlook.judged, MOST_WINDOWS + plan.train + wait)
    days = [snapshot for snapshot in days if snapshot >= first]
    closed = {day: [one for one in days if complete_labels(churn, one) <= day] for day in days}
    least = ceil(LEAST_TRAIN_SHARE * plan.train)
    enough = {day: tuple(then[-plan.train :]) for day, then in closed.items() if len(then) >= least}
    return dict([*enough.items()][-MOST_WINDOWS:])


def label_then(
    outlook: Outlook, panel: pd.DataFrame, train: Sequence[date], known_by: date
) -> pd.DataFrame:
    """Return the rows of training snapshots with the labels that were known by a day."""
    rows = panel[panel.snapshot.isin(pd.to_datetime([*train]))]
    keys = ibis.memtable(rows[KEYS].astype({"snapshot": "datetime64[us]"}))
    labels = label_churn(outlook.tables, keys, outlook.study, known_by).to_pandas()
    labels = labels.astype({"snapshot": rows.snapshot.dtype})
    return rows.drop(columns=LABELS).merge(labels, on=KEYS)


def is_enough(train: pd.DataFrame) -> bool:
    """Say whether enough left and enough stayed to learn from."""
    learned = train[~train.left_in_lead]
    churners = int(learned.churned.sum())
    return min(churners, len(learned) - churners) >= LEAST_OF_CLASS


def _replay_one(
    outlook: Outlook, panel: pd.DataFrame, snapshot: date, fit: tuple, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the forecast of one earlier window, and what came.

    Parameters
    ----------
    fit : name of the classifier, models, rows to learn from, features and seed
    earlier : what this returned for earlier snapshots
    """
    name, models, train, features, seed = fit
    learned = train[~train.left_in_lead]
    present = panel[panel.snapshot == pd.Timestamp(snapshot)]
    risk = fit_kept(models[name], models, learned, features, seed).predict(present)
    by_end = 1 - (1 - risk) ** (1 + compare_lead(train))
    churners = int(learned.customer_id[learned.churned].nunique())
    actual = int((present.left_in_lead | present.churned).sum())
    return summarise_window(outlook.study, snapshot, by_end, churners, actual, earlier)


def summarise_window(
    study: Study,
    snapshot: date,
    by_end: np.ndarray,
    churners: int,
    actual: int,
    earlier: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the forecast of one earlier window with its interval, and what came.

    Parameters
    ----------
    by_end : risk of leaving by the end of the window, of each customer
    churners : customers who left among those that the model learned from
    earlier : what this returned for earlier snapshots
    """
    churn = study.churn
    known = [row for row in earlier if complete_labels(churn, row["snapshot"]) <= snapshot]
    drift = measure_drift(pd.DataFrame(known, columns=REPLAYED))
    expected, low, high = bound_total(by_end, churners, drift)
    return {
        "snapshot": snapshot,
        "after": snapshot,
        "until": close_window(churn, snapshot),
        "customers": len(by_end),
        "churners_learned": churners,
        "expected": expected,
        "low": low,
        "high": high,
        "actual": actual,
        "ratio": actual / expected if expected > 0 else np.nan,
        "inside": bool(low <= actual <= high) if np.isfinite(high) else None,
    }


def describe_replay(replayed: pd.DataFrame) -> str:
    """Return how far off forecasts of earlier windows were, and how often the interval held."""
    known = replayed[replayed.actual > 0]
    if known.empty:
        return "No earlier window can judge the forecast: the data are too short."
    off = known.expected.sum() / known.actual.sum() - 1
    windows = f"{len(known)} earlier window{'s' if len(known) > 1 else ''}"
    judged = known[known.inside.notna()]
    held = (
        f"the interval held the actual number in {int(judged.inside.sum())} of the {len(judged)}"
        " that had a closed window before them"
        if len(judged)
        else "none of them had a closed window before it, so none has an interval"
    )
    return (
        f"Replayed on {windows} ({count_windows(known)} without overlap), the forecasts together"
        f" were {abs(off):.1%} too {'high' if off > 0 else 'low'}; {held}."
    )
