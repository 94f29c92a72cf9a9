"""Scores of predicted survival under censoring, with intervals and paired differences.

``METRICS`` lists them; a new one is one function of ``JudgedCurves`` and one record. A customer
censored early says nothing of later days; customers observed longer stand in for them, by inverse
probability of censoring weights. That probability is taken to be the same for everybody: censoring
doesn't depend on features.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.evaluation.bootstrap import (
    draw_weights,
    judge_difference,
    percentile_interval,
    subtract,
)
from research.evaluation.concordance import count_draws, divide, score_areas, score_concordance
from research.reporting.metric import Metric, register_metrics
from research.store.keep import keep

Resampled = dict[str, dict[tuple[str, float], np.ndarray]]
SCORES = [
    "model",
    "family",
    "metric",
    "days",
    "value",
    "low",
    "high",
    "n",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
]


@dataclass(frozen=True, eq=False)
class JudgedCurves:
    """Outcomes of the rows that judge a model, and the survival that it predicts for them.

    Attributes
    ----------
    outcome : structured array (rows,) with fields event and days
    curve : (rows, days), the probability that the event has not come after so many days
    days : (days,), rising
    until : the day before which an event counts in Uno's C
    own_weight : (rows,), inverse probability of not being censored by the row's own day
    day_weight : (days,), the same by each of ``days``
    observed : (resamples, days), the share with the event by Kaplan-Meier
    weights : (resamples, rows), how often each row counts
    folds : (rows,), the fold of a cross-validation in which a row was judged; None without folds
    """

    outcome: np.ndarray
    curve: np.ndarray
    days: np.ndarray
    until: float
    own_weight: np.ndarray
    day_weight: np.ndarray
    observed: np.ndarray
    weights: np.ndarray
    folds: np.ndarray | None = None

    @cached_property
    def parts(self) -> list[np.ndarray]:
        """The places of the rows of each fold; all rows where there are no folds."""
        folds = np.zeros(len(self.outcome)) if self.folds is None else self.folds
        return [np.flatnonzero(folds == fold) for fold in np.unique(folds)]

    def average_over_folds(self, scores: Sequence[np.ndarray], cases: np.ndarray) -> np.ndarray:
        """Return scores of rankings within folds, averaged in proportion to those who left.

        Risks of different folds come from different models, and one that is a little higher
        throughout says nothing of its customers. A fold in which the score isn't defined is left
        out.

        Parameters
        ----------
        scores : of each of ``parts``, (resamples,)
        cases : (rows,), who left
        """
        if len(self.parts) == 1:
            return scores[0]
        values = np.stack(scores)
        left = np.stack([self.weights[:, part] @ cases[part] for part in self.parts])
        known = np.isfinite(values)
        total = np.where(known, values * left, 0).sum(axis=0)
        return divide(total, (known * left).sum(axis=0))

    @cached_property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Who is known to have had the event by each day, and who not: two arrays (rows, days)."""
        own = self.outcome["days"][:, None]
        return (own <= self.days) & self.outcome["event"][:, None], own > self.days

    @cached_property
    def counts(self) -> np.ndarray:
        """How often each row counts: (rows, resamples)."""
        return count_draws(self.weights)

    @cached_property
    def brier(self) -> np.ndarray:
        """The Brier score at each day: (resamples, days)."""
        (gone, there), curve = self.known, self.curve
        losses = (
            gone * self.own_weight[:, None] * curve**2 + there * self.day_weight * (1 - curve) ** 2
        )
        return self.average(losses)

    @cached_property
    def concordances(self) -> dict[str, np.ndarray]:
        """Uno's and Harrell's C: (resamples,) each."""
        uno = np.where(self.outcome["days"] < self.until, self.own_weight**2, 0)
        gains = {"uno_c": uno, "harrell_c": np.ones(len(self.outcome))}
        event = self.outcome["event"].astype(float)
        found = [self._rank(gains, part) for part in self.parts]
        return {
            name: self.average_over_folds([scores[name] for scores in found], event * (gain > 0))
            for name, gain in gains.items()
        }

    def _rank(self, gains: dict[str, np.ndarray], part: np.ndarray) -> dict[str, np.ndarray]:
        """Return the concordances of the rows at some places: (resamples,) each."""
        inside = {name: gain[part] for name, gain in gains.items()}
        risk = 1 - self.curve[part, -1]
        return score_concordance(self.outcome[part], risk, inside, self.counts[part])

    def compute_area(self, place: int) -> np.ndarray:
        """Return the dynamic AUC at one of the days: (resamples,)."""
        gone, there = (known[:, place] for known in self.known)
        risk, cases = 1 - self.curve[:, place], gone * self.own_weight
        scores = [
            score_areas(risk[part], cases[part], there[part], self.counts[part])
            for part in self.parts
        ]
        return self.average_over_folds(scores, gone.astype(float))

    def average(self, terms: np.ndarray) -> np.ndarray:
        """Return the mean of terms (rows, days) over the rows of each resample."""
        return self.weights @ terms / self.weights.sum(axis=1, keepdims=True)


