"""Columns of an explaining regression: features as numbers, neither collinear nor separating.

Numbers are in standard deviations from their mean, empty ones at the median with a column that
marks them; a category is compared with the commonest. Columns that hardly vary, that are collinear
with those chosen before, or that separate the classes are left out, each with its reason.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from research.evaluation.groups import is_measured
from research.models.preprocessing import (
    LEAST_CATEGORY_ROWS,
    LEAST_VARIANCE,
    MAX_CATEGORIES,
    MAX_DEVIATIONS,
)

MAX_INFLATION = 10.0  # variance inflation beyond which a feature is left out
EMPTY, OTHER, NUMBER = "empty", "other", ""  # names of columns besides those of the categories
SEPARATION_ROWS = 2_000  # on which separation is first looked for
MARGIN = 1e-6  # of a row to the border of the classes, within rounding


def make_design(rows: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a design, without those that hardly vary.

    Returns
    -------
    DataFrame with columns (feature, level)
        ``level`` is the category, or ``NUMBER`` for the number itself.
    """
    columns = {}
    for name in features:
        make_columns = _number_columns if is_measured(rows[name]) else _category_columns
        columns |= {(name, level): values for level, values in make_columns(rows[name]).items()}
    varying = {key: values for key, values in columns.items() if np.var(values) > LEAST_VARIANCE}
    names = (
        pd.MultiIndex.from_tuples(varying, names=["feature", "level"])
        if varying
        else pd.MultiIndex.from_arrays([[], []], names=["feature", "level"])
    )
    return pd.DataFrame(
        np.column_stack([*varying.values()]) if varying else np.empty((len(rows), 0)),
        index=rows.index,
        columns=names,
    )


def _number_columns(values: pd.Series) -> dict[str, np.ndarray]:
    values = values.astype(float).replace([np.inf, -np.inf], np.nan)
    middle = values.dropna().median()  # of none it is empty, without a warning
    empty, filled = values.isna().to_numpy(float), values.fillna(middle).to_numpy(float)
    often = LEAST_CATEGORY_ROWS <= empty.sum() <= len(empty) - LEAST_CATEGORY_ROWS
    marker = {EMPTY: empty} if often else {}
    spread = np.nanstd(filled) if values.notna().any() else 0.0
    if not spread > 0:
        return marker
    scaled = np.clip((filled - filled.mean()) / spread, -MAX_DEVIATIONS, MAX_DEVIATIONS)
    return {NUMBER: scaled} | marker


def to_texts(values: pd.Series) -> pd.Series:
    """Return values as texts; an empty value is one of them."""
    return values.astype(object).where(values.notna(), EMPTY).astype(str)


def _category_columns(values: pd.Series) -> dict[str, np.ndarray]:
    texts = to_texts(values)
    counts = texts.value_counts()
    next_common = counts.iloc[1 : MAX_CATEGORIES + 1]
    own = [*next_common.index[next_common >= LEAST_CATEGORY_ROWS]]
    columns = {level: (texts == level).to_numpy(float) for level in own}
    rest = (~texts.isin([counts.index[0], *own])).to_numpy(float)
    return columns | ({OTHER: rest} if rest.sum() >= LEAST_CATEGORY_ROWS else {})


