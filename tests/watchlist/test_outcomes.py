"""Outcomes are joined beside the scores, once, when the label window has closed."""

from datetime import date

import pandas as pd
import pytest

from research.data.load import load_tables
from research.errors import StudyError
from research.watchlist.history import OUTCOMES, SENT, History, locate_history
from research.watchlist.outcomes import append_outcomes, read_outcomes

EARLY, LATE = date(2024, 6, 30), date(2024, 12, 15)  # the second window closes after the data


def write(write_study):
    """Three customers, of whom ``b`` leaves in the window of 30 days after 2024-06-30."""
    ids = ["a", "b", "c"]
    joined = pd.Timestamp("2024-01-01")
    customers = pd.DataFrame({"customer_id": ids, "joined_at": joined})
    ended = pd.to_datetime([None, "2024-07-10", None])
    contracts = pd.DataFrame({"customer_id": ids, "started_at": joined, "ended_at": ended})
    tables = {"customers": customers, "contracts": contracts}
    study = write_study(tables=tables, data_start="2024-01-01")
    return study, load_tables(study), History(locate_history(study.name))


def append_scores(history: History, day: date, ids: list[str]) -> None:
    rows = pd.DataFrame({"customer_id": ids, "snapshot": pd.Timestamp(day), "risk": 0.5})
    history.append(SENT, day, rows, "inputs")


def test_a_closed_window_gets_its_outcomes_once_and_an_open_one_none(write_study):
    study, tables, history = write(write_study)
    append_scores(history, EARLY, ["a", "b", "c"])
    append_scores(history, LATE, ["a", "c"])
    [sentence] = append_outcomes(tables, study, history)
    assert sentence == "outcomes of 2024-06-30 joined: 1 of 3 scored then have left"
    assert append_outcomes(tables, study, history) == []
    rows = read_outcomes(history, SENT)
    assert [*rows.customer_id[rows.churned.astype(bool)]] == ["b"]
    assert (rows.risk == 0.5).all() and len(history.find(SENT)) == 2  # scores stand as they were


def test_a_customer_in_the_history_who_no_longer_exists_has_no_outcome(write_study):
    study, tables, history = write(write_study)
    append_scores(history, EARLY, ["a", "b", "erased"])
    [sentence] = append_outcomes(tables, study, history)
    assert "1 are no longer in the data, and have no outcome" in sentence
    rows = history.read(OUTCOMES).set_index("customer_id")
    assert not rows.in_data["erased"] and rows.churned.isna()["erased"]


def test_a_broken_chain_is_refused(write_study):
    study, tables, history = write(write_study)
    append_scores(history, EARLY, ["a", "b"])
    chain = history.folder / "chain.jsonl"
    chain.write_text(chain.read_text().replace('"rows": 2', '"rows": 3'))
    with pytest.raises(StudyError, match="expected an entry that follows from the one before"):
        append_outcomes(tables, study, history)
