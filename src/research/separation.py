"""Separation: columns by which some churners can be told from all others without error, so that a likelihood has no maximum."""

import numpy as np
import pandas as pd
from scipy.optimize import linprog

Array = np.ndarray
SAMPLE = 2_000  # rows on which separation is first looked for
MARGIN = 1e-6
LEAST_VARIANCE = 1e-4


def find_separation(matrix: Array, churned: Array) -> Array:
    """Return a direction along which no churner lies below any customer who stays, or zeros: without one the likelihood has its maximum.

    A direction with all churners on one side (complete separation), or with the rest on the border (quasi-complete), is the solution of a linear
    program: Konis (2007), Linear programming algorithms for detecting separated data in binary logistic regression models, Oxford;
    Albert & Anderson (1984), doi:10.1093/biomet/71.1.1. Rows that span all columns and are not separated settle it for the rest.

    Parameters
    ----------
    matrix : (rows, columns) with the column of ones
    """
    signed = np.where(churned, 1.0, -1.0)[:, None] * matrix
    some = np.random.default_rng(0).permutation(len(signed))[:SAMPLE]
    if len(some) < len(signed) and np.linalg.matrix_rank(signed[some]) == matrix.shape[1] and not _separate(signed[some]).any():
        return np.zeros(matrix.shape[1])
    return _separate(signed)


def _separate(signed: Array) -> Array:
    scale = np.maximum(np.abs(signed).max(axis=0), MARGIN)
    signed = signed / scale
    found = linprog(-signed.mean(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs").x
    margins = signed @ found
    return np.where(np.abs(found) > 1e-5, found / scale, 0) if margins.min() > -MARGIN and margins.max() > 1e-4 else np.zeros(len(found))


def drop_separating(design: pd.DataFrame, churned: Array, descriptions: dict[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Leave out features until the columns no longer separate churners from others; the reason says with which others they did."""
    design, left_out = design.loc[:, design.var(ddof=0) > LEAST_VARIANCE], {}
    while design.shape[1]:
        direction = find_separation(np.column_stack([np.ones(len(design)), design.to_numpy()]), churned)[1:]
        if not direction.any():
            break
        names = design.columns.get_level_values(0)
        worst = names[np.abs(direction).argmax()]
        others = [descriptions.get(name, name) for name in dict.fromkeys(names[direction != 0]) if name != worst]
        beside = f", together with {'; '.join(others[:3])}" if others else ""
        left_out[worst] = f"separated: it tells some or all churners without error{beside}, so its odds ratio has no bound; check that it is no leak"
        design = design.loc[:, names != worst]
    return design, left_out
