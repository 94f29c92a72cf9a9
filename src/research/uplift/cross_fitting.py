"""Effects of every customer, out of fold: a trial in parts, each predicted from the others, again
and again with other parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import delayed

from research.progress import run_parallel
from research.store.keep import keep
from research.uplift.doubly_robust import Sample, assign_folds, share_features
from research.uplift.learners.average import fit_all
from research.uplift.learners.families import RANDOM, RESPONSE, RISK
from research.uplift.learners.training import prepare_training


@dataclass(frozen=True)
class CrossFit:
    """One cross-fitting.

    Attributes
    ----------
    effects : by model, (rows, arms other than control), in the outcome's unit; the random ranking
        and the heuristic one are rankings, whose numbers are no effects
    strata : (rows,), the part and the trial of each row: levels of different parts come from
        different models, and of different trials from different weeks, so that only rows of one
        stratum are ranked against each other
    """

    effects: dict[str, np.ndarray]
    strata: np.ndarray

    def without(self, name: str) -> "CrossFit":
        """Return the cross-fitting without one of its rankings."""
        return replace(
            self, effects={key: self.effects[key] for key in self.effects if key != name}
        )


@keep
def cross_fit(sample: Sample, folds: int, repeats: int, seed: int) -> list[CrossFit]:
    """Return the effects of each row by models of other customers, for every repeat.

    Beside the learners stand both heuristic rankings: ``RISK``, the probability of an unfavourable
    outcome, whatever the arm, and ``RESPONSE``, the outcome predicted with it.
    """
    fold_of = [assign_folds(sample, folds, seed + 1000 * repeat) for repeat in range(repeats)]
    tasks = [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]
    shared = share_features(sample)
    fits = [
        delayed(_fit_fold)(shared, fold_of[repeat] == fold, seed + repeat) for repeat, fold in tasks
    ]
    fitted = run_parallel(fits, "parts cross-fitted", backend="threading")
    trials = sample.trial.max() + 1
    cross_fits = []
    for repeat, fold in enumerate(fold_of):
        parts = [part for (at, _), part in zip(tasks, fitted, strict=True) if at == repeat]
        effects = _join_folds(parts, fold)
        cross_fits.append(CrossFit(effects, fold * trials + sample.trial))
    return cross_fits


def _fit_fold(sample: Sample, inside: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    part = prepare_training(
        sample.take(~inside), sample.tree_features[inside], sample.linear_features[inside], seed
    )
    risk = np.tile(-part.new_prognosis[:, None], (1, len(sample.arms) - 1))
    return {RISK: risk, RESPONSE: part.predicted[:, 1:]} | fit_all(part)


def _join_folds(parts: Sequence[dict[str, np.ndarray]], fold: np.ndarray) -> dict[str, np.ndarray]:
    """Return the effects of all rows in their order, and first those of random lists: the same for
    all, so that their scores are what random lists have on average (an area of 0), without the
    noise of one draw.
    """
    rows = np.concatenate([np.flatnonzero(fold == number) for number in range(len(parts))])
    order = np.argsort(rows)
    joined = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    size, arms = next(iter(joined.values())).shape
    return {RANDOM: np.zeros((size, arms))} | joined
