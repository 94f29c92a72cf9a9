"""Spans of days that several modules share, and their names in a study's words."""

from research.study import Study

YEAR_DAYS = 365
RESOLVED_DAYS = 3


def name_spans(study: Study) -> dict[str, int]:
    """Return the spans of days by the names that definitions use."""
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
