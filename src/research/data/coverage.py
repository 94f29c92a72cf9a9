"""From which day to which day the data show the event that is labelled."""

from datetime import date

from research.data.contracts import CONTRACTS, Tables
from research.errors import StudyError
from research.study import Study


def find_data_end(tables: Tables, study: Study) -> date:
    """Return the last day on which the labelled event could have been observed.

    That is ``data_end`` of study.yml, else the day of the last row.
    """
    if study.data_end is not None:
        _require_past(study)
        return study.data_end
    table = tables[_name_labelled_table(study)]
    columns = [name for name in ("started_at", "ended_at", "ordered_at") if name in table.columns]
    last = table.agg(**{column: table[column].max() for column in columns}).execute().iloc[0]
    return last.max().date()


def _require_past(study: Study) -> None:
    if study.data_end > study.today:
        raise StudyError(
            f"study.yml of {study.name}, key data_end: expected a day that is not in the future,"
            f" got {study.data_end}; give the last day on which the data would show an event"
        )


def find_data_start(tables: Tables, study: Study) -> date:
    """Return the day of the first row of the table that defines who is a customer."""
    name = _name_labelled_table(study)
    return tables[name][CONTRACTS[name].dated].min().execute().date()


def find_observed_start(tables: Tables, study: Study) -> date:
    """Return the first day with a row and on which the labelled event would have been recorded."""
    first = find_data_start(tables, study)
    return max(first, study.data_start or first)


def _name_labelled_table(study: Study) -> str:
    """Return the table whose rows define who is a customer and who churned."""
    return "contracts" if study.kind == "contractual" else "orders"
