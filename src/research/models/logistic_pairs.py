"""Logistic regression with bent effects and with the pairs of columns that act together, each as
strong as the training part supports.

The log-odds of churn are a sum of one curve per number, one step per category and one surface per
pair, so all that such a model says can be drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from research.errors import StudyError
from research.models.log_odds import LOG_ODDS_SD

FEWEST, WIDTH = (
    4,
    600,
)  # knots of a curve at least; all curves together have about as many columns as WIDTH says
DOUBT = 0.3  # weight of that beside what the data say, in columns per block
STEPS, UPDATES, CLOSE = (
    12,
    4,
    1e-3,
)  # of Newton's method; of the strengths at each; the change of a coefficient at which it ends
WEAKEST, FIRMEST = 1e-3, 1e6  # penalties
RARE = 20  # rows that a category needs for a step of its own
LEVELS = 8  # categories that a surface tells apart, the commonest
KNOTS = 12  # of a curve, at most
GRID = (
    0.0,
    0.05,
    0.25,
    0.5,
    0.75,
    0.95,
    1.0,
)  # shares of the customers below the knots of a surface
MISSING = "(missing)"


@dataclass(frozen=True)
class Shape:
    """What the training part says of a column: knots of its curve and of its surfaces, or the
    categories for both; ``middle`` fills empty numbers.
    """

    curve: np.ndarray
    grid: np.ndarray
    middle: float | None = None
    gaps: bool = False

    def mark(self, values: pd.Series, marks: np.ndarray) -> np.ndarray:
        """Return how much of a row belongs to each knot or category, shape (rows, marks)."""
        if self.middle is None:
            return (_name(values)[:, None] == marks).astype(float)
        place = np.interp(
            np.nan_to_num(values.to_numpy(float), nan=self.middle), marks, np.arange(len(marks))
        )
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(marks))))

    def bend(self, values: pd.Series) -> Iterator[np.ndarray]:
        """Yield the blocks of columns for the effect of this column alone.

        A number gives its trend over the knots, and what bends it, in coordinates in which a
        penalty on squares is one on second differences of the curve (Eilers & Marx 1996,
        doi:10.1214/ss/1038425655); where values are missing, also that.
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

    def cut(self, values: pd.Series) -> np.ndarray:
        """Return for each row in which cell of the grid it lies, shape (rows, cells): a category,
        the rest of them, or a range between knots.
        """
        if self.middle is None:
            found = self.mark(values, self.grid)
            return np.column_stack([found, 1 - found.sum(axis=1)]).astype("float32")
        edges = (
            self.grid[1:-1] if len(self.grid) == len(GRID) else self.grid[1:]
        )  # each of few values is a cell
        place = np.searchsorted(
            edges, np.nan_to_num(values.to_numpy(float), nan=self.middle), side="right"
        )
        return np.eye(len(edges) + 1, dtype="float32")[place]


def learn_shape(values: pd.Series, knots: int = KNOTS) -> Shape:
    """Lay knots at quantiles of a number, or at each of few values; name the categories of anything
    else, rare ones left to the intercept.
    """
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        counts = pd.Series(_name(values)).value_counts()
        kept = counts.index[counts >= RARE].to_numpy(object)
        return Shape(kept, kept[:LEVELS])
    known = values.to_numpy(float)[values.notna()]
    if not len(known):
        return Shape(np.zeros(1), np.zeros(1), 0.0)
    different, even = np.unique(known), np.linspace(0, 1, knots)
    curve, grid = (
        different if len(different) <= len(shares) else np.unique(np.quantile(known, shares))
        for shares in (even, GRID)
    )
    return Shape(curve, grid, float(np.median(known)), len(known) < len(values))


def _name(values: pd.Series) -> np.ndarray:
    return values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy(object)


