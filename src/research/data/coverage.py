"""From which day to which day the data show the event that is labelled."""

from datetime import date

from research.data.contracts import CONTRACTS, Tables
from research.errors import StudyError
from research.study import Study


def find_data_end(tables: Tables, study: Study) -> date:
    """Return the last day on which the labelled event could have been seen: ``data_end`` of
    study.yml, else the last row's day.
    """
    if study.data_end is not None:
        _require_past(study)
        return study.data_end
    table = tables["contracts" if study.kind == "contractual" else "orders"]
    columns = [
        column for column in ("started_at", "ended_at", "ordered_at") if column in table.columns
    ]
    last = table.agg(**{column: table[column].max() for column in columns}).execute().iloc[0]
    return last.max().date()


def _require_past(study: Study) -> None:
    if study.data_end > date.today():
        raise StudyError(
            f"study.yml of {study.name}, key data_end: expected a day that has passed, got"
            f" {study.data_end}; name the last day on which the data would have shown an event"
        )


def find_data_start(tables: Tables, study: Study) -> date:
    """Return the day of the first row of the table that says who is a customer at a snapshot."""
    table = tables["contracts" if study.kind == "contractual" else "orders"]
    return (
        table[CONTRACTS["contracts" if study.kind == "contractual" else "orders"].dated]
        .min()
        .execute()
        .date()
    )
