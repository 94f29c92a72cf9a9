"""Causal forest: honest trees over doubly robust scores.

Honest: one half of the rows grows the trees, the other estimates the effects in their leaves, and
the other way round (Wager & Athey 2018, doi:10.1080/01621459.2017.1319839). Over doubly robust
scores as in the orthogonal forest of Oprescu, Syrgkanis & Wu 2019, arXiv:1806.03467.
"""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from research.models.preprocessing import EMPTY_NUMBER
from research.models.registry import Model
from research.uplift.doubly_robust import subtract_control
from research.uplift.learners.families import LEARNER
from research.uplift.learners.training import TrainingPart

TREES = 60
MAX_ROWS = 30_000  # that a forest learns from, drawn at random


def fit_causal_forest(part: TrainingPart) -> np.ndarray:
    """Return the effects of every arm: (new rows, arms other than control)."""
    rng, targets = np.random.default_rng(part.seed), subtract_control(part.scores)
    rows = rng.permutation(len(targets))[:MAX_ROWS]
    if not part.new_tree_features.shape[1]:
        return np.tile(targets.mean(axis=0), (part.new_size, 1))
    features = np.nan_to_num(np.asarray(part.train.tree_features, np.float32), nan=EMPTY_NUMBER)
    new_features = np.nan_to_num(np.asarray(part.new_tree_features, np.float32), nan=EMPTY_NUMBER)
    halves = rows[::2], rows[1::2]
    effects = [
        _fit_half(features, targets, grow, estimate, new_features, part.seed)
        for grow, estimate in (halves, halves[::-1])
    ]
    return np.mean(effects, axis=0)


def _fit_half(
    features: np.ndarray,
    targets: np.ndarray,
    grow: np.ndarray,
    estimate: np.ndarray,
    new_features: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the effects by trees grown on the rows ``grow``, estimated on the rows
    ``estimate``.
    """
    smallest_leaf = max(30, len(grow) // 60)
    forest = ExtraTreesRegressor(
        TREES // 2,
        min_samples_leaf=smallest_leaf,
        max_features="log2",
        n_jobs=1,
        random_state=seed,
    ).fit(features[grow], targets[grow].squeeze())
    leaves, new_leaves = forest.apply(features[estimate]), forest.apply(new_features)
    effects = np.zeros((len(new_features), targets.shape[1]))
    for tree in range(leaves.shape[1]):
        effects += average_leaves(leaves[:, tree], targets[estimate], new_leaves[:, tree])
    return effects / leaves.shape[1]


def average_leaves(leaf: np.ndarray, targets: np.ndarray, new_leaf: np.ndarray) -> np.ndarray:
    """Return the mean target in the leaf of each new row; of an empty leaf the mean of all rows.

    Parameters
    ----------
    leaf : (rows,), number of each row's leaf
    targets : (rows, arms)
    new_leaf : (new rows,)
    """
    size = np.bincount(leaf, minlength=new_leaf.max() + 1).astype(float)
    means = targets.mean(axis=0)
    columns = [
        np.divide(
            np.bincount(leaf, target, len(size)), size, out=np.full(len(size), mean), where=size > 0
        )[new_leaf]
        for target, mean in zip(targets.T, means, strict=True)
    ]
    return np.column_stack(columns)


CAUSAL_FOREST = Model(
    name="causal forest",
    family=LEARNER,
    task="effect",
    estimator=fit_causal_forest,
    words="honest trees over doubly robust scores",
    source="Wager & Athey 2018, doi:10.1080/01621459.2017.1319839",
)
