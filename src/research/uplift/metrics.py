"""Scores of rankings by effect, from a trial by lot: who is ranked first should be who gains most.
``docs/uplift-scores.md`` defines them.

Curves are drawn from the outcomes of customers in the arm and in control, weighted by the inverse
of their propensity; RATE, calibration and the gain of a policy from doubly robust scores of all
customers. Every score is written for a matrix of weights (resamples by rows); rows that tie share
their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.evaluation.bootstrap import draw_weights, find_interval, judge
from research.uplift.cross_fitting import Crossed
from research.uplift.doubly_robust import Sample, centre, contrast
from research.uplift.learners import FAMILIES, RANDOM, RESPONSE, RISK

STEPS = 200  # of a ranking, at most, between which a curve is taken as straight
TOPS = (0.1, 0.3)
CURVES = {"auuc": "uplift", "qini": "qini", "adjusted_qini": "adjusted_qini"}
RANKINGS = (
    RANDOM,
    RISK,
    RESPONSE,
)  # whose numbers are no effects: they have neither slope nor gain
SCORES = ["outcome", "arm", "model", "family", "metric", "value", "low", "high", "n"]
BEST_ARM = "best arm"


@dataclass(frozen=True)
class Steps:
    """A ranking, highest first, in steps that hold tied rows together: (rows, steps) membership,
    and whether the first step is the top.
    """

    member: csr_matrix

    def add_up(self, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return, for each row of weights, the sums of weight times value from the top down to the
        end of each step: (weights, steps).
        """
        return np.cumsum((self.member.multiply(values[:, None]).T.tocsr() @ weights.T).T, axis=1)


def rank(effects: np.ndarray) -> Steps:
    """Return the steps of a ranking of rows by effect, at most ``STEPS`` of about equally many
    rows.
    """
    order = np.argsort(-effects, kind="stable")
    ordered, n = effects[order], len(effects)
    ends = np.r_[np.flatnonzero(np.diff(ordered) != 0), n - 1]
    step = (
        np.ceil((ends + 1) / n * STEPS).astype(int) if len(ends) > STEPS else np.arange(len(ends))
    )
    tied = np.repeat(np.unique(step, return_inverse=True)[1], np.diff(np.r_[-1, ends]))
    code = np.empty(n, dtype=int)
    code[order] = tied
    return Steps(csr_matrix((np.ones(n), (np.arange(n), code)), shape=(n, tied[-1] + 1)))


