"""Remarks on data that pass every check and may mislead all the same, one sentence each.

A fault stops a study; a remark doesn't. It says what was found, and which key of ``study.yml`` or
which cast in the SQL settles it. ``features.remarks`` collects the remarks of all packages.
"""

from collections.abc import Iterator

import pandas as pd

from research.data.cancelled_orders import find_quick_cancellations
from research.data.contracts import Tables
from research.data.duplicates import find_twins
from research.data.identifiers import find_equal_forms
from research.data.late_ends import find_late_ends
from research.data.month_days import find_month_days
from research.data.odd_dates import (
    find_ends_by_export,
    find_late_joins,
    find_placeholders,
    find_shifted_midnights,
)
from research.data.odd_rows import find_guests, find_repeated_orders, find_totals
from research.data.remark import Remark
from research.data.spellings import find_spellings
from research.data.term_gaps import find_term_gaps
from research.data.text_values import find_text_columns
from research.study import Study

COLUMNS = ["place", "found", "remedy"]


def find_data_remarks(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield the remarks on contract tables that passed every check."""
    for find in FINDERS:
        yield from find(tables, study)


def describe_terms(tables: Tables, study: Study) -> list[str]:
    """Return the remarks on the terms of contracts, which every report repeats."""
    return [str(remark) + "." for find in TERM_FINDERS for remark in find(tables, study)]


def list_remarks(remarks: Iterator[Remark]) -> pd.DataFrame:
    """Return remarks as a table with columns place, found, remedy, each once."""
    return pd.DataFrame([*dict.fromkeys(remarks)], columns=COLUMNS)


def describe_remarks(table: pd.DataFrame) -> list[str]:
    """Return each remark of a table as one sentence."""
    return [str(Remark(*row)) for row in table[COLUMNS].itertuples(index=False)]


TERM_FINDERS = (find_term_gaps, find_late_ends, find_month_days)
FINDERS = (
    find_text_columns,
    find_quick_cancellations,
    find_spellings,
    find_equal_forms,
    find_twins,
    find_placeholders,
    find_late_joins,
    find_ends_by_export,
    find_shifted_midnights,
    find_repeated_orders,
    find_totals,
    find_guests,
    *TERM_FINDERS,
)
