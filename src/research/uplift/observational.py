"""Arms that were chosen: overlap, adjusted associations, and sensitivity to unobserved confounding.

Nothing here is an effect unless every cause of the arm that also affects the outcome is among the
features; no table can show whether that is so.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from research.errors import StudyError
from research.evaluation.intervals import Z
from research.reporting.results import concat_tables
from research.store.keep import keep
from research.uplift.average_effects import compute_standard_error
from research.uplift.doubly_robust import (
    SCORE_FOLDS,
    Sample,
    assign_folds,
    compute_scores,
    make_sample,
    predict_out_of_fold,
    subtract_control,
)
from research.uplift.encoding import spread_out
from research.uplift.trials import Trial

MIN_PROPENSITY = 0.02  # of every arm, for a customer to be compared with others
MIN_OVERLAP = 0.5  # share of the customers with that propensity of every arm
PENALTIES = np.logspace(-3, 3, 7)
OVERLAP = ["trial", "arm", "chance_of", "median", "lowest", "highest", "rare_share"]
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
    "strongest",
    "strongest_arm",
    "strongest_outcome",
    "unlike_sd",
]


@dataclass(frozen=True)
class Associations:
    """What differs between chosen arms, in every campaign that can be compared.

    Attributes
    ----------
    table : see ``compare_campaign``
    overlap : see ``check_overlap``
    faults : a sentence for each campaign that can't be compared
    """

    table: pd.DataFrame
    overlap: pd.DataFrame
    faults: list[str]


@keep
def compare_campaigns(trial: Trial, outcome: str, seed: int) -> Associations:
    """Return ``compare_campaign`` of every campaign, and why the others can't be compared."""
    tables, overlaps, faults = [], [], []
    for _, part in trial.iterate():
        try:
            table, overlap = compare_campaign(part, outcome, seed)
        except StudyError as error:
            faults += error.faults
            continue
        tables.append(table)
        overlaps.append(overlap)
    return Associations(
        concat_tables(tables, ASSOCIATIONS), concat_tables(overlaps, OVERLAP), faults
    )


