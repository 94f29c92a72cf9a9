"""Whether a trial is sound: the planned sizes of its arms, balance before the assignment, and equal
follow-up after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import chi2, chisquare, norm, t

from research.evaluation.intervals import wilson_interval
from research.store.keep import keep
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.average_effects import compute_standard_error
from research.uplift.encoding import is_made_from, spread_out
from research.uplift.randomisation import (
    MOST_WRITTEN_LATER,
    REFUTED,
    check_randomisation,
)
from research.uplift.trials import Trial

# of a standardised difference that is called large (Austin 2009, doi:10.1002/sim.3697)
LARGE_DIFFERENCE_SD = 0.1
CHECK_LEVEL = 0.01  # of the tests of the sample ratio and of missing outcomes
BALANCE_LEVEL = 0.05  # of the largest of all differences together
POST_ASSIGNMENT_LEVEL = 0.001  # of the largest, for a feature to be left out of all models
AS_PLANNED, RATIO_MISMATCH, NO_PLAN = "as planned", "sample ratio mismatch", "no plan stated"
MISSING_UNEVENLY, MISSING_EVENLY = "more missing in one arm", "no significant difference"
NONE_MISSING = "none missing"
BALANCE = ["trial", "arm", "feature", "mean_control", "mean_arm", "difference_sd", "error_sd"]
SUMMARY = ["trial", "arm", "features", "large", "largest_sd", "feature", "chance_sd"]
ATTRITION = [
    "trial",
    "arm",
    "outcome",
    "customers",
    "missing",
    "missing_share",
    "p_value",
    "worst_low",
    "worst_high",
    "verdict",
]


@dataclass(frozen=True)
class TrialChecks:
    """A randomised trial with what was checked before its effects are estimated.

    Attributes
    ----------
    trial : without the features that were left out
    sample_ratio : see ``check_sample_ratio``
    randomisation : see ``randomisation.check_randomisation``
    balance : see ``compare_features``
    summary : see ``summarise_balance``
    attrition : see ``check_attrition``
    left_out : features written after the assignment, see ``find_post_assignment``
    """

    trial: Trial
    sample_ratio: pd.DataFrame
    randomisation: pd.DataFrame
    balance: pd.DataFrame
    summary: pd.DataFrame
    attrition: pd.DataFrame
    left_out: list[str]

    @property
    def refuted(self) -> bool:
        """Whether what was known before refutes that the arms of any trial were drawn."""
        return bool((self.randomisation.verdict == REFUTED).any())


@keep
def check_trial(trial: Trial, study: Study) -> TrialChecks:
    """Check a randomised trial, and leave out features written after the assignment.

    Where what was known before the assignment refutes the randomisation, nothing is left out: what
    differs between the arms is what effects have to be adjusted for, also what the leakage checks
    had excluded for this.
    """
    trial = replace(trial, history=(*trial.history, *study.leaks.keep))
    balance = compare_features(trial)
    later = find_post_assignment(balance, trial)
    if len(later) > max(MOST_WRITTEN_LATER * len(trial.features), 1):
        later = []  # so many differ where arms were chosen
    known = [*trial.history] if trial.dated else trial.features
    known = [name for name in trial.features if name in known and name not in later]
    drawn = check_randomisation(trial, known, balance)
    refuted = (drawn.verdict == REFUTED).any()
    features = [name for name in trial.features if refuted or name not in later]
    return TrialChecks(
        replace(trial, features=[*features, *(trial.suspects if refuted else ())]),
        check_sample_ratio(trial, study),
        drawn,
        balance,
        summarise_balance(balance, trial),
        check_attrition(trial),
        [] if refuted else later,
    )


def check_sample_ratio(trial: Trial, study: Study) -> pd.DataFrame:
    """Return planned against realised sizes of the arms: the test of sample ratio mismatch.

    With equal probabilities within an arm it is the chi-square test of the counts. Where
    probabilities differ, the sums of their inverses are compared with the number of customers, arm
    by arm (Horvitz & Thompson 1952), with the p-value of the worst arm times the number of arms.

    Returns
    -------
    DataFrame with columns trial, arm, customers, planned_share, share, low, high, p_value, verdict
        ``low`` and ``high``: the 95 % interval of the realised share (Wilson). One p-value per
        trial. Where arms were drawn for another unit than the customer, shares are those of units,
        whose number is the column units.
    """
    tables = [_check_ratio_of(name, part, study) for name, part in trial.iterate()]
    return pd.concat(tables, ignore_index=True)


def _check_ratio_of(name: str, trial: Trial, study: Study) -> pd.DataFrame:
    shares, arms = study.experiment.shares, [CONTROL, *trial.arms]
    rows = trial.rows.drop_duplicates(trial.unit)
    counts, n = rows.arm.value_counts().reindex(arms).to_numpy(), len(rows)
    if "varies" in rows and rows.varies.any():
        planned, p = np.full(len(arms), np.nan), _test_inverse_sums(rows, arms)
    else:
        planned = _find_planned_shares(rows, arms, shares)
        p = chisquare(counts, planned * n).pvalue if np.isfinite(planned).all() else np.nan
    low, high = wilson_interval(counts / n, n)
    customers = trial.rows.arm.value_counts().reindex(arms).to_numpy()
    units = {} if trial.by_customer else {"units": counts}
    columns = {"customers": customers, **units, "planned_share": planned, "share": counts / n}
    verdict = NO_PLAN if np.isnan(p) else RATIO_MISMATCH if p < CHECK_LEVEL else AS_PLANNED
    table = pd.DataFrame({"trial": name, "arm": arms, **columns, "low": low, "high": high})
    return table.assign(p_value=p, verdict=verdict)


def _find_planned_shares(
    rows: pd.DataFrame, arms: list[str], shares: dict[str, float]
) -> np.ndarray:
    """Return the planned share of each arm: the propensity that was written down, else the shares
    of study.yml; empty where neither is given.
    """
    written = np.full(len(arms), np.nan)
    if "planned" in rows:
        written = rows.groupby("arm").planned.first().reindex(arms).to_numpy(float)
    stated = np.array([shares.get(arm, np.nan) for arm in arms])
    given = written if np.isfinite(written).all() else stated
    return given / given.sum()


def _test_inverse_sums(rows: pd.DataFrame, arms: list[str]) -> float:
    """Return the p-value that the inverse propensities of each arm add up to the number of
    customers.
    """
    p_values = [1.0]
    for arm in arms:
        inside = rows.arm == arm
        weight = inside / rows.propensity
        error = np.sqrt((inside * (1 - rows.propensity) / rows.propensity**2).sum())
        p_values.append(2 * norm.sf(abs(weight.sum() - len(rows)) / error))
    return min(1.0, min(p_values) * len(arms))


def compare_features(trial: Trial) -> pd.DataFrame:
    """Return how every feature differs between each arm and control, weighted by the inverse of the
    propensity.

    Returns
    -------
    DataFrame with columns trial, arm, feature, mean_control, mean_arm, difference_sd, error_sd
        ``difference_sd``: in standard deviations, largest first; a category is one row per value,
        an empty value one more row. ``error_sd``: its standard error under randomisation, by unit.
    """
    if not trial.features:
        return pd.DataFrame(columns=BALANCE)
    parts = [part for name, one in trial.iterate() for part in _compare_arms(name, one)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=BALANCE)
    return table.sort_values("difference_sd", key=np.abs, ascending=False, ignore_index=True)[
        BALANCE
    ]


def _compare_arms(name: str, trial: Trial) -> Iterator[pd.DataFrame]:
    """Yield the differences of each arm of one trial to its control."""
    rows, columns = trial.rows, spread_out(trial.rows[trial.features])
    weights = pd.get_dummies(rows.arm, dtype=float).div(rows.propensity.fillna(1), axis=0)
    means = {arm: np.average(columns, axis=0, weights=weights[arm]) for arm in weights}
    variances = [columns[(rows.arm == arm).to_numpy()].var(ddof=1) for arm in weights]
    spread = np.sqrt(np.mean(variances, axis=0))
    # a column that names the arm doesn't vary within any
    spread = np.where(spread > 0, spread, columns.std(ddof=0))
    errors = _compute_errors(trial)
    for arm in sorted({*means} - {CONTROL}):
        change = means[arm] - means[CONTROL]
        difference = np.divide(change, spread, out=np.zeros(len(spread)), where=spread > 0)
        yield pd.DataFrame(
            {
                "trial": name,
                "arm": arm,
                "feature": columns.columns,
                "mean_control": means[CONTROL],
                "mean_arm": means[arm],
                "difference_sd": difference,
                "error_sd": errors[name, arm]
                if trial.by_customer
                else _cluster_errors(columns, weights[[CONTROL, arm]], trial, spread),
            }
        )


def summarise_balance(balance: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Return, per trial and arm, how many features differ by more than a tenth of a standard
    deviation, and how large a difference chance explains.

    Returns
    -------
    DataFrame with columns trial, arm, features, large, largest_sd, feature, chance_sd
        ``chance_sd``: in 5 % of fair randomisations the largest of so many independent
        differences, of all arms and trials together, exceeds it. Where arms were drawn for another
        unit than the customer it differs between features, and ``feature`` is the one that is
        farthest beyond its own.
    """
    pairs, rows = len(balance.drop_duplicates(["trial", "arm"])), []
    for (name, arm), part in balance.groupby(["trial", "arm"]):
        size = part.difference_sd.abs()
        reach = _find_reach(BALANCE_LEVEL / len(part) / pairs, trial)
        at = size.idxmax() if trial.by_customer else _divide(size, part.error_sd).idxmax()
        large, chance = int((size > LARGE_DIFFERENCE_SD).sum()), part.error_sd[at] * reach
        rows.append((name, arm, len(part), large, size[at], part.feature[at], chance))
    return pd.DataFrame(rows, columns=SUMMARY)


