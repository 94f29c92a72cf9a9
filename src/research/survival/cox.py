"""Cox regression with late entry and strata, tests of proportional hazards, and the log-rank test.

Durations are whole days, so many customers leave on the same day; ties are handled by Efron (1977,
doi:10.1080/01621459.1977.10480613). The cost of a fit grows with the rows and with the square of
the columns, not with the days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from research.errors import StudyError
from research.evaluation.holm import adjust_holm
from research.evaluation.intervals import Z

MAX_NEWTON_STEPS = 40
UNBOUNDED_ERROR = 10.0  # standard error of a log ratio from which on the data give no bound
# share of the information below which the likelihood counts as flat in a direction
FLAT_INFORMATION = 1e-9
Derivatives = tuple[float, np.ndarray, np.ndarray]  # log-likelihood, score, information


@dataclass(frozen=True)
class RiskSets:
    """Tenures on the grid of days with events, one cell per stratum and such a day.

    Attributes
    ----------
    first, last : first and last cell in which each tenure is at risk
    events : places of the tenures that ended
    cell : cell of each event
    days : day of each cell
    """

    first: np.ndarray
    last: np.ndarray
    events: np.ndarray
    cell: np.ndarray
    days: np.ndarray

    def sum_at_risk(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` over the tenures at risk in each cell."""
        n = len(self.days)
        entered, left = (np.bincount(cell, values, n + 1) for cell in (self.first, self.last + 1))
        return np.cumsum(entered - left)[:n]

    def sum_events(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` over the tenures that ended in each cell."""
        return np.bincount(self.cell, values[self.events], len(self.days))


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox regression and the rows that it was fitted on.

    Attributes
    ----------
    names : columns of ``matrix``
    coefficients, variance : log hazard ratios and their covariance
    log_likelihood, null_log_likelihood : at the coefficients, and without any
    matrix : centred columns (rows, columns)
    tenures, strata : see ``build_risk_sets``
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    variance: np.ndarray
    log_likelihood: float
    null_log_likelihood: float
    matrix: np.ndarray
    tenures: pd.DataFrame
    strata: np.ndarray


def build_risk_sets(tenures: pd.DataFrame, strata: np.ndarray | None = None) -> RiskSets:
    """Return who is at risk on each day with an event.

    Parameters
    ----------
    tenures : DataFrame with columns entry, duration, ended
        One row per tenure, in days. A late entrant is at risk from the day after ``entry``; entry 0
        means observed from the start, day 0 included.
    strata : number of each tenure's stratum, from 0; one stratum unless given
    """
    strata = np.zeros(len(tenures), int) if strata is None else strata
    entry, duration, ended = (tenures[name].to_numpy() for name in ("entry", "duration", "ended"))
    offset = strata * (duration.max() + 2.0)
    end = offset + duration
    cells, cell = np.unique(end[ended.astype(bool)], return_inverse=True)
    first = np.searchsorted(cells, offset + np.where(entry > 0, entry, -1), side="right")
    last = np.maximum(np.searchsorted(cells, end, side="right") - 1, first - 1)
    return RiskSets(first, last, np.flatnonzero(ended), cell, np.mod(cells, duration.max() + 2.0))


def fit_cox(tenures: pd.DataFrame, matrix: pd.DataFrame, strata: Sequence | None = None) -> CoxFit:
    """Fit a Cox regression by Newton's method on the partial likelihood.

    Parameters
    ----------
    tenures : see ``build_risk_sets``
    matrix : DataFrame of numbers, one row per tenure
        A column that varies in no risk set, such as one that the strata determine, gets
        coefficient 0 and no variance.
    strata : stratum of each tenure, optional: each has a baseline hazard of its own

    Raises
    ------
    StudyError
        If nobody left, or a value is missing.

    References
    ----------
    Cox, D. R. (1972), doi:10.1111/j.2517-6161.1972.tb00899.x; late entry as in Andersen and Gill
    (1982), doi:10.1214/aos/1176345976.
    """
    if not tenures.ended.any() or matrix.isna().any(axis=None):
        fault = "missing values" if tenures.ended.any() else "no end"
        raise StudyError(
            "expected tenures of which some ended, and a value in every column, got"
            f" {fault}; choose other rows or columns"
        )
    codes = np.zeros(len(tenures), int) if strata is None else pd.factorize(np.asarray(strata))[0]
    centred = matrix.to_numpy(float) - matrix.to_numpy(float).mean(axis=0)
    scale = _find_scale(centred)
    beta, variance, value, null = _maximise(centred / scale, build_risk_sets(tenures, codes))
    return CoxFit(
        tuple(map(str, matrix.columns)),
        beta / scale,
        variance / np.outer(scale, scale),
        value,
        null,
        centred,
        tenures,
        codes,
    )


def _find_scale(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _maximise(columns: np.ndarray, sets: RiskSets) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return coefficients, variance, log-likelihood and null log-likelihood.

    By Newton's steps, each halved until the likelihood doesn't fall.
    """
    beta = np.zeros(columns.shape[1])
    value, score, information = _derive(columns, sets, beta)
    null = value
    for _ in range(MAX_NEWTON_STEPS):
        step = _invert(information) @ score
        while (new := _derive(columns, sets, beta + step))[0] < value - 1e-10 * abs(value):
            step = step / 2
        beta, gained, (value, score, information) = beta + step, new[0] - value, new
        if gained < 1e-11 * abs(value):
            break
    return beta, _invert(information), value, null


def _find_root(information: np.ndarray) -> np.ndarray:
    """Return the root of the diagonal, infinite for columns without information."""
    root = np.sqrt(np.maximum(np.diag(information), 0))
    return np.where(root > np.sqrt(FLAT_INFORMATION) * root.max(initial=0), root, np.inf)


def _invert(information: np.ndarray) -> np.ndarray:
    root = _find_root(information)
    return np.linalg.pinv(
        information / np.outer(root, root), rcond=FLAT_INFORMATION, hermitian=True
    ) / np.outer(root, root)


def _find_rank(information: np.ndarray) -> int:
    root = _find_root(information)
    return int(
        np.linalg.matrix_rank(information / np.outer(root, root), FLAT_INFORMATION, hermitian=True)
    )


def _derive(
    matrix: np.ndarray, sets: RiskSets, beta: np.ndarray, clock: np.ndarray | None = None
) -> Derivatives:
    """Return log-likelihood, score and information.

    Parameters
    ----------
    clock : time of each cell, optional
        Given, score and information are those of the columns followed by the columns times the
        clock: of ratios that change with time.
    """
    log_ratio = matrix @ beta
    weight, n = np.exp(log_ratio), np.bincount(sets.cell, minlength=len(sets.days))
    tied = np.repeat(np.arange(len(n)), n)
    part = (np.arange(len(tied)) - np.repeat(np.cumsum(n) - n, n)) / n[tied]

    def sum_efron(values: np.ndarray) -> np.ndarray:
        """Return the sum over the risk set of each event, less Efron's part of those tied."""
        return sets.sum_at_risk(values)[tied] - part * sets.sum_events(values)[tied]

    below = sum_efron(weight)
    columns = range(matrix.shape[1])
    mean = [sum_efron(weight * matrix[:, j]) / below for j in columns]
    residual = np.array(
        [sets.sum_events(matrix[:, j]) - np.bincount(tied, mean[j], len(n)) for j in columns]
    ).reshape(len(mean), len(n))
    powers = np.ones((1, len(n))) if clock is None else np.array([np.ones(len(n)), clock, clock**2])
    blocks = _sum_information(matrix, sets, weight, tied, part, below, mean, powers)
    likelihood = float(log_ratio[sets.events].sum() - np.log(below).sum())
    if clock is None:
        return likelihood, residual.sum(axis=1), blocks[0]
    return (
        likelihood,
        np.concatenate([residual.sum(axis=1), residual @ clock]),
        np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]]),
    )


def _sum_information(
    matrix: np.ndarray,
    sets: RiskSets,
    weight: np.ndarray,
    tied: np.ndarray,
    part: np.ndarray,
    below: np.ndarray,
    mean: list[np.ndarray],
    powers: np.ndarray,
) -> np.ndarray:
    """Return the information for each power of the clock: (powers, columns, columns)."""
    cells, blocks = len(sets.days), np.zeros((len(powers), len(mean), len(mean)))
    all_at_risk = np.bincount(tied, 1 / below, cells)
    less_tied = np.bincount(tied, part / below, cells)
    for j in range(len(mean)):
        for k in range(j + 1):
            product = weight * matrix[:, j] * matrix[:, k]
            covariance = (
                all_at_risk * sets.sum_at_risk(product)
                - less_tied * sets.sum_events(product)
                - np.bincount(tied, mean[j] * mean[k], cells)
            )
            blocks[:, j, k] = blocks[:, k, j] = powers @ covariance
    return blocks


def tabulate_hazard_ratios(fit: CoxFit) -> pd.DataFrame:
    """Return hazard ratios with 95 % intervals (Wald).

    Returns
    -------
    DataFrame with columns column, hazard_ratio, low, high, p_value, separated
        At a ratio of 2, customers still there leave at twice the rate. Empty for a column that the
        data carry no information on, or that they separate. ``separated``: all customers with the
        value, or none of them, left first, so that the likelihood grows without bound.
    """
    error = np.sqrt(np.where(np.diag(fit.variance) > 0, np.diag(fit.variance), np.nan))
    separated = (error > UNBOUNDED_ERROR) & (np.abs(fit.coefficients) > 1)
    error = np.where(separated, np.nan, error)
    value = np.where(np.isnan(error), np.nan, fit.coefficients)
    logs = {"hazard_ratio": value, "low": value - Z * error, "high": value + Z * error}
    with np.errstate(over="ignore"):
        ratios = {name: np.exp(numbers) for name, numbers in logs.items()}
    p_value = 2 * norm.sf(np.abs(value / error))
    return pd.DataFrame({"column": fit.names, **ratios, "p_value": p_value, "separated": separated})


def check_proportionality(fit: CoxFit, terms: Sequence[str] | None = None) -> pd.DataFrame:
    """Test whether hazard ratios are constant over time, one test per term and one for all.

    The score test of ratios that change with time, where time is the share that has left by then,
    overall (Kaplan-Meier, just before the day). It is the test of the scaled Schoenfeld residuals,
    with the exact variance in place of an average one, as in ``cox.zph`` of R's ``survival`` 3.

    Parameters
    ----------
    terms : the term of each column; each its own unless given

    Returns
    -------
    DataFrame with columns term, chi2, df, p_value, p_adjusted
        The last row, ``all``, tests all terms together; ``p_adjusted`` of the others is corrected
        for their number (Holm).

    References
    ----------
    Grambsch, P. M. and Therneau, T. M. (1994), doi:10.1093/biomet/81.3.515.
    """
    sets, size = build_risk_sets(fit.tenures, fit.strata), len(fit.names)
    scale, clock = _find_scale(fit.matrix), _make_clock(fit.tenures)
    _, score, information = _derive(
        fit.matrix / scale, sets, fit.coefficients * scale, clock(sets.days)
    )
    score[:size] = 0  # at the maximum
    terms = np.array(fit.names if terms is None else terms)
    groups = [(name, np.flatnonzero(terms == name)) for name in dict.fromkeys(terms)]
    groups.append(("all", np.arange(size)))
    tests = pd.DataFrame(
        [(name, *_score_test(score, information, size, places)) for name, places in groups],
        columns=["term", "chi2", "df", "p_value"],
    )
    return tests.assign(p_adjusted=[*adjust_holm(tests.p_value[:-1]), tests.p_value.iloc[-1]])


def _score_test(
    score: np.ndarray, information: np.ndarray, size: int, places: np.ndarray
) -> tuple[float, int, float]:
    keep = np.concatenate([np.arange(size), size + places])
    inner = information[np.ix_(keep, keep)]
    value = float(score[keep] @ _invert(inner) @ score[keep])
    df = _find_rank(inner) - _find_rank(information[:size, :size])
    return (value, df, float(chi2.sf(value, df))) if df else (np.nan, 0, np.nan)


def _make_clock(tenures: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from a day to the share that left before it, all strata together."""
    sets, ones = build_risk_sets(tenures), np.ones(len(tenures))
    survival = np.cumprod(1 - sets.sum_events(ones) / sets.sum_at_risk(ones))
    return lambda days: 1 - np.r_[1.0, survival][np.searchsorted(sets.days, days, side="left")]


def log_rank_test(
    tenures: pd.DataFrame, segments: Sequence, rows: Sequence | None = None
) -> tuple[float, int, float]:
    """Return chi2, degrees of freedom and p-value of the log-rank test, with late entry.

    Parameters
    ----------
    tenures : see ``build_risk_sets``
    segments : the segment of each tenure
    rows : number of customers behind each row, 1 unless given

    References
    ----------
    Mantel, N. (1966), Cancer Chemotherapy Reports 50, 163-170; Klein and Moeschberger (2003),
    Survival Analysis, 2nd ed., section 7.3.
    """
    codes, names = pd.factorize(np.asarray(segments))
    counts = np.ones(len(tenures)) if rows is None else np.asarray(rows, float)
    sets = build_risk_sets(tenures)
    at_risk = np.array([sets.sum_at_risk(counts * (codes == k)) for k in range(len(names))])
    events = np.array([sets.sum_events(counts * (codes == k)) for k in range(len(names))])
    total, left = at_risk.sum(axis=0), events.sum(axis=0)
    share, spread = at_risk / total, left * (total - left) / np.maximum(total - 1, 1)
    excess = (events - left * share).sum(axis=1)
    variance = np.diag(share @ spread) - (share * spread) @ share.T
    value, df = float(excess @ _invert(variance) @ excess), len(names) - 1
    return value, df, float(chi2.sf(value, df)) if df else np.nan
