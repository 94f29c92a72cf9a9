"""Logistic regression with non-linear effects and interactions of pairs of columns.

The log-odds of churn are a sum of one curve per number, one step per category and one surface per
pair of columns, so all of the model can be drawn. From the bottom up: the shape of a column, the
fit of blocks of columns with learned penalties, the search for pairs, and the classifier.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.special import expit, logit
from scipy.stats import chi2
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from research.errors import StudyError
from research.evaluation.groups import is_measured
from research.models.log_odds import LOG_ODDS_SD
from research.models.preprocessing import LEAST_CATEGORY_ROWS, MAX_CATEGORIES

MAX_KNOTS, MIN_KNOTS = 12, 4  # of a curve
CURVE_COLUMNS = 600  # that all curves together have, about
GRID = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # shares of customers below the knots of a surface
MISSING = "(missing)"
PRIOR_COLUMNS = 0.3  # weight of the prior of a block's variance, in columns of data
NEWTON_STEPS = 12
NEW_CURVATURE = (0, 1, 2, 5, 8)  # steps that compute it; the others take that of the last such step
HALVINGS = 10  # of a step that overshoots
VARIANCE_UPDATES = 4  # in each of Newton's steps
TOLERANCE = 1e-3  # change of a coefficient below which Newton's method ends
LEAST_PENALTY, MOST_PENALTY = 1e-3, 1e6


@dataclass(frozen=True)
class Shape:
    """What was learned of a column in the training part.

    Attributes
    ----------
    curve, grid : knots of its curve and of its surfaces, or the categories for both
    middle : median of a number, which fills empty values; None for a text
    gaps : whether a number has empty values
    """

    curve: np.ndarray
    grid: np.ndarray
    middle: float | None = None
    gaps: bool = False

    def membership(self, values: pd.Series, knots: np.ndarray) -> np.ndarray:
        """Return how much of a row belongs to each knot or category, shape (rows, knots)."""
        if self.middle is None:
            return (_to_texts(values)[:, None] == knots).astype(float)
        place = np.interp(
            np.nan_to_num(values.to_numpy(float), nan=self.middle), knots, np.arange(len(knots))
        )
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(knots))))

    def curve_blocks(self, values: pd.Series) -> Iterator[np.ndarray]:
        """Yield the blocks of columns for the effect of this column alone.

        A number gives its trend over the knots, and its departures from a straight line, in
        coordinates in which a penalty on squares is one on second differences of the curve (Eilers
        & Marx 1996, doi:10.1214/ss/1038425655); where values are missing, also a marker.
        """
        marks = self.membership(values, self.curve)
        if self.middle is None:
            yield from [marks] if len(self.curve) else []
            return
        if len(self.curve) > 1:
            yield (marks @ np.arange(len(self.curve)))[:, None]
        if len(self.curve) > 2:
            yield marks @ np.linalg.pinv(np.diff(np.eye(len(self.curve)), 2, axis=0))
        if self.gaps:
            yield values.isna().to_numpy(float)[:, None]

    def cells(self, values: pd.Series) -> np.ndarray:
        """Return in which cell of the grid each row lies, shape (rows, cells).

        A cell is a category, the rest of them, or a range between knots.
        """
        if self.middle is None:
            named = self.membership(values, self.grid)
            return np.column_stack([named, 1 - named.sum(axis=1)]).astype("float32")
        # each of few values is a cell
        edges = self.grid[1:-1] if len(self.grid) == len(GRID) else self.grid[1:]
        place = np.searchsorted(
            edges, np.nan_to_num(values.to_numpy(float), nan=self.middle), side="right"
        )
        return np.eye(len(edges) + 1, dtype="float32")[place]


def learn_shape(values: pd.Series, knots: int = MAX_KNOTS) -> Shape:
    """Return the shape of a column.

    Knots lie at quantiles of a number, or at each of few values. Anything else has categories, of
    which rare ones are left to the intercept.

    Parameters
    ----------
    knots : of a number's curve, at most
    """
    if not is_measured(values):
        counts = pd.Series(_to_texts(values)).value_counts()
        kept = counts.index[counts >= LEAST_CATEGORY_ROWS].to_numpy(object)
        return Shape(kept, kept[:MAX_CATEGORIES])
    known = values.to_numpy(float)[values.notna()]
    if not len(known):
        return Shape(np.zeros(1), np.zeros(1), 0.0)
    different, even = np.unique(known), np.linspace(0, 1, knots)
    curve, grid = (
        different if len(different) <= len(shares) else np.unique(np.quantile(known, shares))
        for shares in (even, GRID)
    )
    return Shape(curve, grid, float(np.median(known)), len(known) < len(values))


def _to_texts(values: pd.Series) -> np.ndarray:
    return values.astype(object).where(values.notna(), MISSING).astype(str).to_numpy(object)


def fit_blocks(
    matrix: np.ndarray,
    churned: np.ndarray,
    owner: np.ndarray,
    start: tuple[float, np.ndarray, np.ndarray] | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Fit a logistic regression with a normal prior for each block of coefficients.

    The variances of the priors are learned too: those under which the data are most probable
    (empirical Bayes; MacKay 1992, doi:10.1162/neco.1992.4.5.720, by his fixed-point steps around
    the Laplace approximation), shrunk towards a prior in which all blocks share ``LOG_ODDS_SD``
    alike, with the weight of ``PRIOR_COLUMNS``. The intercept is free.

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
    sizes = np.bincount(owner)
    rows = np.column_stack([matrix, np.ones(len(matrix), matrix.dtype)]).astype("float32")
    prior_penalty = len(sizes) / LOG_ODDS_SD**2
    intercept, first, variances = start or (
        np.log(churned.mean() / (1 - churned.mean())),
        np.empty(0),
        np.empty(0),
    )
    penalties = np.r_[1 / variances, np.full(len(sizes) - len(variances), prior_penalty)]
    fit = np.r_[first, np.zeros(matrix.shape[1] - len(first)), intercept]
    curvature = None
    for number in range(NEWTON_STEPS):
        if number in NEW_CURVATURE:
            curvature = _compute_curvature(rows, fit)
        before, slope = fit, (curvature, _pull(rows, churned, fit, curvature))
        fit, learned = _step(slope, penalties, owner, VARIANCE_UPDATES)
        if not _improves(rows, churned, (before, fit), learned[owner]):
            fit, learned = _step_shorter(rows, churned, before, slope, penalties, owner)
        penalties = learned
        if np.abs(fit - before).max() < TOLERANCE:
            break
    return float(fit[-1]), fit[:-1], 1 / penalties


def _step(
    slope: tuple[np.ndarray, np.ndarray], penalties: np.ndarray, owner: np.ndarray, updates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return Newton's next fit, and the penalties learned with it in so many updates."""
    for _ in range(updates):
        spread = _invert(slope[0], penalties[owner])
        fit = spread @ slope[1]
        penalties = _update(fit, spread, penalties, owner)
    return fit, penalties


