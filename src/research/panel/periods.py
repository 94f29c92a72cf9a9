"""Spans of days that several modules share, and their names in a study's definitions."""

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.study import Study
from research.study_schema import Churn

YEAR_DAYS = 365  # a window of a year
MEAN_YEAR_DAYS = 365.25  # the mean calendar year, for rates and units
MONTH_OF_30_DAYS = 30  # a window of a month: cohorts and ages
MEAN_MONTH_DAYS = MEAN_YEAR_DAYS / 12  # the mean calendar month, for fees of a month
RESOLVED_DAYS = 3  # a contact is resolved in time within so many days


@dataclass(frozen=True)
class Months:
    """Months of the calendar, and ``more`` days: a span like one of days."""

    number: int = 1
    more: int = 0

    def __str__(self) -> str:
        months = f"{self.number} month{'s' if self.number > 1 else ''}"
        return f"{months} and {self.more} days" if self.more else months


Span = int | Months


def write_span(span: Span) -> str:
    """Return a span in words, as in "within 30 days", "3 months later", "a month apart"."""
    if isinstance(span, int):
        return f"{span} days"
    return "a month" if span == Months() else str(span)


def add_months(day: date, months: int) -> date:
    """Return the day so many months of the calendar later, or earlier where negative.

    The end of a month stays one; a day that the month lacks becomes its last.
    """
    following = pd.Timestamp(day) + pd.Timedelta(days=1)
    if following.day == 1:
        return (following + pd.DateOffset(months=months) - pd.Timedelta(days=1)).date()
    return (pd.Timestamp(day) + pd.DateOffset(months=months)).date()


def shift_months(day: ir.TimestampValue, months: int) -> ir.TimestampValue:
    """Return what ``add_months`` does of a column."""
    step, one = ibis.interval(months=abs(months)), ibis.interval(days=1)
    following = day + one
    moved, ends = ((base + step if months >= 0 else base - step) for base in (day, following))
    return (following.day() == 1).ifelse(ends - one, moved)


def subtract_span(day: ir.TimestampValue, span: Span) -> ir.TimestampValue:
    """Return the day a span before a day."""
    if isinstance(span, Months):
        return shift_months(day, -span.number) - ibis.interval(days=span.more)
    return day - ibis.interval(days=span)


def add_span(day: ir.TimestampValue, span: Span) -> ir.TimestampValue:
    """Return the day a span after a day."""
    if isinstance(span, Months):
        return shift_months(day, span.number) + ibis.interval(days=span.more)
    return day + ibis.interval(days=span)


def find_opening(day: date, span: Span) -> date:
    """Return the day a span before a day, after which a window of the span opens."""
    if isinstance(span, Months):
        return add_months(day, -span.number) - timedelta(days=span.more)
    return day - timedelta(days=span)


def find_end(day: date, span: Span) -> date:
    """Return the day a span after a day, the last of a window that the day opens."""
    if isinstance(span, Months):
        return add_months(day, span.number) + timedelta(days=span.more)
    return day + timedelta(days=span)


def find_step(study: Study) -> Span:
    """Return how far apart snapshots are, and how long the windows of indicators."""
    return Months() if study.snapshots.every else study.snapshots.every_days


def find_horizon(churn: Churn) -> Span:
    """Return the length of the label window, in months where the study gives it so."""
    return Months(churn.horizon_months) if churn.horizon_months else churn.horizon_days


def find_year(study: Study) -> Span:
    """Return how far before a snapshot that of a year ago lies: 12 months where they are months."""
    return Months(12) if study.snapshots.every else YEAR_DAYS


def list_days_back(study: Study, last: date, number: int) -> list[date]:
    """Return so many snapshots up to the last, as far apart as the study says, oldest first."""
    plan, numbers = study.snapshots, reversed(range(number))
    if plan.every:
        return [add_months(last, -back) for back in numbers]
    return [last - timedelta(days=plan.every_days) * back for back in numbers]


def close_window(churn: Churn, snapshot: date) -> date:
    """Return the last day of the label window after a snapshot."""
    return find_end(snapshot + timedelta(days=churn.lead_days), find_horizon(churn))


def count_horizon_days(churn: Churn, snapshot: date) -> int:
    """Return the days of the label window after a snapshot, without the lead."""
    return (close_window(churn, snapshot) - snapshot).days - churn.lead_days


def complete_labels(churn: Churn, snapshot: date) -> date:
    """Return the day by whose end the labels of a snapshot are certain.

    That is ``grace_days`` after the window's last day: a term that begins by then makes an end of
    that day no leave.
    """
    return close_window(churn, snapshot) + timedelta(days=churn.grace_days)


def find_latest_snapshot(churn: Churn, day: date) -> date:
    """Return the latest snapshot whose labels are certain by the end of a day."""
    if not churn.horizon_months:
        return day - timedelta(days=churn.lead_days + churn.horizon_days + churn.grace_days)
    shortest = 28 * churn.horizon_months + churn.lead_days + churn.grace_days
    latest = day - timedelta(days=shortest)
    while complete_labels(churn, latest) > day:
        latest -= timedelta(days=1)
    return latest


def name_spans(study: Study) -> dict[str, Span]:
    """Return the spans by the names that definitions of indicators use."""
    plan, retention = study.snapshots, study.lifecycle.retention_days
    window = find_step(study)
    revenue = window if study.kind == "contractual" else 2 * retention
    named = {
        "window": window,
        "window3": Months(more=RESOLVED_DAYS) if plan.every else plan.every_days + RESOLVED_DAYS,
        "retention": retention,
        "retention2": 2 * retention,
        "revenue": revenue,
    }
    return named | {"year": YEAR_DAYS, "inactive": study.churn.inactive_days or 0}
