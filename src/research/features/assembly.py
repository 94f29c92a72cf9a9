"""Assembly: features of many sources beside labelled rows, each column once and without a join.

Customers have numbers (see ``evidence.number_rows``), so the row of a snapshot and customer is
found by counting instead of by a join of all columns.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from research.features.dictionary import Block
from research.panel.evidence import NUMBER

# customers of one snapshot that are put together at a time when a panel needn't fit into memory
PART = 50_000


@dataclass(frozen=True)
class Rows:
    """Labelled rows in the order of snapshot and customer.

    ``labels``: a row each. ``snapshots``: those of the evidence. ``people``: how many customers
    have a number. ``places``: of each row, ``snapshot * people + number``, counted from 0.
    """

    labels: pa.Table
    snapshots: np.ndarray
    people: int
    places: np.ndarray

    def slice(self, start: int, stop: int) -> "Rows":
        """Return the rows from ``start`` to below ``stop``."""
        return replace(
            self, labels=self.labels.slice(start, stop - start), places=self.places[start:stop]
        )


def load_rows(labels: ir.Table, snapshots: Iterable[date], people: int) -> Rows:
    """Return the rows of a table with columns snapshot, customer_id, ``NUMBER`` (from 0, in the
    order of customer_id) and labels.
    """
    days = np.array(sorted(snapshots), dtype="datetime64[us]")
    table = labels.to_pyarrow()
    places = _place(table["snapshot"], table[NUMBER], days, people)
    order = np.argsort(places)
    table = table.drop_columns([NUMBER]).take(order)
    if not _in_order(
        table["customer_id"], places[order] // people
    ):  # a warehouse may sort texts by the rules of some language
        again = pc.sort_indices(table, [("snapshot", "ascending"), ("customer_id", "ascending")])
        table, order = table.take(again), order[again.to_numpy()]
    return Rows(table, days, people, places[order])


def _in_order(ids: pa.ChunkedArray, day: np.ndarray) -> bool:
    ids = ids.combine_chunks()
    return bool(
        np.all(pc.less(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False) | (day[:-1] != day[1:]))
    )


def _place(
    snapshot: pa.ChunkedArray, number: pa.ChunkedArray, days: np.ndarray, people: int
) -> np.ndarray:
    stamps = snapshot.cast(pa.timestamp("us")).to_numpy()
    day = np.searchsorted(days, stamps)
    alien = np.unique(stamps[days[np.minimum(day, len(days) - 1)] != stamps])
    if len(alien):
        wanted, given = (
            ", ".join(str(day) for day in part.astype("datetime64[D]")) for part in (days, alien)
        )
        raise ValueError(
            f"expected rows of the evidence's snapshots {wanted}, got {given}; make the evidence as"
            " of those days"
        )
    return day.astype("int64") * people + number.to_numpy()


def assemble(rows: Rows, blocks: Iterable[Block]) -> pa.Table:
    """Add the features of each block to the labels.

    Who has no row in it gets 0 where the feature says so, else nothing.

    Parameters
    ----------
    rows : see ``load_rows``
    blocks : tables with columns snapshot, customer_id (a number below ``rows.people``) and
        features, at most one row per place
    """
    panel = rows.labels
    for block in blocks:
        for name, column in _align(rows, block):
            panel = panel.append_column(name, column)
    return panel


def divide_parts(rows: Rows, blocks: Sequence[Block]) -> Iterator[tuple[Rows, list[Block]]]:
    """Yield rows and blocks of at most ``PART`` customers of one snapshot, in their order."""
    edges = np.searchsorted(rows.places // max(rows.people, 1), np.arange(len(rows.snapshots) + 1))
    for snapshot, (first, last) in zip(rows.snapshots.tolist(), pairwise(edges), strict=True):
        for start in range(first, max(last, first + 1), PART):
            part = rows.slice(start, min(start + PART, last))
            yield (
                part,
                [
                    replace(
                        block,
                        table=_select_part(
                            block.table, snapshot, part.places % max(rows.people, 1)
                        ),
                    )
                    for block in blocks
                ],
            )


def _select_part(table: ir.Table, snapshot: datetime, numbers: np.ndarray) -> ir.Table:
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, -1)
    return table.filter(table.snapshot == snapshot, table.customer_id.between(low, high))


def _align(rows: Rows, block: Block) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the columns of a block in the order of the rows.

    They are read one at a time, which holds no second copy.
    """
    table = block.table.to_pyarrow()
    at = _find(rows, _place(table["snapshot"], table["customer_id"], rows.snapshots, rows.people))
    for feature in block.features:
        column = pc.take(table[feature.name].combine_chunks(), at)
        yield feature.name, column.fill_null(0) if feature.zero else column


def _find(rows: Rows, places: np.ndarray) -> pa.Array:
    """Return for each row which of the places is its own, or nothing."""
    own = np.full(len(rows.snapshots) * rows.people, -1, dtype="int32")
    own[places] = np.arange(len(places), dtype="int32")
    if (several := len(places) - np.count_nonzero(own >= 0)) > 0:
        raise ValueError(
            f"expected features with one row per snapshot and customer, got {several} more;"
            " group by both"
        )
    at = own[rows.places]
    return pa.array(at, mask=at < 0)
