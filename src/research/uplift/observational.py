"""Arms that were chosen, not drawn: how far the compared customers overlap, what differs after
adjustment, and how strong an unseen cause would have to be.

Nothing here is an effect unless all that decided about the arm, and also bears on the outcome,
stands among the features; nobody can see whether it does.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from research.errors import StudyError
from research.evaluation.intervals import Z
from research.uplift.average_effects import find_error
from research.uplift.balance import spread_out
from research.uplift.doubly_robust import (
    Sample,
    contrast,
    divide,
    expect_unseen,
    lay_out,
    score_arms,
)
from research.uplift.trials import Trial, iterate

FOLDS = 5
LEAST = 0.02  # chance of an arm below which a customer has nobody to be compared with
PENALTIES = np.logspace(-3, 3, 7)
UNLIKE = 0.1  # standard deviations that arms may differ by after weighting
ASSOCIATIONS = [
    "trial",
    "outcome",
    "arm",
    "plain_difference",
    "adjusted_difference",
    "low",
    "high",
    "n",
    "left_out",
    "robustness",
    "robustness_interval",
]
ASSOCIATIONS += ["strongest", "strongest_arm", "strongest_outcome", "unlike_sd"]


def estimate_chances(sample: Sample, seed: int) -> np.ndarray:
    """Return the chance of every arm for each row, by logistic regression on other customers:
    (rows, arms).

    How far it is shrunk is chosen by the log-loss of customers left out.
    """
    search = LogisticRegressionCV(
        Cs=PENALTIES,
        cv=3,
        scoring="neg_log_loss",
        max_iter=2000,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    penalty = search.fit(sample.lines, sample.arm).C_
    fold, chances = divide(sample, FOLDS, seed), np.empty((sample.size, len(sample.arms)))
    for number in range(FOLDS):
        rest = fold == number
        model = LogisticRegression(C=penalty, max_iter=2000).fit(
            sample.lines[~rest], sample.arm[~rest]
        )
        chances[rest] = model.predict_proba(sample.lines[rest])
    return chances


def check_overlap(sample: Sample, chances: np.ndarray, trial: str) -> pd.DataFrame:
    """Return how likely each arm was for the customers of every arm.

    Returns
    -------
    DataFrame with columns trial, arm, chance_of, median, lowest, highest, rare_share
        ``lowest`` and ``highest``: the 1 % and 99 % quantiles; ``rare_share``: of customers whose
        chance is below 2 %, who are left out.
    """
    rows = [
        (
            trial,
            arm,
            other,
            *np.quantile(chances[sample.arm == code, at], (0.5, 0.01, 0.99)),
            (chances[sample.arm == code, at] < LEAST).mean(),
        )
        for code, arm in enumerate(sample.arms)
        for at, other in enumerate(sample.arms)
    ]
    return pd.DataFrame(
        rows, columns=["trial", "arm", "chance_of", "median", "lowest", "highest", "rare_share"]
    )


def compare_chosen(trial: Trial, outcome: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what differs between chosen arms after adjustment, and how they overlap; the trial is
    one campaign.

    Returns
    -------
    associations : DataFrame, one row per arm
        ``plain_difference`` of means; ``adjusted_difference`` with its 95 % interval: doubly
        robust, among customers who had a chance of at least 2 % of every arm. ``robustness``: the
        share of what is left unexplained, both of who is in the arm and of the outcome, that an
        unseen cause would have to explain to bring the difference to 0, ``robustness_interval`` to
        bring its interval to 0 (Cinelli & Hazlett 2020, doi:10.1111/rssb.12348), of the linear
        regression on the arm and all features; ``strongest``: the feature that explains most of
        both, and the shares that it explains; ``unlike_sd``: the largest difference between the
        arms that weighting leaves, in standard deviations.
    overlap : see ``check_overlap``

    Raises
    ------
    StudyError
        If nothing was known before, or fewer than half of the customers had a chance of every arm.
    """
    name = str(trial.rows.trial.iloc[0])
    if not trial.features:
        raise StudyError(
            f"{name}: expected features that were known before the arms were chosen, got none;"
            " without them nothing can be adjusted for"
        )
    whole = lay_out(trial, outcome)
    chances = estimate_chances(whole, seed)
    overlap, kept = check_overlap(whole, chances, name), (chances >= LEAST).all(axis=1)
    if kept.mean() < 0.5:
        arrived = (
            f"got {1 - kept.mean():.0%} of the customers with a chance below {LEAST:.0%} of"
            " some arm"
        )
        raise StudyError(f"{name}: expected arms that overlap, {arrived}; compare fewer arms")
    sample = replace(whole.take(kept), propensity=np.clip(chances[kept, whole.arm[kept]], LEAST, 1))
    change = contrast(score_arms(sample, expect_unseen(sample, FOLDS, seed)))
    known, rows = trial.rows[trial.rows[outcome].notna()][trial.features][kept], []
    for code, arm in enumerate(sample.arms[1:], start=1):
        found = (
            *_compare(sample, change[:, code - 1], code),
            int((~kept).sum()),
            *_judge_hidden(sample, code),
        )
        rows.append(
            (
                name,
                outcome,
                arm,
                *found,
                *_find_strongest(known, sample, code),
                _compare_weighted(sample, code),
            )
        )
    return pd.DataFrame(rows, columns=ASSOCIATIONS), overlap