def compare_campaign(trial: Trial, outcome: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what differs between chosen arms after adjustment, and how they overlap.

    Parameters
    ----------
    trial : one campaign

    Returns
    -------
    associations : DataFrame, one row per arm
        ``plain_difference`` of means; ``adjusted_difference`` with its 95 % interval: doubly
        robust, among customers with a propensity of at least 2 % for every arm. ``robustness``: the
        share of the residual variance, both of the arm and of the outcome, that an unobserved
        confounder would have to explain to bring the difference to 0, ``robustness_interval`` to
        bring its interval to 0 (Cinelli & Hazlett 2020, doi:10.1111/rssb.12348), of the linear
        regression on the arm and all features; ``strongest``: the feature that explains most of
        both, and the shares that it explains; ``unlike_sd``: the largest difference between the
        arms that weighting leaves, in standard deviations.
    overlap : see ``check_overlap``

    Raises
    ------
    StudyError
        If there are no features, or fewer than half of the customers overlap.
    """
    name = str(trial.rows.trial.iloc[0])
    _require_features(trial, name)
    whole = make_sample(trial, outcome)
    propensities = estimate_propensities(whole, seed)
    overlap = check_overlap(whole, propensities, name)
    kept = (propensities >= MIN_PROPENSITY).all(axis=1)
    _require_overlap(kept, name)
    own = propensities[kept, whole.arm[kept]]
    sample = replace(whole.take(kept), propensity=np.clip(own, MIN_PROPENSITY, 1))
    predicted = predict_out_of_fold(sample, SCORE_FOLDS, seed)
    change = subtract_control(compute_scores(sample, predicted))
    features = trial.rows[trial.rows[outcome].notna()][trial.features][kept]
    rows = [
        (
            name,
            outcome,
            arm,
            *_compare_means(sample, change[:, code - 1], code),
            int((~kept).sum()),
            *_compute_robustness(sample, code),
            *_find_strongest(features, sample, code),
            _compute_imbalance(sample, code),
        )
        for code, arm in enumerate(sample.arms[1:], start=1)
    ]
    return pd.DataFrame(rows, columns=ASSOCIATIONS), overlap


def _require_features(trial: Trial, name: str) -> None:
    if not trial.features:
        raise StudyError(
            f"{name}: expected features that were known before the arms were chosen, got none;"
            " add attributes or events to adjust for"
        )


def _require_overlap(kept: np.ndarray, name: str) -> None:
    if kept.mean() < MIN_OVERLAP:
        raise StudyError(
            f"{name}: expected arms that overlap, got {1 - kept.mean():.0%} of the customers with"
            f" a propensity below {MIN_PROPENSITY:.0%} for some arm; compare fewer arms"
        )


def estimate_propensities(sample: Sample, seed: int) -> np.ndarray:
    """Return the propensity of every arm for each row, out of fold: (rows, arms).

    By ridge logistic regression; the penalty is chosen by cross-validated log-loss.
    """
    search = LogisticRegressionCV(
        Cs=PENALTIES,
        cv=3,
        scoring="neg_log_loss",
        max_iter=2000,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    penalty = search.fit(sample.linear_features, sample.arm).C_
    fold = assign_folds(sample, SCORE_FOLDS, seed)
    propensities = np.empty((sample.size, len(sample.arms)))
    for number in range(SCORE_FOLDS):
        inside = fold == number
        model = LogisticRegression(C=penalty, max_iter=2000)
        model.fit(sample.linear_features[~inside], sample.arm[~inside])
        propensities[inside] = model.predict_proba(sample.linear_features[inside])
    return propensities


def check_overlap(sample: Sample, propensities: np.ndarray, trial: str) -> pd.DataFrame:
    """Return the propensities of each arm among the customers of every arm.

    Returns
    -------
    DataFrame with columns trial, arm, chance_of, median, lowest, highest, rare_share
        ``chance_of``: the arm whose propensity it is; ``lowest`` and ``highest``: the 1 % and 99 %
        quantiles; ``rare_share``: of customers whose propensity is below 2 %, who are left out.
    """
    rows = []
    for code, arm in enumerate(sample.arms):
        for other_code, other in enumerate(sample.arms):
            values = propensities[sample.arm == code, other_code]
            quantiles = np.quantile(values, (0.5, 0.01, 0.99))
            rows.append((trial, arm, other, *quantiles, (values < MIN_PROPENSITY).mean()))
    return pd.DataFrame(rows, columns=OVERLAP)


def _compare_means(
    sample: Sample, change: np.ndarray, code: int
) -> tuple[float, float, float, float, int]:
    """Return the plain and the adjusted difference, its interval, and the customers compared."""
    plain = sample.outcome[sample.arm == code].mean() - sample.outcome[sample.arm == 0].mean()
    error = compute_standard_error(change - change.mean(), sample.clusters)
    return plain, change.mean(), change.mean() - Z * error, change.mean() + Z * error, sample.size


def _compute_robustness(sample: Sample, code: int) -> tuple[float, float]:
    """Return the robustness values of the difference and of its interval, by ordinary least squares
    among the two arms.
    """
    part = sample.take((sample.arm == 0) | (sample.arm == code))
    columns = np.column_stack([part.arm == code, np.ones(part.size), part.linear_features]).astype(
        float
    )
    both = np.column_stack([columns[:, 0], part.outcome])
    coefficients, *_ = np.linalg.lstsq(columns[:, 1:], both, rcond=None)
    arm, outcome = (both - columns[:, 1:] @ coefficients).T
    freedom, variation = max(part.size - columns.shape[1], 1), arm @ arm
    if variation < 1e-9 or outcome @ outcome < 1e-9:
        return 0.0, 0.0
    slope = arm @ outcome / variation
    t = abs(slope) / np.sqrt(((outcome - slope * arm) ** 2).sum() / freedom / variation)
    return tuple(
        compute_robustness_value(max(value, 0) / np.sqrt(freedom))
        for value in (t, t - norm.isf(0.025))
    )


def compute_robustness_value(f: float) -> float:
    """Return the robustness value of a partial Cohen's f (Cinelli & Hazlett 2020)."""
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def _find_strongest(features: pd.DataFrame, sample: Sample, code: int) -> tuple[str, float, float]:
    """Return the feature that explains most both of being in the arm and of the outcome: its name
    and the two shares of variance.
    """
    inside = (sample.arm == code) | (sample.arm == 0)
    ranks = spread_out(features)[inside].rank(pct=True)
    sides = {"arm": (sample.arm[inside] == code).astype(float), "outcome": sample.outcome[inside]}
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant column explains nothing
        shares = {
            side: ranks.corrwith(pd.Series(values, ranks.index)) ** 2
            for side, values in sides.items()
        }
    shares = pd.DataFrame(shares).fillna(0)
    best = shares.min(axis=1).idxmax()
    return best, shares.arm[best], shares.outcome[best]


def _compute_imbalance(sample: Sample, code: int) -> float:
    """Return the largest difference of a feature that is left after weighting, in standard
    deviations.
    """
    sides = [sample.take(sample.arm == one) for one in (0, code)]
    control, treated = (
        np.average(side.linear_features, axis=0, weights=1 / side.propensity) for side in sides
    )
    spread = np.sqrt(np.mean([side.linear_features.var(axis=0) for side in sides], axis=0))
    distance = np.abs(treated - control)
    return float(np.divide(distance, spread, out=np.zeros(len(spread)), where=spread > 0).max())