def _brier(curves: JudgedCurves) -> np.ndarray:
    """Squared distance at each day (Graf et al. 1999)."""
    return curves.brier


def _integrated_brier(curves: JudgedCurves) -> np.ndarray | None:
    """Mean of the Brier score over the days by trapezoids; needs two days."""
    days = curves.days
    if len(days) < 2:
        return None
    return np.trapezoid(curves.brier, days, axis=1) / (days[-1] - days[0])


def _uno_c(curves: JudgedCurves) -> np.ndarray:
    """Concordance of events up to the last day, weighted (Uno et al. 2011)."""
    return curves.concordances["uno_c"]


def _harrell_c(curves: JudgedCurves) -> np.ndarray:
    """Concordance of all events (Harrell et al. 1996)."""
    return curves.concordances["harrell_c"]


def _dynamic_auc(curves: JudgedCurves) -> np.ndarray:
    """Chance that a customer with the event by the day had a higher risk than one without (Hung &
    Chiang 2010).
    """
    return np.column_stack([curves.compute_area(place) for place in range(len(curves.days))])


def _calibration(curves: JudgedCurves) -> np.ndarray:
    """Mean predicted share with the event minus the one observed (Kaplan-Meier), at each day."""
    return curves.average(1 - curves.curve) - curves.observed


METRICS = register_metrics(
    Metric(name="brier", words="Brier", better="less", function=_brier),
    Metric(
        name="integrated_brier",
        words="Integrated Brier",
        better="less",
        function=_integrated_brier,
    ),
    Metric(name="uno_c", words="Uno's C", better="more", function=_uno_c),
    Metric(name="harrell_c", words="Harrell's C", better="more", function=_harrell_c),
    Metric(name="dynamic_auc", words="Time-dependent AUC", better="more", function=_dynamic_auc),
    Metric(
        name="calibration",
        words="Predicted minus observed",
        better="ideal",
        ideal=0.0,
        function=_calibration,
        judges="calibration",
    ),
)


