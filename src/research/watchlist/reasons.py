"""Why a customer stands on the list: what the kept model goes by, against customers who stay.

A reason is a group of features that go together, with the log-odds of churn by which it lifts this
customer above those who stay. It says what the model saw, not what would keep the customer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from scipy.special import logit
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from research.evaluation.groups import is_measured
from research.models.log_odds import clip_probabilities
from research.reporting.format import MINUS, write_plain, write_quantity
from research.risk.explain import find_movers

MOST = 3  # reasons of a customer
DRAWS = 16  # stayers whose values stand for those of all
CHUNK_ROWS = 5_000  # customers explained at once
STABLE_SHARE = 0.8  # of refitted models in which a reason must be among the first again
LEAST_MOVE = 0.01  # log-odds; what moves less is no reason
THEME_OF_TABLE = {
    "usage": "usage",
    "orders": "purchases",
    "contacts": "service",
    "feedback": "satisfaction",
    "referrals": "satisfaction",
    "contracts": "contract",
    "campaigns": "profile",
}
THEME_OF_WORDS = {
    "price": re.compile(r"\b(fees?|prices?|discounts?|charges?|bills?|payments?)\b"),
    "delivery": re.compile(r"\b(deliver\w*|shipping|shipments?|freight|late parcels?)\b"),
    "satisfaction": re.compile(r"\b(satisfaction|nps|csat|ratings?|reviews?|sentiment)\b"),
}
REASONS = ["customer_id", "order", "feature", "theme", "move", "value", "usual", "stable", "text"]


@dataclass(frozen=True)
class Moves:
    """By how much each feature lifts the log-odds of each customer above those who stay.

    Attributes
    ----------
    features : names of the columns
    values : (customers, features), log-odds; they sum to the difference, of additive models and
        trees exactly
    """

    features: tuple[str, ...]
    values: np.ndarray

    def sum_groups(self, groups: pd.Series) -> tuple[list[str], np.ndarray]:
        """Return the names of the groups, and the sums over their members: (customers, groups)."""
        codes, names = pd.factorize(groups.reindex([*self.features]))
        member = np.zeros((len(self.features), len(names)))
        member[np.arange(len(codes)), codes] = 1
        return [*names], self.values @ member


def explain_customers(
    model: ClassifierMixin, rows: pd.DataFrame, stayers: pd.DataFrame, seed: int
) -> Moves:
    """Return what moves the risk of each customer away from that of customers who stay.

    Of gradient boosting these are SHAP values (Lundberg et al. 2020,
    doi:10.1038/s42256-019-0138-9), less their mean over the stayers. Of every other model, the
    log-odds as they are less their mean with the feature's value of ``DRAWS`` stayers: for a model
    without interactions the same.

    Parameters
    ----------
    model : fitted classifier, before its recalibration, which changes no order
    rows : features of the customers listed
    stayers : features of training customers who stayed
    """
    trees = _find_boosting(model)
    if trees is None:
        return _replace_by_stayers(model, rows, stayers, seed)
    base = _add_up(trees, stayers).mean(axis=0)
    return Moves(_order_columns(rows), _add_up(trees, rows) - base)


def _find_boosting(model: ClassifierMixin) -> Pipeline | None:
    """Return the pipeline that ends in LightGBM's trees, within whatever holds it."""
    while not isinstance(model, Pipeline) and hasattr(model, "model_"):
        model = model.model_
    boosted = isinstance(model, Pipeline) and isinstance(model[-1], LGBMClassifier)
    return model if boosted else None


def _add_up(trees: Pipeline, rows: pd.DataFrame) -> np.ndarray:
    """Return the SHAP values of each row and column, part by part."""
    return np.vstack(
        [
            trees[-1].predict(
                trees[:-1].transform(rows.iloc[at : at + CHUNK_ROWS]), pred_contrib=True
            )[:, :-1]
            for at in range(0, len(rows), CHUNK_ROWS)
        ]
    )


