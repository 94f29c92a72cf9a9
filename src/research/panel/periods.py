"""Spans of days that several modules share, and their names in a study's definitions."""

from datetime import date, timedelta

from research.study import Study
from research.study_schema import Churn

YEAR_DAYS = 365  # a window of a year
MEAN_YEAR_DAYS = 365.25  # the mean calendar year, for rates and units
MONTH_OF_30_DAYS = 30  # a window of a month: cohorts and ages
MEAN_MONTH_DAYS = MEAN_YEAR_DAYS / 12  # the mean calendar month, for fees of a month
RESOLVED_DAYS = 3  # a contact is resolved in time within so many days


def close_window(churn: Churn, snapshot: date) -> date:
    """Return the last day of the label window after a snapshot."""
    return snapshot + timedelta(days=churn.lead_days + churn.horizon_days)


def complete_labels(churn: Churn, snapshot: date) -> date:
    """Return the day by whose end the labels of a snapshot are certain.

    That is ``grace_days`` after the window's last day: a term that begins by then makes an end of
    that day no leave.
    """
    return close_window(churn, snapshot) + timedelta(days=churn.grace_days)


def find_latest_snapshot(churn: Churn, day: date) -> date:
    """Return the latest snapshot whose labels are certain by the end of a day."""
    return day - timedelta(days=churn.lead_days + churn.horizon_days + churn.grace_days)


def name_spans(study: Study) -> dict[str, int]:
    """Return the spans of days by the names that definitions of indicators use."""
    window, retention = study.snapshots.every_days, study.lifecycle.retention_days
    revenue = window if study.kind == "contractual" else 2 * retention
    named = {
        "window": window,
        "window3": window + RESOLVED_DAYS,
        "retention": retention,
        "retention2": 2 * retention,
        "revenue": revenue,
    }
    return named | {"year": YEAR_DAYS, "inactive": study.churn.inactive_days or 0}