def _update(
    fit: np.ndarray, spread: np.ndarray, penalties: np.ndarray, owner: np.ndarray
) -> np.ndarray:
    """Return MacKay's next penalties of the blocks."""
    sizes = np.bincount(owner)
    learned = sizes - penalties * np.bincount(owner, np.diag(spread)[:-1])
    updated = (np.maximum(learned, 0) + PRIOR_COLUMNS) / (
        np.bincount(owner, fit[:-1] ** 2) + PRIOR_COLUMNS * LOG_ODDS_SD**2 / len(sizes)
    )
    return np.clip(updated, LEAST_PENALTY, MOST_PENALTY)


def _step_shorter(
    rows: np.ndarray,
    churned: np.ndarray,
    before: np.ndarray,
    slope: tuple[np.ndarray, np.ndarray],
    penalties: np.ndarray,
    owner: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a part of Newton's step under known penalties that improves the fit.

    A whole step overshoots where columns nearly separate the classes.
    """
    spread = _invert(slope[0], penalties[owner])
    step = spread @ slope[1] - before
    for _ in range(HALVINGS):
        if _improves(rows, churned, (before, before + step), penalties[owner]):
            break
        step = step / 2
    return before + step, _update(before + step, spread, penalties, owner)


def _improves(
    rows: np.ndarray, churned: np.ndarray, fits: tuple[np.ndarray, np.ndarray], columns: np.ndarray
) -> bool:
    """Say whether the second fit is as probable as the first, under the penalties of columns."""
    before, after = (
        np.logaddexp(0, odds).sum() - churned @ odds + columns @ fit[:-1] ** 2 / 2
        for fit, odds in ((fit, _add_up(rows, fit)) for fit in fits)
    )
    return bool(after <= before + TOLERANCE)


def _add_up(rows: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return the log-odds of each row; products in single precision take half the time."""
    return (rows @ fit.astype("float32")).astype(float)


def _find_risk(rows: np.ndarray, fit: np.ndarray) -> np.ndarray:
    return expit(np.clip(_add_up(rows, fit), -15, 15))


def _compute_curvature(rows: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return the matrix of second derivatives of the negative log-likelihood at a fit."""
    risk = _find_risk(rows, fit)
    weighted = rows * np.sqrt(risk * (1 - risk)).astype("float32")[:, None]
    return (weighted.T @ weighted).astype(float)


def _pull(
    rows: np.ndarray, churned: np.ndarray, fit: np.ndarray, curvature: np.ndarray
) -> np.ndarray:
    """Return the vector whose solution under the curvature is the next fit.

    The gradient is that at the fit, so a curvature of an earlier step moves the steps, and not
    where they end.
    """
    missed = (churned - _find_risk(rows, fit)).astype("float32")
    return curvature @ fit + (missed @ rows).astype(float)


def _invert(curvature: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Return the inverse of the curvature with the penalties of the columns, by Cholesky."""
    whole = curvature + np.diag(np.r_[penalties, 0])
    factor, failed = dpotrf(whole, lower=True)
    if failed:
        return np.linalg.inv(whole)
    half = np.tril(dpotri(factor, lower=True)[0])
    return half + np.tril(half, -1).T


def find_pairs(
    frame: pd.DataFrame,
    shapes: dict[str, Shape],
    residual: np.ndarray,
    weight: np.ndarray,
    most: int,
    false_share: float,
) -> list[tuple[str, str]]:
    """Return the pairs of columns that interact, by rising p-value.

    As FAST does (Lou et al. 2013, doi:10.1145/2487575.2487579), every pair is cut into a coarse
    table. The sum over its cells of squared residuals over their variance, less the same over its
    rows and columns, is about chi-squared where there is nothing; the pairs kept hold the expected
    share of false ones below ``false_share`` (Benjamini & Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    residual, weight : churn minus risk, and risk times its complement, of each row under the
        effects of single columns
    most : pairs to return at most
    """
    names = [name for name, shape in shapes.items() if len(shape.grid) > 1]
    if len(names) < 2:
        return []
    cells = [shapes[name].cells(frame[name]) for name in names]
    excess, freedom = compute_excess(
        np.hstack(cells),
        np.repeat(np.arange(len(names)), [block.shape[1] for block in cells]),
        residual,
        weight,
    )
    first, second = np.triu_indices(len(names), 1)
    log_p = chi2.logsf(np.maximum(excess[first, second], 0), np.maximum(freedom[first, second], 1))
    order = np.argsort(log_p, kind="stable")
    passed = np.flatnonzero(
        log_p[order] <= np.log(false_share * np.arange(1, len(order) + 1) / len(order))
    )
    kept = order[: min(most, passed.max(initial=-1) + 1)]
    return [(names[first[place]], names[second[place]]) for place in kept]


def compute_excess(
    cells: np.ndarray, owner: np.ndarray, residual: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chi-squared of each two columns' table beyond its margins, and its freedom.

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


class LogisticPairs(ClassifierMixin, BaseEstimator):
    """Logistic regression on curves, steps and surfaces of a DataFrame's columns.

    Effects of single columns come first; pairs are looked for in their residuals, see
    ``find_pairs``. The variance of each block of columns is learned with it, see ``fit_blocks``; an
    effect that the data don't support shrinks to nothing.

    Parameters
    ----------
    pairs : how many pairs may enter at most; 0 for effects of single columns only
    false_share : accepted false discovery rate among the pairs found
    """

    def __init__(self, pairs: int = 10, false_share: float = 0.05):
        self.pairs = pairs
        self.false_share = false_share

    def fit(self, frame: pd.DataFrame, churned: np.ndarray) -> "LogisticPairs":
        """Learn shapes, pairs and variances from rows of numbers and texts, also missing ones."""
        churned = np.asarray(churned, float)
        if not 0 < churned.mean() < 1:
            raise StudyError(
                f"expected churners and others, got {int(churned.sum())} churners in"
                f" {len(churned)} rows; check the label in the study's SQL"
            )
        numbers = max(1, frame.select_dtypes("number").shape[1])
        knots = int(np.clip(CURVE_COLUMNS // numbers, MIN_KNOTS, MAX_KNOTS))
        self.classes_ = np.array([False, True])
        self.shapes_ = {name: learn_shape(frame[name], knots) for name in frame}
        self.pairs_: list[tuple[str, str]] = []
        blocks = self._curve_blocks(frame)
        risk = self._fit_blocks(blocks, churned)
        if self.pairs:
            self.pairs_ = find_pairs(
                frame, self.shapes_, churned - risk, risk * (1 - risk), self.pairs, self.false_share
            )
        if self.pairs_:
            self.grid_means_ = {
                name: self._grid_membership(frame, name).mean(axis=0)
                for pair in self.pairs_
                for name in pair
            }
            self._fit_blocks(
                blocks + self._surface_blocks(frame),
                churned,
                (self.intercept_, self.coef_, self.variances_),
            )
        return self

    def _curve_blocks(self, frame: pd.DataFrame) -> list[np.ndarray]:
        return [
            block
            for name, shape in self.shapes_.items()
            for block in shape.curve_blocks(frame[name])
        ]

    def _surface_blocks(self, frame: pd.DataFrame) -> list[np.ndarray]:
        """Return the products of two centred columns' memberships, one block per pair."""
        centred = (
            {
                name: self._grid_membership(frame, name) - mean
                for name, mean in self.grid_means_.items()
            }
            if self.pairs_
            else {}
        )
        return [
            (centred[one][:, :, None] * centred[other][:, None, :]).reshape(len(frame), -1)
            for one, other in self.pairs_
        ]

    def _grid_membership(self, frame: pd.DataFrame, name: str) -> np.ndarray:
        return self.shapes_[name].membership(frame[name], self.shapes_[name].grid)

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
        if not blocks:  # no column varies: everybody gets the share of churners
            self.intercept_ = logit(churned.mean())
            self.coef_, self.variances_ = np.empty(0), np.empty(0)
            return np.full(len(churned), churned.mean())
        owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        matrix = self._join(blocks)
        self.intercept_, self.coef_, self.variances_ = fit_blocks(matrix, churned, owner, start)
        odds = _add_up(matrix, self.coef_) + self.intercept_
        self.bounds_ = (odds.min(), odds.max())
        return expit(odds)

    def _join(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Return the blocks side by side, each of mean 0 and length 1, in single precision.

        The square root of a block's variance is then the standard deviation of its effect on the
        log-odds.
        """
        return np.hstack(
            [
                ((block - mean) / length).astype("float32")
                for block, mean, length in zip(blocks, self.means_, self.lengths_, strict=True)
            ]
        )

    def decision_function(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the log-odds of churn, within those of the training rows.

        Curves and surfaces are flat beyond the training range, but values that are new together
        would add up to odds that nobody had.
        """
        check_is_fitted(self)
        if not len(self.coef_):
            return np.full(len(frame), self.intercept_)
        matrix = self._join(self._curve_blocks(frame) + self._surface_blocks(frame))
        return np.clip(_add_up(matrix, self.coef_) + self.intercept_, *self.bounds_)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        churn = expit(self.decision_function(frame))
        return np.column_stack([1 - churn, churn])
