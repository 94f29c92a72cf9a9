"""Lists of earlier days, made by models that knew only what was known then.

The classifier is the one that is kept now; at each earlier snapshot it learns again on the
snapshots whose label windows had closed by then. Nothing of it was sent to anybody: replayed lists
never stand among those that were. They are as far apart as the snapshots of the study.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.models.registry import Model
from research.panel.periods import close_window
from research.panel.splits import label_panel
from research.panel.windows import KEYS
from research.risk.window_risk import compare_lead
from research.store.keep import keep
from research.study import Study
from research.watchlist.fitted import Fitted, fit_kept
from research.watchlist.forecast import (
    REPLAYED,
    is_enough,
    label_then,
    plan_replay,
    summarise_window,
)
from research.watchlist.kept_model import (
    MOST_ROWS,
    describe_words,
    draw_customers,
    load_rows,
    restore_end,
)
from research.watchlist.model_choice import list_candidates
from research.watchlist.reason_base import MOST_STAYERS, explain_one
from research.watchlist.scored_day import Outlook, look_from
from research.watchlist.scoring import find_monthly_amount
from research.watchlist.signals import mark_signals
from research.watchlist.worth import add_worth

BY_LIST, BY_RULE = "the list", "the strongest rule"
BY_CHANCE, BY_CHART = "a random list", "control chart of own activity"
EXPLAINED = 600  # customers, drawn at random, whose signals are followed from window to window
SHOWN = 8  # features of a replay that say what customers looked like
ACTIVITIES = ("usage", "orders", "contacts")  # the first that a study has is charted
LEFT = ["left", "left_in_lead", "left_at"]


@dataclass(frozen=True)
class Replay:
    """Lists of earlier days, and what came.

    Attributes
    ----------
    rows : one row per snapshot and customer, with columns snapshot, customer_id, risk, value (a
        month's fee or spend), left (by the end of the label window), left_in_lead, left_at (the
        day, empty of who stayed), and one column for each ranking, the higher the earlier on the
        list
    signals : of a part of the customers, snapshot, customer_id and which themes were a signal
    windows : forecast of each window, see ``forecast.REPLAYED``
    looks : snapshot, customer_id and the features that move risks most
    share : of the customers, drawn at random where they are very many
    """

    rows: pd.DataFrame
    signals: pd.DataFrame
    windows: pd.DataFrame
    looks: pd.DataFrame
    share: float

    @property
    def rankings(self) -> list[str]:
        """Return the rankings, that of the list first."""
        return [name for name in (BY_LIST, BY_RULE, BY_CHANCE, BY_CHART) if name in self.rows]


@dataclass(frozen=True)
class _Plan:
    """What all windows of a replay share."""

    outlook: Outlook
    models: dict[str, Model]
    names: tuple[str, ...]
    model: str
    rule: str
    themes: pd.Series
    seed: int


@keep
def replay_lists(
    tables: Tables,
    study: Study,
    model: str,
    rule: str,
    allowed: Sequence[str],
    themes: pd.Series,
    day: date,
    windows: int,
    seed: int,
) -> Replay:
    """Replay the lists of the last windows that had closed by a day.

    Parameters
    ----------
    model, rule : names of the classifier that is kept, and of the strongest rule
    allowed : features that passed the leakage checks
    themes : of each feature, see ``reasons.find_themes``
    windows : at most so many
    """
    outlook = look_from(tables, study, day)
    schedule = dict([*plan_replay(outlook, study).items()][-windows:])
    if not schedule:
        return _frame([], [], [], pd.DataFrame(), (), 1.0)
    days = sorted({one for train in schedule.values() for one in train} | {*schedule})
    whole = restore_end(outlook.study, study)
    panel = load_rows(tables, whole, days, day, seed)
    names = tuple(name for name in allowed if name in panel)
    models = list_candidates(outlook.study, [*names], describe_words(outlook), seed, model)
    plan = _Plan(outlook, models, names, model, rule, themes, seed)
    parts: list[tuple] = []
    summaries: list[dict[str, Any]] = []
    for snapshot, train in schedule.items():
        learned = label_then(outlook, panel, train, snapshot)
        if is_enough(learned):
            present = panel[panel.snapshot == pd.Timestamp(snapshot)].reset_index(drop=True)
            parts.append(_replay_one(plan, snapshot, learned, present, summaries))
    shown = _find_shown([part[2] for part in parts])
    rows, signals = [part[0] for part in parts], [part[1] for part in parts]
    share = _measure_share(tables, whole, days, day, seed)
    return _frame(rows, signals, summaries, panel, shown, share)


def _frame(
    rows: list[pd.DataFrame],
    signals: list[pd.DataFrame],
    summaries: list[dict[str, Any]],
    panel: pd.DataFrame,
    shown: Sequence[str],
    share: float,
) -> Replay:
    if not rows:
        empty = pd.DataFrame(columns=[*KEYS, "risk", "value", *LEFT, BY_LIST])
        return Replay(empty, empty[KEYS], pd.DataFrame(columns=REPLAYED), empty[KEYS], share)
    together = pd.concat(rows, ignore_index=True)
    looks = panel[panel.snapshot.isin(together.snapshot.unique())][[*KEYS, *shown]]
    flags = pd.concat(signals, ignore_index=True).fillna(False)
    return Replay(
        together,
        flags,
        pd.DataFrame(summaries, columns=REPLAYED),
        looks.reset_index(drop=True),
        share,
    )


def _measure_share(
    tables: Tables, study: Study, days: Sequence[date], day: date, seed: int
) -> float:
    """Return the share of the rows that ``kept_model.load_rows`` has drawn."""
    _, labels = label_panel(tables, study, days, day)
    count = labels.count().execute()
    if count <= MOST_ROWS:
        return 1.0
    return draw_customers(labels, seed).count().execute() / count


def _replay_one(
    plan: _Plan,
    snapshot: date,
    train: pd.DataFrame,
    present: pd.DataFrame,
    summaries: list[dict[str, Any]],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return rows, signals and the mean move of each feature; add the window's summary."""
    learned = train[~train.left_in_lead]
    fits = {
        name: fit_kept(plan.models[name], plan.models, learned, [*plan.names], plan.seed)
        for name in {plan.model, plan.rule}
    }
    ratio, study = compare_lead(train), plan.outlook.study
    closes = close_window(study.churn, snapshot)
    scored = {
        name: _score(fitted, ratio, present, study, snapshot, closes)
        for name, fitted in fits.items()
    }
    listed, ruled = scored[plan.model], scored[plan.rule]
    left = present.left_in_lead | present.churned
    churners = int(learned.customer_id[learned.churned].nunique())
    summaries.append(
        summarise_window(
            study, snapshot, listed.risk_by_end.to_numpy(), churners, int(left.sum()), summaries
        )
    )
    rng = np.random.default_rng([plan.seed, snapshot.toordinal()])
    rankings = {
        BY_LIST: _rank_by(listed),
        BY_RULE: _rank_by(ruled),
        BY_CHANCE: rng.random(len(present)),
        BY_CHART: chart_activity(present, study.features.windows),
    }
    rows = present[KEYS].assign(
        risk=listed.risk.to_numpy(),
        value=listed.monthly_amount.to_numpy(),
        left=left.to_numpy(bool),
        left_in_lead=present.left_in_lead.to_numpy(bool),
        left_at=_find_left_at(present),
        **{name: values for name, values in rankings.items() if values is not None},
    )
    return rows, *_follow_signals(plan, fits[plan.model], learned, present)


