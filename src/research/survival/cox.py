"""Proportional hazards: Cox regression of stays that may enter late, by strata, and the test of
whether curves differ.

Days are whole, so many stays end alike; ties are taken as Efron (1977,
doi:10.1080/01621459.1977.10480613) takes them. What a fit costs grows with the stays and with the
square of the columns, not with the days.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from research.errors import StudyError
from research.evaluation.intervals import Z

STEPS = 40
ENDLESS = 10.0  # standard error of a log ratio from which on nothing bounds it
NO_INFORMATION = (
    1e-9  # share of the information that a direction holds in which the likelihood is flat
)


@dataclass(frozen=True)
class RiskSets:
    """Stays laid out on the days with ends, one cell per stratum and such a day: a stay is at risk
    from its first cell to its last.

    ``ends`` are the places of the stays that ended, ``cell`` their cells, ``days`` the day of each
    cell.
    """

    first: np.ndarray
    last: np.ndarray
    ends: np.ndarray
    cell: np.ndarray
    days: np.ndarray

    def sum_at_risk(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` over the stays at risk in each cell."""
        n = len(self.days)
        come, go = (np.bincount(place, values, n + 1) for place in (self.first, self.last + 1))
        return np.cumsum(come - go)[:n]

    def sum_events(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` over the stays that ended in each cell."""
        return np.bincount(self.cell, values[self.ends], len(self.days))


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox regression: names of the columns, log hazard ratios and their variance,
    log-likelihoods, and what it was fitted on.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    variance: np.ndarray
    log_likelihood: float
    null_log_likelihood: float
    matrix: np.ndarray
    stays: pd.DataFrame
    strata: np.ndarray


def build_risk_sets(stays: pd.DataFrame, strata: np.ndarray) -> RiskSets:
    """Lay stays out on the days with ends.

    Parameters
    ----------
    stays : DataFrame with columns entry, duration, ended
        One row per stay. Who enters on a day is at risk from the following one; entry 0 is the very
        beginning, day 0 included.
    strata : number of each stay's stratum, from 0
    """
    entry, duration, ended = (stays[name].to_numpy() for name in ("entry", "duration", "ended"))
    apart = strata * (duration.max() + 2.0)
    end = apart + duration
    cells, cell = np.unique(end[ended.astype(bool)], return_inverse=True)
    first = np.searchsorted(cells, apart + np.where(entry > 0, entry, -1), side="right")
    last = np.searchsorted(cells, end, side="right") - 1
    return RiskSets(
        first,
        np.maximum(last, first - 1),
        np.flatnonzero(ended),
        cell,
        np.mod(cells, duration.max() + 2.0),
    )


def fit_cox(
    stays: pd.DataFrame, matrix: pd.DataFrame, strata: Sequence | None = None
) -> CoxFit:
    """Fit a Cox regression by Newton's method on the partial likelihood.

    Parameters
    ----------
    stays : see ``build_risk_sets``
    matrix : DataFrame of numbers, one row per stay
        A column that varies in no risk set, say one that a stratum fixes, gets coefficient 0 and no
        variance.
    strata : stratum of each stay, optional: each has a baseline hazard of its own

    Raises
    ------
    StudyError
        If nobody left, or a value is missing.

    References
    ----------
    Cox, D. R. (1972), doi:10.1111/j.2517-6161.1972.tb00899.x; late entry as in Andersen and Gill
    (1982), doi:10.1214/aos/1176345976.
    """
    if not stays.ended.any() or matrix.isna().any(axis=None):
        arrived = "missing values" if stays.ended.any() else "no end"
        raise StudyError(
            f"expected stays of which some ended, and a value in every column, got {arrived};"
            " choose other rows or columns"
        )
    codes = np.zeros(len(stays), int) if strata is None else pd.factorize(np.asarray(strata))[0]
    centred, sets = (
        matrix.to_numpy(float) - matrix.to_numpy(float).mean(axis=0),
        build_risk_sets(stays, codes),
    )
    scale = _find_scale(centred)
    beta, variance, value, null = _climb(centred / scale, sets)
    return CoxFit(
        tuple(map(str, matrix.columns)),
        beta / scale,
        variance / np.outer(scale, scale),
        value,
        null,
        centred,
        stays,
        codes,
    )


def _find_scale(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _climb(columns: np.ndarray, sets: RiskSets) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return coefficients, variance, log-likelihood and that of no coefficients, by Newton's steps,
    halved while they lead down.
    """
    beta = np.zeros(columns.shape[1])
    value, score, information = _derive(columns, sets, beta)
    null = value
    for _ in range(STEPS):
        step = _invert(information) @ score
        while (found := _derive(columns, sets, beta + step))[0] < value - 1e-10 * abs(value):
            step = step / 2
        beta, gained, (value, score, information) = beta + step, found[0] - value, found
        if gained < 1e-11 * abs(value):
            break
    return beta, _invert(information), value, null


def _scale(information: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.maximum(np.diag(information), 0))
    return np.where(spread > np.sqrt(NO_INFORMATION) * spread.max(initial=0), spread, np.inf)


def _invert(information: np.ndarray) -> np.ndarray:
    scale = _scale(information)
    return np.linalg.pinv(
        information / np.outer(scale, scale), rcond=NO_INFORMATION, hermitian=True
    ) / np.outer(scale, scale)


def _count_free(information: np.ndarray) -> int:
    scale = _scale(information)
    return int(
        np.linalg.matrix_rank(information / np.outer(scale, scale), NO_INFORMATION, hermitian=True)
    )


def _derive(
    matrix: np.ndarray, sets: RiskSets, beta: np.ndarray, clock: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return log-likelihood, score and information; with a ``clock`` (a number per cell) those of
    ratios that change with it, too.

    Then the score has the columns themselves first and the columns times the clock next, and so has
    the information.
    """
    lean = matrix @ beta
    weight, n = np.exp(lean), np.bincount(sets.cell, minlength=len(sets.days))
    tied = np.repeat(np.arange(len(n)), n)
    part = (np.arange(len(tied)) - np.repeat(np.cumsum(n) - n, n)) / n[tied]
    below = sets.sum_at_risk(weight)[tied] - part * sets.sum_events(weight)[tied]
    columns = range(matrix.shape[1])
    mean = [
        (
            sets.sum_at_risk(weight * matrix[:, j])[tied]
            - part * sets.sum_events(weight * matrix[:, j])[tied]
        )
        / below
        for j in columns
    ]
    rest = np.array(
        [sets.sum_events(matrix[:, j]) - np.bincount(tied, mean[j], len(n)) for j in columns]
    ).reshape(len(mean), len(n))
    powers = np.ones((1, len(n))) if clock is None else np.array([np.ones(len(n)), clock, clock**2])
    blocks = np.zeros((len(powers), len(mean), len(mean)))
    whole, less = np.bincount(tied, 1 / below, len(n)), np.bincount(tied, part / below, len(n))
    for j in columns:
        for k in range(j + 1):
            both = weight * matrix[:, j] * matrix[:, k]
            spread = (
                whole * sets.sum_at_risk(both)
                - less * sets.sum_events(both)
                - np.bincount(tied, mean[j] * mean[k], len(n))
            )
            blocks[:, j, k] = blocks[:, k, j] = powers @ spread
    likelihood = float(lean[sets.ends].sum() - np.log(below).sum())
    if clock is None:
        return likelihood, rest.sum(axis=1), blocks[0]
    return (
        likelihood,
        np.concatenate([rest.sum(axis=1), rest @ clock]),
        np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]]),
    )


def tabulate_hazard_ratios(fit: CoxFit) -> pd.DataFrame:
    """Return hazard ratios with 95 % intervals (Wald); empty for a column that the data say nothing
    about, or that they separate.

    Returns
    -------
    DataFrame with columns column, hazard_ratio, low, high, p_value, separated
        A ratio of 2 says: of those still there, twice as many leave per day. ``separated``: all who
        have it, or none of them, left first, so that the likelihood grows without end and no ratio
        can be told.
    """
    error = np.sqrt(np.where(np.diag(fit.variance) > 0, np.diag(fit.variance), np.nan))
    separated = (error > ENDLESS) & (np.abs(fit.coefficients) > 1)
    error = np.where(separated, np.nan, error)
    value = np.where(np.isnan(error), np.nan, fit.coefficients)
    bounds = {"hazard_ratio": value, "low": value - Z * error, "high": value + Z * error}
    with np.errstate(over="ignore"):
        ratios = {name: np.exp(number) for name, number in bounds.items()}
    return pd.DataFrame(
        {
            "column": fit.names,
            **ratios,
            "p_value": 2 * norm.sf(np.abs(value / error)),
            "separated": separated,
        }
    )


def check_proportionality(fit: CoxFit, terms: Sequence[str] | None = None) -> pd.DataFrame:
    """Test whether hazard ratios stay the same over time: the score test of ratios that change with
    it, one per term and one for all.

    Time runs as the share that has left by then, overall (Kaplan-Meier, just before the day). It is
    the test of the scaled Schoenfeld residuals, with the exact variance instead of an average one;
    R's ``cox.zph`` of ``survival`` 3 does the same.

    Parameters
    ----------
    terms : to which term each column belongs; each to its own unless given

    Returns
    -------
    DataFrame with columns term, chi2, df, p_value
        The last row, ``all``, tests all terms together.

    References
    ----------
    Grambsch, P. M. and Therneau, T. M. (1994), doi:10.1093/biomet/81.3.515.
    """
    sets, size = build_risk_sets(fit.stays, fit.strata), len(fit.names)
    scale = _find_scale(fit.matrix)
    _, score, information = _derive(
        fit.matrix / scale, sets, fit.coefficients * scale, _share_left(fit.stays)(sets.days)
    )
    score[:size] = 0  # at the maximum
    terms = np.array(fit.names if terms is None else terms)
    groups = [(name, np.flatnonzero(terms == name)) for name in dict.fromkeys(terms)] + [
        ("all", np.arange(size))
    ]
    return pd.DataFrame(
        [(name, *_score_test(score, information, size, places)) for name, places in groups],
        columns=["term", "chi2", "df", "p_value"],
    )


def _score_test(
    score: np.ndarray, information: np.ndarray, size: int, places: np.ndarray
) -> tuple[float, int, float]:
    keep = np.concatenate([np.arange(size), size + places])
    inner = information[np.ix_(keep, keep)]
    value = float(score[keep] @ _invert(inner) @ score[keep])
    free = _count_free(inner) - _count_free(information[:size, :size])
    return (value, free, float(chi2.sf(value, free))) if free else (np.nan, 0, np.nan)


def _share_left(stays: pd.DataFrame):
    """Return the function that says which share had left just before a day, all strata together."""
    sets, ones = build_risk_sets(stays, np.zeros(len(stays), int)), np.ones(len(stays))
    survival = np.cumprod(1 - sets.sum_events(ones) / sets.sum_at_risk(ones))
    return lambda days: 1 - np.r_[1.0, survival][np.searchsorted(sets.days, days, side="left")]


def log_rank_test(
    stays: pd.DataFrame, segments: Sequence, rows: Sequence | None = None
) -> tuple[float, int, float]:
    """Return chi2, degrees of freedom and p-value of the log-rank test, for stays that may enter
    late.

    Parameters
    ----------
    stays : see ``build_risk_sets``
    segments : the segment of each stay
    rows : how many stays each row stands for, 1 unless given

    References
    ----------
    Mantel, N. (1966), Cancer Chemotherapy Reports 50, 163-170; Klein and Moeschberger (2003),
    Survival Analysis, 2nd ed., section 7.3.
    """
    codes, names = pd.factorize(np.asarray(segments))
    counts, sets = (
        np.ones(len(stays)) if rows is None else np.asarray(rows, float),
        build_risk_sets(stays, np.zeros(len(stays), int)),
    )
    at_risk = np.array([sets.sum_at_risk(counts * (codes == k)) for k in range(len(names))])
    ended = np.array([sets.sum_events(counts * (codes == k)) for k in range(len(names))])
    total, left = at_risk.sum(axis=0), ended.sum(axis=0)
    share, spread = at_risk / total, left * (total - left) / np.maximum(total - 1, 1)
    surplus = (ended - left * share).sum(axis=1)
    variance = np.diag(share @ spread) - (share * spread) @ share.T
    value, free = float(surplus @ _invert(variance) @ surplus), len(names) - 1
    return value, free, float(chi2.sf(value, free)) if free else np.nan
