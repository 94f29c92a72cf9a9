"""Whether a trial is what it says: arms of the planned size, alike before the assignment, and
equally well followed after it.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import chi2, chisquare, norm

from research.evaluation.intervals import wilson
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.trials import Trial, iterate

SMALL = 0.1  # of a standardised difference that is called large (Austin 2009, doi:10.1002/sim.3697)
LUCK = 0.01  # p-value of a sample ratio below which the arms are called off balance
LEVEL, SURE = 0.05, 0.001
BALANCE = ["trial", "arm", "feature", "mean_control", "mean_arm", "difference_sd"]


def check_shares(trial: Trial, study: Study) -> pd.DataFrame:
    """Return planned against realised sizes of the arms: the test of the sample ratio.

    With equal chances within an arm it is the chi-square test of the counts. Where chances differ,
    the sums of their inverses are compared with the number of customers, arm by arm (Horvitz &
    Thompson 1952), with the p-value of the worst arm times the number of arms.

    Returns
    -------
    DataFrame with columns trial, arm, customers, planned_share, share, low, high, p_value, verdict
        ``low`` and ``high``: the 95 % interval of the realised share (Wilson). One p-value per
        trial.
    """
    return pd.concat(
        [_check_one(name, part.rows, study.experiment.shares) for name, part in iterate(trial)],
        ignore_index=True,
    )


def _check_one(name: str, rows: pd.DataFrame, shares: dict[str, float]) -> pd.DataFrame:
    arms = [CONTROL, *sorted({*rows.arm} - {CONTROL})]
    counts, n = rows.arm.value_counts().reindex(arms), len(rows)
    if "varies" in rows and rows.varies.any():
        planned, p = np.full(len(arms), np.nan), _weigh_inverse(rows, arms)
    else:
        planned = _find_plan(rows, arms, shares)
        p = chisquare(counts, planned * n).pvalue if np.isfinite(planned).all() else np.nan
    low, high = wilson(counts.to_numpy() / n, n)
    verdict = "no plan stated" if np.isnan(p) else "off balance" if p < LUCK else "as planned"
    table = {
        "trial": name,
        "arm": arms,
        "customers": counts.to_numpy(),
        "planned_share": planned,
        "share": counts.to_numpy() / n,
        "low": low,
        "high": high,
    }
    return pd.DataFrame(table).assign(p_value=p, verdict=verdict)


def _find_plan(rows: pd.DataFrame, arms: list[str], shares: dict[str, float]) -> np.ndarray:
    """Return the planned share of each arm: the propensity that was written down, else the shares
    of study.yml; empty where neither says.
    """
    written = (
        rows.groupby("arm").planned.first().reindex(arms).to_numpy(float)
        if "planned" in rows
        else np.full(len(arms), np.nan)
    )
    given = (
        written
        if np.isfinite(written).all()
        else np.array([shares.get(arm, np.nan) for arm in arms])
    )
    return given / given.sum()


def _weigh_inverse(rows: pd.DataFrame, arms: list[str]) -> float:
    """Return the p-value that the inverse propensities of each arm add up to the number of
    customers.
    """
    chances = [1.0]
    for arm in arms:
        weight = (rows.arm == arm) / rows.propensity
        error = np.sqrt(((rows.arm == arm) * (1 - rows.propensity) / rows.propensity**2).sum())
        chances.append(2 * norm.sf(abs(weight.sum() - len(rows)) / error))
    return min(1.0, min(chances) * len(arms))


def compare_features(trial: Trial) -> pd.DataFrame:
    """Return how every feature differs between each arm and control, weighted by the inverse of the
    propensity.

    Returns
    -------
    DataFrame with columns trial, arm, feature, mean_control, mean_arm, difference_sd
        ``difference_sd``: in standard deviations, largest first; a category is one row per value,
        an empty value one more row.
    """
    tables = (
        [_compare(name, part.rows, trial.features) for name, part in iterate(trial)]
        if trial.features
        else []
    )
    if not tables:
        return pd.DataFrame(columns=BALANCE)
    found = pd.concat(tables, ignore_index=True)
    return found.sort_values("difference_sd", key=np.abs, ascending=False, ignore_index=True)[
        BALANCE
    ]


def _compare(name: str, rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    columns = spread_out(rows[features])
    weights = pd.get_dummies(rows.arm, dtype=float).div(rows.propensity.fillna(1), axis=0)
    means = {arm: np.average(columns, axis=0, weights=weights[arm]) for arm in weights}
    spread = np.sqrt(
        np.mean([columns[(rows.arm == arm).to_numpy()].var(ddof=1) for arm in weights], axis=0)
    )
    spread = np.where(
        spread > 0, spread, columns.std(ddof=0)
    )  # a column that names the arm doesn't vary within any
    parts = []
    for arm in sorted({*means} - {CONTROL}):
        difference = np.divide(
            means[arm] - means[CONTROL], spread, out=np.zeros(len(spread)), where=spread > 0
        )
        parts.append(
            pd.DataFrame(
                {
                    "arm": arm,
                    "feature": columns.columns,
                    "mean_control": means[CONTROL],
                    "mean_arm": means[arm],
                    "difference_sd": difference,
                }
            )
        )
    return pd.concat(parts).assign(trial=name)


def spread_out(columns: pd.DataFrame) -> pd.DataFrame:
    """Return numbers with their means for empty values and a column that marks those, and a column
    for each of the eight commonest categories.
    """
    numbers = columns.select_dtypes("number").astype(float)
    gaps = numbers.isna().loc[:, numbers.isna().any()].add_suffix(" is empty").astype(float)
    texts = columns.drop(columns=numbers.columns).astype("object").fillna("empty").astype(str)
    common = {
        name: values.where(values.isin(values.value_counts().index[:8]), "others")
        for name, values in texts.items()
    }
    dummies = (
        pd.get_dummies(pd.DataFrame(common, index=columns.index), prefix_sep=": ", dtype=float)
        if common
        else pd.DataFrame(index=columns.index)
    )
    return pd.concat([numbers.fillna(numbers.mean()).fillna(0), gaps, dummies], axis=1)


def judge_balance(balance: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Return, per trial and arm, how many features differ by more than a tenth of a standard
    deviation, and how large a difference luck explains.

    Returns
    -------
    DataFrame with columns trial, arm, features, large, largest_sd, feature, luck_sd
        ``luck_sd``: exceeded by the largest of so many independent differences, of all arms and
        trials together, in one fair draw of twenty.
    """
    rows, pairs = [], len(balance.drop_duplicates(["trial", "arm"]))
    errors = _find_errors(trial)
    for (name, arm), part in balance.groupby(["trial", "arm"]):
        error = errors[name, arm]
        worst = part.loc[part.difference_sd.abs().idxmax()]
        luck = error * norm.isf(LEVEL / 2 / len(part) / pairs)
        rows.append(
            (
                name,
                arm,
                len(part),
                int((part.difference_sd.abs() > SMALL).sum()),
                abs(worst.difference_sd),
                worst.feature,
                luck,
            )
        )
    return pd.DataFrame(
        rows, columns=["trial", "arm", "features", "large", "largest_sd", "feature", "luck_sd"]
    )


