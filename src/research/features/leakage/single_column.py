"""One column alone that knows the outcome, or that identifies customers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.contracts import RESERVED
from research.features.leakage.binning import Grouping, group_values, list_groupings
from research.features.leakage.cells import count_cells, divide_rows, measure_areas
from research.features.leakage.findings import (
    FALSE_ALARM,
    MIN_CUSTOMERS,
    PURE_CUSTOMERS,
    SEPARATION_AUC,
    Finding,
)
from research.features.leakage.identifiers import identifies_customers

MIN_CLASS_ROWS = 10
RATE_GROUPS = 50


@dataclass(frozen=True)
class CheckedRows:
    """What all columns are checked against, computed once; see ``prepare_rows``.

    Attributes
    ----------
    frame : the rows
    customers : numbers of the customers
    first : the places of each customer's first row
    part : fold and class of each row, see ``cells.divide_rows``
    never_back : rows of customers who never left before: who came back keeps what was written when
        they left
    outcomes : in words, who of ``never_back`` left, and how many customers left
    """

    frame: pd.DataFrame
    customers: np.ndarray
    first: np.ndarray
    part: np.ndarray
    never_back: np.ndarray
    outcomes: tuple[tuple[str, np.ndarray, int], ...]


def prepare_rows(frame: pd.DataFrame) -> CheckedRows:
    """Return rows with what all checks of a single column need."""
    customers = pd.factorize(frame.customer_id)[0]
    never_back = (
        (frame.n_earlier_spells == 0).to_numpy()
        if "n_earlier_spells" in frame
        else np.ones(len(frame), dtype=bool)
    )
    outcomes = tuple(
        (words, left, len(np.unique(customers[never_back][left])))
        for words, left in _list_outcomes(frame[never_back])
    )
    first = np.unique(customers, return_index=True)[1]
    return CheckedRows(frame, customers, first, divide_rows(frame), never_back, outcomes)


def _list_outcomes(frame: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield who churned in the window, and who left ever.

    Most customers leave at some time in some studies, which then says nothing.
    """
    for outcome, words in (
        ("churned", "churn in the window"),
        ("leaves_in_data", "leave before the data end"),
    ):
        if outcome in frame and (outcome == "churned" or frame[outcome].mean() <= 0.5):
            yield words, (frame[outcome].astype(bool) | frame.get("left_in_lead", False)).to_numpy()


def check_column(rows: CheckedRows, column: str) -> Finding | None:
    """Return the first suspicion about a column: identifier, separation, or only for churners."""
    return (
        _find_identifier(rows, column)
        or _find_separation(rows, column)
        or _find_pure_group(rows, column)
    )


def _find_identifier(rows: CheckedRows, column: str) -> Finding | None:
    """Look for a column that names or numbers customers.

    One that changes from snapshot to snapshot of a customer doesn't.
    """
    values = rows.frame[column].iloc[rows.first]
    if (
        column in RESERVED
        or not identifies_customers(values)
        or rows.frame[column].groupby(rows.customers).nunique().max() > 1
    ):
        return None
    values = values.dropna()
    return Finding(
        f"{values.nunique():,} distinct values for {len(values):,} customers",
        "identifier: it names a customer and carries nothing over to another",
    )


def _find_separation(rows: CheckedRows, column: str) -> Finding | None:
    churned = rows.part % 2
    if min(churned.sum(), (1 - churned).sum()) < MIN_CLASS_ROWS:
        return None
    codes = _group(rows.frame[column])
    area = measure_areas(count_cells(rows.part, codes, codes.max() + 1)[None])[0]
    if area < SEPARATION_AUC:
        return None
    return Finding(
        f"AUC {area:.3f} alone, cross-validated",
        "separation: one column separates churners from the others almost perfectly",
    )


def _group(values: pd.Series) -> np.ndarray:
    """Return numbers of groups, one for every text and for every range of numbers.

    Empty values are a group of their own.
    """
    return (
        pd.factorize(values, use_na_sentinel=False)[0]
        if values.dtype == object
        else group_values(values, RATE_GROUPS)
    )


def _find_pure_group(rows: CheckedRows, column: str) -> Finding | None:
    """Look for a value that only customers who leave have, in the label window or ever."""
    customers = rows.customers[rows.never_back]
    if not rows.never_back.any():
        return None
    groupings = [*list_groupings(rows.frame[column][rows.never_back], column)]
    for words, left, leavers in rows.outcomes:
        sizes = pd.concat([_count_pure(grouping, customers, left) for grouping in groupings])
        pure = sizes[sizes >= _require_size(left.mean(), leavers, len(sizes))]
        if len(pure):
            return Finding(
                f"all {pure.max():,} customers with {pure.idxmax()} {words}",
                "present only for churners: the value was written because they left",
            )
    return None


def _count_pure(grouping: Grouping, customers: np.ndarray, left: np.ndarray) -> pd.Series:
    """Return the number of customers of every group in which all leave, by its words."""
    codes, labels = grouping.codes, grouping.labels
    inside = codes >= 0
    stay = np.bincount(codes[inside & ~left], minlength=len(labels))
    rows = np.bincount(codes[inside], minlength=len(labels))
    pure = np.flatnonzero((stay == 0) & (rows >= MIN_CUSTOMERS))
    sizes = {labels[group]: len(np.unique(customers[codes == group])) for group in pure}
    return pd.Series(sizes, dtype="int64")


def _require_size(share: float, leavers: int, groups: int) -> float:
    """Return how many customers a group that leaves whole must hold to be no chance and no real
    high risk.

    It must be too improbable for a column that knows nothing, and hold 150 customers or half of all
    leavers: a small group that happens to leave whole can really be at a risk of 95 %.
    """
    chance = np.log(FALSE_ALARM / max(groups, 1)) / np.log(min(max(share, 1e-12), 1 - 1e-12))
    return max(MIN_CUSTOMERS, chance, min(PURE_CUSTOMERS, leavers / 2))
