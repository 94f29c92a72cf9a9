"""Columns of a regression that explains: features as numbers, chosen so that no one is told by the
others.

Numbers are in standard deviations from their mean, empty ones at the median beside a column that
says so; a category stands against the commonest.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

ENTANGLED = 10.0  # variance inflation beyond which a feature is left out
RARE = 20  # rows that a category, or emptiness, needs for a column of its own
LEVELS = 8  # categories with a column of their own, at most
BOUND = 5.0  # standard deviations
LEAST_VARIANCE = 1e-4
EMPTY, OTHER, NUMBER = "empty", "other", ""  # names of columns beside those of the categories


def lay_out(rows: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a design, named by feature and by category (``""`` for the number
    itself); what hardly varies is left out.
    """
    columns = {}
    for name in features:
        columns |= {
            (name, level): values
            for level, values in (_number if is_measured(rows[name]) else _categories)(
                rows[name]
            ).items()
        }
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


def is_measured(values: pd.Series) -> bool:
    """Say whether a column holds numbers; true and false are categories."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _number(values: pd.Series) -> dict[str, np.ndarray]:
    values = values.astype(float).replace([np.inf, -np.inf], np.nan)
    empty, filled = values.isna().to_numpy(float), values.fillna(values.median()).to_numpy(float)
    spread = np.nanstd(filled) if values.notna().any() else 0.0
    if not spread > 0:
        return {EMPTY: empty} if RARE <= empty.sum() <= len(empty) - RARE else {}
    scaled = np.clip((filled - filled.mean()) / spread, -BOUND, BOUND)
    return {NUMBER: scaled} | ({EMPTY: empty} if RARE <= empty.sum() <= len(empty) - RARE else {})


def as_texts(values: pd.Series) -> pd.Series:
    """Return values as texts, emptiness as one of them."""
    return values.astype(object).where(values.notna(), EMPTY).astype(str)


def _categories(values: pd.Series) -> dict[str, np.ndarray]:
    texts = as_texts(values)
    counts = texts.value_counts()
    own = [*counts.index[1 : LEVELS + 1][counts.iloc[1 : LEVELS + 1] >= RARE]]
    columns = {level: (texts == level).to_numpy(float) for level in own}
    rest = (~texts.isin([counts.index[0], *own])).to_numpy(float)
    return columns | ({OTHER: rest} if rest.sum() >= RARE else {})


def choose_columns(
    design: pd.DataFrame, churned: np.ndarray | None, most: int, descriptions: dict[str, str]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Choose features one by one, each by what it adds to those before; leave out what they tell
    already.

    Parameters
    ----------
    design : see ``lay_out``
    churned : whether each row churned; without it features come in their order
    most : features to choose
    descriptions : what each feature is, in words

    Returns
    -------
    columns of the design, in the order of choice, and the reason for every feature left out
    """
    alike, names = correlate(design), [*design.columns.get_level_values(0)]
    waiting = [*dict.fromkeys(names)]
    chosen, left_out = {}, {}
    while waiting and len(chosen) < most:
        before = [at for places in chosen.values() for at in places]
        name = (
            waiting[0]
            if churned is None
            else _find_telling(
                design.to_numpy(),
                churned,
                before,
                {name: _find_places(names, name) for name in waiting},
            )
        )
        waiting.remove(name)
        own = _find_places(names, name)
        tries = [own, own[:1]] if design.columns[own[0]][1] == NUMBER else [own]
        fitting = [
            places
            for places in tries
            if max(measure_inflation(alike, chosen | {name: places}).values()) <= ENTANGLED
        ]
        if fitting:
            chosen[name] = fitting[0]
        else:
            nearest = (
                names[before[np.abs(alike[np.ix_(own, before)]).max(axis=0).argmax()]]
                if before
                else name
            )
            left_out[name] = (
                "entangled: the features chosen tell it, most of all"
                f" {descriptions.get(nearest, nearest)}"
            )
    left_out |= dict.fromkeys(waiting, f"not among the {most} that tell most")
    return [design.columns[at] for places in chosen.values() for at in places], left_out


def _find_places(names: list[str], name: str) -> list[int]:
    return [at for at, other in enumerate(names) if other == name]


def correlate(design: pd.DataFrame) -> np.ndarray:
    """Return the correlations of the columns, also of a single one."""
    return np.nan_to_num(np.corrcoef(design.to_numpy(), rowvar=False).reshape(design.shape[1], -1))