def _order_columns(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns as trees see them: numbers first, then texts."""
    numbers = [*rows.select_dtypes("number").columns]
    return (*numbers, *rows.columns.difference(numbers, sort=False))


def _replace_by_stayers(
    model: ClassifierMixin, rows: pd.DataFrame, stayers: pd.DataFrame, seed: int
) -> Moves:
    names = [*rows.columns]
    alone = pd.Series(names, index=names)
    movers = find_movers(model, rows, alone, seed)
    drawn = stayers.sample(min(DRAWS, len(stayers)), random_state=seed)
    values = np.zeros((len(rows), len(names)))
    for at in range(0, len(rows), CHUNK_ROWS):
        part = rows.iloc[at : at + CHUNK_ROWS].reset_index(drop=True)
        start = _score(model, part)
        for name in movers:
            swapped = _score(model, _give(part, name, drawn[name]))
            mean = swapped.reshape(len(drawn), len(part)).mean(axis=0)
            values[at : at + len(part), names.index(name)] = start - mean
    return Moves(tuple(names), values)


def _give(rows: pd.DataFrame, name: str, values: pd.Series) -> pd.DataFrame:
    """Return the rows once for each value, which all of them then have in a column."""
    kind = float if is_measured(rows[name]) else object
    given = np.repeat(values.to_numpy(kind), len(rows))
    whole = rows.iloc[np.tile(np.arange(len(rows)), len(values))].reset_index(drop=True)
    return whole.assign(**{name: pd.Series(given, dtype=kind)})


def _score(model: ClassifierMixin, rows: pd.DataFrame) -> np.ndarray:
    return logit(clip_probabilities(model.predict_proba(rows)[:, 1]))


def find_themes(dictionary: pd.DataFrame, own: dict[str, str] | None = None) -> pd.Series:
    """Return the theme of each feature: by its words, else by the table that it comes from.

    Parameters
    ----------
    dictionary : see ``dictionary.tabulate``
    own : themes of features or tables as the playbook says, before all others
    """
    own = own or {}
    return pd.Series(
        [
            own.get(row.feature) or own.get(row.source) or _guess_theme(row.description, row.source)
            for row in dictionary.itertuples()
        ],
        index=dictionary.feature,
    )


def _guess_theme(words: str, source: str) -> str:
    told = (name for name, pattern in THEME_OF_WORDS.items() if pattern.search(words.lower()))
    return next(told, THEME_OF_TABLE.get(source, "profile"))


def list_reasons(
    moves: Moves,
    rows: pd.DataFrame,
    stayers: pd.DataFrame,
    groups: pd.Series,
    dictionary: pd.DataFrame,
    themes: pd.Series,
    stability: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return up to three reasons of each customer, the strongest first.

    A stable reason comes before one that isn't. A reason is named by the member of its group that
    moves this customer most.

    Parameters
    ----------
    rows : of the customers explained, with customer_id and the features
    stayers : features of those who stay, for the usual value: the median, or the commonest
    groups : group of each feature, see ``explain.group_features``; of one theme each
    dictionary : words of the features
    themes : see ``find_themes``
    stability : (customers, groups), see ``measure_stability``; all are stable unless given

    Returns
    -------
    DataFrame with columns customer_id, order, feature, theme, move, value, usual, stable, text
        ``move`` in log-odds; ``value`` and ``usual`` as texts.
    """
    names, sums = moves.sum_groups(groups)
    stable = np.ones(sums.shape, bool) if stability is None else stability >= STABLE_SHARE
    ranked = np.where(sums >= LEAST_MOVE, sums + np.where(stable, sums.max() + 1, 0), -np.inf)
    best = np.argsort(-ranked, axis=1, kind="stable")[:, :MOST]
    customer, order = np.nonzero(np.isfinite(np.take_along_axis(ranked, best, axis=1)))
    group = best[customer, order]
    member = _find_members(moves, groups, names, customer, group)
    table = pd.DataFrame(
        {
            "customer_id": rows.customer_id.to_numpy()[customer],
            "order": order + 1,
            "feature": np.array(moves.features, dtype=object)[member],
            "move": sums[customer, group],
            "stable": stable[customer, group],
        }
    )
    table["theme"] = table.feature.map(themes)
    table["value"] = _write_values(table.feature, rows, customer)
    table["usual"] = table.feature.map(_find_usual(stayers, table.feature.unique()))
    words = dictionary.set_index("feature").description
    same = _describe_same(table, stayers)
    usual = ("; usually " + table.usual.astype(object)).where(table.value != table.usual, same)
    table["text"] = table.feature.map(words) + ": " + table.value + usual
    return table[REASONS]


def _describe_same(table: pd.DataFrame, stayers: pd.DataFrame) -> pd.Series:
    """Return how many of those who stay have the same value, where it is the usual one."""
    shares = {}
    for name in table.feature[table.value == table.usual].unique():
        counts = _write_column(stayers[name]).value_counts(normalize=True)
        shares |= {(name, value): share for value, share in counts.items()}
    told = [
        f", as {shares.get(pair, 0):.0%} of those who stay"
        for pair in zip(table.feature, table.value, strict=True)
    ]
    return pd.Series(told, index=table.index, dtype=object)


def _find_members(
    moves: Moves, groups: pd.Series, names: list[str], customer: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """Return the place of the feature that moves each customer most within a group."""
    of_feature = pd.Index(names).get_indexer(groups.reindex([*moves.features]))
    inside = of_feature[None, :] == group[:, None]
    return np.where(inside, moves.values[customer], -np.inf).argmax(axis=1)


def _write_values(features: pd.Series, rows: pd.DataFrame, customer: np.ndarray) -> pd.Series:
    """Return the own value of each customer in the feature of the reason, as a text."""
    texts = pd.Series("", index=features.index, dtype=object)
    for name, at in features.groupby(features, sort=False).groups.items():
        texts[at] = _write_column(rows[name].iloc[customer[at]]).to_numpy()
    return texts


def _write_column(values: pd.Series) -> pd.Series:
    if is_measured(values):
        return values.map(_write_number, na_action="ignore").fillna("nothing")
    return values.map(write_plain, na_action="ignore").fillna("nothing")


def _write_number(value: float) -> str:
    whole = np.isfinite(value) and value == round(value)
    return f"{value:,.0f}".translate(MINUS) if whole else write_quantity(value, "")


def _find_usual(stayers: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Return the median of each number, and the commonest text, of the customers who stay."""
    usual = {}
    for name in names:
        known = stayers[name].dropna()
        number = is_measured(stayers[name])
        middle = known.median() if number else next(iter(known.mode()), None)
        usual[name] = _write_column(pd.Series([middle], dtype=float if number else object)).iloc[0]
    return usual


def measure_stability(refitted: Sequence[Moves], groups: pd.Series, most: int = MOST) -> np.ndarray:
    """Return in what share of refitted models each group is among a customer's first: (n, groups).

    Parameters
    ----------
    refitted : of the same customers, by models fitted on resampled training customers
    """
    shares = [_mark_first(moves.sum_groups(groups)[1], most) for moves in refitted]
    return np.mean(shares, axis=0)


def _mark_first(sums: np.ndarray, most: int) -> np.ndarray:
    place = np.argsort(np.argsort(-sums, axis=1, kind="stable"), axis=1, kind="stable")
    return (place < most) & (sums >= LEAST_MOVE)


def measure_faithfulness(
    model: ClassifierMixin,
    rows: pd.DataFrame,
    stayers: pd.DataFrame,
    reasons: pd.DataFrame,
    groups: pd.Series,
    seed: int,
) -> pd.DataFrame:
    """Return how far the risk falls when the first reason has a stayer's values, and a random one.

    All members of the group are replaced, for both by those of the same stayer.

    Returns
    -------
    DataFrame with columns customer_id, by_reason, by_random
        Falls of the log-odds; one row per customer with a reason.
    """
    first = reasons[reasons.order == 1].set_index("customer_id")
    known = rows[rows.customer_id.isin(first.index)].reset_index(drop=True)
    inputs, rng = known[[*groups.index]], np.random.default_rng(seed)
    given = stayers.iloc[rng.integers(len(stayers), size=len(known))].reset_index(drop=True)
    start = _score(model, inputs)
    own = groups[first.feature.loc[known.customer_id]].to_numpy()
    drawn = rng.choice(np.array([*groups.unique()], dtype=object), len(known))
    falls = {
        name: start - _score(model, _put(inputs, given, groups, chosen))
        for name, chosen in (("by_reason", own), ("by_random", drawn))
    }
    return pd.DataFrame({"customer_id": known.customer_id, **falls})


def _put(
    inputs: pd.DataFrame, given: pd.DataFrame, groups: pd.Series, chosen: np.ndarray
) -> pd.DataFrame:
    """Return rows in which the members of each row's chosen group have the given values."""
    return pd.DataFrame(
        {name: inputs[name].where(chosen != group, given[name]) for name, group in groups.items()}
    )
