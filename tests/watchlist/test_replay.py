"""Lists of earlier days know only what was known then, and are judged by what came."""

import numpy as np
import pandas as pd
import pytest
from town_companies import DAY, draw, write

from research.watchlist import replay as module
from research.watchlist.cycle import count_replayed, find_earlier_list
from research.watchlist.history import SENT, History
from research.watchlist.replay import BY_LIST, BY_RULE, chart_activity, replay_lists
from research.watchlist.verdict import NOT_JUDGED, judge_replay, list_missed

THEMES = pd.Series({"town": "profile", "tenure_days": "profile"})
FEATURES = ["town", "tenure_days", "contract_age_days"]


def run(study, tables, windows: int = 2):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EXPLAINED", 200)
        themes = THEMES.reindex(FEATURES).fillna("contract")
        names = ("logistic regression", "base rate")
        return replay_lists(tables, study, *names, FEATURES, themes, DAY, windows, 0)


@pytest.fixture(scope="module")
def company(write_shared):
    return write(write_shared, draw(700), economics={"currency": "EUR", "capacity": 40})


@pytest.fixture(scope="module")
def replayed(company):
    return run(*company)


def test_each_window_has_everybody_of_its_day_and_what_came(replayed):
    assert replayed.rows.snapshot.nunique() == len(replayed.windows) == 2
    assert replayed.rows.groupby("snapshot").size().tolist() == [*replayed.windows.customers]
    assert replayed.rows.groupby("snapshot").left.sum().tolist() == [*replayed.windows.actual]
    left = replayed.rows[replayed.rows.left]
    assert (left.left_at > left.snapshot).all() and not left.left_at.isna().any()
    assert replayed.share == 1 and {*replayed.signals} >= {"profile"}


def test_what_happens_after_a_day_changes_no_list_of_it(company, replayed):
    study, tables = company
    last = replayed.rows.snapshot.max()
    ended = tables["contracts"].ended_at
    # whoever left after the last replayed day now stays
    contracts = tables["contracts"].mutate(ended_at=(ended <= last).ifelse(ended, None))
    other = run(study, tables | {"contracts": contracts})
    first, second = (
        one.rows[one.rows.snapshot == last].set_index("customer_id")[[BY_LIST, BY_RULE]]
        for one in (replayed, other)
    )
    pd.testing.assert_frame_equal(first, second)
    assert other.rows[other.rows.snapshot == last].left.sum() == 0


def test_the_list_finds_who_leaves_and_the_missed_are_who_left_unlisted(company, replayed):
    test = judge_replay(replayed, company[0], 200, 0)
    lift = test.scores.query("ranking == @BY_LIST and score == 'lift'").value.item()
    assert test.capacity == 40 and lift > 1.2
    listed = count_replayed(replayed, 40)
    assert listed.groupby("snapshot").size().tolist() == [40, 40]
    missed = list_missed(replayed, test.leavers)
    first = listed.groupby("customer_id").snapshot.min()
    early = missed.customer_id.map(first) < missed.left_at
    assert not early.any() and len(missed) + test.lead.listed.item() == len(test.leavers)
    assert (missed.best_rank > 40).mean() > 0.9


def test_a_customer_of_both_lists_is_on_the_second_in_a_row(replayed):
    listed = count_replayed(replayed, 40)
    both = listed[listed.customer_id.duplicated(keep=False)].sort_values("snapshot")
    assert len(both)
    assert [*both.groupby("customer_id").lists_in_a_row.last().unique()] == [2]


def test_a_sent_list_before_the_day_comes_before_a_replayed_one(company, replayed, tmp_path):
    test = judge_replay(replayed, company[0], 200, 0)
    history = History(tmp_path / "history")
    _, day, sent = find_earlier_list(history, replayed, test, DAY)
    assert (day, sent) == (replayed.rows.snapshot.max().date(), False)
    rows = pd.DataFrame({"customer_id": ["a", "b"], "rank": [1, None], "lists_in_a_row": [3, None]})
    history.append(SENT, pd.Timestamp("2024-12-01").date(), rows, "inputs")
    earlier, day, sent = find_earlier_list(history, replayed, test, DAY)
    assert ([*earlier.customer_id], str(day), sent) == (["a"], "2024-12-01", True)


def test_without_a_closed_window_nothing_is_judged(company):
    study, tables = company
    early = pd.Timestamp("2023-09-30").date()
    none = replay_lists(
        tables, study, "logistic regression", "base rate", FEATURES, THEMES, early, 2, 0
    )
    test = judge_replay(none, study, 200, 0)
    assert test.quality == NOT_JUDGED and not test.passed and test.scores.empty


def test_a_control_chart_counts_the_events_that_are_missing():
    # 9 in 90 days are 3 in 30; none of late is 3 below, in roots of 3
    rows = pd.DataFrame({"n_usage_30d": [0, 3, 6], "n_usage_90d": [9, 9, 9]})
    assert chart_activity(rows, (30, 90)) == pytest.approx([np.sqrt(3), 0, -np.sqrt(3)])
    assert chart_activity(rows, (30,)) is None
    assert chart_activity(rows.drop(columns="n_usage_30d"), (30, 90)) is None
