"""Arms that were chosen, not drawn: how far the compared customers overlap, what differs after adjustment, and how strong an unseen cause would have to be.

Nothing here is an effect unless all that decided about the arm, and also bears on the outcome, stands among the features; nobody can see whether it does.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from research.doubly_robust import Sample, contrast, divide, expect_unseen, lay_out, score_arms
from research.effects import find_error
from research.intervals import Z
from research.studies import StudyError
from research.trials import Trial

Array = np.ndarray
FOLDS = 5
LEAST = 0.02  # chance of an arm below which a customer has nobody to be compared with
PENALTY = 0.02
ASSOCIATIONS = ["trial", "outcome", "arm", "plain_difference", "adjusted_difference", "low", "high", "n", "left_out", "robustness", "robustness_interval"]
ASSOCIATIONS += ["strongest", "strongest_arm", "strongest_outcome"]


def estimate_chances(sample: Sample, seed: int) -> Array:
    """Return the chance of every arm for each row, by logistic regression on other customers: (rows, arms)."""
    fold, chances = divide(sample, FOLDS, seed), np.empty((sample.size, len(sample.arms)))
    for number in range(FOLDS):
        rest = fold == number
        model = LogisticRegression(C=PENALTY, max_iter=1000).fit(sample.lines[~rest], sample.arm[~rest])
        chances[rest] = model.predict_proba(sample.lines[rest])
    return chances


def check_overlap(sample: Sample, chances: Array, trial: str) -> pd.DataFrame:
    """Return how likely each arm was for the customers of every arm.

    Returns
    -------
    DataFrame with columns trial, arm, chance_of, median, lowest, highest, rare_share
        ``lowest`` and ``highest``: the 1 % and 99 % quantiles; ``rare_share``: of customers whose chance is below 2 %, who are left out.
    """
    rows = [
        (trial, arm, other, *np.quantile(chances[sample.arm == code, at], (0.5, 0.01, 0.99)), (chances[sample.arm == code, at] < LEAST).mean())
        for code, arm in enumerate(sample.arms)
        for at, other in enumerate(sample.arms)
    ]
    return pd.DataFrame(rows, columns=["trial", "arm", "chance_of", "median", "lowest", "highest", "rare_share"])


def compare_chosen(trial: Trial, outcome: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what differs between chosen arms after adjustment, and how they overlap; the trial is one campaign.

    Returns
    -------
    associations : DataFrame, one row per arm
        ``plain_difference`` of means; ``adjusted_difference`` with its 95 % interval: doubly robust, among customers who had a chance of at least 2 % of every
        arm. ``robustness``: the share of what is left unexplained, both of who is in the arm and of the outcome, that an unseen cause would have to
        explain to bring the difference to 0, ``robustness_interval`` to bring its interval to 0 (Cinelli & Hazlett 2020, doi:10.1111/rssb.12348);
        ``strongest``: the feature that explains most of both, and the shares that it explains.
    overlap : see ``check_overlap``

    Raises
    ------
    StudyError
        If nothing was known before, or fewer than half of the customers had a chance of every arm.
    """
    name = str(trial.rows.trial.iloc[0])
    if not trial.features:
        raise StudyError(f"{name}: required features that were known before the arms were chosen, arrived none; without them nothing can be adjusted for")
    whole = lay_out(trial, outcome)
    chances = estimate_chances(whole, seed)
    overlap, kept = check_overlap(whole, chances, name), (chances >= LEAST).all(axis=1)
    if kept.mean() < 0.5:
        arrived = f"arrived {1 - kept.mean():.0%} of the customers with a chance below {LEAST:.0%} of some arm"
        raise StudyError(f"{name}: required arms that overlap, {arrived}; compare fewer arms")
    sample = replace(whole.take(kept), propensity=np.clip(chances[kept, whole.arm[kept]], LEAST, 1))
    change = contrast(score_arms(sample, expect_unseen(sample, FOLDS, seed)))
    rows = []
    for code, arm in enumerate(sample.arms[1:], start=1):
        found = (*_compare(sample, change[:, code - 1], code), int((~kept).sum()), *_judge_hidden(sample, change[:, code - 1]))
        rows.append((name, outcome, arm, *found, *_find_strongest(trial, sample, code)))
    return pd.DataFrame(rows, columns=ASSOCIATIONS), overlap


def _compare(sample: Sample, change: Array, code: int) -> tuple[float, float, float, float, int]:
    plain = sample.outcome[sample.arm == code].mean() - sample.outcome[sample.arm == 0].mean()
    error = find_error(change - change.mean(), sample.customers)
    return plain, change.mean(), change.mean() - Z * error, change.mean() + Z * error, sample.size


def _judge_hidden(sample: Sample, change: Array) -> tuple[float, float]:
    """Return the robustness values of the difference and of its interval."""
    t = abs(change.mean()) / find_error(change - change.mean(), sample.customers)
    freedom = max(sample.size - sample.lines.shape[1] - 1, 1)
    return tuple(_bound(max(part, 0) / np.sqrt(freedom)) for part in (t, t - norm.isf(0.025)))


def _bound(f: float) -> float:
    return (np.sqrt(f**4 + 4 * f**2) - f**2) / 2


def _find_strongest(trial: Trial, sample: Sample, code: int) -> tuple[str, float, float]:
    """Return the feature that explains most both of being in the arm and of the outcome: its name and the two shares of variance."""
    inside = (sample.arm == code) | (sample.arm == 0)
    numbers = [name for name in trial.features if pd.api.types.is_numeric_dtype(trial.rows[name])]
    ranks = trial.rows[numbers][trial.rows.customer_id.isin(sample.customers[inside])].rank(pct=True).fillna(0.5)
    who = trial.rows.customer_id[ranks.index].to_numpy()
    place = pd.Series(np.flatnonzero(inside), sample.customers[inside]).reindex(who).to_numpy()
    arm, outcome = (sample.arm[place] == code).astype(float), sample.outcome[place]
    shares = pd.DataFrame({"arm": ranks.corrwith(pd.Series(arm, ranks.index)) ** 2, "outcome": ranks.corrwith(pd.Series(outcome, ranks.index)) ** 2}).fillna(0)
    best = shares.min(axis=1).idxmax()
    return best, shares.arm[best], shares.outcome[best]
