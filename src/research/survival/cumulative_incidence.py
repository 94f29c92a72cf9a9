"""Cumulative incidence: which share has left by a day for which reason, where leaving for one
reason rules out the others.

One minus Kaplan-Meier with the other reasons taken as censored would say what happened if the other
reasons didn't exist, and add up to more than all who left. The estimate of Aalen and Johansen
doesn't.
"""

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.survival.cox import build_risk_sets

COLUMNS = ["reason", "days", "share", "low", "high", "at_risk", "left"]


def compute_cumulative_incidence(stays: pd.DataFrame) -> pd.DataFrame:
    """Return the cumulative incidence of each reason, for stays that may enter late.

    Parameters
    ----------
    stays : DataFrame with columns entry, duration, ended, reason
        One row per stay; ``reason`` of those that ended. See ``proportional.build_risk_sets``.

    Returns
    -------
    DataFrame with columns reason, days, share, low, high, at_risk, left
        One row per reason and day with an end, and day 0. ``left`` counts those who had left for
        the reason by then. ``low`` and ``high`` bound the 95 % interval on the log-log scale. On
        any day the shares of all reasons and the survival add up to 1.

    References
    ----------
    Aalen, O. O. and Johansen, S. (1978), Scandinavian Journal of Statistics 5, 141-150; the
    variance after Marubini, E. and Valsecchi, M. G. (1995), Analysing Survival Data from Clinical
    Trials and Observational Studies, Wiley, section 10.3; the interval after Choudhury, J. B.
    (2002), Statistics in Medicine 21, 1129-1144.
    """
    if not stays.ended.any():
        return pd.DataFrame(columns=COLUMNS)
    sets, ones = build_risk_sets(stays, np.zeros(len(stays), int)), np.ones(len(stays))
    at_risk, ended = sets.sum_at_risk(ones), sets.sum_events(ones)
    before = np.r_[1.0, np.cumprod(1 - ended / at_risk)[:-1]]
    reasons = stays.reason[stays.ended.astype(bool)]
    tables = []
    for reason in reasons.value_counts().index:
        left = sets.sum_events((stays.reason == reason).to_numpy(float))
        share, low, high = _bound(before, at_risk, ended, left)
        columns = {
            "days": sets.days,
            "share": share,
            "low": low,
            "high": high,
            "at_risk": at_risk.round(),
            "left": np.cumsum(left),
        }
        start = {
            "days": 0.0,
            "share": 0.0,
            "low": 0.0,
            "high": 0.0,
            "at_risk": at_risk[0].round(),
            "left": 0.0,
        }
        table = pd.DataFrame(columns)
        tables.append(
            (table if sets.days[0] == 0 else pd.concat([pd.DataFrame([start]), table])).assign(
                reason=reason
            )
        )
    return pd.concat(tables, ignore_index=True).astype({"at_risk": int, "left": int})[COLUMNS]


def _bound(
    before: np.ndarray, at_risk: np.ndarray, ended: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cumulative incidence of one reason with its interval.

    The variance sums over the days u up to t: ``(F(t) - F(u))^2 d / (n (n - d)) + S(u-)^2 d_k (n -
    d_k) / n^3 - 2 (F(t) - F(u)) S(u-) d_k / n^2``; each square is written out, so that running sums
    do.
    """
    share = np.cumsum(before * left / at_risk)
    hazard = np.divide(
        ended, at_risk * (at_risk - ended), out=np.zeros_like(ended), where=at_risk > ended
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
    known = np.where(inside, share, 0.5)
    width = Z * np.sqrt(variance) / (known * np.abs(np.log(known)))
    low, high = (np.where(inside, known ** np.exp(side * width), share) for side in (1, -1))
    return share, low, high
