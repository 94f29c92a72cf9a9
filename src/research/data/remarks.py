"""Remarks on data that pass every check and may mislead all the same, one sentence each.

A fault stops a study; a remark doesn't. It says what was found, and which key of ``study.yml`` or
which cast in the SQL settles it. ``features.remarks`` collects the remarks of all packages.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from research.data.contracts import Tables
from research.study import Study

COLUMNS = ["place", "found", "remedy"]


class Remark(NamedTuple):
    """What was found where, and what settles it.

    Attributes
    ----------
    place : a table, a column or a key of study.yml
    found : with counts, so that a reader can judge it
    remedy : what to do, or what to look at first
    """

    place: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.found}; {self.remedy}"


def find_data_remarks(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield the remarks on contract tables that passed every check."""
    for find in FINDERS:
        yield from find(tables, study)


def list_remarks(remarks: Iterator[Remark]) -> pd.DataFrame:
    """Return remarks as a table with columns place, found, remedy, each once."""
    return pd.DataFrame([*dict.fromkeys(remarks)], columns=COLUMNS)


def describe_remarks(table: pd.DataFrame) -> list[str]:
    """Return each remark of a table as one sentence."""
    return [str(Remark(*row)) for row in table[COLUMNS].itertuples(index=False)]


FINDERS = ()