@keep
def score_models(
    train_outcome: np.ndarray,
    test_outcome: np.ndarray,
    curves: dict[str, np.ndarray],
    families: dict[str, str],
    reference: str,
    days: Sequence[float],
    customers: Sequence,
    resamples: int,
    seed: int,
    **options,
) -> pd.DataFrame:
    """Score every model, and compare it with a reference on the same resamples of customers.

    Parameters
    ----------
    families : by model
    reference : the model that the others are compared with
    others : see ``resample_curves``

    Returns
    -------
    DataFrame with columns model, family, metric, days, value, low, high, n, reference, difference,
    difference_low, difference_high, verdict
        ``days`` is empty for scores of the whole curve; ``n`` counts customers. A score that can't
        be computed, such as a concordance without events, is empty. ``low`` and ``high`` are the
        95 % interval, of calibration one that holds for all days together (Bonferroni), as the
        verdict on it needs. Differences are the model's
        score minus the reference's, of calibration those of the distances from 0, with intervals
        adjusted for the number of models and their ``verdict``: see ``bootstrap.judge_difference``.

    Raises
    ------
    StudyError
        If the reference is not among the curves.
    """
    if reference not in curves:
        raise StudyError(
            f"expected a reference among {', '.join(curves)}, got '{reference}'; name one of them"
        )
    resampled = resample_curves(
        train_outcome, test_outcome, curves, days, customers, resamples, seed, **options
    )
    n = pd.Series(customers).nunique()
    rows = [
        (
            model,
            families[model],
            metric,
            day,
            *_find_interval(metric, values, len(days)),
            n,
            *_compare(
                model, reference, metric, values, resampled[reference][metric, day], len(curves)
            ),
        )
        for model, scores in resampled.items()
        for (metric, day), values in scores.items()
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _find_interval(metric: str, values: np.ndarray, days: int) -> tuple[float, float, float]:
    """Return a score and its interval, of a distance from 0 that for all days together."""
    if metric != "calibration":
        return percentile_interval(values)
    return judge_difference(values, False, days)[:3]


def _compare(
    model: str, reference: str, metric: str, values: np.ndarray, base: np.ndarray, models: int
) -> tuple:
    if model == reference:
        return "", np.nan, np.nan, np.nan, ""
    record = METRICS[metric]
    gap = subtract(record.compare(values), record.compare(base))
    return reference, *judge_difference(gap, record.more_is_better, models - 1)


def resample_curves(
    train_outcome: np.ndarray,
    test_outcome: np.ndarray,
    curves: dict[str, np.ndarray],
    days: Sequence[float],
    customers: Sequence,
    resamples: int,
    seed: int,
    whole_days: bool = True,
    folds: np.ndarray | None = None,
) -> Resampled:
    """Return every score of every model on the sample (first entry) and on each resample.

    Parameters
    ----------
    train_outcome : structured array with fields event and days
        Rows that are censored as the test rows are; only the distribution of censoring is taken
        from them, by Kaplan-Meier. Out of time, training rows may be followed up for other lengths
        than test rows: from the day on which that begins to matter, hand over the test rows here
        too. The distribution stays the same in all resamples: the intervals carry the sampling
        error of the test customers only.
    test_outcome : structured array (rows,)
    curves : by model, the predicted probability that the event has not come after so many days
        (rows, days)
    days : rising; the last one is where concordances are cut off and where their risk, one minus
        the survival, is taken
    customers : (rows,), drawn with replacement, a customer's rows together
    resamples : how many
    seed : the draws derive from it
    whole_days : whether a censored customer was observed to the end of its last day, as labels made
        from dates are
        Then it is known to have had no event by that day, and an event of that day was observed
        all the same. Else it was censored within the day, and nothing is known of the customer at
        the day's end: the reading of scikit-survival.
    folds : (rows,), optional
        The fold in which a row was judged: concordances and dynamic AUC compare rows within a fold.

    Returns
    -------
    dict by model of dicts by (score, day) of arrays of length ``1 + resamples``
        Of the scores of ``METRICS``; the day is empty (nan) for scores of the whole curve.
        integrated_brier is left out where there is only one day.

    Raises
    ------
    StudyError
        If days, curves and outcomes don't fit, or if nobody was followed up to the last day.
    """
    days = np.asarray(days, float)
    train, test = (
        _end_day(outcome) if whole_days else outcome for outcome in (train_outcome, test_outcome)
    )
    _require_fit(test, curves, days, customers)
    until = np.nextafter(days[-1], np.inf) if whole_days else days[-1]
    draws = draw_weights(customers, resamples, seed)
    return _score_all(_judge_curves(train, test, curves, days, until, draws, folds))


def _judge_curves(
    train: np.ndarray,
    test: np.ndarray,
    curves: dict[str, np.ndarray],
    days: np.ndarray,
    until: float,
    draws: Iterable[np.ndarray],
    folds: np.ndarray | None,
) -> Iterator[tuple[str, JudgedCurves]]:
    """Yield every model with its curves as each batch of resamples judges them."""
    own_weight, day_weight = weigh_censoring(train, test, days)
    for weights in draws:
        observed = observe_share(test, days, weights)
        for model, curve in curves.items():
            yield (
                model,
                JudgedCurves(
                    outcome=test,
                    curve=np.asarray(curve, float),
                    days=days,
                    until=until,
                    own_weight=own_weight,
                    day_weight=day_weight,
                    observed=observed,
                    weights=weights,
                    folds=folds,
                ),
            )


def _score_all(judged: Iterable[tuple[str, JudgedCurves]]) -> Resampled:
    """Return the scores of every model, those of its batches of resamples joined."""
    pieces: dict[str, dict] = {}
    for model, curves in judged:
        scores = pieces.setdefault(model, {})
        for key, values in score_curves(curves).items():
            scores.setdefault(key, []).append(values)
    return {
        model: {key: np.concatenate(parts) for key, parts in scores.items()}
        for model, scores in pieces.items()
    }


def score_curves(curves: JudgedCurves) -> dict[tuple[str, float], np.ndarray]:
    """Return the scores of one model by (score, day), each once for each resample: (resamples,).

    References
    ----------
    Graf, E. et al. (1999),
    doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5: the Brier score.
    Uno, H. et al. (2011), doi:10.1002/sim.4154: C. Hung, H. and Chiang, C. T. (2010),
    doi:10.1002/cjs.10046: the dynamic AUC.
    """
    scores: dict[tuple[str, float], np.ndarray] = {}
    for name, metric in METRICS.items():
        values = metric.function(curves)
        if values is not None and values.ndim == 2:
            scores |= {(name, day): values[:, place] for place, day in enumerate(curves.days)}
        elif values is not None:
            scores[name, np.nan] = values
    return scores


def _end_day(outcome: np.ndarray) -> np.ndarray:
    """Move censoring behind the events of its day."""
    moved = outcome.copy()
    moved["days"] = np.where(
        outcome["event"], outcome["days"], np.nextafter(outcome["days"], np.inf)
    )
    return moved


def _require_fit(
    test: np.ndarray, curves: dict[str, np.ndarray], days: np.ndarray, customers: Sequence
) -> None:
    if not (len(days) and (np.diff(days) > 0).all() and days[0] >= 0):
        raise StudyError(
            "expected rising days of 0 or more, got"
            f" {', '.join(f'{day:g}' for day in days) or 'none'}; sort them"
        )
    if len(customers) != len(test):
        raise StudyError(
            f"expected a customer for each of {len(test)} outcomes, got {len(customers)}; take"
            " both from the same rows"
        )
    for model, curve in curves.items():
        if np.shape(curve) != (len(test), len(days)):
            raise StudyError(
                f"expected survival of {model} for {len(test)} rows and {len(days)} days, got"
                f" the shape {np.shape(curve)}; predict at these days"
            )
        if not ((np.asarray(curve) >= 0) & (np.asarray(curve) <= 1)).all():
            raise StudyError(
                f"expected survival of {model} between 0 and 1, got values outside or missing;"
                " predict probabilities"
            )


def weigh_censoring(
    train: np.ndarray, test: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return inverse probability of censoring weights: by each test row's own day, and by ``days``.

    The probability is the Kaplan-Meier curve of censoring in the training rows, after events of the
    same day, which are no longer at risk of it. Rows beyond the last day weigh 0.

    Raises
    ------
    StudyError
        If that probability is 0 at the last day, or nobody was followed up so long.
    """
    times = np.unique(train["days"])
    at_risk = len(train) - np.searchsorted(np.sort(train["days"]), times)
    ended, censored = (
        np.bincount(
            np.searchsorted(times, train["days"][train["event"] == kind]), minlength=len(times)
        )
        for kind in (True, False)
    )
    uncensored = np.r_[1.0, np.cumprod(1 - censored / np.maximum(at_risk - ended, 1))]
    if days[-1] > times[-1] or uncensored[np.searchsorted(times, days[-1], side="right")] <= 0:
        raise StudyError(
            f"expected training rows followed up beyond day {days[-1]:g}, got none beyond day"
            f" {times[-1]:g}; use earlier days"
        )
    if days[-1] > test["days"].max():
        raise StudyError(
            f"expected test rows followed up to day {days[-1]:g}, got none beyond day"
            f" {test['days'].max():g}; use earlier days"
        )
    inside = test["days"] <= days[-1]
    own = uncensored[np.searchsorted(times, np.where(inside, test["days"], 0), side="right")]
    return (
        np.divide(inside, own, out=np.zeros(len(test)), where=own > 0),
        1 / uncensored[np.searchsorted(times, days, side="right")],
    )


def observe_share(test: np.ndarray, days: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share with the event by each day, one minus Kaplan-Meier: (resamples, days).

    Kaplan & Meier (1958), doi:10.1080/01621459.1958.10501452.
    """
    order = np.lexsort((~test["event"], test["days"]))
    times, first = np.unique(test["days"][order], return_index=True)
    drawn = weights[:, order]
    at_risk = np.cumsum(np.add.reduceat(drawn, first, axis=1)[:, ::-1], axis=1)[:, ::-1]
    ended = np.add.reduceat(drawn * test["event"][order], first, axis=1)
    left = np.cumprod(
        1 - np.divide(ended, at_risk, out=np.zeros_like(ended), where=at_risk > 0), axis=1
    )
    survival = np.column_stack([np.ones(len(weights)), left])
    return 1 - survival[:, np.searchsorted(times, days, side="right")]
