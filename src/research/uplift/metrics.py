"""Scores of rankings by effect in a randomised trial: who is ranked first should gain most.

``docs/uplift-scores.md`` defines them. ``METRICS`` lists them; a new one is one function of
``JudgedRanking`` and one record. Curves are drawn from the outcomes of customers in the arm
and in control, weighted by the inverse of their propensity; RATE, calibration and the gain of a
policy from doubly robust scores of all customers. Every score is written for a matrix of weights
(resamples by rows); rows that tie share their place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.evaluation.bootstrap import draw_weights, judge_difference, percentile_interval
from research.reporting.metric import Metric, index_metrics
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import Sample, centre, subtract_control
from research.uplift.learners.families import NOT_EFFECTS, find_family

MAX_STEPS = 200  # of a ranking, between which a curve is taken as straight
RANKING, EFFECTS = "ranking", "effects"  # what a score judges: effects need their own unit
BEST_ARM = "best arm"
KEYS = ["outcome", "arm", "model", "family"]
SCORES = [
    *KEYS,
    "metric",
    "value",
    "low",
    "high",
    "n",
    "divisions",
    "lowest",
    "highest",
]
DIFFERENCES = [*KEYS, "reference", "metric", "value", "low", "high", "n", "verdict"]
Scores = dict[str, np.ndarray]  # by metric
ScoresByModel = dict[tuple[str, str], Scores]  # by arm and model


@dataclass(frozen=True)
class RankingSteps:
    """A ranking, highest first, in steps that keep tied rows together.

    Attributes
    ----------
    member : (rows, steps), 1 where a row is in a step; the first step is the top
    """

    member: csr_matrix

    def add_up(self, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the sums of weight times value from the top down to the end of each step:
        (weights, steps).
        """
        return np.cumsum((self.member.multiply(values[:, None]).T.tocsr() @ weights.T).T, axis=1)


def rank(effects: np.ndarray) -> RankingSteps:
    """Return the steps of a ranking of rows by effect, at most ``MAX_STEPS`` of about equally many
    rows.
    """
    order = np.argsort(-effects, kind="stable")
    ordered, n = effects[order], len(effects)
    ends = np.r_[np.flatnonzero(np.diff(ordered) != 0), n - 1]
    step = (
        np.ceil((ends + 1) / n * MAX_STEPS).astype(int)
        if len(ends) > MAX_STEPS
        else np.arange(len(ends))
    )
    tied = np.repeat(np.unique(step, return_inverse=True)[1], np.diff(np.r_[-1, ends]))
    code = np.empty(n, dtype=int)
    code[order] = tied
    shape = (n, tied[-1] + 1)
    return RankingSteps(csr_matrix((np.ones(n), (np.arange(n), code)), shape=shape))