def choose_columns(
    design: pd.DataFrame, churned: np.ndarray | None, most: int, descriptions: dict[str, str]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Choose features one by one, each the most predictive given those before.

    Features that are collinear with those chosen before are left out.

    Parameters
    ----------
    design : see ``make_design``
    churned : whether each row churned; without it features come in their order
    most : features to choose
    descriptions : what each feature is, in words

    Returns
    -------
    columns of the design, in the order of choice, and the reason for every feature left out
    """
    correlations, names = correlate(design), [*design.columns.get_level_values(0)]
    waiting = [*dict.fromkeys(names)]
    chosen, left_out = {}, {}
    while waiting and len(chosen) < most:
        before = [at for places in chosen.values() for at in places]
        places_of = {name: _find_places(names, name) for name in waiting}
        name = (
            waiting[0]
            if churned is None
            else _find_most_predictive(design.to_numpy(), churned, before, places_of)
        )
        waiting.remove(name)
        own = places_of[name]
        tries = [own, own[:1]] if design.columns[own[0]][1] == NUMBER else [own]
        fitting = [
            places
            for places in tries
            if max(compute_inflation(correlations, chosen | {name: places}).values())
            <= MAX_INFLATION
        ]
        if fitting:
            chosen[name] = fitting[0]
        else:
            nearest = _find_nearest(correlations, names, own, before) if before else name
            left_out[name] = (
                "collinear: predicted by the features chosen, most of all"
                f" {descriptions.get(nearest, nearest)}"
            )
    left_out |= dict.fromkeys(waiting, f"not among the {most} most predictive features")
    return [design.columns[at] for places in chosen.values() for at in places], left_out


def _find_places(names: list[str], name: str) -> list[int]:
    return [at for at, other in enumerate(names) if other == name]


def _find_nearest(
    correlations: np.ndarray, names: list[str], own: list[int], before: list[int]
) -> str:
    return names[before[np.abs(correlations[np.ix_(own, before)]).max(axis=0).argmax()]]


def correlate(design: pd.DataFrame) -> np.ndarray:
    """Return the correlations of the columns, also of a single one."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant column correlates with none
        correlations = np.corrcoef(design.to_numpy(), rowvar=False)
    return np.nan_to_num(correlations.reshape(design.shape[1], -1))


def _find_most_predictive(
    matrix: np.ndarray, churned: np.ndarray, chosen: list[int], waiting: dict[str, list[int]]
) -> str:
    """Return the feature with the smallest p-value in a score test given the columns chosen.

    Rao (1948), doi:10.1017/S0305004100023987.
    """
    fixed = np.column_stack([np.ones(len(matrix)), matrix[:, chosen]])
    p = (
        LogisticRegression(C=10.0, solver="newton-cholesky")
        .fit(fixed[:, 1:], churned)
        .predict_proba(fixed[:, 1:])[:, 1]
        if chosen
        else np.full(len(matrix), churned.mean())
    )
    weight, score = (p * (1 - p))[:, None], matrix.T @ (churned - p)
    across = fixed.T @ (weight * matrix)
    information = (
        matrix.T @ (weight * matrix)
        - across.T @ np.linalg.pinv(fixed.T @ (weight * fixed)) @ across
    )

    def log_p_value(name: str) -> float:
        at = waiting[name]
        inverse = np.linalg.pinv(information[np.ix_(at, at)], rcond=1e-8, hermitian=True)
        return chi2.logsf(score[at] @ inverse @ score[at], len(at))

    return min(waiting, key=log_p_value)


def compute_inflation(correlations: np.ndarray, groups: dict[str, list[int]]) -> dict[str, float]:
    """Return each feature's generalised variance inflation per column; 1 without collinearity.

    Fox & Monette (1992), doi:10.1080/01621459.1992.10475190.

    Parameters
    ----------
    correlations : of the columns
    groups : places of each feature's columns
    """
    places = [at for own in groups.values() for at in own]
    whole, inflation = _log_determinant(correlations, places), {}
    for name, own in groups.items():
        rest = [at for at in places if at not in own]
        parts = _log_determinant(correlations, own) + _log_determinant(correlations, rest)
        inflation[name] = (
            float(np.exp((parts - whole) / len(own))) if np.isfinite(whole) else np.inf
        )
    return inflation


def _log_determinant(correlations: np.ndarray, places: list[int]) -> float:
    return float(np.linalg.slogdet(correlations[np.ix_(places, places)])[1]) if places else 0.0


def find_separation(matrix: np.ndarray, churned: np.ndarray) -> np.ndarray:
    """Return a direction that separates the churners from the others, or zeros if there is none.

    Along it no churner lies below any customer who stays; then the likelihood has no maximum. A
    direction with all churners on one side (complete separation), or with the rest on the border
    (quasi-complete), is the solution of a linear program: Konis (2007), Linear programming
    algorithms for detecting separated data in binary logistic regression models, Oxford; Albert &
    Anderson (1984), doi:10.1093/biomet/71.1.1. Rows that span all columns and are not separated
    settle it for the rest; they are the same in every run, whatever the seed, since they only save
    time.

    Parameters
    ----------
    matrix : (rows, columns) with the column of ones
    """
    signed = np.where(churned, 1.0, -1.0)[:, None] * matrix
    some = np.random.default_rng(0).permutation(len(signed))[:SEPARATION_ROWS]
    if (
        len(some) < len(signed)
        and np.linalg.matrix_rank(signed[some]) == matrix.shape[1]
        and not _separate(signed[some]).any()
    ):
        return np.zeros(matrix.shape[1])
    return _separate(signed)


def _separate(signed: np.ndarray) -> np.ndarray:
    scale = np.maximum(np.abs(signed).max(axis=0), MARGIN)
    signed = signed / scale
    direction = linprog(
        -signed.mean(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        bounds=(-1, 1),
        method="highs",
    ).x
    margins = signed @ direction
    if margins.min() > -MARGIN and margins.max() > 1e-4:
        return np.where(np.abs(direction) > 1e-5, direction / scale, 0)
    return np.zeros(len(direction))


def drop_separating(
    design: pd.DataFrame, churned: np.ndarray, descriptions: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Leave out features until the columns no longer separate churners from others.

    Returns
    -------
    the columns that stay, and the reason for every feature left out, with the others that it
    separates the classes together with
    """
    design, left_out = design.loc[:, design.var(ddof=0) > LEAST_VARIANCE], {}
    while design.shape[1]:
        matrix = np.column_stack([np.ones(len(design)), design.to_numpy()])
        direction = find_separation(matrix, churned)[1:]
        if not direction.any():
            break
        names = design.columns.get_level_values(0)
        worst = names[np.abs(direction).argmax()]
        others = [
            descriptions.get(name, name)
            for name in dict.fromkeys(names[direction != 0])
            if name != worst
        ]
        together = f", together with {'; '.join(others[:3])}" if others else ""
        left_out[worst] = (
            f"separated: it predicts some or all churners without error{together}, so its odds"
            " ratio has no bound; check it for target leakage"
        )
        design = design.loc[:, names != worst]
    return design, left_out
