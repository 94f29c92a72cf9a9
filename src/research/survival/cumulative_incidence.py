"""Cumulative incidence: the share that has left by each day, by competing reason.

One minus Kaplan-Meier with the other reasons taken as censored would describe a world without the
other reasons, and adds up to more than all who left. The estimator of Aalen and Johansen adds up.
"""

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.survival.cox import RiskSets, build_risk_sets

COLUMNS = ["reason", "days", "share", "low", "high", "at_risk", "left"]


def compute_cumulative_incidence(tenures: pd.DataFrame) -> pd.DataFrame:
    """Return the cumulative incidence of each reason, with late entry.

    Parameters
    ----------
    tenures : DataFrame with columns entry, duration, ended, reason
        One row per tenure; ``reason`` of those that ended. See ``cox.build_risk_sets``.

    Returns
    -------
    DataFrame with columns reason, days, share, low, high, at_risk, left
        One row per reason and day with an event, and day 0; without columns where no reason is
        recorded. ``left``
        counts who had left for the reason by then. ``low`` and ``high`` bound the 95 % interval on
        the log-log scale. On any day the shares of all reasons and the survival add up to 1.

    References
    ----------
    Aalen, O. O. and Johansen, S. (1978), Scandinavian Journal of Statistics 5, 141-150; the
    variance after Marubini, E. and Valsecchi, M. G. (1995), Analysing Survival Data from Clinical
    Trials and Observational Studies, Wiley, section 10.3; the interval after Choudhury, J. B.
    (2002), Statistics in Medicine 21, 1129-1144.
    """
    reasons = tenures.reason[tenures.ended.astype(bool)].dropna()
    if reasons.empty:
        return pd.DataFrame()
    sets, ones = build_risk_sets(tenures), np.ones(len(tenures))
    at_risk, events = sets.sum_at_risk(ones), sets.sum_events(ones)
    before = np.r_[1.0, np.cumprod(1 - events / at_risk)[:-1]]
    tables = []
    for reason in reasons.value_counts().index:
        left = sets.sum_events((tenures.reason == reason).to_numpy(float))
        bounds = _bound(before, at_risk, events, left)
        tables.append(_tabulate(sets, at_risk, left, bounds).assign(reason=reason))
    return pd.concat(tables, ignore_index=True).astype({"at_risk": int, "left": int})[COLUMNS]


def _tabulate(
    sets: RiskSets, at_risk: np.ndarray, left: np.ndarray, bounds: tuple[np.ndarray, ...]
) -> pd.DataFrame:
    """Return the rows of one reason, day 0 first."""
    columns = {"days": sets.days} | dict(zip(("share", "low", "high"), bounds, strict=True))
    table = pd.DataFrame(columns | {"at_risk": at_risk.round(), "left": np.cumsum(left)})
    if sets.days[0] == 0:
        return table
    start = dict.fromkeys(table, 0.0) | {"at_risk": at_risk[0].round()}
    return pd.concat([pd.DataFrame([start]), table])


def _bound(
    before: np.ndarray, at_risk: np.ndarray, events: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cumulative incidence of one reason with its interval.

    The variance sums over the days u up to t: ``(F(t) - F(u))^2 d / (n (n - d)) + S(u-)^2 d_k (n -
    d_k) / n^3 - 2 (F(t) - F(u)) S(u-) d_k / n^2``; the squares are expanded, so that running sums
    suffice.
    """
    share = np.cumsum(before * left / at_risk)
    hazard = np.divide(
        events, at_risk * (at_risk - events), out=np.zeros_like(events), where=at_risk > events
    )
    own, both = before**2 * left * (at_risk - left) / at_risk**3, before * left / at_risk**2
    variance = (
        share**2 * np.cumsum(hazard)
        - 2 * share * np.cumsum(share * hazard)
        + np.cumsum(share**2 * hazard)
        + np.cumsum(own)
    )
    variance = np.maximum(variance - 2 * share * np.cumsum(both) + 2 * np.cumsum(share * both), 0)
    inside = (share > 0) & (share < 1)
    base = np.where(inside, share, 0.5)
    width = Z * np.sqrt(variance) / (base * np.abs(np.log(base)))
    low, high = (np.where(inside, base ** np.exp(side * width), share) for side in (1, -1))
    return share, low, high
