"""Effects of every customer by models that never saw him or her: a trial in parts, each predicted
from the others, again and again with other parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from research.uplift.doubly_robust import Sample, centre, divide
from research.uplift.learners import RANDOM, RISK, prepare, teach

PROCESSES = 2


@dataclass(frozen=True)
class Crossed:
    """One cross-fitting.

    Attributes
    ----------
    effects : by model, (rows, arms other than control), in the outcome's unit; ``random`` and the
        rivals are rankings, whose numbers are no effects
    strata : (rows,), the part and the trial of each row: levels of different parts come from
        different models, and of different trials from different weeks,
        so that only rows of one stratum are ranked against each other
    """

    effects: dict[str, np.ndarray]
    strata: np.ndarray

    def rank_by(self, model: str) -> np.ndarray:
        """Return what rows are ranked by: a model's numbers less the mean of their stratum."""
        return centre(self.effects[model], self.strata)


def cross_fit(
    sample: Sample, folds: int, repeats: int, seed: int, rival: str = RISK
) -> list[Crossed]:
    """Return, for every repeat of a cross-fitting, what is said of each row by models that never
    saw its customer.

    Parameters
    ----------
    rival : ``RISK`` ranks by the chance of a bad outcome, whatever the arm; ``RESPONSE`` by the
        outcome expected with it
    """
    cuts = [divide(sample, folds, seed + 1000 * repeat) for repeat in range(repeats)]
    tasks = [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]
    found = Parallel(n_jobs=PROCESSES)(
        delayed(_fit_fold)(sample, cuts[repeat] == fold, seed + repeat, rival)
        for repeat, fold in tasks
    )
    parts = [
        [part for (at, _), part in zip(tasks, found, strict=True) if at == repeat]
        for repeat in range(repeats)
    ]
    return [
        Crossed(
            _join(parts[repeat], cuts[repeat], seed + repeat),
            cuts[repeat] * (sample.trial.max() + 1) + sample.trial,
        )
        for repeat in range(repeats)
    ]


def _fit_fold(sample: Sample, rest: np.ndarray, seed: int, rival: str) -> dict[str, np.ndarray]:
    lesson = prepare(sample.take(~rest), sample.trees[rest], sample.lines[rest], seed)
    ranking = (
        np.tile(-lesson.new_prognosis[:, None], (1, len(sample.arms) - 1))
        if rival == RISK
        else lesson.expected[:, 1:]
    )
    return {rival: ranking} | teach(lesson)


def _join(
    parts: Sequence[dict[str, np.ndarray]], fold: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    rows = np.concatenate([np.flatnonzero(fold == number) for number in range(len(parts))])
    order = np.argsort(rows)
    joined = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    shape = next(iter(joined.values())).shape
    lot = np.random.default_rng(seed).random((shape[0], 1))
    return {RANDOM: np.repeat(lot, shape[1], axis=1)} | joined
