"""What a fitted model goes by: SHAP, permutation importance and partial dependence.

Features that are highly correlated share their importance, each of them looking weak: they are
grouped, and a group is measured as one. Drivers are those of the models, not of the customers: what
a model goes by need not be what makes customers leave.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

from research.evaluation.bootstrap import draw_weights, percentile_interval
from research.evaluation.groups import is_measured
from research.evaluation.metrics import compute_row_losses
from research.models.preprocessing import MAX_CATEGORIES
from research.store.keep import keep

GROUP_CORRELATION = 0.7  # mean rank correlation within a group of features
MAX_ROWS = 1_500  # customers explained
DEPENDENCE_ROWS = 500  # customers behind a partial dependence
PROBES = 100  # customers on whom the sieve tries which features move a model at all
MAX_PERMUTED = 20  # groups that are permuted
DRAWS = 8  # of other customers' values, for each customer and group
LEAST_STRATUM = 50  # customers among whom values are drawn
LEAST_EXPLAINED = 0.02  # of the variance of a group's values, by a split into strata
BY_CHANCE = 30  # times 1 / customers: above what the best of many splits explains by chance
DIGITS = 12  # of a rise: what a model doesn't look at has none
LEAST_CORRELATION = 0.1  # a rank correlation below it has no direction
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
        ranks = rows[numbers].astype(float).rank(na_option="top").to_numpy()
        correlations = np.abs(np.corrcoef(ranks, rowvar=False))
        distance = np.clip(1 - (correlations + correlations.T) / 2, 0, 1)
        np.fill_diagonal(distance, 0)
        tree = linkage(squareform(distance, checks=False), "average")
        codes = fcluster(tree, 1 - GROUP_CORRELATION, "distance")
        for code in np.unique(codes):
            at = np.flatnonzero(codes == code)
            leader = numbers[at[distance[np.ix_(at, at)].sum(axis=0).argmin()]]
            groups |= {numbers[member]: leader for member in at}
    return pd.Series(groups)[list(features)]


@keep
def explain_trees(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    groups: pd.Series,
    customers: Sequence,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the mean |SHAP| of each group of features in a fitted gradient boosting.

    It is how far the group moves the log-odds of a customer on average.

    The SHAP values of trees are exact (LightGBM's own; Lundberg et al. 2020,
    doi:10.1038/s42256-019-0138-9) and add up, so those of a group are summed per customer first.

    Parameters
    ----------
    model : a pipeline of preparation and LightGBM, or an estimator that holds one as ``model_``
        The preparation gives the numbers in their order, then the texts; see
        ``preprocessing.prepare_for_trees``.
    rows : features of the customers judged; ``MAX_ROWS`` of them at most are drawn
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
    return _tabulate_means(sums.abs().to_numpy(), [*sums], directions, customers, resamples, seed)


def _find_direction(moves: np.ndarray, values: pd.Series) -> int:
    if not is_measured(values):
        return 0
    known = values.notna().to_numpy() & np.isfinite(moves)
    moved, value = moves[known], values[known].to_numpy(float)
    if len(moved) < 3 or np.ptp(moved) == 0 or np.ptp(value) == 0:
        return 0
    correlation = np.corrcoef(pd.Series(moved).rank(), pd.Series(value).rank())[0, 1]
    return int(np.sign(correlation)) if abs(correlation) >= LEAST_CORRELATION else 0


def _tabulate_means(
    per_row: np.ndarray,
    names: Sequence[str],
    directions: Sequence[int],
    customers: Sequence,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return means over rows with percentile intervals over resamples of customers."""
    means = _resample_means(per_row, customers, resamples, seed)
    rows = [
        (name, *percentile_interval(means[:, at]), direction)
        for at, (name, direction) in enumerate(zip(names, directions, strict=True))
    ]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "value", ascending=False, kind="stable", ignore_index=True
    )


def _resample_means(
    per_row: np.ndarray, customers: Sequence, resamples: int, seed: int
) -> np.ndarray:
    """Return the means of columns on the sample and on each resample: (1 + resamples, columns)."""
    return np.vstack(
        [
            weights @ per_row / weights.sum(axis=1, keepdims=True)
            for weights in draw_weights(customers, resamples, seed)
        ]
    )


