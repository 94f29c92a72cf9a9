"""How good the lists were, in words: by a printed rule that rests on intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import BETTER
from research.evaluation.intervals import wilson_interval
from research.study import Study
from research.watchlist.backtest import (
    BACKTEST,
    DIFFERENCES,
    mark_listed,
    measure_lead_times,
    measure_turnover,
    score_lists,
    summarise_lead_times,
)
from research.watchlist.replay import BY_CHANCE, BY_LIST, BY_RULE, Replay
from research.watchlist.signals import SIGNALS, register_signals

EXCELLENT, GOOD, FAIR = "excellent", "good", "fair"
NOT_BETTER, NOT_JUDGED = "not better than the rule", "not judged"
BY_VALUE, BY_NUMBER = "value_lift", "lift"  # the score that decides; by number without values
LIFT = {EXCELLENT: 3.0, GOOD: 2.0}  # which the lower limit of its interval reaches
LEAST_TIMELY = 0.5  # of the leavers who were listed, in time, for excellent
RULE_OF_WORDS = (
    "A list that goes by value at risk is judged by its *lift by value*: what the listed who left"
    " had paid, over what a random list of the same length finds of it on average (without values"
    " by the plain lift). *Fair*: it is shown to be above that of the strongest rule's list and of"
    " a random list (both intervals of the difference lie above 0). *Good*: also, its own lower"
    f" limit is at least {LIFT[GOOD]:g}. *Excellent*: also, it is at least {LIFT[EXCELLENT]:g}, and"
    f" at least {LEAST_TIMELY:.0%} (lower limit) of the leavers who were listed were so in time."
    " Otherwise *not better than the rule*, and the rule's list is given."
)


@dataclass(frozen=True)
class Backtest:
    """How replayed lists did.

    Attributes
    ----------
    scores, differences : see ``backtest.score_lists``
    leavers : see ``backtest.measure_lead_times``
    lead : see ``backtest.summarise_lead_times``
    turnover : see ``backtest.measure_turnover``
    missed : see ``list_missed``
    signals : see ``signals.register_signals``
    capacity : customers on each list
    quality : one of the words
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    leavers: pd.DataFrame
    lead: pd.DataFrame
    turnover: pd.DataFrame
    missed: pd.DataFrame
    signals: pd.DataFrame
    capacity: int
    quality: str

    @property
    def judged(self) -> bool:
        """Say whether there was anything to judge."""
        return self.quality != NOT_JUDGED

    @property
    def passed(self) -> bool:
        """Say whether the list was shown to be better than the rule's."""
        return self.quality in (EXCELLENT, GOOD, FAIR)


def judge_replay(replay: Replay, study: Study, resamples: int, seed: int) -> Backtest:
    """Judge replayed lists by who left after them.

    Parameters
    ----------
    resamples : of customers, behind every interval
    """
    rows, lead_days = replay.rows, study.churn.lead_days
    capacity = max(1, round(study.economics.capacity * replay.share))
    if rows.empty or not rows.left.any():
        return _judge_nothing(capacity)
    scores, differences = score_lists(rows, replay.rankings, capacity, resamples, seed)
    listed = mark_listed(rows, [BY_LIST], capacity)[BY_LIST]
    left_at = find_first_leave(rows)
    leavers = measure_lead_times(rows, listed, left_at, lead_days)
    lead = summarise_lead_times(leavers)
    missed = list_missed(replay, leavers)
    signals = _register(replay, left_at, lead_days, resamples, seed)
    return Backtest(
        scores,
        differences,
        leavers,
        lead,
        measure_turnover(rows, listed),
        missed,
        signals,
        capacity,
        name_quality(scores, differences, lead),
    )


def _judge_nothing(capacity: int) -> Backtest:
    """Return a backtest without rows, as where no window has closed."""
    scores, differences = pd.DataFrame(columns=BACKTEST), pd.DataFrame(columns=DIFFERENCES)
    none, signals = pd.DataFrame(), pd.DataFrame(columns=SIGNALS)
    return Backtest(scores, differences, none, none, none, none, signals, capacity, NOT_JUDGED)


def find_first_leave(rows: pd.DataFrame) -> pd.Series:
    """Return the first day of leaving after the first snapshot of each customer, by customer_id."""
    left = rows[rows.left_at.notna()].sort_values("snapshot", kind="stable")
    return left.groupby("customer_id").left_at.first()


