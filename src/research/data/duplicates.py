"""Twins: customers of a flat study whose rows are equal in everything but the identifier."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.study import Study

LEAST_SHARE = 0.005  # of the rows, from which on twins are worth a remark
MANY_VALUES = 5  # columns at least: fewer are equal by chance
MOST_SHARE = 0.5  # of the rows may be repeated: more are equal by chance


def find_first_twins(rows: pd.DataFrame) -> np.ndarray:
    """Return the place of each row's first twin; of a row without twins its own.

    Rows of few columns, and rows of which most have a twin, are equal by chance: none is a twin
    then.

    Parameters
    ----------
    rows : one row per customer; all columns but ``customer_id`` are compared
    """
    own = np.arange(len(rows))
    compared = rows.drop(columns="customer_id", errors="ignore")
    if len(compared.columns) < MANY_VALUES or not len(rows):
        return own
    hashes = pd.util.hash_pandas_object(compared, index=False).to_numpy()
    first = pd.Series(own).groupby(hashes).transform("first").to_numpy()
    return own if np.mean(first != own) > MOST_SHARE else first


def name_groups(rows: pd.DataFrame) -> np.ndarray:
    """Return the identifier of each row's first twin, by which rows stay in one fold.

    Rows of a dated study keep their customer: equal rows there are the same customer's.
    """
    customers = rows.customer_id.to_numpy()
    return customers if "snapshot" in rows else customers[find_first_twins(rows)]


def keep_together(
    splits: Iterable[tuple[np.ndarray, np.ndarray]], first: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield splits in which each row is in the fold of its first twin.

    Without twins they are the splits given.

    Parameters
    ----------
    splits : places of training and test rows, ``folds`` splits for each repeat
    first : see ``find_first_twins``
    """
    tests = [test for _, test in splits]
    for start in range(0, len(tests), folds):
        fold = np.empty(len(first), int)
        for number, test in enumerate(tests[start : start + folds]):
            fold[test] = number
        fold = fold[first]
        for number in range(folds):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


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
