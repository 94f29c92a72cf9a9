"""Remarks on ``known_at``, which may hide rows from snapshots."""

import pandas as pd
import pytest

from research.data import load
from research.panel.known_rows import find_hidden_rows

DAY = pd.Timestamp("2024-01-01")


def find(write_study, known: list[str | None]) -> list[str]:
    """Return the remarks on contracts begun on 1 January 2024 that became known on these days."""
    ids = [f"c{i}" for i in range(len(known))]
    people = pd.DataFrame({"customer_id": ids, "joined_at": DAY})
    terms = pd.DataFrame({"customer_id": ids, "started_at": DAY})
    terms["known_at"] = pd.to_datetime(pd.Series(known), format="ISO8601")
    study = write_study(tables={"customers": people, "contracts": terms})
    return [*map(str, find_hidden_rows(load.load_tables(study), study, pd.DataFrame()))]


def test_a_known_at_that_is_mostly_empty_is_told_with_its_rows_and_the_sql(write_study):
    assert find(write_study, [None, None, None, "2024-01-02"]) == [
        "table contracts, known_at: it is empty in 3 of 4 rows (75%), which no snapshot ever knows;"
        " where an empty one means known on the day itself, select COALESCE(known_at, started_at)"
        " AS known_at in contracts.sql"
    ]


def test_a_known_at_of_the_load_is_told_with_its_day(write_study):
    # the last snapshot is 30 June: what became known by its end is known to it
    told = find(write_study, ["2024-07-01", "2024-07-02", "2024-06-30 23:00"])
    assert len(told) == 1
    assert told[0].startswith(
        "table contracts, known_at: 2 of 3 rows dated by the last snapshot 2024-06-30 became known"
        " after it, 1 of them on 2024-07-01, so hardly any snapshot knows them"
    )
    assert "the day of the load" in told[0]


@pytest.mark.parametrize("late", [0, 1, 5])
def test_some_rows_that_came_late_are_as_they_should_be(write_study, late):
    assert find(write_study, ["2024-07-02"] * late + ["2024-01-03"] * (10 - late)) == []


def test_one_row_of_ten_without_known_at_is_no_remark(write_study):
    assert find(write_study, [None] + ["2024-01-03"] * 9) == []


def test_rows_that_become_known_one_by_one_are_no_load(write_study):
    # as a subscription that is known with its second payment
    late = [str(day.date()) for day in pd.date_range("2024-07-01", periods=7)]
    assert find(write_study, late + ["2024-01-03"] * 3) == []
    assert "7 of 7 rows" in find(write_study, late)[0]
