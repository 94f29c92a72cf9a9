"""Effect heterogeneity: whether effects differ between customers in a way that can be predicted.

The test is a sequential cross-validated one (Wager 2024, arXiv:2405.05534). In each part of the
customers, with models of the parts before it alone, the slope of doubly robust scores on predicted
effects over its standard error (the best linear predictor of Chernozhukov, Demirer, Duflo &
Fernandez-Val 2025, doi:10.3982/ECTA19303) is nearly standard normal where effects are the same for
all; so is the sum of the parts over the root of their number. Of several divisions the median
counts, which errs on the safe side. Placebos repeat the test with permuted arms.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import norm

from research.evaluation.holm import adjust_holm
from research.evaluation.intervals import Z
from research.progress import run_parallel
from research.store.keep import keep
from research.uplift.average_effects import compute_standard_error
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import (
    Sample,
    assign_folds,
    centre,
    compute_scores,
    predict_outcomes,
    share_features,
    subtract_control,
)
from research.uplift.learners.dr_learner import LINEAR_DR_LEARNER
from research.uplift.learners.log_odds_shift import LOG_ODDS_SHIFT
from research.uplift.learners.training import TrainingPart, prepare_training
from research.uplift.learners.x_learner import X_LEARNER

# learners whose effects are averaged for the test: fast, and unlike each other
TEST_LEARNERS = (LOG_ODDS_SHIFT, X_LEARNER, LINEAR_DR_LEARNER)
TEST_PARTS, PLACEBO_PARTS = 5, 2  # of the customers
EFFECT_GROUPS = 5
TESTS = ["outcome", "arm", "z", "p_value", "p_adjusted", "n", "divisions"]
PLACEBOS = ["outcome", "placebo", "arm", "z_effect", "z_differences", "z_real"]
LEAST_PLACEBOS = 39  # of which none reaching the real arms is a p-value of 1 / 40, the level
GROUPS = ["outcome", "arm", "model", "group", "predicted", "effect", "low", "high", "n"]


@keep
def run_test(sample: Sample, outcome: str, divisions: int, seed: int) -> pd.DataFrame:
    """Return, per arm, the test of whether the effect differs between customers in a predictable
    way.

    Parameters
    ----------
    divisions : of the customers into five parts, whose median z counts

    Returns
    -------
    DataFrame with columns outcome, arm, z, p_value, p_adjusted, n, divisions
        ``p_value`` is one-sided: only predicted effects that come true count. ``p_adjusted`` is
        Holm's over the arms.
    """
    shared = share_features(sample)
    tasks = [delayed(compute_z)(shared, seed + 1000 * number) for number in range(divisions)]
    z_values = run_parallel(tasks, "divisions tested", backend="threading")
    z = np.median(z_values, axis=0)
    p = norm.sf(z)
    table = pd.DataFrame(
        {
            "outcome": outcome,
            "arm": sample.arms[1:],
            "z": z,
            "p_value": p,
            "p_adjusted": adjust_holm(p),
        }
    )
    return table.assign(n=sample.size, divisions=divisions)[TESTS]


def compute_z(sample: Sample, seed: int, parts: int = TEST_PARTS) -> np.ndarray:
    """Return the z of every arm, of one division into parts: (arms other than control,)."""
    sample = share_features(sample)
    part = assign_folds(sample, parts, seed)
    steps = [
        _judge(_prepare(sample, part < number, part == number, seed), sample.take(part == number))
        for number in range(1, parts)
    ]
    return np.sum(steps, axis=0) / np.sqrt(parts - 1)


def _prepare(sample: Sample, learned: np.ndarray, judged: np.ndarray, seed: int) -> TrainingPart:
    return prepare_training(
        sample.take(learned), sample.tree_features[judged], sample.linear_features[judged], seed
    )


def _judge(part: TrainingPart, test: Sample) -> np.ndarray:
    """Return the z of every arm of effects predicted for rows that no model saw."""
    predictions = [_standardise(learner.estimator(part)) for learner in TEST_LEARNERS]
    effects = centre(np.mean(predictions, axis=0), test.trial)
    change = centre(subtract_control(compute_scores(test, part.predicted)), test.trial)
    slopes = [
        _compute_slope_z(effects[:, arm], change[:, arm], test.clusters)
        for arm in range(change.shape[1])
    ]
    return np.array(slopes)


def _standardise(effects: np.ndarray) -> np.ndarray:
    spread = effects.std(axis=0)
    return np.divide(
        effects - effects.mean(axis=0), spread, out=np.zeros_like(effects), where=spread > 1e-12
    )


def _compute_slope_z(effects: np.ndarray, change: np.ndarray, clusters: np.ndarray) -> float:
    """Return the slope over its error; 0 where the predicted effect is the same for all."""
    influence = (effects - effects.mean()) * (change - change.mean())
    error = compute_standard_error(influence, clusters)
    return float(influence.mean() / error) if error > 0 else 0.0


def permute_arms(sample: Sample, seed: int) -> Sample:
    """Return the sample with its arms permuted among all units of randomisation, where no arm has
    any effect.
    """
    units = pd.factorize(pd.MultiIndex.from_arrays([sample.trial, sample.clusters]))[0]
    first = np.unique(units, return_index=True)[1]
    arm = np.random.default_rng(seed).permutation(sample.arm[first])[units]
    shares = np.bincount(arm, minlength=len(sample.arms)) / len(arm)
    return replace(sample, arm=arm, propensity=shares[arm])


@keep
def run_placebos(sample: Sample, outcome: str, placebos: int, seed: int) -> pd.DataFrame:
    """Return, per placebo and arm, the z of the average effect and of the differences, with
    permuted arms, and the z of the differences with the real ones.

    Both are of one division into halves, drawn anew each time, so that they can be compared.

    Returns
    -------
    DataFrame with columns outcome, placebo, arm, z_effect, z_differences, z_real
        ``z_real`` is the same for all placebos of an arm.
    """
    shared = share_features(sample)
    real = compute_z(shared, seed + placebos, PLACEBO_PARTS)
    tasks = [delayed(_run_placebo)(shared, seed + number) for number in range(placebos)]
    z_values = run_parallel(tasks, "placebos tested", backend="threading")
    rows = [
        (outcome, number, sample.arms[1 + arm], *pair, real[arm])
        for number, pairs in enumerate(z_values)
        for arm, pair in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=PLACEBOS)


def compute_placebo_p(placebos: pd.DataFrame) -> pd.DataFrame:
    """Return, per arm, how many placebos reach the real arms, and the permutation's p-value.

    (1 + reached) / (1 + placebos), one-sided: Phipson & Smyth (2010), doi:10.2202/1544-6115.1585.

    Parameters
    ----------
    placebos : see ``run_placebos``

    Returns
    -------
    DataFrame with columns arm, z, reached, placebos, p_value
    """
    counted = placebos.assign(reached=placebos.z_differences >= placebos.z_real)
    table = counted.groupby("arm", sort=False).agg(
        z=("z_real", "first"), reached=("reached", "sum"), placebos=("placebo", "nunique")
    )
    p = (1 + table.reached) / (1 + table.placebos)
    return table.assign(p_value=p).reset_index()


def _run_placebo(sample: Sample, seed: int) -> list[tuple[float, float]]:
    permuted = permute_arms(sample, seed)
    second = assign_folds(permuted, PLACEBO_PARTS, seed) > 0
    part, others = _prepare(permuted, ~second, second, seed), permuted.take(second)
    predicted = np.empty((permuted.size, len(permuted.arms)))
    predicted[second] = part.predicted
    predicted[~second] = predict_outcomes(others, permuted.tree_features[~second], seed)
    change = subtract_control(compute_scores(permuted, predicted))
    effects = [
        column.mean() / compute_standard_error(column - column.mean(), permuted.clusters)
        for column in change.T
    ]
    return [*zip(effects, _judge(part, others), strict=True)]


def tabulate_groups(
    cross_fits: Sequence[CrossFit], model: str, sample: Sample, scores: np.ndarray, outcome: str
) -> pd.DataFrame:
    """Return the average effect in fifths of the customers by predicted effect.

    Customers are sorted within each part and trial; numbers are means over the repeats.

    Returns
    -------
    DataFrame with columns outcome, arm, model, group, predicted, effect, low, high, n
        Group 1 has the smallest predicted effects. The interval is that of the mean error of the
        repeats: 95 %, clustered by customer, or by the unit of randomisation.
    """
    change, rows = subtract_control(scores), []
    for at, arm in enumerate(sample.arms[1:]):
        repeats = [
            _average_groups(one.effects[model][:, at], change[:, at], sample.clusters, one.strata)
            for one in cross_fits
        ]
        for group, (predicted, effect, error, n) in enumerate(np.mean(repeats, axis=0), start=1):
            interval = effect - Z * error, effect + Z * error
            rows.append((outcome, arm, model, group, predicted, effect, *interval, round(n)))
    return pd.DataFrame(rows, columns=GROUPS)


def _average_groups(
    effects: np.ndarray, change: np.ndarray, clusters: np.ndarray, strata: np.ndarray
) -> list[tuple[float, float, float, float]]:
    """Return the mean predicted effect, the effect, its error and the size of each group."""
    places = pd.Series(effects).groupby(strata).rank(method="first", pct=True).to_numpy()
    group = np.ceil(places * EFFECT_GROUPS).astype(int) - 1
    averages = []
    for number in range(EFFECT_GROUPS):
        inside = group == number
        mean = change[inside].mean()
        error = compute_standard_error(change[inside] - mean, clusters[inside])
        averages.append((effects[inside].mean(), mean, error, float(inside.sum())))
    return averages