def compute_curves(
    steps: RankingSteps,
    arm: np.ndarray,
    outcome: np.ndarray,
    propensity: np.ndarray,
    weights: np.ndarray,
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
        they are on the list. All three are the gain of a list of that length, per customer of all.
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
    start = np.zeros(len(weights))
    return {name: np.column_stack([start, values]) for name, values in curves.items()}


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    zeros = np.zeros(np.broadcast_shapes(part.shape, whole.shape))
    return np.divide(part, whole, out=zeros, where=whole > 0)


def compute_area(share: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return the area between a curve and the straight line to its end, which is that of random
    lists.
    """
    return np.trapezoid(curve, share, axis=1) - curve[:, -1] / 2


@dataclass(frozen=True, eq=False)
class JudgedRanking:
    """Effects of one arm, or any numbers to rank by, and the customers that judge them.

    Attributes
    ----------
    effects : (rows,)
    arm : position of the arm in ``sample.arms``
    sample : outcomes, arms and propensities of the rows
    scores : (rows, arms), doubly robust
    weights : (weights, rows), how often each row counts
    strata : (rows,), within which rows are ranked against each other
    """

    effects: np.ndarray
    arm: int
    sample: Sample
    scores: np.ndarray
    weights: np.ndarray
    strata: np.ndarray

    @cached_property
    def ranked(self) -> np.ndarray:
        """The effects, centred within their stratum: (rows,)."""
        return np.round(centre(self.effects, self.strata), 12)

    @cached_property
    def change(self) -> np.ndarray:
        """Doubly robust scores of the arm less those of control: (rows,)."""
        return subtract_control(self.scores)[:, self.arm - 1]

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """The curves of the customers in the arm and in control, see ``compute_curves``."""
        inside = (self.sample.arm == self.arm) | (self.sample.arm == 0)
        return compute_curves(
            rank(self.ranked[inside]),
            (self.sample.arm[inside] == self.arm).astype(int),
            self.sample.outcome[inside],
            self.sample.propensity[inside],
            self.weights[:, inside],
        )

    @cached_property
    def excess(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The targeting operator characteristic: width, share and excess of each step."""
        steps, weights = rank(self.ranked), self.weights
        size = steps.add_up(weights, np.ones(len(self.change)))
        total = steps.add_up(weights, self.change)
        share, average = size / size[:, -1:], total[:, -1:] / size[:, -1:]
        excess = np.where(size > 0, _divide(total, size) - average, 0)
        width = np.diff(np.column_stack([np.zeros(len(weights)), share]), axis=1)
        return width, share, excess


def _area_of(curve: str) -> Callable[[JudgedRanking], np.ndarray]:
    """Return the score that is the area of a curve."""
    return lambda ranking: compute_area(ranking.curves["share"], ranking.curves[curve])


def _effect_among(top: float) -> Callable[[JudgedRanking], np.ndarray]:
    """Return the score that is the effect among a top share of the ranking."""

    def effect(ranking: JudgedRanking) -> np.ndarray:
        pairs = zip(ranking.curves["share"], ranking.curves["uplift"], strict=True)
        return np.array([np.interp(top, *pair) for pair in pairs]) / top

    return effect


def _autoc(ranking: JudgedRanking) -> np.ndarray:
    """Area below the targeting operator characteristic.

    Yadlowsky, Fleming, Shah, Brunskill & Wager 2025, doi:10.1080/01621459.2024.2393466.
    """
    width, _, excess = ranking.excess
    return (width * excess).sum(axis=1)


def _rate_qini(ranking: JudgedRanking) -> np.ndarray:
    """The same area, weighted by the share listed (Qini)."""
    width, share, excess = ranking.excess
    return (width * share * excess).sum(axis=1)


def _slope(ranking: JudgedRanking) -> np.ndarray:
    """Slope of doubly robust scores on predicted effects; below 1 they are too extreme."""
    effects, weights = ranking.ranked, ranking.weights
    change = centre(ranking.change, ranking.strata)
    size = weights.sum(axis=1)
    mean, target = weights @ effects / size, weights @ change / size
    spread = weights @ effects**2 / size - mean**2
    return np.divide(
        weights @ (effects * change) / size - mean * target,
        spread,
        out=np.full(len(size), np.nan),
        where=spread > 1e-18,
    )


def _gain(ranking: JudgedRanking) -> np.ndarray:
    """Gain of contacting whoever has an effect above 0, see ``_compute_gain``."""
    chosen = ranking.effects[:, None] > 0
    return _compute_gain(chosen, ranking.change[:, None], ranking.weights)


def _compute_gain(chosen: np.ndarray, change: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the gain per customer of choosing by effect over the best uniform policy: one arm for
    all, or none.
    """
    size = weights.sum(axis=1)
    uniform = np.maximum((weights @ change / size[:, None]).max(axis=1), 0)
    return weights @ (chosen * change).sum(axis=1) / size - uniform


METRICS = index_metrics(
    Metric(name="auuc", words="AUUC", better="more", function=_area_of("uplift"), judges=RANKING),
    Metric(name="qini", words="Qini", better="more", function=_area_of("qini"), judges=RANKING),
    Metric(
        name="adjusted_qini",
        words="adjusted Qini",
        better="more",
        function=_area_of("adjusted_qini"),
        judges=RANKING,
    ),
    Metric(
        name="uplift_at_10",
        words="effect, top 10 %",
        better="more",
        function=_effect_among(0.1),
        judges=RANKING,
    ),
    Metric(
        name="uplift_at_30",
        words="effect, top 30 %",
        better="more",
        function=_effect_among(0.3),
        judges=RANKING,
    ),
    Metric(name="autoc", words="AUTOC", better="more", function=_autoc, judges=RANKING),
    Metric(
        name="rate_qini", words="RATE, Qini", better="more", function=_rate_qini, judges=RANKING
    ),
    Metric(name="slope", words="slope", better="ideal", ideal=1.0, function=_slope, judges=EFFECTS),
    Metric(name="gain", words="gain", better="more", function=_gain, judges=EFFECTS),
)


def score_ranking(
    effects: np.ndarray,
    arm: int,
    sample: Sample,
    scores: np.ndarray,
    weights: np.ndarray,
    model: str = "",
    strata: np.ndarray | None = None,
) -> Scores:
    """Return every score of one arm's ranking, once for each row of ``weights``.

    Parameters
    ----------
    effects : (rows,), predicted, or any number to rank by
    arm : position of the arm in ``sample.arms``
    scores : (rows, arms), doubly robust
    model : its name; models that predict no effects have no scores of effects
    strata : (rows,), within which rows are ranked against each other, see
        ``cross_fitting.CrossFit``; all of them unless given
    """
    strata = np.zeros(len(effects), int) if strata is None else strata
    ranking = JudgedRanking(effects, arm, sample, scores, weights, strata)
    return {
        name: metric.function(ranking)
        for name, metric in METRICS.items()
        if metric.judges == RANKING or model not in NOT_EFFECTS
    }


def choose_arms(effects: np.ndarray) -> np.ndarray:
    """Return which arm each row gets: (rows, arms) with a 1 for the arm of the largest effect, if
    that is above 0.
    """
    best = effects.argmax(axis=1)
    return (np.arange(effects.shape[1]) == best[:, None]) & (effects > 0)


def resample_uplift(
    cross_fits: Sequence[CrossFit], sample: Sample, scores: np.ndarray, resamples: int, seed: int
) -> ScoresByModel:
    """Return every score by arm and model, a mean over the repeats, on the sample (first entry) and
    on each resample of its customers, or of the units of randomisation.

    Parameters
    ----------
    cross_fits : see ``cross_fitting.cross_fit``
    scores : (rows, arms), doubly robust, cross-fitted
    """
    pieces: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    for weights in draw_weights(sample.clusters, resamples, seed):
        for model in cross_fits[0].effects:
            for key, repeats in _score_model(cross_fits, model, sample, scores, weights):
                for metric in repeats[0]:
                    mean = np.mean([values[metric] for values in repeats], axis=0)
                    pieces.setdefault(key, {}).setdefault(metric, []).append(mean)
    return {
        key: {metric: np.concatenate(parts) for metric, parts in by_metric.items()}
        for key, by_metric in pieces.items()
    }


def _score_model(
    cross_fits: Sequence[CrossFit],
    model: str,
    sample: Sample,
    scores: np.ndarray,
    weights: np.ndarray,
) -> Iterator[tuple[tuple[str, str], list[Scores]]]:
    """Yield the scores of one model by arm, one entry per repeat; of several arms also the gain of
    giving each customer the best one.
    """
    for code, arm in enumerate(sample.arms[1:], start=1):
        yield (
            (arm, model),
            [
                score_ranking(
                    one.effects[model][:, code - 1],
                    code,
                    sample,
                    scores,
                    weights,
                    model,
                    one.strata,
                )
                for one in cross_fits
            ],
        )
    if len(sample.arms) > 2 and model not in NOT_EFFECTS:
        change = subtract_control(scores)
        yield (
            (BEST_ARM, model),
            [
                {"gain": _compute_gain(choose_arms(one.effects[model]), change, weights)}
                for one in cross_fits
            ],
        )


def score_divisions(
    cross_fits: Sequence[CrossFit], sample: Sample, scores: np.ndarray
) -> ScoresByModel:
    """Return every score by arm and model on each repeat alone: (repeats,).

    It shows by how much a single division of the customers misleads.
    """
    single = [resample_uplift([one], sample, scores, 0, 0) for one in cross_fits]
    return {
        key: {metric: np.concatenate([one[key][metric] for one in single]) for metric in by_metric}
        for key, by_metric in single[0].items()
    }


def tabulate_uplift(
    resampled: ScoresByModel, divisions: ScoresByModel, outcome: str, n: int
) -> pd.DataFrame:
    """Return the long score table.

    Parameters
    ----------
    resampled : see ``resample_uplift``
    divisions : see ``score_divisions``

    Returns
    -------
    DataFrame with columns outcome, arm, model, family, metric, value, low, high, n, divisions,
    lowest, highest
        Intervals hold for all models of an arm together at 95 %, as the verdicts do (see
        ``bootstrap.judge_difference``); that of the slope alone is plain. ``n``: customers judged;
        ``lowest`` and ``highest`` of the single divisions, over which ``value`` is the mean.
    """
    comparisons, rows = _count_compared(resampled), []
    for (arm, model), by_metric in resampled.items():
        for metric, values in by_metric.items():
            single = divisions[arm, model][metric]
            spread = len(single), single.min(), single.max()
            key = outcome, arm, model, find_family(model)
            bounds = (
                percentile_interval(values)
                if METRICS[metric].better == "ideal"
                else judge_difference(values, True, comparisons)[:3]
            )
            rows.append((*key, metric, *bounds, n, *spread))
    return pd.DataFrame(rows, columns=SCORES)


def _count_compared(resampled: ScoresByModel) -> int:
    return max(len({model for _, model in resampled}) - 1, 1)


def tabulate_uplift_differences(
    resampled: ScoresByModel, outcome: str, references: Sequence[str], n: int
) -> pd.DataFrame:
    """Return paired differences of every model to each baseline on the same resamples.

    Parameters
    ----------
    references : names of the baselines

    Returns
    -------
    DataFrame with columns outcome, arm, model, family, reference, metric, value, low, high, n,
    verdict
        See ``research.evaluation.bootstrap.tabulate_differences``.
    """
    comparisons = _count_compared(resampled)
    rows = []
    for (arm, model), by_metric in resampled.items():
        for reference in references:
            if reference == model or (arm, reference) not in resampled:
                continue
            baseline = resampled[arm, reference]
            for metric in by_metric:
                record = METRICS[metric]
                if metric not in baseline or record.judges == EFFECTS:
                    continue
                values = record.compare(by_metric[metric]) - record.compare(baseline[metric])
                key = outcome, arm, model, find_family(model), reference, metric
                *judged, verdict = judge_difference(values, record.more_is_better, comparisons)
                rows.append((*key, *judged, n, verdict))
    return pd.DataFrame(rows, columns=DIFFERENCES)
