"""Rows counted by fold, class and cell, and the AUC with which cells separate the classes."""

import numpy as np
import pandas as pd

FOLDS = 5


def divide_rows(frame: pd.DataFrame) -> np.ndarray:
    """Return the part of every row: twice its fold, plus one for churners.

    A customer's rows are in one fold, chosen by a hash of the id.
    """
    return find_folds(frame.customer_id) * 2 + frame.churned.to_numpy(bool)


def find_folds(customers: pd.Series) -> np.ndarray:
    """Return the fold of every row, by a hash of the customer's id."""
    hashes = pd.util.hash_array(customers.astype(str).to_numpy(object))
    return (hashes % FOLDS).astype(np.int64)


def count_cells(part: np.ndarray, codes: np.ndarray, width: int) -> np.ndarray:
    """Return rows by fold, class and cell.

    Parameters
    ----------
    part : see ``divide_rows``
    codes : the cell of each row, below ``width``
    """
    return np.bincount(part * width + codes, minlength=2 * FOLDS * width).reshape(FOLDS, 2, width)


def measure_areas(counts: np.ndarray) -> np.ndarray:
    """Return the AUC of the churn shares of cells, learned on the other folds.

    Parameters
    ----------
    counts : rows by any first index, fold, class and cell

    Returns
    -------
    One AUC for each first index.
    """
    rest = counts.sum(axis=1, keepdims=True) - counts
    share = rest[:, :, 1].sum(axis=2) / np.maximum(rest.sum(axis=(2, 3)), 1)
    risk = (rest[:, :, 1] + share[:, :, None]) / (rest.sum(axis=2) + 1)
    flat = (len(counts), -1)
    return _rank(risk.reshape(flat), counts[:, :, 1].reshape(flat), counts[:, :, 0].reshape(flat))


def bound_areas(counts: np.ndarray) -> np.ndarray:
    """Return the AUC of the churn shares of cells on the rows they were counted from.

    No cross-validated AUC can be larger.
    """
    churners, others = counts[:, :, 1].sum(axis=1), counts[:, :, 0].sum(axis=1)
    return _rank(churners / np.maximum(churners + others, 1), churners, others)


def estimate_error(area: np.ndarray, leavers: int, others: int) -> np.ndarray:
    """Return the standard error of an AUC (Hanley & McNeil 1982,
    doi:10.1148/radiology.143.1.7063747).
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (
        area * (1 - area) + (leavers - 1) * (first - area**2) + (others - 1) * (second - area**2)
    )
    return np.sqrt(np.maximum(spread, 0) / (leavers * others))


def _rank(risk: np.ndarray, churners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the AUC of each row of ``risk``, whose cells hold so many churners and others.

    Cells of equal risk count as ties.
    """
    order = np.argsort(risk, axis=1, kind="stable")
    risk, churners, others = (
        np.take_along_axis(table, order, axis=1) for table in (risk, churners, others)
    )
    below = np.cumsum(others, axis=1)
    first = np.ones(risk.shape, dtype=bool)
    first[:, 1:] = risk[:, 1:] > risk[:, :-1] + 1e-12
    last = np.ones(risk.shape, dtype=bool)
    last[:, :-1] = first[:, 1:]
    start = np.maximum.accumulate(np.where(first, below - others, 0), axis=1)
    end = np.minimum.accumulate(np.where(last, below, below[:, -1:])[:, ::-1], axis=1)[:, ::-1]
    pairs = np.maximum(churners.sum(axis=1) * others.sum(axis=1), 1)
    return (churners * (start + end)).sum(axis=1) / 2 / pairs
