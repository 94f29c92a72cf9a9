"""The day that is scored, and all that was known by its end.

A day is *judged* where its label window has closed (``snapshots.last``): it shows what a model is
worth. A day is *scored* where the window lies ahead, as on the last day of the data: it says who is
at risk now. Whatever is scored or learned goes through ``look_from``, which cuts the tables at that
day, so that a replay of an earlier day knows no more than was known then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_observed_start
from research.data.engines import Workbench
from research.errors import ISO_DAY, StudyError, UsageError, shorten
from research.features.assembly import assemble, divide_parts
from research.features.build import build_features, tidy
from research.panel.evidence import Evidence, evidence_as_of, filter_as_of
from research.panel.labels import find_population
from research.panel.periods import close_window, complete_labels, find_latest_snapshot
from research.panel.splits import move_last, plan_split
from research.study import Study


@dataclass(frozen=True)
class Outlook:
    """A study as it was known by the end of a day, from which one looks ahead.

    Attributes
    ----------
    day : the scored day
    tables : contract tables without what became known after the day
    study : the study whose data end on the day and whose training snapshots are ``train``
    train : snapshots whose label windows had closed by the day, oldest first
    """

    day: date
    tables: Tables
    study: Study
    train: tuple[date, ...]

    @property
    def opens(self) -> date:
        """Return the last day of the lead; the label window begins the day after."""
        return self.day + timedelta(days=self.study.churn.lead_days)

    @property
    def closes(self) -> date:
        """Return the last day of the label window."""
        return close_window(self.study.churn, self.day)

    @property
    def judged(self) -> date:
        """Return the latest snapshot whose label window had closed by the day."""
        return self.train[-1]

    @cached_property
    def evidence(self) -> Evidence:
        """Return what was known by the end of the day."""
        return evidence_as_of(self.tables, (self.day,))

    @property
    def population(self) -> ir.Table:
        """Return who is a customer on the day: a table with columns snapshot, customer_id."""
        return find_population(self.evidence, self.study)

    def load_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the features of the population, ``assembly.PART`` customers at a time, in order."""
        with Workbench() as workbench:
            rows, blocks = build_features(self.evidence, self.population, self.study, workbench)
            kept = [replace(block, table=workbench.keep(block.table, "block")) for block in blocks]
            for part in divide_parts(rows, kept):
                yield tidy(assemble(*part).to_pandas(self_destruct=True))


def find_scored_day(tables: Tables, study: Study, at: date | str | None = None) -> date:
    """Return the day to score: ``at``, else ``snapshots.scored``, else the last day of the data.

    Raises
    ------
    UsageError
        If ``at`` is not a day.
    StudyError
        If the study has no dates, or the day lies after the data or before the first day on which
        the shortest window of features lies within them.
    """
    if study.kind == "flat":
        raise StudyError(
            f"study {study.name}: expected dated tables, got one snapshot without dates, which has"
            " no day to score; read 30_risk, which predicts every customer out of fold"
        )
    end = find_data_end(tables, study)
    day = read_day(at) or study.snapshots.scored or end
    first = _find_first_day(tables, study)
    if day > end:
        raise StudyError(
            f"expected a day to score on or before the last day of the data, {end}, got {day};"
            f" score {end}, or bring newer data and a later data_end"
        )
    if day < first:
        raise StudyError(
            f"expected a day to score on or after {first}, on which the shortest window of features"
            f" ({study.features.windows[0]} days) lies within the data, got {day}; score a later"
            " day"
        )
    return day


def read_day(at: date | str | None) -> date | None:
    """Return a day that a user gave, as text or not; None of none."""
    if not isinstance(at, str):
        return at
    if not at:
        return None
    try:
        if ISO_DAY.fullmatch(at):
            return date.fromisoformat(at)
    except ValueError:
        pass  # such as 30 February
    raise UsageError(
        f"expected a day in the form 2025-06-30, got {shorten(at)}; write year, month and day of a"
        " day of the calendar"
    )


def _find_first_day(tables: Tables, study: Study) -> date:
    return find_observed_start(tables, study) + timedelta(days=study.features.windows[0] - 1)


def describe_short_history(tables: Tables, study: Study, day: date) -> str:
    """Return a sentence where windows of features reach back further than the data; else empty."""
    first = find_observed_start(tables, study)
    known = (day - first).days + 1
    long = [window for window in study.features.windows if window > known]
    if not long:
        return ""
    return (
        f"features over the last {', '.join(map(str, long))} days see {known} days alone on {day},"
        f" since leaving is on record from {first}"
    )


def look_from(tables: Tables, study: Study, day: date) -> Outlook:
    """Return a study as it was known by the end of a day.

    Parameters
    ----------
    tables : contract tables, unfiltered
    day : see ``find_scored_day``
    """
    known = {
        name: filter_as_of(table, name, (day,)).drop("snapshot") for name, table in tables.items()
    }
    then = study.model_copy(update={"data_end": day})
    train = plan_training(known, then, day)
    return Outlook(day, known, place_last(then, day, len(train)), train)


def plan_training(tables: Tables, study: Study, day: date) -> tuple[date, ...]:
    """Return the training snapshots of a day, oldest first: as many as the study plans.

    They are those whose label windows, with the days of grace, had closed by the day, as far as the
    data reach back.
    """
    first = find_observed_start(tables, study)
    planned = plan_split(place_last(study, day, study.snapshots.train)).train
    return tuple(snapshot for snapshot in planned if snapshot >= first)


def place_last(study: Study, day: date, train: int) -> Study:
    """Return the study with one test snapshot, the day, and so many training snapshots."""
    plan = {"test": 1, "train": max(train, 1)}
    moved = move_last(study, day)
    return moved.model_copy(update={"snapshots": moved.snapshots.model_copy(update=plan)})


def require_training(outlook: Outlook) -> None:
    """Refuse a day by which no label window had closed.

    Raises
    ------
    StudyError
        With the first day by which one has.
    """
    if outlook.train:
        return
    churn, first = outlook.study.churn, find_observed_start(outlook.tables, outlook.study)
    raise StudyError(
        f"expected a snapshot whose label window had closed by {outlook.day}, got none: leaving is"
        f" on record from {first}, and the first window closes {complete_labels(churn, first)}"
        f" (the latest snapshot would be {find_latest_snapshot(churn, outlook.day)}); choose a"
        " later day, or a shorter horizon or lead"
    )
