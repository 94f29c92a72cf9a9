"""Spans of days that modules share."""

from datetime import date

import ibis
import pandas as pd
import pytest

from research.panel import periods
from research.panel.periods import MEAN_MONTH_DAYS, MEAN_YEAR_DAYS, MONTH_OF_30_DAYS, name_spans


def test_a_month_of_thirty_days_and_the_mean_month_are_two_things():
    assert MONTH_OF_30_DAYS == 30
    assert MEAN_MONTH_DAYS == 30.4375  # 365.25 / 12
    assert MEAN_YEAR_DAYS == 12 * MEAN_MONTH_DAYS


@pytest.mark.parametrize(
    ("kind", "revenue", "inactive"), [("contractual", 28, 0), ("non_contractual", 400, 60)]
)
def test_the_spans_of_a_study_have_names(write_study, kind, revenue, inactive):
    study = write_study(
        kind,
        snapshots={"last": "2024-06-30", "every_days": 28},
        lifecycle={"retention_days": 200},
    )
    assert name_spans(study) == {
        "window": 28,
        "window3": 31,  # and three days more, within which a contact is resolved in time
        "retention": 200,
        "retention2": 400,
        "revenue": revenue,  # of orders: the retention span and the one before
        "year": 365,
        "inactive": inactive,
    }


DAYS = [
    (date(2024, 1, 15), 1, date(2024, 2, 15)),
    (date(2024, 1, 30), 1, date(2024, 2, 29)),  # February has no 30th
    (date(2024, 1, 31), 1, date(2024, 2, 29)),
    (date(2024, 2, 29), 1, date(2024, 3, 31)),  # the end of a month stays one
    (date(2024, 6, 30), 3, date(2024, 9, 30)),
    (date(2024, 6, 30), -1, date(2024, 5, 31)),
    (date(2024, 3, 30), -1, date(2024, 2, 29)),
    (date(2024, 12, 31), 2, date(2025, 2, 28)),
]


@pytest.mark.parametrize(("day", "months", "moved"), DAYS)
def test_ends_of_months_stay_ends_of_months(day, months, moved):
    assert periods.add_months(day, months) == moved
    table = ibis.memtable({"day": pd.to_datetime([day])})
    found = table.mutate(moved=periods.shift_months(table.day, months)).to_pandas().moved[0]
    assert found.date() == moved
