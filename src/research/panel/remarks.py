"""Remarks on populations and labels: what makes them empty, certain, or other than they seem."""

from collections.abc import Iterator

import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.panel.known_rows import find_hidden_rows
from research.panel.label_remarks import find_label_remarks
from research.study import Study


def find_panel_remarks(tables: Tables, study: Study, train: pd.DataFrame) -> Iterator[Remark]:
    """Yield the remarks on the population and the labels of the training rows.

    Parameters
    ----------
    tables : contract tables, unfiltered
    train : one row per snapshot and customer of a dated study, one per customer of a flat one
    """
    for find in FINDERS:
        yield from find(tables, study, train)


FINDERS = (find_hidden_rows, find_label_remarks)
