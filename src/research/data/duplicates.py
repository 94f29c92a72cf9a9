"""Twins: customers of a flat study whose rows are equal in everything but the identifier."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.study import Study

LEAST_SHARE = 0.005  # of the rows, from which on twins are worth a remark
MANY_VALUES = 5  # columns at least: fewer are equal by chance


def number_twins(rows: pd.DataFrame) -> np.ndarray:
    """Return a number for each row that it shares with its twins alone.

    Parameters
    ----------
    rows : one row per customer; all columns but ``customer_id`` are compared
    """
    compared = rows.drop(columns="customer_id", errors="ignore")
    return compared.groupby([*compared.columns], dropna=False, sort=False).ngroup().to_numpy()


def count_twins(rows: pd.DataFrame) -> int:
    """Return the number of rows beyond the first of each set of twins."""
    return len(rows) - len(np.unique(number_twins(rows))) if len(rows) else 0


def find_twins(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark on the rows of a flat study that differ in the identifier alone."""
    if "snapshot" not in tables:
        return
    table = tables["snapshot"]
    compared = [column for column in table.columns if column != "customer_id"]
    if len(compared) < MANY_VALUES:
        return
    rows = int(table.count().execute())
    twins = rows - int(table.select(compared).distinct().count().execute())
    if twins >= LEAST_SHARE * rows:
        yield Remark(
            "table snapshot",
            f"{twins:,} of {rows:,} rows equal another in everything but customer_id",
            "remove them in the SQL where an export repeats rows; models keep such twins in one"
            " fold, so that none is judged by its own copy",
        )