def _register(
    replay: Replay, left_at: pd.Series, lead_days: int, resamples: int, seed: int
) -> pd.DataFrame:
    themes = [name for name in replay.signals if name not in ("snapshot", "customer_id")]
    if not themes:
        return pd.DataFrame(columns=SIGNALS)
    rows = replay.signals.merge(
        replay.rows[["snapshot", "customer_id", "left"]], on=["snapshot", "customer_id"]
    )
    return register_signals(rows, rows[themes].astype(bool), left_at, lead_days, resamples, seed)


def list_missed(replay: Replay, leavers: pd.DataFrame) -> pd.DataFrame:
    """Return who left without being listed before, and what they looked like when last seen.

    Returns
    -------
    DataFrame with columns customer_id, left_at, last_snapshot, best_rank, risk, value and features
        ``best_rank``: the nearest to the list that the customer came.
    """
    missed = leavers[leavers.first_listed.isna()]
    ranks = replay.rows.groupby("snapshot")[BY_LIST].rank(ascending=False, method="first")
    rows = replay.rows.assign(best_rank=ranks.astype(int))
    rows = rows[rows.customer_id.isin(missed.customer_id)].merge(
        missed[["customer_id", "left_at"]], on="customer_id", suffixes=("_then", "")
    )
    rows = rows[rows.snapshot < rows.left_at]
    best = rows.groupby("customer_id").best_rank.min()
    last = rows.sort_values("snapshot", kind="stable").drop_duplicates("customer_id", keep="last")
    last = last.merge(replay.looks, on=["snapshot", "customer_id"], how="left")
    shown = [name for name in replay.looks if name not in ("snapshot", "customer_id")]
    table = last.assign(best_rank=last.customer_id.map(best), last_snapshot=last.snapshot)
    columns = ["customer_id", "left_at", "last_snapshot", "best_rank", "risk", "value", *shown]
    return table[columns].sort_values("best_rank", kind="stable", ignore_index=True)


def compare_missed(replay: Replay, backtest: Backtest) -> pd.DataFrame:
    """Return what those who left unlisted looked like, beside listed leavers and those who stayed.

    Returns
    -------
    DataFrame with columns feature, missed, listed, stayed: medians of numbers, commonest texts
    """
    groups = _group_customers(replay, backtest)
    shown = ["risk", *(name for name in replay.looks if name not in ("snapshot", "customer_id"))]
    rows = replay.rows[["snapshot", "customer_id", "risk"]].merge(
        replay.looks, on=["snapshot", "customer_id"], how="left"
    )
    last = rows.sort_values("snapshot").drop_duplicates("customer_id", keep="last")
    last["group"] = last.customer_id.map(groups)
    table = [
        (name, *(_find_middle(last[name][last.group == group]) for group in GROUPS))
        for name in shown
    ]
    return pd.DataFrame(table, columns=["feature", *GROUPS])


GROUPS = ("left, not listed", "left, listed", "stayed")


def _group_customers(replay: Replay, backtest: Backtest) -> pd.Series:
    groups = pd.Series(GROUPS[2], index=replay.rows.customer_id.unique(), dtype=object)
    leavers = backtest.leavers.set_index("customer_id").first_listed
    groups[leavers.index] = np.where(leavers.isna(), GROUPS[0], GROUPS[1])
    return groups


def _find_middle(values: pd.Series):
    known = values.dropna()
    if known.empty:
        return None
    number = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    return float(known.median()) if number else str(known.mode().iloc[0])


def find_deciding(scores: pd.DataFrame) -> str:
    """Return the score that decides: the lift by value, or the plain one without values."""
    known = scores[(scores.ranking == BY_LIST) & (scores.score == BY_VALUE)].value.notna()
    return BY_VALUE if known.any() else BY_NUMBER


def name_quality(scores: pd.DataFrame, differences: pd.DataFrame, lead: pd.DataFrame) -> str:
    """Return the quality of the list in a word, see ``RULE_OF_WORDS``."""
    score = find_deciding(scores)
    needed = differences[
        differences.reference.isin([BY_RULE, BY_CHANCE]) & (differences.score == score)
    ]
    if needed.empty or not (needed.verdict == BETTER).all():
        return NOT_BETTER
    lift = scores[(scores.ranking == BY_LIST) & (scores.score == score)].low.iloc[0]
    if lift >= LIFT[EXCELLENT] and find_timely(lead)[1] >= LEAST_TIMELY:
        return EXCELLENT
    return GOOD if lift >= LIFT[GOOD] else FAIR


def find_timely(lead: pd.DataFrame) -> tuple[float, float, float]:
    """Return the share of the listed leavers who were listed in time, with its 95 % interval."""
    row = lead.iloc[0]
    if not row.listed:
        return np.nan, np.nan, np.nan
    share = row.in_time / row.listed
    return share, *map(float, wilson_interval(share, int(row.listed)))