class LogisticPairs(ClassifierMixin, BaseEstimator):
    """Logistic regression on curves, steps and surfaces of a DataFrame's columns.

    Effects of single columns come first; pairs are looked for in what these leave unexplained, see
    ``find_pairs``. How strong a block of columns may be is learned with it, see ``fit_blocks``; an
    effect that the data don't support shrinks to nothing.

    Parameters
    ----------
    pairs : how many pairs may enter at most; 0 for effects of single columns only
    false_share : share of false ones that is accepted among the pairs found
    """

    def __init__(self, pairs: int = 10, false_share: float = 0.05):
        self.pairs = pairs
        self.false_share = false_share

    def fit(self, frame: pd.DataFrame, churned: np.ndarray) -> "LogisticPairs":
        """Learn shapes, pairs and strengths from rows with numbers and texts, missing ones
        included.
        """
        churned = np.asarray(churned, float)
        if not 0 < churned.mean() < 1:
            raise StudyError(
                f"expected churners and others, got {int(churned.sum())} churners in"
                f" {len(churned)} rows; check the label in the study's SQL"
            )
        knots = int(np.clip(WIDTH // max(1, frame.select_dtypes("number").shape[1]), FEWEST, KNOTS))
        self.classes_, self.shapes_ = (
            np.array([False, True]),
            {name: learn_shape(frame[name], knots) for name in frame},
        )
        self.pairs_: list[tuple[str, str]] = []
        blocks = self._lay_curves(frame)
        risk = self._fit_blocks(blocks, churned)
        if self.pairs:
            self.pairs_ = find_pairs(
                frame, self.shapes_, churned - risk, risk * (1 - risk), self.pairs, self.false_share
            )
        if self.pairs_:
            self.grid_means_ = {
                name: self._mark_grid(frame, name).mean(axis=0)
                for pair in self.pairs_
                for name in pair
            }
            self._fit_blocks(
                blocks + self._lay_surfaces(frame),
                churned,
                (self.intercept_, self.coef_, self.strengths_),
            )
        return self

    def _lay_curves(self, frame: pd.DataFrame) -> list[np.ndarray]:
        return [block for name, shape in self.shapes_.items() for block in shape.bend(frame[name])]

    def _lay_surfaces(self, frame: pd.DataFrame) -> list[np.ndarray]:
        """Products of what two columns say beyond their means, one block per pair."""
        centred = (
            {name: self._mark_grid(frame, name) - mean for name, mean in self.grid_means_.items()}
            if self.pairs_
            else {}
        )
        return [
            (centred[one][:, :, None] * centred[other][:, None, :]).reshape(len(frame), -1)
            for one, other in self.pairs_
        ]

    def _mark_grid(self, frame: pd.DataFrame, name: str) -> np.ndarray:
        return self.shapes_[name].mark(frame[name], self.shapes_[name].grid)

    def _fit_blocks(
        self,
        blocks: list[np.ndarray],
        churned: np.ndarray,
        start: tuple[float, np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Learn the coefficients of all blocks, and return each row's risk."""
        self.means_ = [block.mean(axis=0) for block in blocks]
        self.lengths_ = [
            np.sqrt(((block - mean) ** 2).sum(axis=1).mean()) or 1.0
            for block, mean in zip(blocks, self.means_, strict=True)
        ]
        if not blocks:  # no column tells anything: everybody gets the share of churners
            self.intercept_, self.coef_, self.strengths_ = (
                logit(churned.mean()),
                np.empty(0),
                np.empty(0),
            )
            return np.full(len(churned), churned.mean())
        owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        matrix = self._join(blocks)
        self.intercept_, self.coef_, self.strengths_ = fit_blocks(matrix, churned, owner, start)
        return expit(matrix @ self.coef_ + self.intercept_)

    def _join(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Blocks of mean 0 and length 1, side by side: the square root of a strength is then the
        standard deviation of its effect on the log-odds.
        """
        return np.hstack(
            [
                (block - mean) / length
                for block, mean, length in zip(blocks, self.means_, self.lengths_, strict=True)
            ]
        )

    def decision_function(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the log-odds of churn."""
        check_is_fitted(self)
        if not len(self.coef_):
            return np.full(len(frame), self.intercept_)
        return (
            self._join(self._lay_curves(frame) + self._lay_surfaces(frame)) @ self.coef_
            + self.intercept_
        )

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        churn = expit(self.decision_function(frame))
        return np.column_stack([1 - churn, churn])


def fit_blocks(
    matrix: np.ndarray,
    churned: np.ndarray,
    owner: np.ndarray,
    start: tuple[float, np.ndarray, np.ndarray] | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Fit a logistic regression whose coefficients are drawn, block by block, from normal
    distributions of variances that are learned too.

    A variance is the one under which the data are most probable (MacKay 1992,
    doi:10.1162/neco.1992.4.5.720, by his fixed-point steps around the Laplace approximation), with
    ``DOUBT`` columns' worth of the belief that all blocks share ``LOG_ODDS_SD`` alike. The
    intercept is free.

    Parameters
    ----------
    matrix : (rows, columns), every block of mean 0
    churned : 0 or 1 for each row
    owner : number of the block of each column, from 0 on, each in use
    start : what was returned for the first of these columns, from which it is not far

    Returns
    -------
    intercept, coefficients, variances of the blocks
    """
    sizes, rows = np.bincount(owner), np.column_stack([matrix, np.ones(len(matrix))])
    belief = len(sizes) / LOG_ODDS_SD**2
    intercept, first, strengths = start or (
        np.log(churned.mean() / (1 - churned.mean())),
        np.empty(0),
        np.empty(0),
    )
    penalties = np.r_[1 / strengths, np.full(len(sizes) - len(strengths), belief)]
    fit = np.r_[first, np.zeros(matrix.shape[1] - len(first)), intercept]
    for _ in range(STEPS):
        before, (gram, pull) = fit, _curve(rows, churned, fit)
        for _ in range(UPDATES):
            spread = np.linalg.inv(gram + np.diag(np.r_[penalties[owner], 0]))
            fit = spread @ pull
            learned = sizes - penalties * np.bincount(owner, np.diag(spread)[:-1])
            found = (np.maximum(learned, 0) + DOUBT) / (
                np.bincount(owner, fit[:-1] ** 2) + DOUBT / belief
            )
            penalties = np.clip(found, WEAKEST, FIRMEST)
        if np.abs(fit - before).max() < CLOSE:
            break
    return float(fit[-1]), fit[:-1], 1 / penalties


def _curve(rows: np.ndarray, churned: np.ndarray, fit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the second-order approximation of the log-likelihood at a fit: its matrix, and the
    vector whose solution is Newton's next fit.
    """
    risk = expit(np.clip(rows @ fit, -15, 15))
    weighted = rows.astype("float32") * np.sqrt(risk * (1 - risk)).astype("float32")[:, None]
    gram = (weighted.T @ weighted).astype(
        float
    )  # single precision is twice as fast, and moves the steps, not where they end
    return gram, gram @ fit + rows.T @ (churned - risk)


def find_pairs(
    frame: pd.DataFrame,
    shapes: dict[str, Shape],
    residual: np.ndarray,
    weight: np.ndarray,
    most: int,
    false_share: float,
) -> list[tuple[str, str]]:
    """Return the pairs of columns in whose cells churn differs from what the columns tell one by
    one, the surest first.

    As FAST does (Lou et al. 2013, doi:10.1145/2487575.2487579), every pair is cut into a coarse
    table. The sum over its cells of squared residuals over their variance, less the same over its
    rows and columns, is about chi-squared where there is nothing; the pairs kept hold the expected
    share of false ones below ``false_share`` (Benjamini & Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    residual, weight : churn minus risk, and risk times its complement, of each row under the
        effects of single columns
    """
    names = [name for name, shape in shapes.items() if len(shape.grid) > 1]
    if len(names) < 2:
        return []
    cells = [shapes[name].cut(frame[name]) for name in names]
    excess, freedom = measure_excess(
        np.hstack(cells),
        np.repeat(np.arange(len(names)), [cut.shape[1] for cut in cells]),
        residual,
        weight,
    )
    first, second = np.triu_indices(len(names), 1)
    chance = chi2.logsf(np.maximum(excess[first, second], 0), np.maximum(freedom[first, second], 1))
    order = np.argsort(chance, kind="stable")
    passed = np.flatnonzero(
        chance[order] <= np.log(false_share * np.arange(1, len(order) + 1) / len(order))
    )
    kept = order[: min(most, passed.max(initial=-1) + 1)]
    return [(names[first[place]], names[second[place]]) for place in kept]


def measure_excess(
    cells: np.ndarray, owner: np.ndarray, residual: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each two columns the chi-squared of their table beyond that of its rows and
    columns, and its degrees of freedom.

    Parameters
    ----------
    cells : (rows, cells), 1 where a row lies in a cell of a column, else 0
    owner : number of the column of each cell
    """
    columns = np.eye(owner.max() + 1)[owner]
    pulls, variances = (
        (cells * values.astype("float32")[:, None]).T @ cells for values in (residual, weight)
    )
    filled = variances > 0.5  # about two customers at even odds
    table = np.divide(pulls**2, variances, out=np.zeros_like(pulls), where=filled)
    whole, alone = columns.T @ table @ columns, np.diag(table) @ columns
    used = np.diag(filled) @ columns
    freedom = columns.T @ filled @ columns - used[:, None] - used[None, :] + 1
    return whole - alone[:, None] - alone[None, :], freedom
