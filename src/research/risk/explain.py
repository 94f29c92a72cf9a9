"""What drives the models: SHAP, permutation importance and partial dependence, on the same features
for every family.

Features that say nearly the same share what a model makes of them, each of them looking weak: they
are grouped, and a group is judged as one. Drivers are those of the models, not of the customers:
what a model leans on need not move anybody.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from research.evaluation.bootstrap import draw_weights, find_interval
from research.risk.odds_design import is_measured

ALIKE = 0.7  # mean rank correlation within a group of features
ROWS = 1_500  # customers explained, at most
PROBES = 100  # customers on whom it is tried which features move a model at all
MOVERS = 20  # groups that are shuffled, at most
FAINT = 0.1  # a rank correlation below it has no direction
EDGE = 1e-15
MOST_LEVELS = 8
COLUMNS = ["feature", "value", "low", "high", "direction"]


def group_features(rows: pd.DataFrame, features: Sequence[str]) -> pd.Series:
    """Return the group of each feature, named by the member most like the others.

    Numbers are grouped by average linkage on 1 − |Spearman's rank correlation|, an empty value
    ranking lowest, down to a mean correlation of 0.7; each text is on its own.

    Returns
    -------
    Series by feature, in their order
    """
    numbers = [
        name
        for name in features
        if is_measured(rows[name]) and rows[name].nunique(dropna=False) > 1
    ]
    groups = {name: name for name in features}
    if len(numbers) > 1:
        alike = np.abs(
            np.corrcoef(rows[numbers].astype(float).rank(na_option="top").to_numpy(), rowvar=False)
        )
        distance = np.clip(1 - (alike + alike.T) / 2, 0, 1)
        np.fill_diagonal(distance, 0)
        codes = fcluster(
            linkage(squareform(distance, checks=False), "average"), 1 - ALIKE, "distance"
        )
        for code in np.unique(codes):
            at = np.flatnonzero(codes == code)
            leader = numbers[at[distance[np.ix_(at, at)].sum(axis=0).argmin()]]
            groups |= {numbers[member]: leader for member in at}
    return pd.Series(groups)[list(features)]


def explain_trees(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    groups: pd.Series,
    customers: Sequence,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return how far each group of features moves the log-odds of a customer on average: mean
    |SHAP| of a fitted gradient boosting.

    The SHAP values of trees are exact (LightGBM's own; Lundberg et al. 2020,
    doi:10.1038/s42256-019-0138-9) and add up, so those of a group are summed per customer first.

    Parameters
    ----------
    model : a pipeline of preparation and LightGBM, or an estimator that holds one as ``model_``
        The preparation gives the numbers in their order, then the texts; see ``columns.prepare_for_trees``.
    rows : features of the customers judged; ``ROWS`` of them at most are drawn
    groups : see ``group_features``
    customers : of each row
    resamples, seed : bootstrap of customers behind the 95 % intervals

    Returns
    -------
    DataFrame with columns feature (the group's), value (log-odds), low, high, direction (1: more of
    the feature, more churn; -1; 0: neither, or a text)
    """
    while not isinstance(model, Pipeline):
        model = model.model_
    some = _draw_rows(rows, seed)
    rows, customers = rows.iloc[some], np.asarray(customers)[some]
    shares = model[-1].predict(model[:-1].transform(rows), pred_contrib=True)[:, :-1]
    numbers = [*rows.select_dtypes("number").columns]
    shares = pd.DataFrame(shares, columns=[*numbers, *rows.columns.difference(numbers, sort=False)])
    sums = shares.T.groupby(groups.reindex(shares.columns).to_numpy(), sort=False).sum().T
    directions = [_find_direction(sums[name].to_numpy(), rows[name]) for name in sums]
    return _write_table(sums.abs().to_numpy(), [*sums], directions, customers, resamples, seed)


def _find_direction(moves: np.ndarray, values: pd.Series) -> int:
    if not is_measured(values):
        return 0
    known = values.notna().to_numpy() & np.isfinite(moves)
    moved, value = moves[known], values[known].to_numpy(float)
    if len(moved) < 3 or np.ptp(moved) == 0 or np.ptp(value) == 0:
        return 0
    rank = np.corrcoef(pd.Series(moved).rank(), pd.Series(value).rank())[0, 1]
    return int(np.sign(rank)) if abs(rank) >= FAINT else 0


