"""What each column can do to the log-odds of churn: a number's curve between knots, a category's step; and the coarse grids on which two columns meet."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

Array = np.ndarray
RARE = 20  # rows that a category needs for a step of its own
LEVELS = 8  # categories that a surface tells apart, the commonest
KNOTS = 12  # of a curve, at most
GRID = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # shares of the customers below the knots of a surface
MISSING = "(missing)"


@dataclass(frozen=True)
class Shape:
    """What the training part says of a column: knots of its curve and of its surfaces, or the categories for both; ``middle`` fills empty numbers."""

    curve: Array
    grid: Array
    middle: float | None = None
    gaps: bool = False

    def mark(self, values: pd.Series, marks: Array) -> Array:
        """Return how much of a row belongs to each knot or category, shape (rows, marks)."""
        if self.middle is None:
            return (_name(values)[:, None] == marks).astype(float)
        place = np.interp(np.nan_to_num(values.to_numpy(float), nan=self.middle), marks, np.arange(len(marks)))
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(marks))))

    def bend(self, values: pd.Series) -> Iterator[Array]:
        """Yield the blocks of columns for the effect of this column alone.

        A number gives its trend over the knots, and what bends it, in coordinates in which a penalty on squares is one on second differences of the
        curve (Eilers & Marx 1996, doi:10.1214/ss/1038425655); where values are missing, also that.
        """
        marks = self.mark(values, self.curve)
        if self.middle is None:
            yield from [marks] if len(self.curve) else []
            return
        if len(self.curve) > 1:
            yield (marks @ np.arange(len(self.curve)))[:, None]
        if len(self.curve) > 2:
            yield marks @ np.linalg.pinv(np.diff(np.eye(len(self.curve)), 2, axis=0))
        if self.gaps:
            yield values.isna().to_numpy(float)[:, None]

    def cut(self, values: pd.Series) -> Array:
        """Return for each row in which cell of the grid it lies, shape (rows, cells): a category, the rest of them, or a range between knots."""
        if self.middle is None:
            found = self.mark(values, self.grid)
            return np.column_stack([found, 1 - found.sum(axis=1)]).astype("float32")
        edges = self.grid[1:-1] if len(self.grid) == len(GRID) else self.grid[1:]  # each of few values is a cell
        place = np.searchsorted(edges, np.nan_to_num(values.to_numpy(float), nan=self.middle), side="right")
        return np.eye(len(edges) + 1, dtype="float32")[place]


def learn_shape(values: pd.Series, knots: int = KNOTS) -> Shape:
    """Lay knots at quantiles of a number, or at each of few values; name the categories of anything else, rare ones left to the intercept."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        counts = pd.Series(_name(values)).value_counts()
        kept = counts.index[counts >= RARE].to_numpy(object)
        return Shape(kept, kept[:LEVELS])
    known = values.to_numpy(float)[values.notna()]
    if not len(known):
        return Shape(np.zeros(1), np.zeros(1), 0.0)
    different, even = np.unique(known), np.linspace(0, 1, knots)
    curve, grid = (different if len(different) <= len(shares) else np.unique(np.quantile(known, shares)) for shares in (even, GRID))
    return Shape(curve, grid, float(np.median(known)), len(known) < len(values))


def _name(values: pd.Series) -> Array:
    return values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy(object)