@keep
def permutation_importance(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    churned: np.ndarray,
    groups: pd.Series,
    customers: Sequence,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return by how much the log-loss rises when a group of features isn't known of a customer.

    The group's members get the values of other customers, all of one of them, ``DRAWS`` times, and
    the risks are averaged: what is left is what the model says without the group. The risk of one
    draw alone would be worse than none, and of a single driver the loss would rise by about twice
    what the model gains. Others are those alike in the features outside the group, as far as these
    tell the group's values (see ``_find_strata``): customers who can't be aren't made up, and what
    other features say as well isn't counted.

    Breiman (2001), doi:10.1023/A:1010933404324; within strata: Strobl et al. (2008),
    doi:10.1186/1471-2105-9-307; averaged: Covert, Lundberg & Lee (2020), arXiv:2004.00668.

    Parameters
    ----------
    model : fitted classifier
    rows, churned : held-out customers; ``MAX_ROWS`` of them at most are drawn
    groups, customers, resamples, seed : see ``explain_trees``

    Returns
    -------
    DataFrame with columns feature (the group's), value (nats), low, high, direction, share_of_gain
        One row for each of the groups that ``find_movers`` returns. The interval is over customers;
        it does not cover how the model would differ on other training rows. The direction is that
        in which the predicted risk moved when a customer got another's values. ``share_of_gain`` is
        the value as a share of what the whole model gains over the share of churners, empty where
        it gains nothing.
    """
    names = find_movers(model, rows, groups, seed)
    some, rng = _draw_rows(rows, seed), np.random.default_rng(seed)
    rows, churned, customers = (
        rows.iloc[some].reset_index(drop=True),
        np.asarray(churned, bool)[some],
        np.asarray(customers)[some],
    )
    start, codes = model.predict_proba(rows)[:, 1], _encode(rows)
    start_losses, rises, directions = compute_row_losses(churned, start), [], []
    for name in names:
        members = [*groups.index[groups == name]]
        strata = _find_strata(codes, members)
        orders = np.stack([_permute_within(strata, rng) for _ in range(DRAWS)])
        answers = _predict_swapped(model, rows, members, orders, start)
        drawn = rows[[name]].iloc[orders.ravel()]
        rises.append(np.round(_lose_on_average(churned, answers) - start_losses, DIGITS))
        directions.append(_find_move(rows[name], drawn[name], (answers - start).ravel()))
    table = _tabulate_means(np.column_stack(rises), names, directions, customers, resamples, seed)
    gain = compute_row_losses(churned, np.full(len(rows), churned.mean())).mean()
    gain -= start_losses.mean()
    return table.assign(share_of_gain=table.value / gain if gain > 0 else np.nan)


def _predict_swapped(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    members: list[str],
    orders: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Return the risk of each row with some columns of another one: (draws, rows).

    A row is predicted once for each different value that it gets, and not where it keeps its own.

    Parameters
    ----------
    orders : (draws, rows), whose values a row gets
    start : risk of each row as it is
    """
    values = rows.groupby(members, dropna=False, sort=False).ngroup().to_numpy()
    row = np.broadcast_to(np.arange(len(rows)), orders.shape)
    pairs, place = np.unique(
        np.stack([row.ravel(), values[orders].ravel()]), axis=1, return_inverse=True
    )
    at, new = pairs
    answers = start[at]
    if len(changed := np.flatnonzero(values[at] != new)):
        whose = np.unique(values, return_index=True)[1][new[changed]]
        swapped = _swap(rows.iloc[at[changed]], members, rows.iloc[whose])
        answers[changed] = model.predict_proba(swapped.reset_index(drop=True))[:, 1]
    return answers[place.ravel()].reshape(orders.shape)


def _lose_on_average(churned: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return the log-loss of each row with the risk averaged over very many draws: (rows,).

    The mean of a few still varies, which costs in proportion to 1 / draws; so twice the loss with
    all draws less that with half of them is that of very many (the jackknife).
    """
    halves = [compute_row_losses(churned, half.mean(axis=0)) for half in np.split(answers, 2)]
    return 2 * compute_row_losses(churned, answers.mean(axis=0)) - np.mean(halves, axis=0)


def _encode(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return of each feature numbers to part customers by: ranks, or a column for each text."""
    return {name: _encode_one(values) for name, values in rows.items()}


def _encode_one(values: pd.Series) -> np.ndarray:
    if is_measured(values):
        return values.astype(float).rank(na_option="top").to_numpy()[:, None]
    texts = values.astype("object").where(values.notna(), "")
    common = texts.value_counts().index[:MAX_CATEGORIES]
    return np.column_stack([texts == text for text in common]).astype(float)


def _find_strata(codes: dict[str, np.ndarray], members: list[str]) -> np.ndarray:
    """Return the stratum of each row, in which the other features tell no more of the members.

    A regression tree parts the rows by the others, at least ``LEAST_STRATUM`` rows each, and only
    where a split explains more of the members' variance than the best of many splits would by
    chance.
    """
    others = [code for name, code in codes.items() if name not in members]
    told = np.hstack([codes[name] for name in members])
    told = told[:, told.std(axis=0) > 0]
    if not others or not told.size:
        return np.zeros(len(next(iter(codes.values()))), int)
    told = (told - told.mean(axis=0)) / np.sqrt(told.var(axis=0).mean())
    tree = DecisionTreeRegressor(
        min_samples_leaf=LEAST_STRATUM,
        min_impurity_decrease=max(LEAST_EXPLAINED, BY_CHANCE / len(told)),
        random_state=0,
    )
    return tree.fit(np.hstack(others), told).apply(np.hstack(others))


def _permute_within(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each row one of the same stratum, every row once."""
    order = np.empty(len(strata), int)
    drawn = rng.permutation(len(strata))
    order[np.argsort(strata, kind="stable")] = drawn[np.argsort(strata[drawn], kind="stable")]
    return order


def _draw_rows(rows: pd.DataFrame, seed: int, most: int = MAX_ROWS) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])


def find_movers(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    groups: pd.Series,
    seed: int,
    most: int = MAX_PERMUTED,
) -> list[str]:
    """Return the groups of features that move a model's predictions most.

    A sieve for what takes long to measure: ``PROBES`` customers get each group's values from
    others, in one call of the model. The labels play no part.
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


def _find_move(values: pd.Series, drawn: pd.Series, moves: np.ndarray) -> int:
    """Return the sign of the rank correlation of changes of the value and of the prediction."""
    if not is_measured(values):
        return 0
    before = np.tile(values.to_numpy(float), len(drawn) // len(values))
    return _find_direction(moves, pd.Series(drawn.to_numpy(float) - before))


@keep
def trace_dependence(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    features: Sequence[str],
    customers: Sequence,
    resamples: int,
    seed: int,
    points: int = 9,
) -> pd.DataFrame:
    """Return the mean predicted risk when all customers have one value of a feature.

    All else stays (partial dependence; Friedman 2001, doi:10.1214/aos/1013203451). Numbers go
    through percentiles from 5 to 95, texts through the commonest values. Where features are
    correlated, the model is asked about customers that don't exist.

    Parameters
    ----------
    rows, customers : held-out customers; ``DEPENDENCE_ROWS`` of them at most are drawn

    Returns
    -------
    DataFrame with columns feature, at (a number; empty for a text), level (a text; empty for a
    number), predicted, low, high
        The interval is over customers, not over fits.
    """
    some = _draw_rows(rows, seed, DEPENDENCE_ROWS)
    rows, customers = rows.iloc[some].reset_index(drop=True), np.asarray(customers)[some]
    points_of = {name: _make_grid(rows[name], points) for name in features}
    tables = []
    for name, grid in points_of.items():
        if grid:
            answers = _predict_on_grid(model, rows, name, grid)
            means = _resample_means(answers, customers, resamples, seed)
            tables += [
                (name, value, *percentile_interval(means[:, at])) for at, value in enumerate(grid)
            ]
    table = pd.DataFrame(tables, columns=["feature", "on", "predicted", "low", "high"])
    texts = table.on.map(lambda value: not isinstance(value, float))
    table = table.assign(
        at=pd.to_numeric(table.on.where(~texts), errors="coerce"),
        level=table.on.where(texts, "").astype(str),
    )
    return table[["feature", "at", "level", "predicted", "low", "high"]]


def _predict_on_grid(
    model: ClassifierMixin, rows: pd.DataFrame, name: str, grid: list
) -> np.ndarray:
    """Return the predicted risk of each row with each value of one feature: (rows, values)."""
    whole = pd.concat([rows] * len(grid), ignore_index=True)
    kind = float if pd.api.types.is_integer_dtype(rows[name]) else rows[name].dtype
    whole[name] = pd.Series(np.repeat(np.array(grid, object), len(rows))).astype(kind)
    return model.predict_proba(whole)[:, 1].reshape(len(grid), len(rows)).T


def _make_grid(values: pd.Series, points: int) -> list:
    known = values.dropna()
    if not is_measured(values):
        return [*known.value_counts().index[:MAX_CATEGORIES]]
    if known.empty:
        return []
    percents = np.linspace(5, 95, points)
    return [*map(float, np.unique(np.percentile(known.astype(float), percents, method="nearest")))]