def _find_telling(
    matrix: np.ndarray, churned: np.ndarray, chosen: list[int], waiting: dict[str, list[int]]
) -> str:
    """Return the feature with the surest score test against the model of the columns chosen (Rao
    1948, doi:10.1017/S0305004100023987).
    """
    fixed = np.column_stack([np.ones(len(matrix)), matrix[:, chosen]])
    p = (
        LogisticRegression(C=10.0, solver="newton-cholesky")
        .fit(fixed[:, 1:], churned)
        .predict_proba(fixed[:, 1:])[:, 1]
        if chosen
        else np.full(len(matrix), churned.mean())
    )
    weight, pull = (p * (1 - p))[:, None], matrix.T @ (churned - p)
    across = fixed.T @ (weight * matrix)
    curve = (
        matrix.T @ (weight * matrix)
        - across.T @ np.linalg.pinv(fixed.T @ (weight * fixed)) @ across
    )

    def surety(name: str) -> float:
        at = waiting[name]
        return chi2.logsf(
            pull[at] @ np.linalg.pinv(curve[np.ix_(at, at)], rcond=1e-8, hermitian=True) @ pull[at],
            len(at),
        )

    return min(waiting, key=surety)


def measure_inflation(alike: np.ndarray, groups: dict[str, list[int]]) -> dict[str, float]:
    """Return each feature's generalised variance inflation per column; 1 where nothing else tells
    it.

    Parameters
    ----------
    alike : correlations of the columns
    groups : places of each feature's columns
    """
    places = [at for own in groups.values() for at in own]
    whole, found = _log_volume(alike, places), {}
    for name, own in groups.items():
        rest = [at for at in places if at not in own]
        found[name] = (
            float(np.exp((_log_volume(alike, own) + _log_volume(alike, rest) - whole) / len(own)))
            if np.isfinite(whole)
            else np.inf
        )
    return found


def _log_volume(alike: np.ndarray, places: list[int]) -> float:
    return float(np.linalg.slogdet(alike[np.ix_(places, places)])[1]) if places else 0.0


SAMPLE = 2_000  # rows on which separation is first looked for
MARGIN = 1e-6


def find_separation(matrix: np.ndarray, churned: np.ndarray) -> np.ndarray:
    """Return a direction along which no churner lies below any customer who stays, or zeros:
    without one the likelihood has its maximum.

    A direction with all churners on one side (complete separation), or with the rest on the border
    (quasi-complete), is the solution of a linear program: Konis (2007), Linear programming
    algorithms for detecting separated data in binary logistic regression models, Oxford; Albert &
    Anderson (1984), doi:10.1093/biomet/71.1.1. Rows that span all columns and are not separated
    settle it for the rest.

    Parameters
    ----------
    matrix : (rows, columns) with the column of ones
    """
    signed = np.where(churned, 1.0, -1.0)[:, None] * matrix
    some = np.random.default_rng(0).permutation(len(signed))[:SAMPLE]
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
    found = linprog(
        -signed.mean(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        bounds=(-1, 1),
        method="highs",
    ).x
    margins = signed @ found
    return (
        np.where(np.abs(found) > 1e-5, found / scale, 0)
        if margins.min() > -MARGIN and margins.max() > 1e-4
        else np.zeros(len(found))
    )


def drop_separating(
    design: pd.DataFrame, churned: np.ndarray, descriptions: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Leave out features until the columns no longer separate churners from others; the reason says
    with which others they did.
    """
    design, left_out = design.loc[:, design.var(ddof=0) > LEAST_VARIANCE], {}
    while design.shape[1]:
        direction = find_separation(
            np.column_stack([np.ones(len(design)), design.to_numpy()]), churned
        )[1:]
        if not direction.any():
            break
        names = design.columns.get_level_values(0)
        worst = names[np.abs(direction).argmax()]
        others = [
            descriptions.get(name, name)
            for name in dict.fromkeys(names[direction != 0])
            if name != worst
        ]
        beside = f", together with {'; '.join(others[:3])}" if others else ""
        left_out[worst] = (
            f"separated: it tells some or all churners without error{beside}, so its odds ratio has"
            " no bound; check that it is no leak"
        )
        design = design.loc[:, names != worst]
    return design, left_out
