"""Average effects of the arms of a trial: as the means differ, and adjusted for what was known
before.

Adjusted is the mean of doubly robust scores. Intervals are normal, at 95 %, with errors clustered
by customer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from research.evaluation.groups import cut_attribute
from research.evaluation.intervals import Z
from research.uplift.doubly_robust import Sample, contrast, expect_unseen, lay_out, score_arms
from research.uplift.trials import Trial

FOLDS = 5
PLAIN, ADJUSTED = "difference of means", "adjusted"
ALL = "all trials"
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
class Scored:
    """A trial's rows with an outcome, what is expected of them in every arm by models that never
    saw them, and their doubly robust scores: (rows, arms).
    """

    outcome: str
    rows: pd.DataFrame
    sample: Sample
    expected: np.ndarray
    scores: np.ndarray


def score_trial(trial: Trial, outcome: str, seed: int) -> Scored:
    """Return the doubly robust scores of one outcome, cross-fitted in five parts."""
    sample = lay_out(trial, outcome)
    rows = trial.rows[trial.rows[outcome].notna()].reset_index(drop=True)
    expected = expect_unseen(sample, FOLDS, seed)
    return Scored(outcome, rows, sample, expected, score_arms(sample, expected))


def tabulate_effects(
    trial: Trial, scored: Sequence[Scored], segments: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the average effect of every arm on every outcome, for each trial, all of them, and
    each segment of all.

    Returns
    -------
    DataFrame with columns trial, outcome, arm, segment_by, segment, method, mean_control, effect,
    low, high, p_value, n_control, n_arm, p_adjusted
        ``effect``: mean outcome in the arm less that in control, in the outcome's unit; ``method``:
        difference of means (weighted by the inverse of the propensity), or adjusted.
        ``p_adjusted``: Holm's, over the adjusted effects of all customers, and over those of the
        segments of one attribute.
    """
    names = [*trial.rows.trial.unique()]
    tables = [row for part in scored for row in _tabulate_one(part, names, segments)]
    found = pd.DataFrame(tables, columns=COLUMNS)
    family = (
        found.segment_by
        + " "
        + found.outcome.where(found.segment_by != "", "")
        + (found.trial if len(names) > 1 else "")
        + found.method
    )
    found["p_adjusted"] = found.groupby(family).p_value.transform(
        lambda chances: multipletests(chances.fillna(1), method="holm")[1]
    )
    return found


def _tabulate_one(part: Scored, names: list[str], segments: Sequence[str]) -> Iterator[tuple]:
    groups = {(ALL if len(names) > 1 else names[0], "", "all"): np.ones(len(part.rows), bool)}
    groups |= {
        (name, "", "all"): (part.rows.trial == name).to_numpy() for name in names if len(names) > 1
    }
    first = next(iter(groups))[0]
    for by in segments:
        values = cut_attribute(part.rows[by])
        groups |= {
            (first, by, str(value)): (values == value).to_numpy()
            for value in sorted(values.unique())
        }
    for (trial, by, segment), inside in groups.items():
        for arm in range(1, len(part.sample.arms)):
            counts = [int((part.sample.arm[inside] == code).sum()) for code in (0, arm)]
            if min(counts) < 2:
                continue
            for method, values in _measure(part, inside, arm):
                if method == ADJUSTED or not by:
                    yield (
                        trial,
                        part.outcome,
                        part.sample.arms[arm],
                        by,
                        segment,
                        method,
                        *values,
                        *counts,
                    )


def _measure(part: Scored, inside: np.ndarray, arm: int) -> Iterator[tuple[str, tuple]]:
    """Yield the mean under control, the effect with its interval and the p-value, by either
    method.
    """
    sample, scores = part.sample.take(inside), part.scores[inside]
    means, influence = zip(*(_weigh(sample, code) for code in (0, arm)), strict=True)
    yield (
        PLAIN,
        (means[0], *_test(means[1] - means[0], influence[1] - influence[0], sample.customers)),
    )
    change = contrast(scores)[:, arm - 1]
    yield (
        ADJUSTED,
        (scores[:, 0].mean(), *_test(change.mean(), change - change.mean(), sample.customers)),
    )


def _weigh(sample: Sample, arm: int) -> tuple[float, np.ndarray]:
    """Return the mean of an arm, weighted by the inverse of the propensity (Hajek), and each row's
    influence on it.
    """
    weight = (sample.arm == arm) / sample.propensity
    mean = np.average(sample.outcome, weights=weight)
    return mean, weight / weight.mean() * (sample.outcome - mean)


def _test(
    effect: float, influence: np.ndarray, customers: np.ndarray
) -> tuple[float, float, float, float]:
    error = find_error(influence, customers)
    p = 2 * norm.sf(abs(effect) / error) if error > 0 else np.nan
    return effect, effect - Z * error, effect + Z * error, p


def find_error(influence: np.ndarray, customers: np.ndarray) -> float:
    """Return the standard error of a mean from each row's influence, a customer's rows taken
    together.
    """
    sums = np.bincount(pd.factorize(customers)[0], influence)
    return float(np.sqrt((sums**2).sum()) / len(influence))