def _write_table(
    per_row: np.ndarray,
    names: Sequence[str],
    directions: Sequence[int],
    customers: Sequence,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return means over rows with percentile intervals over resamples of customers."""
    means = np.vstack(
        [
            weights @ per_row / weights.sum(axis=1, keepdims=True)
            for weights in draw_weights(customers, resamples, seed)
        ]
    )
    rows = [
        (name, *find_interval(means[:, at]), direction)
        for at, (name, direction) in enumerate(zip(names, directions, strict=True))
    ]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "value", ascending=False, kind="stable", ignore_index=True
    )


def measure_permutation(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    churned: np.ndarray,
    groups: pd.Series,
    customers: Sequence,
    resamples: int,
    seed: int,
    repeats: int = 1,
) -> pd.DataFrame:
    """Return by how much the log-loss on unseen customers rises when a group of features is
    shuffled among them (Breiman 2001, doi:10.1023/A:1010933404324).

    Members of a group are shuffled together. The direction is that in which the model's own answer
    moved when a customer got another's values.

    Parameters
    ----------
    model : fitted classifier
    rows, churned : customers judged; ``ROWS`` of them at most are drawn
    groups, customers, resamples, seed : see ``explain_trees``; every model gets the same shuffles
    repeats : shuffles of each group

    Returns
    -------
    DataFrame with columns feature (the group's), value (nats), low, high, direction
        One row for each of the groups that ``find_movers`` returns. The interval is over customers,
        the shuffles averaged; it does not carry how the model would differ on other training rows.
    """
    names = find_movers(model, rows, groups, seed)
    some, rng = _draw_rows(rows, seed), np.random.default_rng(seed)
    rows, churned, customers = (
        rows.iloc[some].reset_index(drop=True),
        np.asarray(churned, bool)[some],
        np.asarray(customers)[some],
    )
    orders = [rng.permutation(len(rows)) for _ in range(repeats)]
    start = model.predict_proba(rows)[:, 1]
    losses, directions = [], []
    for name in names:
        shuffled = [
            _swap(rows, [*groups.index[groups == name]], rows.iloc[order]) for order in orders
        ]
        answers = [model.predict_proba(frame)[:, 1] for frame in shuffled]
        losses.append(
            np.mean([_lose(answer, churned) - _lose(start, churned) for answer in answers], axis=0)
        )
        directions.append(_find_move(name, rows, shuffled, answers, start))
    return _write_table(np.column_stack(losses), names, directions, customers, resamples, seed)


def _draw_rows(rows: pd.DataFrame, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(len(rows))[:ROWS])


def find_movers(
    model: ClassifierMixin, rows: pd.DataFrame, groups: pd.Series, seed: int, most: int = MOVERS
) -> list[str]:
    """Return the groups of features whose exchange between customers moves a model's answers most;
    nobody looks at who churned.

    A sieve for what takes long to measure: ``PROBES`` customers get each group's values from
    others, in one call of the model.
    """
    names, rng = [*groups.unique()], np.random.default_rng(seed)
    if len(names) <= most:
        return names
    probes, others = (
        rows.iloc[rng.permutation(len(rows))[:PROBES]].reset_index(drop=True) for _ in range(2)
    )
    whole = pd.concat(
        [probes, *(_swap(probes, [*groups.index[groups == name]], others) for name in names)],
        ignore_index=True,
    )
    answers = model.predict_proba(whole)[:, 1].reshape(len(names) + 1, len(probes))
    moves = np.abs(answers[1:] - answers[0]).mean(axis=1)
    return [names[at] for at in np.argsort(-moves, kind="stable")[:most]]


def _swap(rows: pd.DataFrame, members: list[str], others: pd.DataFrame) -> pd.DataFrame:
    """Return rows with some columns of others in their place."""
    changed = rows.copy(deep=False)
    changed[members] = others[members].set_axis(rows.index)
    return changed


def _lose(p: np.ndarray, churned: np.ndarray) -> np.ndarray:
    return -np.log(np.clip(np.where(churned, p, 1 - p), EDGE, 1))


def _find_move(
    name: str,
    rows: pd.DataFrame,
    shuffled: list[pd.DataFrame],
    answers: list[np.ndarray],
    start: np.ndarray,
) -> int:
    """Return the sign of the rank correlation between changes of the value and changes of the
    answer.
    """
    if not is_measured(rows[name]):
        return 0
    changes = pd.concat(
        [frame[name].astype(float) - rows[name].astype(float) for frame in shuffled]
    )
    return _find_direction(np.concatenate([answer - start for answer in answers]), changes)


def trace_dependence(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    features: Sequence[str],
    customers: Sequence,
    resamples: int,
    seed: int,
    points: int = 9,
) -> pd.DataFrame:
    """Return the mean risk when everybody has one value of a feature and keeps all else (partial
    dependence; Friedman 2001, doi:10.1214/aos/1013203451).

    Numbers go through percentiles from 5 to 95, texts through the commonest values. Where features
    move together, the model is asked about customers that don't exist.

    Parameters
    ----------
    rows, customers : customers judged; 500 rows of them at most are drawn

    Returns
    -------
    DataFrame with columns feature, at (a number; empty for a text), level (a text; empty for a
    number), predicted, low, high
        The interval is over customers, not over fits.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:500])
    rows, customers, tables = (
        rows.iloc[some].reset_index(drop=True),
        np.asarray(customers)[some],
        [],
    )
    for name in features:
        grid = _lay_grid(rows[name], points)
        if grid:
            whole = pd.concat([rows] * len(grid), ignore_index=True)
            values = pd.Series(np.repeat(np.array(grid, object), len(rows)))
            whole[name] = values.astype(
                rows[name].dtype if not pd.api.types.is_integer_dtype(rows[name]) else float
            )
            answers = model.predict_proba(whole)[:, 1].reshape(len(grid), len(rows)).T
            means = np.vstack(
                [
                    weights @ answers / weights.sum(axis=1, keepdims=True)
                    for weights in draw_weights(customers, resamples, seed)
                ]
            )
            tables += [(name, value, *find_interval(means[:, at])) for at, value in enumerate(grid)]
    table = pd.DataFrame(tables, columns=["feature", "on", "predicted", "low", "high"])
    texts = table.on.map(lambda value: not isinstance(value, float))
    table = table.assign(
        at=pd.to_numeric(table.on.where(~texts), errors="coerce"),
        level=table.on.where(texts, "").astype(str),
    )
    return table[["feature", "at", "level", "predicted", "low", "high"]]


def _lay_grid(values: pd.Series, points: int) -> list:
    known = values.dropna()
    if not is_measured(values):
        return [*known.value_counts().index[:MOST_LEVELS]]
    return (
        [
            *map(
                float,
                np.unique(
                    np.percentile(known.astype(float), np.linspace(5, 95, points), method="nearest")
                ),
            )
        ]
        if len(known)
        else []
    )
