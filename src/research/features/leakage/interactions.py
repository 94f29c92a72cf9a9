"""Leakage in small combination: two or three columns that separate leavers from the others
together, though none of them does alone.

Columns are divided into few groups once. Everything else is counted in cells, so that thousands of
pairs take seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.features.leakage.binning import group_values
from research.features.leakage.cells import (
    bound_areas,
    count_cells,
    divide_rows,
    estimate_error,
    measure_areas,
)
from research.features.leakage.findings import MIN_CUSTOMERS

Partners = tuple[str, ...]
# by the number of columns; independent columns without leakage of AUC .85 reach .928 in twos, .964
# in threes
TOGETHER_AUC = {2: 0.95, 3: 0.99}
SURE_AUC = {2: 0.93, 3: 0.97}  # ... so the AUC less two standard errors must lie above that
# together, columns must err at most half as often as the best of them alone: else that one is what
# separates
GAIN = 2
ROWS = 25_000  # customers are thinned to about so many rows
WORK = 250_000_000  # pairs times rows, and fewer rows where there are many columns
BEST_PAIRS = 40  # a third column is tried with the best so many pairs
GROUPS_OF_THREE = 4


@dataclass(frozen=True)
class Cells:
    """Rows in groups: ``codes`` (columns x rows) below ``size``; ``part`` is twice the fold, plus
    one for churners; customers by class.
    """

    codes: np.ndarray
    size: int
    part: np.ndarray
    leavers: int
    others: int


def find_combinations(
    frame: pd.DataFrame, columns: list[str], kept: set[str]
) -> list[tuple[str, Partners, float]]:
    """Return the columns to exclude so that no two or three others separate leavers from the rest.

    Of the combinations that separate, the column in most of them goes first (the smallest set,
    found greedily), at a tie the one that separates most alone. Threes are looked for where no pair
    is left, as a third to the best pairs: three columns of which no two predict anything are not
    found.

    Parameters
    ----------
    frame : DataFrame with customer_id, churned and ``columns``
    columns : features that alone are not suspected
    kept : columns that study.yml keeps: their partners go, and themselves only where all partners
        are kept too

    Returns
    -------
    list of (column, partners, AUC cross-validated by customer)
        In the order of exclusion.
    """
    rows = _thin(frame, len(columns))
    classes = rows.groupby("customer_id").churned.any()
    if len(columns) < 2 or min(classes.sum(), (~classes).sum()) < MIN_CUSTOMERS:
        return []
    fine = _divide(rows, columns, _choose_groups(len(classes)), classes)
    alone = _score_alone(fine)
    separating, pairs = _find_pairs(fine, alone)
    excluded = _cover(separating, alone, columns, kept)
    gone = {columns.index(column) for column, _, _ in excluded}
    coarse = _divide(rows, columns, GROUPS_OF_THREE, classes)
    while threes := _find_threes(
        coarse, alone, [pair for pair in pairs if not gone & {*pair}], gone
    ):
        more = _cover(threes, alone, columns, kept)
        excluded, before = excluded + more, gone
        gone = gone | {columns.index(column) for column, _, _ in more}
        if gone == before:
            break
    return excluded


def _thin(frame: pd.DataFrame, columns: int) -> pd.DataFrame:
    """Return the rows of a part of the customers, drawn by a hash of their ids."""
    wanted = int(np.clip(WORK / max(columns * (columns - 1) / 2, 1), 5_000, ROWS))
    if len(frame) <= wanted:
        return frame
    ids = frame.customer_id.astype(str).to_numpy(object)
    drawn = pd.util.hash_array(ids, hash_key="thin customers 1") / 2.0**64
    return frame[drawn < wanted / len(frame)]


def _choose_groups(customers: int) -> int:
    """Return an even number of groups of which pairs of columns leave 20 customers to a cell.

    Even, so that one border is the median.
    """
    return int(np.clip(2 * int(np.sqrt(customers / MIN_CUSTOMERS) / 2), 4, 10))


def _divide(rows: pd.DataFrame, columns: list[str], groups: int, classes: pd.Series) -> Cells:
    codes = np.stack([group_values(rows[column], groups) for column in columns]).astype(np.int64)
    return Cells(codes, groups + 1, divide_rows(rows), int(classes.sum()), int((~classes).sum()))


def _count(cells: Cells, codes: np.ndarray, width: int) -> np.ndarray:
    """Return rows by fold, class and cell."""
    return count_cells(cells.part, codes, width)


def _score_alone(cells: Cells) -> np.ndarray:
    counts = np.stack([_count(cells, codes, cells.size) for codes in cells.codes])
    return measure_areas(counts)


def _separates(areas: np.ndarray, best_alone: np.ndarray, cells: Cells, members: int) -> np.ndarray:
    """Return which combinations separate: almost perfectly, beyond the sampling error of so few
    customers, and much better than their best column.
    """
    sure = areas - 2 * estimate_error(areas, cells.leavers, cells.others) >= SURE_AUC[members]
    return (areas >= TOGETHER_AUC[members]) & sure & (GAIN * (1 - areas) <= 1 - best_alone)


def _find_pairs(
    cells: Cells, alone: np.ndarray
) -> tuple[dict[tuple[int, ...], float], list[tuple[int, int]]]:
    """Return the pairs that separate with their AUC, and the best of all pairs."""
    separating, areas, pairs = {}, [], []
    for first in range(len(cells.codes) - 1):
        counts = np.stack(
            [
                _count(cells, cells.codes[first] * cells.size + other, cells.size**2)
                for other in cells.codes[first + 1 :]
            ]
        )
        upper = bound_areas(counts)
        partners = [(first, first + 1 + second) for second in range(len(upper))]
        separating |= _confirm(cells, counts, upper, partners, alone)
        areas += [*upper]
        pairs += partners
    best = np.argsort(-np.array(areas), kind="stable")
    return separating, [pairs[place] for place in best]


def _confirm(
    cells: Cells,
    counts: np.ndarray,
    upper: np.ndarray,
    sets: list[tuple[int, ...]],
    alone: np.ndarray,
) -> dict[tuple[int, ...], float]:
    """Return the sets of columns that separate in cross-validation too."""
    members = len(sets[0])
    places = np.flatnonzero(upper >= TOGETHER_AUC[members])
    if not len(places):
        return {}
    areas = measure_areas(counts[places])
    best_alone = np.array([max(alone[[*sets[place]]]) for place in places])
    return {
        sets[place]: area
        for place, area, good in zip(
            places, areas, _separates(areas, best_alone, cells, members), strict=True
        )
        if good
    }


def _find_threes(
    cells: Cells, alone: np.ndarray, pairs: list[tuple[int, int]], gone: set[int]
) -> dict[tuple[int, ...], float]:
    separating = {}
    for first, second in pairs[:BEST_PAIRS]:
        thirds = [third for third in range(len(cells.codes)) if third not in {first, second} | gone]
        if thirds:
            code = (cells.codes[first] * cells.size + cells.codes[second]) * cells.size
            counts = np.stack(
                [_count(cells, code + cells.codes[third], cells.size**3) for third in thirds]
            )
            sets = [tuple(sorted((first, second, third))) for third in thirds]
            separating |= _confirm(cells, counts, bound_areas(counts), sets, alone)
    return separating


def _cover(
    sets: dict[tuple[int, ...], float], alone: np.ndarray, columns: list[str], kept: set[str]
) -> list[tuple[str, Partners, float]]:
    """Return columns that break every set, the one in most sets first, each with the partners and
    the AUC of its clearest set.
    """
    return [*_walk_cover(dict(sets), alone, columns, kept)]


def _walk_cover(
    sets: dict[tuple[int, ...], float], alone: np.ndarray, columns: list[str], kept: set[str]
) -> Iterator[tuple[str, Partners, float]]:
    while sets:
        members = sorted({member for group in sets for member in group})
        hits = {member: sum(member in group for group in sets) for member in members}
        choice = max(
            members,
            key=lambda member: (
                columns[member] not in kept,
                hits[member],
                round(alone[member], 3),
                member,
            ),
        )
        clearest = max((group for group in sets if choice in group), key=lambda group: sets[group])
        yield (
            columns[choice],
            tuple(columns[member] for member in clearest if member != choice),
            float(sets[clearest]),
        )
        sets = {group: area for group, area in sets.items() if choice not in group}
