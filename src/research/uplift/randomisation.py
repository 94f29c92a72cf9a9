"""Whether what was known before the assignment refutes that arms were randomised.

A permutation test of the largest of all differences (Westfall & Young 1993): arms are drawn anew
among the units of randomisation, again and again, and the largest difference of any feature between
an arm and the others is compared with the one found. It needs no distribution, whatever goes
together or has outliers, and its level is exact.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.uplift.encoding import is_made_from, spread_out
from research.uplift.trials import Trial

REFUTED_LEVEL = 0.001  # chance that any trial of a fair study is refuted
MOST_WRITTEN_LATER = 0.25  # share of undated features that may be written after the assignment
ENOUGH = 20  # draws beyond what was found: more decide nothing (Besag & Clifford 1991)
DRAWS_AT_ONCE = 20
REFUTED, NOT_REFUTED, NOT_TESTED = "refuted", "not refuted", "not tested"
COLUMNS = ["trial", "features", "units", "largest_z", "feature", "p_value", "verdict"]


def check_randomisation(
    trial: Trial, features: list[str], balance: pd.DataFrame, seed: int = 0
) -> pd.DataFrame:
    """Return, for each trial, the test of whether arms can have been drawn.

    Parameters
    ----------
    features : what was known before the assignment
    balance : see ``balance.compare_features``
    seed : the draws derive from it

    Returns
    -------
    DataFrame with columns trial, features, units, largest_z, feature, p_value, verdict
        ``largest_z``: of the differences between an arm and the others, in standard errors, that of
        ``feature``, numbers by their ranks. ``verdict``: refuted where the p-value is at most 0.1 %
        over the number of trials, so that a fair study is refuted in 0.1 % of all draws.
    """
    level = REFUTED_LEVEL / max(len(trial.names), 1)
    rows = []
    for name, part in trial.iterate():
        units = part.rows[part.unit].nunique()
        differences = balance[balance.trial == name]
        z, feature, p = _check_one(part, features, differences, level, seed)
        verdict = (REFUTED if p <= level else NOT_REFUTED) if feature else NOT_TESTED
        rows.append((name, len(features), units, z, feature, p, verdict))
    return pd.DataFrame(rows, columns=COLUMNS)


def _check_one(
    trial: Trial, features: list[str], balance: pd.DataFrame, level: float, seed: int
) -> tuple[float, str, float]:
    """Return the largest z, its feature, and the p-value; without a feature that varies, none."""
    if "varies" in trial.rows and trial.rows.varies.any():
        return _check_weighted(balance, features)
    columns = spread_out(trial.rows[features])
    ranks = columns.rank()
    totals = (ranks - ranks.mean()).groupby(trial.rows[trial.unit]).sum()
    spread = np.sqrt((totals**2).mean())
    totals = (totals / spread).loc[:, spread > 1e-9]
    if totals.empty:
        return np.nan, "", 1.0
    arm = trial.rows.drop_duplicates(trial.unit).set_index(trial.unit).arm
    codes = pd.factorize(arm.reindex(totals.index))[0]
    found = _compare(codes[None], totals.to_numpy())[0]
    p = _permute(codes, totals.to_numpy(), found.max(), level, seed)
    return found.max(), str(totals.columns[found.argmax()]), p


def _check_weighted(balance: pd.DataFrame, features: list[str]) -> tuple[float, str, float]:
    """Return the same where propensities differ between customers: by the differences weighted with
    them, normal, times their number (Bonferroni), since arms can't be drawn anew.
    """
    known = [any(is_made_from(name, column) for name in features) for column in balance.feature]
    table = balance[known]
    z = (table.difference_sd.abs() / table.error_sd.where(table.error_sd > 0)).fillna(0)
    if z.empty:
        return np.nan, "", 1.0
    return z.max(), str(table.feature[z.idxmax()]), min(1.0, 2 * len(z) * norm.sf(z.max()))


def _compare(codes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return, for each draw of arms, the largest z of every column: (draws, columns).

    Parameters
    ----------
    codes : (draws, units), the arm of each unit
    totals : (units, columns), with a mean of 0 and a mean square of 1
    """
    size, z = codes.shape[1], []
    for arm in range(codes.max() + 1):
        inside = codes == arm
        n = inside[0].sum()
        z.append(np.abs(inside.astype(float) @ totals) / np.sqrt(n * (1 - n / size)))
    return np.max(z, axis=0)


def _permute(codes: np.ndarray, totals: np.ndarray, found: float, level: float, seed: int) -> float:
    """Return the p-value of the largest z: of as many draws as decide at this level, fewer where
    many lie beyond it.
    """
    rng, most = np.random.default_rng(seed), round(2 / level) - 1
    drawn = beyond = 0
    while drawn < most and beyond < ENOUGH:
        count = min(DRAWS_AT_ONCE, most - drawn)
        draws = rng.permuted(np.tile(codes, (count, 1)), axis=1)
        beyond += int((_compare(draws, totals).max(axis=1) >= found - 1e-9).sum())
        drawn += count
    return (1 + beyond) / (1 + drawn)
