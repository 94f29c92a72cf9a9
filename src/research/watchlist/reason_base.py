"""What reasons are measured against: customers who stayed, and models fitted on resampled ones.

It is made when a model is trained, and kept with it, so that reasons need no training rows later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import BaseEstimator, ClassifierMixin

from research.models.calibration import Unchanged
from research.models.registry import Model
from research.models.side_by_side import run_side_by_side
from research.risk.explain import group_features
from research.risk.predict import fit_model
from research.watchlist.fitted import Fitted
from research.watchlist.reasons import (
    REASONS,
    Moves,
    explain_customers,
    find_themes,
    list_reasons,
    measure_stability,
)

REFITS = 8  # models fitted on resampled customers, which show what reasons are stable
MOST_STAYERS = 1_000  # training customers whose values are the usual ones
MOST_REFIT_ROWS = 10_000  # that a refitted model learns from; of more, customers are drawn


@dataclass(frozen=True)
class ReasonBase:
    """What reasons are measured against.

    Attributes
    ----------
    stayers : features of training customers who stayed
    refits : models fitted on resampled training customers
    groups : group of each feature, see ``explain.group_features``; of one theme each
    """

    stayers: pd.DataFrame
    refits: tuple[Fitted, ...] = ()
    groups: dict[str, str] = field(default_factory=dict)


class _Uncalibrated(ClassifierMixin, BaseEstimator):
    """A kept model as a classifier, without the map that calibrates it, which changes no order."""

    def __init__(self, fitted: Fitted):
        self.fitted = fitted

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        risk = replace(self.fitted, map=Unchanged()).predict(rows)
        return np.column_stack([1 - risk, risk])


def make_base(
    model: Model,
    models: dict[str, Model],
    train: pd.DataFrame,
    fitted: Fitted,
    dictionary: pd.DataFrame,
    seed: int,
) -> ReasonBase:
    """Return what reasons of a fitted model are measured against.

    Parameters
    ----------
    models : in which the members of a stacked average are found
    train : labelled rows that it learned from
    dictionary : of the features, see ``dictionary.tabulate``
    """
    names = fitted.features
    if not names:
        return ReasonBase(pd.DataFrame())
    stayers = train[~train.churned]
    drawn = stayers.sample(min(MOST_STAYERS, len(stayers)), random_state=seed)[names]
    return ReasonBase(
        drawn.reset_index(drop=True),
        _refit(model, models, train, fitted, seed),
        group_by_theme(train, names, find_themes(dictionary)),
    )


def group_by_theme(rows: pd.DataFrame, names: Sequence[str], themes: pd.Series) -> dict[str, str]:
    """Return the group of each feature: those of one theme that are highly correlated."""
    some = rows.iloc[: 5 * MOST_STAYERS]
    of_theme = themes.reindex([*names])
    parts = [group_features(some, [*part.index]) for _, part in of_theme.groupby(of_theme)]
    return pd.concat(parts).reindex([*names]).to_dict()


def _refit(
    model: Model, models: dict[str, Model], train: pd.DataFrame, fitted: Fitted, seed: int
) -> tuple[Fitted, ...]:
    """Return the model fitted again on customers drawn with replacement; an average as it is
    weighted.
    """
    names = [*model.members] or [model.name]
    tasks = [
        delayed(fit_model)(models[name], rows, fitted.columns[name])
        for rows in _resample(train, seed)
        for name in names
    ]
    results = run_side_by_side(tasks, "models refitted for reasons")
    parts = [results[at : at + len(names)] for at in range(0, len(results), len(names))]
    return tuple(
        Fitted(dict(zip(names, part, strict=True)), fitted.columns, fitted.average)
        for part in parts
    )


def _resample(train: pd.DataFrame, seed: int):
    """Yield training rows of customers drawn with replacement, ``REFITS`` times."""
    places = train.groupby("customer_id", sort=True).indices
    people, rows = [*places], len(train)
    size = max(1, round(len(people) * min(1.0, MOST_REFIT_ROWS / rows)))
    for draw in range(REFITS):
        rng = np.random.default_rng([seed, draw])
        chosen = rng.integers(len(people), size=size)
        yield train.iloc[np.concatenate([places[people[at]] for at in chosen])]


def explain_listed(
    fitted: Fitted, base: ReasonBase | None, rows: pd.DataFrame, dictionary: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Return up to three reasons of each customer, see ``reasons.list_reasons``.

    Parameters
    ----------
    base : None of a model that was kept without; nobody has a reason then
    rows : of the customers, with customer_id and the features that the model learned
    dictionary : of the features, with feature, description, source and unit
    """
    if base is None or base.stayers.empty or rows.empty:
        return pd.DataFrame(columns=REASONS)
    groups, themes = pd.Series(base.groups), find_themes(dictionary)
    moves = [explain_one(each, rows, base.stayers, seed) for each in (fitted, *base.refits)]
    stability = measure_stability(moves[1:], groups) if base.refits else None
    return list_reasons(moves[0], rows, base.stayers, groups, dictionary, themes, stability)


def explain_one(fitted: Fitted, rows: pd.DataFrame, stayers: pd.DataFrame, seed: int) -> Moves:
    """Return what moves the risk of each customer by one model, see ``explain_customers``."""
    names = fitted.features
    alone = len(fitted.estimators) == 1
    model = next(iter(fitted.estimators.values())) if alone else _Uncalibrated(fitted)
    return explain_customers(model, rows[names], stayers[names], seed)
