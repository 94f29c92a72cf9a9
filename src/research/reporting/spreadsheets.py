"""CSV files that are safe to open in a spreadsheet: no text in them is run as a formula."""

import re
from pathlib import Path

import pandas as pd

FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # the characters with which a formula begins
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
APOSTROPHE = "'"  # a spreadsheet takes what follows as text


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; texts that a spreadsheet would run begin with an apostrophe.

    Numbers stay numbers, texts that are numbers too.
    """
    neutralise(table).to_csv(path, index=False)


def neutralise(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts, the names of its columns among them, are no formulas."""
    columns = {name: _neutralise_column(table[name]) for name in table if _has_texts(table[name])}
    return table.assign(**columns).rename(columns=_neutralise_cell) if len(table.columns) else table


def _has_texts(column: pd.Series) -> bool:
    kind = column.dtype
    return isinstance(kind, pd.CategoricalDtype | pd.StringDtype) or pd.api.types.is_object_dtype(
        kind
    )


def _neutralise_column(column: pd.Series) -> pd.Series:
    return column.astype(object).map(_neutralise_cell)


def _neutralise_cell(cell: object) -> object:
    if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return APOSTROPHE + cell
    return cell
