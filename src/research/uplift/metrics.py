"""Scores of rankings by effect in a randomised trial: who is ranked first should gain most.

``docs/uplift-scores.md`` defines them. ``METRICS`` lists them; a new one is one function of
``JudgedRanking`` and one record. Curves are drawn from the outcomes of customers in the arm
and in control, weighted by the inverse of their propensity; RATE, calibration and the gain of a
policy from doubly robust scores of all customers. Every score is written for a matrix of weights
(resamples by rows); rows that tie share their place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.evaluation.bootstrap import (
    draw_weights,
    judge_difference,
    percentile_interval,
    subtract,
)
from research.reporting.metric import Metric, index_metrics
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import Sample, centre, subtract_control
from research.uplift.learners.families import NOT_EFFECTS, find_family

MAX_STEPS = 200  # of a ranking, between which a curve is taken as straight
MOST_UNFOLDED = 20_000_000  # weights of all resamples that are kept ready for sums
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
    rows : the rows that are ranked, step by step from the top
    starts : (steps + 1,), the place of each step's first row in ``rows``, and their number
    size : how many rows there are, ranked or not
    """

    rows: np.ndarray
    starts: np.ndarray
    size: int

    def add_up(self, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the sums of weight times value from the top down to the end of each step:
        (weights, steps).
        """
        data = values[self.rows].astype(float)
        used = data != 0
        starts = np.r_[0, np.cumsum(used)][self.starts]
        shape = len(self.starts) - 1, self.size
        member = csr_matrix((data[used], self.rows[used], starts), shape)
        return np.cumsum(member @ weights.T, axis=0).T


def rank(effects: np.ndarray, inside: np.ndarray | None = None) -> RankingSteps:
    """Return the steps of a ranking of rows by effect, at most ``MAX_STEPS`` of about equally many
    rows.

    Parameters
    ----------
    inside : (rows,), which of the rows are ranked; all unless given
    """
    rows = np.arange(len(effects)) if inside is None else np.flatnonzero(inside)
    rows = rows[np.argsort(-effects[rows], kind="stable")]
    ordered, n = effects[rows], len(rows)
    ends = np.r_[np.flatnonzero(np.diff(ordered) != 0), n - 1] + 1
    if len(ends) > MAX_STEPS:
        step = np.ceil(ends / n * MAX_STEPS).astype(int)
        ends = ends[np.r_[np.diff(step) != 0, True]]
    return RankingSteps(rows, np.r_[0, ends], len(effects))


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
class Ranking:
    """Effects of one arm, or any numbers to rank by, with the customers that judge them.

    Attributes
    ----------
    effects : (rows,)
    arm : position of the arm in ``sample.arms``
    sample : outcomes, arms and propensities of the rows
    scores : (rows, arms), doubly robust
    strata : (rows,), within which rows are ranked against each other
    """

    effects: np.ndarray
    arm: int
    sample: Sample
    scores: np.ndarray
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
    def treated(self) -> np.ndarray:
        """1 for customers of the arm, 0 for control, -1 for others: (rows,)."""
        return np.select([self.sample.arm == self.arm, self.sample.arm == 0], [1, 0], -1)

    @cached_property
    def steps(self) -> RankingSteps:
        """The steps of all customers."""
        return rank(self.ranked)

    @cached_property
    def two_arms(self) -> RankingSteps:
        """The steps of the customers in the arm and in control."""
        return rank(self.ranked, self.treated >= 0)

    @cached_property
    def products(self) -> np.ndarray:
        """What slope and gain are made of, besides the number of rows: (rows, 6)."""
        effects, change = self.ranked, centre(self.change, self.strata)
        chosen = (self.effects > 0) * self.change
        columns = effects, change, effects**2, effects * change, self.change, chosen
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class JudgedRanking:
    """A ranking judged on resamples of its customers.

    Attributes
    ----------
    ranking : what is judged
    weights : (weights, rows), how often each row counts
    """

    ranking: Ranking
    weights: np.ndarray

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """The curves of the customers in the arm and in control, see ``compute_curves``."""
        one, sample = self.ranking, self.ranking.sample
        return compute_curves(
            one.two_arms, one.treated, sample.outcome, sample.propensity, self.weights
        )

    @cached_property
    def excess(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The targeting operator characteristic: width, share and excess of each step."""
        steps, change, weights = self.ranking.steps, self.ranking.change, self.weights
        size = steps.add_up(weights, np.ones(len(change)))
        total = steps.add_up(weights, change)
        share, average = size / size[:, -1:], total[:, -1:] / size[:, -1:]
        excess = np.where(size > 0, _divide(total, size) - average, 0)
        width = np.diff(np.column_stack([np.zeros(len(weights)), share]), axis=1)
        return width, share, excess

    @cached_property
    def means(self) -> np.ndarray:
        """The means of ``Ranking.products``: (weights, 6)."""
        return self.weights @ self.ranking.products / self.weights.sum(axis=1)[:, None]


def _area_of(curve: str) -> Callable[[JudgedRanking], np.ndarray]:
    """Return the score that is the area of a curve."""
    return lambda ranking: compute_area(ranking.curves["share"], ranking.curves[curve])


def _effect_among(top: float) -> Callable[[JudgedRanking], np.ndarray]:
    """Return the score that is the effect among a top share of the ranking."""

    def effect(ranking: JudgedRanking) -> np.ndarray:
        return interpolate(top, ranking.curves["share"], ranking.curves["uplift"]) / top

    return effect


def interpolate(at: float, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values at a place between the first and the last, row by row, on straight lines:
    (rows,).

    Parameters
    ----------
    places, values : (rows, points), places rising from 0
    """
    row, after = np.arange(len(places)), (places < at).sum(axis=1)
    low, high = (places[row, point] for point in (after - 1, after))
    start, end = (values[row, point] for point in (after - 1, after))
    return start + (at - low) / (high - low) * (end - start)


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
    mean, target, square, product = ranking.means[:, :4].T
    spread = square - mean**2
    return np.divide(
        product - mean * target, spread, out=np.full(len(mean), np.nan), where=spread > 1e-18
    )


def _gain(ranking: JudgedRanking) -> np.ndarray:
    """Gain of contacting whoever has an effect above 0, see ``_compute_gain``."""
    everybody, chosen = ranking.means[:, 4:].T
    return chosen - np.maximum(everybody, 0)


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
    return _judge(Ranking(effects, arm, sample, scores, strata), weights, model)


def _judge(ranking: Ranking, weights: np.ndarray, model: str) -> Scores:
    judged = JudgedRanking(ranking, weights)
    return {
        name: metric.function(judged)
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
    drawn = _draw_resamples(sample, resamples, seed)
    found: ScoresByModel = {}
    for model in cross_fits[0].effects:
        for code, arm in enumerate(sample.arms[1:], start=1):
            rankings = [
                Ranking(one.effects[model][:, code - 1], code, sample, scores, one.strata)
                for one in cross_fits
            ]
            found[arm, model] = _average(
                [
                    _join([_judge(ranking, _unfold(part), model) for part in drawn])
                    for ranking in rankings
                ]
            )
        if len(sample.arms) > 2 and model not in NOT_EFFECTS:
            found[BEST_ARM, model] = _score_best_arm(cross_fits, model, scores, drawn)
    return found


def _draw_resamples(sample: Sample, resamples: int, seed: int) -> list[np.ndarray]:
    """Return the weights of ``draw_weights``; those of many rows as small whole numbers, since all
    rankings are judged on all of them.
    """
    kind = float if sample.size * resamples <= MOST_UNFOLDED else np.uint16
    return [
        np.asfortranarray(part, kind) for part in draw_weights(sample.clusters, resamples, seed)
    ]


def _unfold(weights: np.ndarray) -> np.ndarray:
    """Return weights as sums take them, row by row."""
    return np.asfortranarray(weights, float)


def _join(pieces: Sequence[Scores]) -> Scores:
    return {metric: np.concatenate([one[metric] for one in pieces]) for metric in pieces[0]}


def _average(repeats: Sequence[Scores]) -> Scores:
    return {metric: np.mean([one[metric] for one in repeats], axis=0) for metric in repeats[0]}


def _score_best_arm(
    cross_fits: Sequence[CrossFit], model: str, scores: np.ndarray, drawn: Sequence[np.ndarray]
) -> Scores:
    """Return the gain of giving each customer the best arm, a mean over the repeats."""
    change = subtract_control(scores)
    chosen = [choose_arms(one.effects[model]) for one in cross_fits]
    pieces = [
        {"gain": np.mean([_compute_gain(one, change, weights) for one in chosen], axis=0)}
        for weights in map(_unfold, drawn)
    ]
    return _join(pieces)


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
                values = subtract(
                    record.compare(by_metric[metric]), record.compare(baseline[metric])
                )
                key = outcome, arm, model, find_family(model), reference, metric
                *judged, verdict = judge_difference(values, record.more_is_better, comparisons)
                rows.append((*key, *judged, n, verdict))
    return pd.DataFrame(rows, columns=DIFFERENCES)
