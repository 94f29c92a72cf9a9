"""Average effects of the arms of a trial: differences of means, and adjusted for the features.

The adjusted effect is the mean of doubly robust scores. Intervals are normal, at 95 %, with errors
clustered by customer, or by the unit of randomisation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.evaluation.groups import cut_attribute
from research.evaluation.holm import adjust_holm
from research.evaluation.intervals import Z
from research.store.keep import keep
from research.study import Study
from research.uplift.doubly_robust import (
    SCORE_FOLDS,
    Sample,
    compute_scores,
    make_sample,
    predict_out_of_fold,
    subtract_control,
)
from research.uplift.significance import find_holm_levels
from research.uplift.trials import Trial

DIFFERENCE_OF_MEANS, ADJUSTED = "difference of means", "adjusted"
ALL_TRIALS = "all trials"
COLUMNS = [
    "trial",
    "outcome",
    "arm",
    "segment_by",
    "segment",
    "method",
    "mean_control",
    "effect",
    "low",
    "high",
    "p_value",
    "n_control",
    "n_arm",
]


@dataclass(frozen=True)
class ScoredOutcome:
    """One outcome of a trial with doubly robust scores.

    Attributes
    ----------
    outcome : its name
    rows : the trial's rows with this outcome
    sample : the same as models take them
    predicted : (rows, arms), the outcome in every arm, out of fold
    scores : (rows, arms), doubly robust
    """

    outcome: str
    rows: pd.DataFrame
    sample: Sample
    predicted: np.ndarray
    scores: np.ndarray


@keep
def score_outcome(trial: Trial, outcome: str, seed: int) -> ScoredOutcome:
    """Return the doubly robust scores of one outcome, cross-fitted in five parts."""
    sample = make_sample(trial, outcome)
    rows = trial.rows[trial.rows[outcome].notna()].reset_index(drop=True)
    predicted = predict_out_of_fold(sample, SCORE_FOLDS, seed)
    return ScoredOutcome(outcome, rows, sample, predicted, compute_scores(sample, predicted))


def score_outcomes(trial: Trial, seed: int) -> list[ScoredOutcome]:
    """Return the doubly robust scores of every outcome, the primary one first."""
    return [score_outcome(trial, outcome, seed) for outcome in trial.outcomes]


def find_segments(trial: Trial, study: Study) -> list[str]:
    """Return the attributes of study.yml's ``lifecycle.segments`` that the trial's rows have."""
    return [name for name in study.lifecycle.segments or [] if name in trial.rows]


def tabulate_effects(
    trial: Trial, scored: Sequence[ScoredOutcome], segments: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the average effect of every arm on every outcome, for each trial, all, and segments.

    Parameters
    ----------
    scored : outcomes of the trial
    segments : attributes whose groups are estimated separately, all trials together

    Returns
    -------
    DataFrame with columns trial, outcome, arm, segment_by, segment, method, mean_control, effect,
    low, high, p_value, n_control, n_arm, p_adjusted, adjusted_low, adjusted_high
        ``effect``: mean outcome in the arm less that in control, in the outcome's unit; ``method``:
        difference of means (weighted by the inverse of the propensity), or adjusted.
        ``low`` and ``high``: 95 % interval of this effect alone. ``p_adjusted``: Holm's, over the
        adjusted effects of all customers, and over those of the segments of one attribute;
        ``adjusted_low`` and ``adjusted_high``: the interval at the level at which Holm decides,
        which excludes 0 exactly where ``p_adjusted`` is below ``FAMILY_LEVEL``.
    """
    names = trial.names
    rows = [row for part in scored for row in _tabulate_outcome(part, names, segments)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    outcome = table.outcome.where(table.segment_by != "", "")
    pooled = table.trial if len(names) > 1 else ""
    family = table.segment_by + " " + outcome + pooled + table.method
    tests = table.groupby(family).p_value
    reach = norm.isf(tests.transform(find_holm_levels) / 2) * (table.high - table.low) / (2 * Z)
    return table.assign(
        p_adjusted=tests.transform(adjust_holm),
        adjusted_low=table.effect - reach,
        adjusted_high=table.effect + reach,
    )


def _tabulate_outcome(
    part: ScoredOutcome, names: list[str], segments: Sequence[str]
) -> Iterator[tuple]:
    for (trial, by, segment), inside in _list_groups(part, names, segments).items():
        for code, arm in enumerate(part.sample.arms[1:], start=1):
            counts = [int((part.sample.arm[inside] == one).sum()) for one in (0, code)]
            if min(counts) < 2:
                continue
            for method, estimate in _estimate(part, inside, code):
                if method == ADJUSTED or not by:
                    yield (trial, part.outcome, arm, by, segment, method, *estimate, *counts)


def _list_groups(
    part: ScoredOutcome, names: list[str], segments: Sequence[str]
) -> dict[tuple[str, str, str], np.ndarray]:
    """Return the rows of all trials together, of each trial, and of each segment: by the trial, the
    attribute and the segment.
    """
    first = ALL_TRIALS if len(names) > 1 else names[0]
    groups = {(first, "", "all"): np.ones(len(part.rows), bool)}
    if len(names) > 1:
        groups |= {(name, "", "all"): (part.rows.trial == name).to_numpy() for name in names}
    for by in segments:
        values = cut_attribute(part.rows[by])
        for value in sorted(values.unique()):
            groups[first, by, str(value)] = (values == value).to_numpy()
    return groups


def _estimate(
    part: ScoredOutcome, inside: np.ndarray, code: int
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the mean under control, the effect with its interval and the p-value, by either
    method.
    """
    sample, scores = part.sample.take(inside), part.scores[inside]
    (control, influence_control), (treated, influence) = (
        _weigh_mean(sample, one) for one in (0, code)
    )
    difference = _test(treated - control, influence - influence_control, sample.clusters)
    yield DIFFERENCE_OF_MEANS, (control, *difference)
    change = subtract_control(scores)[:, code - 1]
    adjusted = _test(change.mean(), change - change.mean(), sample.clusters)
    yield ADJUSTED, (scores[:, 0].mean(), *adjusted)


def _weigh_mean(sample: Sample, code: int) -> tuple[float, np.ndarray]:
    """Return the mean of an arm, weighted by the inverse of the propensity, and each row's
    influence on it (Hajek 1971).
    """
    weight = (sample.arm == code) / sample.propensity
    mean = np.average(sample.outcome, weights=weight)
    return mean, weight / weight.mean() * (sample.outcome - mean)


def _test(
    effect: float, influence: np.ndarray, clusters: np.ndarray
) -> tuple[float, float, float, float]:
    error = compute_standard_error(influence, clusters)
    p = 2 * norm.sf(abs(effect) / error) if error > 0 else np.nan
    return effect, effect - Z * error, effect + Z * error, p


def compute_standard_error(influence: np.ndarray, clusters: np.ndarray) -> float:
    """Return the standard error of a mean from each row's influence, added up by cluster."""
    sums = np.bincount(pd.factorize(clusters)[0], influence)
    return float(np.sqrt((sums**2).sum()) / len(influence))
