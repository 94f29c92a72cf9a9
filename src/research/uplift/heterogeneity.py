"""Is there anything to target? Whether predicted effects come true on customers whom no model saw,
and whether as much is found where nothing can be.

The test is sequential (Wager 2024, arXiv:2405.05534): in each part of the customers, learned from
the parts before it alone, the slope of doubly robust scores on predicted effects over its error
(the best linear predictor of Chernozhukov, Demirer, Duflo & Fernandez-Val 2025,
doi:10.3982/ECTA19303) is nearly standard normal where effects are the same for all; so is the sum
of the parts over the root of their number. Of several divisions the median counts, which errs on
the safe side.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from research.evaluation.intervals import Z
from research.uplift.average_effects import find_error
from research.uplift.cross_fitting import PROCESSES, Crossed
from research.uplift.doubly_robust import (
    Sample,
    centre,
    contrast,
    divide,
    expect_outcomes,
    score_arms,
)
from research.uplift.learners import LEARNERS, prepare

TESTERS = (
    "shift of log-odds",
    "X-learner",
    "DR-learner, linear",
)  # whose effects are averaged for the test: quick, and unlike
PARTS, FEWER = 5, 3  # of the customers in the test, and in its placebos
GROUPS = 5
TESTS = ["outcome", "arm", "z", "p_value", "p_adjusted", "n", "divisions"]


def judge_differences(sample: Sample, outcome: str, divisions: int, seed: int) -> pd.DataFrame:
    """Return, per arm, the test of whether the effect differs between customers in a way that can
    be foretold.

    Parameters
    ----------
    divisions : of the customers into five parts, whose median z counts

    Returns
    -------
    DataFrame with columns outcome, arm, z, p_value, p_adjusted, n, divisions
        ``p_value`` is one-sided: only effects that come true count. ``p_adjusted`` is Holm's over
        the arms.
    """
    found = Parallel(n_jobs=PROCESSES)(
        delayed(_test_once)(sample, seed + 1000 * number) for number in range(divisions)
    )
    z = np.median(found, axis=0)
    p = norm.sf(z)
    table = pd.DataFrame(
        {
            "outcome": outcome,
            "arm": sample.arms[1:],
            "z": z,
            "p_value": p,
            "p_adjusted": multipletests(p, method="holm")[1],
        }
    )
    return table.assign(n=sample.size, divisions=divisions)[TESTS]


def _test_once(sample: Sample, seed: int, parts: int = PARTS) -> np.ndarray:
    """Return the z of every arm of one division."""
    part = divide(sample, parts, seed)
    steps = [
        _step(sample.take(part < number), sample.take(part == number), seed)
        for number in range(1, parts)
    ]
    return np.sum(steps, axis=0) / np.sqrt(parts - 1)


def _step(learn: Sample, judge: Sample, seed: int) -> np.ndarray:
    lesson = prepare(learn, judge.trees, judge.lines, seed)
    effects = centre(
        np.mean([_standardise(LEARNERS[name](lesson)) for name in TESTERS], axis=0), judge.trial
    )
    change = centre(contrast(score_arms(judge, lesson.expected)), judge.trial)
    return np.array(
        [
            _measure_slope(effects[:, arm], change[:, arm], judge.customers)
            for arm in range(change.shape[1])
        ]
    )


def _standardise(effects: np.ndarray) -> np.ndarray:
    spread = effects.std(axis=0)
    return np.divide(
        effects - effects.mean(axis=0), spread, out=np.zeros_like(effects), where=spread > 1e-12
    )


def _measure_slope(effects: np.ndarray, change: np.ndarray, customers: np.ndarray) -> float:
    """Return the slope over its error; 0 where the predicted effect is the same for all."""
    influence = (effects - effects.mean()) * (change - change.mean())
    error = find_error(influence, customers)
    return float(influence.mean() / error) if error > 0 else 0.0


def permute(sample: Sample, seed: int) -> Sample:
    """Return the sample with the arms dealt out anew among all rows: whatever is found in it is
    luck.
    """
    arm = np.random.default_rng(seed).permutation(sample.arm)
    shares = np.bincount(arm, minlength=len(sample.arms)) / len(arm)
    return replace(sample, arm=arm, propensity=shares[arm])


def run_placebos(sample: Sample, outcome: str, placebos: int, seed: int) -> pd.DataFrame:
    """Return, per placebo and arm, the z of the average effect and of the differences (in three
    parts), with the arms dealt out anew.

    Returns
    -------
    DataFrame with columns outcome, placebo, arm, z_effect, z_differences
    """
    found = Parallel(n_jobs=PROCESSES)(
        delayed(_run_one)(sample, seed + number) for number in range(placebos)
    )
    rows = [
        (outcome, number, sample.arms[1 + arm], *values)
        for number, pairs in enumerate(found)
        for arm, values in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=["outcome", "placebo", "arm", "z_effect", "z_differences"])


def _run_one(sample: Sample, seed: int) -> list[tuple[float, float]]:
    dealt = permute(sample, seed)
    differences = _test_once(dealt, seed, FEWER)
    part = divide(dealt, 2, seed)
    expected = np.empty((dealt.size, len(dealt.arms)))
    for number in range(2):
        expected[part == number] = expect_outcomes(
            dealt.take(part != number), dealt.trees[part == number], seed
        )
    change = contrast(score_arms(dealt, expected))
    effects = [
        change[:, arm].mean() / find_error(change[:, arm] - change[:, arm].mean(), dealt.customers)
        for arm in range(change.shape[1])
    ]
    return [*zip(effects, differences, strict=True)]


def sort_groups(
    said: list[Crossed], model: str, sample: Sample, scores: np.ndarray, outcome: str
) -> pd.DataFrame:
    """Return the average effect among customers sorted into fifths by predicted effect within each
    part and trial, a mean over the repeats.

    Returns
    -------
    DataFrame with columns outcome, arm, model, group, predicted, effect, low, high, n
        Group 1 has the smallest predicted effects. The interval is that of the mean error of the
        repeats: 95 %, clustered by customer.
    """
    change, rows = contrast(scores), []
    for arm in range(change.shape[1]):
        found = np.mean(
            [
                _sort_once(one.effects[model][:, arm], change[:, arm], sample.customers, one.strata)
                for one in said
            ],
            axis=0,
        )
        rows += [
            (
                outcome,
                sample.arms[1 + arm],
                model,
                group + 1,
                p,
                e,
                e - Z * error,
                e + Z * error,
                round(n),
            )
            for group, (p, e, error, n) in enumerate(found)
        ]
    return pd.DataFrame(
        rows,
        columns=["outcome", "arm", "model", "group", "predicted", "effect", "low", "high", "n"],
    )


def _sort_once(
    effects: np.ndarray, change: np.ndarray, customers: np.ndarray, strata: np.ndarray
) -> list[tuple[float, float, float, float]]:
    places = pd.Series(effects).groupby(strata).rank(method="first", pct=True).to_numpy()
    group = np.ceil(places * GROUPS).astype(int) - 1
    found = []
    for number in range(GROUPS):
        inside = group == number
        mean = change[inside].mean()
        found.append(
            (
                effects[inside].mean(),
                mean,
                find_error(change[inside] - mean, customers[inside]),
                float(inside.sum()),
            )
        )
    return found