def _divide(size: pd.Series, errors: pd.Series) -> pd.Series:
    """Return differences in standard errors: 0 where nothing differs, without bound where a column
    is the same for all of an arm.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return (size / errors).fillna(0)


def _find_reach(level: float, trial: Trial) -> float:
    """Return how many standard errors a difference reaches with this probability by chance: of
    units, which may be few, by the t distribution.
    """
    if trial.by_customer:
        return norm.isf(level / 2)
    return t.isf(level / 2, trial.rows[trial.unit].nunique() - 2)


def _cluster_errors(
    columns: pd.DataFrame, weights: pd.DataFrame, trial: Trial, spread: np.ndarray
) -> np.ndarray:
    """Return the standard error of the standardised difference of each column between two arms,
    clustered by the unit of randomisation.
    """
    influence = np.zeros(columns.shape)
    for sign, arm in zip((-1, 1), weights, strict=True):
        weight = weights[[arm]].to_numpy()
        mean = np.average(columns, axis=0, weights=weight[:, 0])
        influence += sign * weight / weight.mean() * (columns.to_numpy() - mean)
    units = trial.rows[trial.unit].to_numpy()
    errors = np.array([compute_standard_error(column, units) for column in influence.T])
    return np.divide(errors, spread, out=np.zeros(len(spread)), where=spread > 0)


def _compute_errors(trial: Trial) -> pd.Series:
    """Return the standard error of a standardised difference by trial and arm; unequal weights
    count as fewer customers (Kish 1965).
    """
    weights = (1 / trial.rows.propensity.fillna(1)).groupby([trial.rows.trial, trial.rows.arm])
    error = 1 / (weights.sum() ** 2 / weights.agg(lambda values: (values**2).sum()))
    return np.sqrt(error + error.xs(CONTROL, level="arm").reindex(error.index, level="trial"))


def find_post_assignment(balance: pd.DataFrame, trial: Trial) -> list[str]:
    """Return the features of a randomised trial that were written after the assignment, unless arms
    were not drawn.

    What was known before a randomisation differs between the arms by chance alone. A feature that
    differs by more than 0.1 standard deviations, and by more than the largest difference in 0.1 %
    of fair randomisations, was written, or changed, after the assignment; a model that knows it
    takes the effect away, or turns it around. What has a date (``Trial.history``) can't have been.

    Parameters
    ----------
    balance : see ``compare_features``
    """
    if balance.empty:
        return []
    chance = balance.error_sd * _find_reach(POST_ASSIGNMENT_LEVEL / len(balance), trial)
    columns = balance.feature[
        balance.difference_sd.abs() > np.maximum(LARGE_DIFFERENCE_SD, chance)
    ].unique()
    undated = [name for name in trial.features if name not in trial.history]
    return [name for name in undated if any(is_made_from(name, column) for column in columns)]


def check_attrition(trial: Trial) -> pd.DataFrame:
    """Return how many outcomes are missing in each arm, and whether they are missing evenly.

    Returns
    -------
    DataFrame with columns trial, arm, outcome, customers, missing, missing_share, p_value,
    worst_low, worst_high, verdict
        ``p_value``: chi-square test of equal shares, of the trial, by unit of randomisation.
        ``worst_low``, ``worst_high``: bounds of the difference of means to control if all missing
        outcomes went one way in the arm and the other in control (Manski 1990); for outcomes
        between 0 and 1, else empty.
    """
    tables = [
        _check_attrition_of(name, part, outcome)
        for name, part in trial.iterate()
        for outcome in trial.outcomes
    ]
    return pd.concat(tables, ignore_index=True)


def _check_attrition_of(name: str, trial: Trial, outcome: str) -> pd.DataFrame:
    rows = trial.rows
    counts = rows.groupby("arm")[outcome].agg(customers="size", known="count", total="sum")
    missing = counts.customers - counts.known
    p = _test_equal_shares(rows[outcome].isna(), trial)
    low, high = counts.total / counts.customers, (counts.total + missing) / counts.customers
    bounded = outcome != "value" and rows[outcome].dropna().between(0, 1).all()
    has_bounds = (counts.index != CONTROL) & bounded
    table = counts.assign(
        trial=name,
        outcome=outcome,
        missing=missing,
        missing_share=missing / counts.customers,
        worst_low=(low - high[CONTROL]).where(has_bounds),
        worst_high=(high - low[CONTROL]).where(has_bounds),
        p_value=p,
        verdict=_judge_missing(p, missing),
    )
    return table.reset_index()[ATTRITION]


def _judge_missing(p: float, missing: pd.Series) -> str:
    if p < CHECK_LEVEL:
        return MISSING_UNEVENLY
    return MISSING_EVENLY if missing.any() else NONE_MISSING


def _test_equal_shares(missing: pd.Series, trial: Trial) -> float:
    """Return the p-value of the chi-square test of equal shares; units vary as units do."""
    if missing.nunique() == 1:
        return 1.0
    by_unit = (missing - missing.mean()).groupby(trial.rows[trial.unit]).sum()
    arm = trial.rows.drop_duplicates(trial.unit).set_index(trial.unit).arm
    totals = by_unit.groupby(arm).agg(["sum", "size"])
    statistic = (totals["sum"] ** 2 / totals["size"]).sum() / (by_unit**2).mean()
    return float(chi2.sf(statistic, len(totals) - 1))
