"""Spans of days that modules share."""

import pytest

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