def _compare(
    sample: Sample, change: np.ndarray, code: int
) -> tuple[float, float, float, float, int]:
    plain = sample.outcome[sample.arm == code].mean() - sample.outcome[sample.arm == 0].mean()
    error = find_error(change - change.mean(), sample.customers)
    return plain, change.mean(), change.mean() - Z * error, change.mean() + Z * error, sample.size


def _judge_hidden(sample: Sample, code: int) -> tuple[float, float]:
    """Return the robustness values of the difference and of its interval, by ordinary least squares
    among the two arms.
    """
    part = sample.take((sample.arm == 0) | (sample.arm == code))
    columns = np.column_stack([part.arm == code, np.ones(part.size), part.lines]).astype(float)
    known, *_ = np.linalg.lstsq(
        columns[:, 1:], np.column_stack([columns[:, 0], part.outcome]), rcond=None
    )
    arm, outcome = (np.column_stack([columns[:, 0], part.outcome]) - columns[:, 1:] @ known).T
    freedom, left = max(part.size - columns.shape[1], 1), arm @ arm
    if left < 1e-9 or outcome @ outcome < 1e-9:
        return 0.0, 0.0
    slope = arm @ outcome / left
    t = abs(slope) / np.sqrt(((outcome - slope * arm) ** 2).sum() / freedom / left)
    return tuple(_bound(max(value, 0) / np.sqrt(freedom)) for value in (t, t - norm.isf(0.025)))


def _bound(f: float) -> float:
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def _compare_weighted(sample: Sample, code: int) -> float:
    """Return by how much the arms still differ in some feature after weighting, at most."""
    sides = [sample.take(sample.arm == arm) for arm in (0, code)]
    means = [np.average(side.lines, axis=0, weights=1 / side.propensity) for side in sides]
    spread = np.sqrt(np.mean([side.lines.var(axis=0) for side in sides], axis=0))
    return float(
        np.divide(
            np.abs(means[1] - means[0]), spread, out=np.zeros(len(spread)), where=spread > 0
        ).max()
    )


def _find_strongest(known: pd.DataFrame, sample: Sample, code: int) -> tuple[str, float, float]:
    """Return the feature that explains most both of being in the arm and of the outcome: its name
    and the two shares of variance.
    """
    inside = (sample.arm == code) | (sample.arm == 0)
    ranks = spread_out(known)[inside].rank(pct=True)
    sides = {"arm": (sample.arm[inside] == code).astype(float), "outcome": sample.outcome[inside]}
    shares = pd.DataFrame(
        {
            name: ranks.corrwith(pd.Series(values, ranks.index)) ** 2
            for name, values in sides.items()
        }
    ).fillna(0)
    best = shares.min(axis=1).idxmax()
    return best, shares.arm[best], shares.outcome[best]


def compare_all(
    trial: Trial, outcome: str, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return ``compare_chosen`` of every campaign that can be compared, and a sentence for each
    that can't.
    """
    found, faults = [], []
    for _, part in iterate(trial):
        try:
            found.append(compare_chosen(part, outcome, seed))
        except StudyError as error:
            faults += error.faults
    tables = [
        pd.concat([pair[place] for pair in found], ignore_index=True) if found else pd.DataFrame()
        for place in (0, 1)
    ]
    return tables[0], tables[1], faults
