"""One cycle of early warning for a page: model, replayed lists, verdict, and the list of today."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.evaluation.intervals import wilson_interval
from research.panel.periods import complete_labels
from research.panel.windows import KEYS
from research.store.keep import keep
from research.study import Study
from research.study_schema import CONTROL
from research.watchlist.forecast import forecast, measure_drift
from research.watchlist.history import ASSIGNED, SENT, History, locate_history
from research.watchlist.kept_model import train_model
from research.watchlist.listing import Watchlist, make_watchlist
from research.watchlist.model_store import KeptModel
from research.watchlist.outcomes import find_outcomes
from research.watchlist.playbook import load_playbook
from research.watchlist.reasons import find_themes
from research.watchlist.replay import BY_LIST, Replay, replay_lists
from research.watchlist.scored_day import find_scored_day
from research.watchlist.scoring import Scores, score_day
from research.watchlist.today import Today, find_model, score_today
from research.watchlist.verdict import Backtest, judge_replay

EARLIER = ["customer_id", "rank", "lists_in_a_row"]


@dataclass(frozen=True)
class Cycle:
    """All that a page of the watchlist shows.

    Attributes
    ----------
    day : that is scored; None of a flat study, which has neither scores nor earlier lists
    kept : the model that ``research train`` keeps of that day, as all pages take it
    model : behind the list: the kept one, or the rule that it wasn't shown to be better than
    replay, backtest : lists of earlier days, and how they did
    scores : of everybody on the day
    watchlist : of the day
    earlier_day : of the list that it is compared with; None without one
    earlier_sent : whether that list was sent, else it is a replayed one
    by_rule : whether the list is that of the strongest rule
    today : the risks of the day, as all pages take them
    """

    day: date | None
    kept: KeptModel
    model: KeptModel
    replay: Replay
    backtest: Backtest
    scores: Scores | None
    watchlist: Watchlist
    earlier_day: date | None
    earlier_sent: bool
    by_rule: bool
    today: Today = field(default_factory=lambda: Today(None))

    @property
    def rule(self) -> str:
        """Return the name of the strongest rule."""
        return self.kept.card["strongest_rule"]

    def forecast(self, study: Study) -> pd.DataFrame:
        """Return how many will leave, in all and by segment, the same on every page."""
        if self.today.risk:
            return self.today.forecast()
        return forecast(self.scores, self.model, study, measure_drift(self.replay.windows))

    @property
    def windows(self) -> pd.DataFrame:
        """Return forecasts of earlier windows beside what came, see ``forecast.REPLAYED``."""
        return self.today.replay if self.today.risk else self.replay.windows


@keep
def train_and_keep(tables: Tables, study: Study, day: date, seed: int, named: str) -> KeptModel:
    """Return what ``kept_model.train_model`` does, computed once."""
    return train_model(tables, study, day, seed, named)


def run_cycle(tables: Tables, study: Study, windows: int, resamples: int, seed: int) -> Cycle:
    """Train a model of today, replay its lists, judge them, and make the list of the day.

    Where the replayed lists are not shown to be better than those of the strongest rule, the list
    is that of the rule.

    Parameters
    ----------
    windows : earlier ones that are replayed, at most
    resamples : of customers, behind the intervals of the backtest
    """
    day = find_scored_day(tables, study)
    kept, today = find_model(tables, study, day), score_today(tables, study)
    card = kept.card
    themes = find_themes(pd.DataFrame(card["features"]))
    names = card["model"], card["strongest_rule"]
    replay = replay_lists(tables, study, *names, card["allowed"], themes, day, windows, seed)
    backtest = judge_replay(replay, study, resamples, seed)
    model = kept
    if backtest.judged and not backtest.passed and not card["is_rule"]:
        model = train_and_keep(tables, study, day, seed, card["strongest_rule"])
    scores = score_day(tables, study, model, day, study.economics.capacity)
    history = History(locate_history(study.name))
    earlier, earlier_day, sent = find_earlier_list(history, replay, backtest, day)
    assigned = history.read(ASSIGNED)
    watchlist = make_watchlist(scores, model, study, load_playbook(study), earlier, assigned, seed)
    by_rule = model.card["model"] == card["strongest_rule"]
    judged = replay, backtest, scores, watchlist
    return Cycle(day, kept, model, *judged, earlier_day, sent, by_rule, today)


def find_earlier_list(
    history: History, replay: Replay, backtest: Backtest, day: date
) -> tuple[pd.DataFrame, date | None, bool]:
    """Return the list before a day, its day, and whether it was sent; else the last replayed."""
    days = [entry.snapshot for entry in history.find(SENT) if entry.snapshot < day.isoformat()]
    if days:
        last = date.fromisoformat(days[-1])
        rows = history.read(SENT, last).reindex(columns=EARLIER)
        return rows.dropna(subset=["rank"]), last, True
    if replay.rows.empty:
        return pd.DataFrame(columns=EARLIER), None, False
    rows = count_replayed(replay, backtest.capacity)
    last = rows.snapshot.max()
    return rows[rows.snapshot == last][EARLIER], last.date(), False


def count_replayed(replay: Replay, capacity: int) -> pd.DataFrame:
    """Return the replayed lists with rank and lists in a row.

    Returns
    -------
    DataFrame with columns snapshot, customer_id, rank, lists_in_a_row
    """
    rows = replay.rows[KEYS].copy()
    ordered = replay.rows.sort_values("customer_id", kind="stable")
    ranks = ordered.groupby("snapshot")[BY_LIST].rank(ascending=False, method="first")
    listed = rows.assign(rank=ranks.astype(int)).query("rank <= @capacity")
    number = pd.factorize(listed.snapshot, sort=True)[0]
    listed = listed.assign(number=number).sort_values(["customer_id", "number"])
    broken = listed.groupby("customer_id").number.diff().ne(1).cumsum()
    return listed.assign(lists_in_a_row=listed.groupby(broken).cumcount() + 1).drop(
        columns="number"
    )


def tabulate_sent(tables: Tables, study: Study) -> pd.DataFrame:
    """Return how lists that were sent did, once their label windows have closed.

    Who was contacted may have stayed for that, so the precision of such a list is no judge of it:
    the part held out is.

    Returns
    -------
    DataFrame with columns snapshot, listed, left, precision, low, high, held_out, held_out_left
    """
    history = History(locate_history(study.name))
    return pd.DataFrame(
        [*_judge_sent(history, tables, study)],
        columns=[
            "snapshot",
            "listed",
            "left",
            "precision",
            "low",
            "high",
            "held_out",
            "held_out_left",
        ],
    )


def _judge_sent(history: History, tables: Tables, study: Study) -> Iterator[tuple]:
    end = find_data_end(tables, study)
    for entry in history.find(SENT):
        day = date.fromisoformat(entry.snapshot)
        rows = history.read(SENT, day)
        if "rank" not in rows or complete_labels(study.churn, day) > end:
            continue
        listed = rows[rows["rank"].notna()]
        outcomes = find_outcomes(tables, study, listed[KEYS])
        left = (outcomes.churned | outcomes.left_in_lead).fillna(False).to_numpy(bool)
        held = (listed.assigned_arm == CONTROL).to_numpy(bool)
        share = left.mean() if len(left) else np.nan
        low, high = wilson_interval(share, len(left)) if len(left) else (np.nan, np.nan)
        numbers = (len(left), int(left.sum()), share, low, high)
        yield pd.Timestamp(day), *numbers, int(held.sum()), int(left[held].sum())