def _find_errors(trial: Trial) -> pd.Series:
    """Return the standard error of a standardised difference by trial and arm; unequal weights
    count as fewer customers (Kish 1965).
    """
    weights = (1 / trial.rows.propensity.fillna(1)).groupby([trial.rows.trial, trial.rows.arm])
    error = 1 / (weights.sum() ** 2 / weights.agg(lambda values: (values**2).sum()))
    return np.sqrt(error + error.xs(CONTROL, level="arm").reindex(error.index, level="trial"))


def set_aside(trial: Trial) -> tuple[Trial, list[str]]:
    """Return a trial by lot without the features that its arms can't have shared before, and their
    names.

    What was known before a draw differs between the arms by luck alone. A feature that differs by
    more than 0.1 standard deviations and more than luck does in one fair draw of a thousand was
    written, or changed, after the assignment; a model that knows it takes the effect away, or turns
    it around.
    """
    balance = compare_features(trial)
    if balance.empty:
        return trial, []
    errors = (
        _find_errors(trial).reindex(pd.MultiIndex.from_frame(balance[["trial", "arm"]])).to_numpy()
    )
    wide = balance.difference_sd.abs() > np.maximum(
        SMALL, errors * norm.isf(SURE / 2 / len(balance))
    )
    odd = {*balance.feature[wide]}
    found = [
        name
        for name in trial.features
        if any(
            words == name or words.startswith((f"{name}: ", f"{name} is empty")) for words in odd
        )
    ]
    return replace(trial, features=[name for name in trial.features if name not in found]), found


def check_attrition(trial: Trial) -> pd.DataFrame:
    """Return how many outcomes are missing in each arm, and whether they are missing alike.

    Returns
    -------
    DataFrame with columns trial, arm, outcome, customers, missing, missing_share, p_value,
    worst_low, worst_high, verdict
        ``p_value``: chi-square test of equal shares, of the trial. ``worst_low``, ``worst_high``:
        what the difference of means to control can be at most if all that is missing went one way
        in the arm and the other in control (Manski 1990); for outcomes between 0 and 1, else empty.
    """
    return pd.concat(
        [
            _miss(name, part.rows, outcome)
            for name, part in iterate(trial)
            for outcome in trial.outcomes
        ],
        ignore_index=True,
    )


def _miss(name: str, rows: pd.DataFrame, outcome: str) -> pd.DataFrame:
    counts = rows.groupby("arm")[outcome].agg(customers="size", known="count", total="sum")
    missing = counts.customers - counts.known
    p = _test_alike(missing.to_numpy(), counts.customers.to_numpy())
    low, high = counts.total / counts.customers, (counts.total + missing) / counts.customers
    bounded = outcome != "value" and rows[outcome].dropna().between(0, 1).all()
    bounds = {"worst_low": low - high[CONTROL], "worst_high": high - low[CONTROL]}
    bounds = {
        side: values.where((counts.index != CONTROL) & bounded) for side, values in bounds.items()
    }
    table = pd.DataFrame(
        {
            "customers": counts.customers,
            "missing": missing,
            "missing_share": missing / counts.customers,
            **bounds,
        }
    ).reset_index()
    return table.assign(
        trial=name,
        outcome=outcome,
        p_value=p,
        verdict=(
            "more missing in one arm"
            if p < LUCK
            else "missing alike"
            if missing.any()
            else "none missing"
        ),
    )[
        [
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
    ]


def _test_alike(missing: np.ndarray, customers: np.ndarray) -> float:
    share = missing.sum() / customers.sum()
    if share in (0, 1):
        return 1.0
    statistic = ((missing - customers * share) ** 2 / (customers * share * (1 - share))).sum()
    return float(chi2.sf(statistic, len(missing) - 1))
