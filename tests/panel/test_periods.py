"""Spans of days that modules share."""

from datetime import date

import ibis
import pandas as pd
import pytest

from research.panel import periods
from research.panel.periods import (
    MEAN_MONTH_DAYS,
    MEAN_YEAR_DAYS,
    MONTH_OF_30_DAYS,
    Months,
    name_spans,
)


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


IN_WORDS = [(30, "30 days"), (Months(), "a month"), (Months(3), "3 months")]
IN_WORDS += [(Months(1, 3), "1 month and 3 days")]


@pytest.mark.parametrize(("span", "words"), IN_WORDS)
def test_a_span_is_written_in_days_or_in_months_of_the_calendar(span, words):
    assert periods.write_span(span) == words


def test_a_span_ends_and_opens_on_the_days_of_the_calendar():
    # the table that DuckDB computes has to agree
    day, table = date(2024, 1, 31), ibis.memtable({"day": pd.to_datetime(["2024-01-31"])})
    spans = {Months(): date(2024, 2, 29), Months(2, 3): date(2024, 4, 3), 30: date(2024, 3, 1)}
    for span, end in spans.items():
        assert periods.find_end(day, span) == end
        found = table.mutate(end=periods.add_span(table.day, span)).to_pandas().end[0]
        assert found.date() == end
    assert periods.find_opening(date(2024, 3, 31), Months(12)) == date(2023, 3, 31)
    assert periods.find_opening(date(2024, 3, 31), 365) == date(2023, 4, 1)


def test_a_study_in_months_has_spans_of_months_and_one_in_days_of_days(write_study):
    months = write_study(
        churn={"horizon": "3 months", "lead_days": 7},
        snapshots={"last": "2024-06-30", "every": "month"},
    )
    days = write_study()
    assert [periods.find_step(study) for study in (months, days)] == [Months(), 30]
    assert [periods.find_year(study) for study in (months, days)] == [Months(12), 365]
    assert [periods.find_horizon(study.churn) for study in (months, days)] == [Months(3), 30]
    assert name_spans(months)["window3"] == Months(1, 3)
    counts = [periods.count_horizon_days(months.churn, date(2024, m, 31)) for m in (1, 3)]
    assert counts == [90, 91]  # 7 February to 7 May, 7 April to 7 July
    assert periods.count_horizon_days(days.churn, date(2024, 1, 31)) == 30