def _score(
    fitted: Fitted, ratio: float, present: pd.DataFrame, study: Study, day: date, closes: date
) -> pd.DataFrame:
    risk = fitted.predict(present)
    amount = find_monthly_amount(present, study)
    by_end = 1 - (1 - risk) ** (1 + ratio)
    rows = pd.DataFrame({"risk": risk, "risk_by_end": by_end, "monthly_amount": amount})
    return add_worth(rows, study, day, closes)


def _rank_by(scored: pd.DataFrame) -> np.ndarray:
    """Return what a list goes by: the value at risk, or the risk where no value is known."""
    known = scored.value_at_risk.notna().any()
    return scored[["value_at_risk" if known else "risk"]].iloc[:, 0].to_numpy(float)


def chart_activity(rows: pd.DataFrame, windows: Sequence[int]) -> np.ndarray | None:
    """Return how far each customer's recent activity lies below the own mean, in its errors.

    A control chart of counts (Shewhart's u chart): the events of the shortest window against their
    mean over the longest, over the root of what is expected. None where no activity is on record.

    Parameters
    ----------
    rows : features of customers
    windows : days, ascending
    """
    short, long = windows[0], windows[-1]
    for table in ACTIVITIES:
        recent, all_days = f"n_{table}_{short}d", f"n_{table}_{long}d"
        if short < long and {recent, all_days} <= {*rows}:
            expected = rows[all_days].to_numpy(float) * short / long
            return (expected - rows[recent].to_numpy(float)) / np.sqrt(np.maximum(expected, 0.5))
    return None


def _find_left_at(rows: pd.DataFrame) -> np.ndarray:
    """Return the day of leaving, as far as the data know it."""
    days = pd.to_timedelta(rows.duration_days.astype(float), unit="D")
    return (rows.snapshot + days).where(rows.event.astype(bool)).to_numpy()


def _follow_signals(
    plan: _Plan, fitted: Fitted, learned: pd.DataFrame, present: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Return which themes are a signal of whom, and how much each feature moves risks on average.

    The same customers are followed in every window: those whose number, drawn from their id, is
    smallest.
    """
    drawn = _number_customers(present.customer_id, plan.seed)
    some = present.iloc[np.sort(np.argsort(drawn)[:EXPLAINED])].reset_index(drop=True)
    stayers = learned[~learned.churned]
    stayers = stayers.sample(min(MOST_STAYERS, len(stayers)), random_state=plan.seed)
    if not fitted.features or some.empty:
        return some[KEYS], pd.Series(dtype=float)
    moves = explain_one(fitted, some, stayers, plan.seed)
    flags = mark_signals(moves, plan.themes)
    mean = pd.Series(np.abs(moves.values).mean(axis=0), index=[*moves.features])
    return pd.concat([some[KEYS], flags], axis=1), mean


def _number_customers(customers: pd.Series, seed: int) -> np.ndarray:
    """Return a number for each customer that depends on the id and the seed alone."""
    return pd.util.hash_array((str(seed) + " " + customers.astype(str)).to_numpy(object))


def _find_shown(means: Sequence[pd.Series]) -> list[str]:
    known = [mean for mean in means if len(mean)]
    if not known:
        return []
    mean = pd.concat(known, axis=1).mean(axis=1)
    return [*mean.sort_values(ascending=False, kind="stable").index[:SHOWN]]
