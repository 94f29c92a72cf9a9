"""The days between which the data show the labelled event."""

from datetime import date, timedelta

import pandas as pd
import pytest
from contract_tables import customers, days, running

from research.data import coverage, load
from research.errors import StudyError

ORDERS = pd.DataFrame(
    {
        "customer_id": ["a", "b"],
        "ordered_at": days("2023-03-01 18:00", "2024-11-05 09:00"),
        "amount": 1.0,
    }
)


def load_study(write_study, kind: str, **changes):
    tables = {"customers": customers(), "contracts": running(), "orders": ORDERS}
    study = write_study(kind, tables=tables, **changes)
    return load.load_tables(study), study


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        # contracts start on 1 January and 1 February 2023; the one end is on 10 July 2024
        ("contractual", date(2023, 1, 1), date(2024, 7, 10)),
        ("non_contractual", date(2023, 3, 1), date(2024, 11, 5)),
    ],
)
def test_the_data_reach_from_the_first_to_the_last_row_of_the_labelled_table(
    write_study, kind, start, end
):
    tables, study = load_study(write_study, kind, data_end=None)
    assert coverage.find_data_start(tables, study) == start
    assert coverage.find_data_end(tables, study) == end


def test_the_end_that_the_study_names_comes_first(write_study):
    tables, study = load_study(write_study, "contractual", data_end="2024-12-31")
    assert coverage.find_data_end(tables, study) == date(2024, 12, 31)


@pytest.mark.parametrize("days_ahead", [0, 1])
def test_an_end_after_today_is_refused_and_today_is_not(write_study, days_ahead):
    end = date.today() + timedelta(days=days_ahead)
    tables, study = load_study(write_study, "contractual", data_end=str(end))
    if days_ahead == 0:
        assert coverage.find_data_end(tables, study) == end
        return
    with pytest.raises(
        StudyError,
        match=f"key data_end: expected a day that is not in the future, got {end}; give the last",
    ):
        coverage.find_data_end(tables, study)
