"""Spans of days that several modules share, and their names in a study's definitions."""

from research.study import Study

YEAR_DAYS = 365  # a window of a year
MEAN_YEAR_DAYS = 365.25  # the mean calendar year, for rates and units
MONTH_OF_30_DAYS = 30  # a window of a month: cohorts and ages
MEAN_MONTH_DAYS = MEAN_YEAR_DAYS / 12  # the mean calendar month, for fees of a month
RESOLVED_DAYS = 3  # a contact is resolved in time within so many days


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