def draw_curves(
    steps: Steps, arm: np.ndarray, outcome: np.ndarray, propensity: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the uplift curve and the Qini curve of one arm, from the empty list to everybody.

    Parameters
    ----------
    arm : (rows,), 1 for the arm, 0 for control, -1 for neither
    weights : (weights, rows)

    Returns
    -------
    dict of arrays (weights, 1 + steps)
        ``share`` of the customers listed; ``uplift``: share times the difference of mean outcomes
        on the list; ``qini``: the outcomes on the list in the arm less those in control, per
        customer of either (Radcliffe 2007); ``adjusted_qini``: the same with the arms as large as
        they are on the list. All three are what listing so many gains per customer of all.
    """
    size = [steps.add_up(weights, (arm == code) / propensity) for code in (1, 0)]
    total = [steps.add_up(weights, (arm == code) / propensity * outcome) for code in (1, 0)]
    listed = steps.add_up(weights, np.ones(len(arm)))
    share, effect = listed / listed[:, -1:], _divide(total[0], size[0]) - _divide(total[1], size[1])
    qini = _divide(total[0], size[0][:, -1:]) - _divide(total[1], size[1][:, -1:])
    curves = {
        "share": share,
        "uplift": share * effect,
        "qini": qini,
        "adjusted_qini": _divide(size[0], size[0][:, -1:]) * effect,
    }
    return {
        name: np.column_stack([np.zeros(len(weights)), values]) for name, values in curves.items()
    }


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(
        part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0
    )


def measure_area(share: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return the area between a curve and the straight line to its end, which is where lists by lot
    lie.
    """
    return np.trapezoid(curve, share, axis=1) - curve[:, -1] / 2


def score_ranking(
    effects: np.ndarray,
    arm: int,
    sample: Sample,
    scores: np.ndarray,
    weights: np.ndarray,
    model: str = "",
    strata: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return every score of one arm's ranking, once for each row of ``weights``.

    Parameters
    ----------
    effects : (rows,), predicted, or any number to rank by
    strata : (rows,), within which rows are ranked against each other, see
        ``cross_fitting.Crossed``; all of them unless given
    arm : position of the arm in ``sample.arms``
    scores : (rows, arms), doubly robust
    """
    strata = np.zeros(len(effects), int) if strata is None else strata
    inside, ranked = (sample.arm == arm) | (sample.arm == 0), np.round(centre(effects, strata), 12)
    steps = rank(ranked[inside])
    curves = draw_curves(
        steps,
        (sample.arm[inside] == arm).astype(int),
        sample.outcome[inside],
        sample.propensity[inside],
        weights[:, inside],
    )
    found = {name: measure_area(curves["share"], curves[curve]) for name, curve in CURVES.items()}
    for top in TOPS:
        at = np.array(
            [np.interp(top, *pair) for pair in zip(curves["share"], curves["uplift"], strict=True)]
        )
        found[f"uplift_at_{round(100 * top)}"] = at / top
    change = contrast(scores)[:, arm - 1]
    found |= _rate(rank(ranked), change, weights)
    if model not in RANKINGS:
        found |= {
            "slope": _slope(ranked, centre(change, strata), weights),
            "gain": _gain(effects[:, None] > 0, change[:, None], weights),
        }
    return found


def _rate(steps: Steps, change: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the area below the targeting operator characteristic: plain (AUTOC), and weighted by
    the share listed (Qini).

    Yadlowsky, Fleming, Shah, Brunskill & Wager 2025, doi:10.1080/01621459.2024.2393466.
    """
    size, total = steps.add_up(weights, np.ones(len(change))), steps.add_up(weights, change)
    share, all_of_it = size / size[:, -1:], total[:, -1:] / size[:, -1:]
    excess = np.where(size > 0, _divide(total, size) - all_of_it, 0)
    width = np.diff(np.column_stack([np.zeros(len(weights)), share]), axis=1)
    return {
        "autoc": (width * excess).sum(axis=1),
        "rate_qini": (width * share * excess).sum(axis=1),
    }


def _slope(effects: np.ndarray, change: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slope of doubly robust scores on predicted effects: 1 where they come true, below
    where they are too far apart.
    """
    size = weights.sum(axis=1)
    mean, target = weights @ effects / size, weights @ change / size
    spread = weights @ effects**2 / size - mean**2
    return np.divide(
        weights @ (effects * change) / size - mean * target,
        spread,
        out=np.full(len(size), np.nan),
        where=spread > 1e-18,
    )


def _gain(chosen: np.ndarray, change: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what choosing by effect gains per customer over the best that is the same for
    everybody: one arm, or none.
    """
    size = weights.sum(axis=1)
    same = np.maximum((weights @ change / size[:, None]).max(axis=1), 0)
    return weights @ (chosen * change).sum(axis=1) / size - same


def choose_arms(effects: np.ndarray) -> np.ndarray:
    """Return whom each row gets: (rows, arms) with a 1 for the arm of the largest effect, if that
    is above 0.
    """
    best = effects.argmax(axis=1)
    return (np.arange(effects.shape[1]) == best[:, None]) & (effects > 0)


def resample_uplift(
    said: Sequence[Crossed], sample: Sample, scores: np.ndarray, resamples: int, seed: int
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return every score by arm and model, a mean over the repeats, on the sample (first entry) and
    on each resample of its customers.

    Parameters
    ----------
    said : see ``cross_fitting.cross_fit``
    scores : (rows, arms), doubly robust, cross-fitted
    """
    pieces: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    for weights in draw_weights(sample.customers, resamples, seed):
        for model in said[0].effects:
            for arm in range(1, len(sample.arms)):
                parts = [
                    score_ranking(
                        one.effects[model][:, arm - 1],
                        arm,
                        sample,
                        scores,
                        weights,
                        model,
                        one.strata,
                    )
                    for one in said
                ]
                _keep(pieces, (sample.arms[arm], model), parts)
            if len(sample.arms) > 2 and model not in RANKINGS:
                _keep(
                    pieces,
                    (BEST_ARM, model),
                    [
                        {"gain": _gain(choose_arms(one.effects[model]), contrast(scores), weights)}
                        for one in said
                    ],
                )
    return {
        key: {name: np.concatenate(parts) for name, parts in found.items()}
        for key, found in pieces.items()
    }


def _keep(pieces: dict, key: tuple[str, str], parts: list[dict[str, np.ndarray]]) -> None:
    for name in parts[0]:
        pieces.setdefault(key, {}).setdefault(name, []).append(
            np.mean([part[name] for part in parts], axis=0)
        )


def score_divisions(
    said: Sequence[Crossed], sample: Sample, scores: np.ndarray
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return every score by arm and model on each repeat alone: what a single division of the
    customers would have said.
    """
    alone = [resample_uplift([one], sample, scores, 0, 0) for one in said]
    return {
        key: {name: np.concatenate([one[key][name] for one in alone]) for name in found}
        for key, found in alone[0].items()
    }


def tabulate_uplift(resampled: dict, alone: dict, outcome: str, n: int) -> pd.DataFrame:
    """Return the long score table.

    Parameters
    ----------
    resampled : see ``resample_uplift``
    alone : see ``score_divisions``

    Returns
    -------
    DataFrame with columns outcome, arm, model, family, metric, value, low, high, n, divisions,
    lowest, highest
        95 % interval; ``n``: customers judged; ``lowest`` and ``highest`` of the single divisions,
        over which ``value`` is the mean.
    """
    rows = [
        (
            outcome,
            arm,
            model,
            FAMILIES.get(model, "learner"),
            metric,
            *find_interval(values),
            n,
            len(each),
            each.min(),
            each.max(),
        )
        for (arm, model), found in resampled.items()
        for metric, values in found.items()
        for each in (alone[arm, model][metric],)
    ]
    return pd.DataFrame(rows, columns=[*SCORES, "divisions", "lowest", "highest"])


def tabulate_uplift_differences(
    resampled: dict, outcome: str, references: Sequence[str], n: int
) -> pd.DataFrame:
    """Return paired differences of every model to each reference on the same resamples, by arm and
    metric; see ``comparison.tabulate_differences``.
    """
    models = [*dict.fromkeys(model for _, model in resampled)]
    rows = []
    for (arm, model), found in resampled.items():
        for reference in (
            name for name in references if name != model and (arm, name) in resampled
        ):
            for metric in (
                name
                for name in found
                if name in resampled[arm, reference] and name not in ("slope", "gain")
            ):
                values = found[metric] - resampled[arm, reference][metric]
                verdict = judge(values, True, len(models) - 1)
                rows.append(
                    (
                        outcome,
                        arm,
                        model,
                        FAMILIES.get(model, "learner"),
                        reference,
                        metric,
                        *find_interval(values),
                        n,
                        verdict,
                    )
                )
    return pd.DataFrame(rows, columns=[*SCORES[:4], "reference", *SCORES[4:], "verdict"])
