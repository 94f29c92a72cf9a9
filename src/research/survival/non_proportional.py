"""Alternative models where hazards aren't proportional: ratios by period, and strata.

A term whose hazard ratio changes with time gets a ratio of its own in each period. As a stratum it
leaves the model and gets baseline hazards of its own, which adjusts the ratios of the other terms.
Both are shown with what they gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from research.evaluation.intervals import SIGNIFICANCE_LEVEL
from research.panel.segments import UNKNOWN
from research.survival.cox import (
    CoxFit,
    check_proportionality,
    fit_cox,
    tabulate_hazard_ratios,
)

MIN_ROWS = 50  # of a level with a column of its own, and of a stratum
MAX_LEVELS = 8  # of a text; the others share one
QUARTERS = 4
OTHER = "other"
PERIODS = 3  # with equally many events
COLLINEAR = 1e-6  # of a column's length that others leave unexplained
NONE, BY_PERIOD, STRATIFIED = "none", "periods", "strata"  # the models that are compared
ALTERNATIVES = ["remedy", "gain", "df", "p_value", "still_changing"]


@dataclass(frozen=True)
class CoxDesign:
    """Attributes as columns of a Cox regression.

    Attributes
    ----------
    matrix : numbers in standard deviations, levels of texts against the most frequent one
    terms : the attribute that each column belongs to
    groups : each attribute in groups, as strata take it
    """

    matrix: pd.DataFrame
    terms: tuple[str, ...]
    groups: pd.DataFrame

    def find_columns(self, term: str) -> list[str]:
        """Return the columns of one attribute."""
        return [name for name, owner in zip(self.matrix, self.terms, strict=True) if owner == term]


def build_cox_design(frame: pd.DataFrame) -> CoxDesign:
    """Return attributes as the columns of a Cox regression.

    Columns that don't vary, or that are a linear combination of others, are left out.

    Parameters
    ----------
    frame : DataFrame of numbers and texts
        A missing number becomes the median and gets an indicator column, a missing text the level
        "not known". A text keeps its 8 most frequent levels of at least 50 rows, the others are
        pooled.
    """
    parts, groups = {}, {}
    for name in frame:
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column)
        coded = _scale_number(column) if numeric else _code_levels(column)
        coded = coded.loc[:, coded.std() > 0]
        if coded.shape[1]:
            parts[name] = coded.rename(columns=lambda part, name=name: f"{name}{part}")
            groups[name] = _group(column)
    matrix = pd.concat(parts.values(), axis=1) if parts else pd.DataFrame(index=frame.index)
    terms = np.array([name for name, part in parts.items() for _ in part], object)
    independent = _find_independent(matrix.to_numpy(float))
    return CoxDesign(
        matrix.loc[:, independent],
        tuple(terms[independent]),
        pd.DataFrame(groups, index=frame.index),
    )


def _find_independent(columns: np.ndarray) -> np.ndarray:
    """Say which columns aren't a linear combination of those before them: (columns,)."""
    if not columns.shape[1]:
        return np.zeros(0, bool)
    centred = columns - columns.mean(axis=0)
    rest = np.abs(np.diag(np.linalg.qr(centred, mode="r")))
    return rest > COLLINEAR * np.linalg.norm(centred, axis=0)[: len(rest)]


def _scale_number(column: pd.Series) -> pd.DataFrame:
    number, missing = column.astype(float), column.isna()
    filled = number.fillna(number.dropna().median()).fillna(0.0)
    return pd.DataFrame(
        {
            ", per standard deviation": (filled - filled.mean()) / (filled.std() or 1),
            f": {UNKNOWN}": missing.astype(float),
        }
    )


def _code_levels(column: pd.Series) -> pd.DataFrame:
    levels = _group(column)
    others = levels.value_counts().index[1:]
    return pd.DataFrame(
        {f": {level}": (levels == level).astype(float) for level in sorted(others)},
        index=column.index,
    )


def _group(column: pd.Series) -> pd.Series:
    """Return levels of a text, quarters of a number."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_LEVELS:
        quarters = pd.qcut(column, QUARTERS, labels=False, duplicates="drop").astype(object)
        return quarters.where(column.notna(), UNKNOWN).astype(str)
    texts = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    counts = texts.value_counts()
    return texts.where(
        texts.isin(counts.index[:MAX_LEVELS][counts[:MAX_LEVELS] >= MIN_ROWS]), OTHER
    )


def find_least_proportional(tests: pd.DataFrame) -> str | None:
    """Return the term with the clearest change of its ratio over time.

    None where no p-value stays below 5 % after Holm's correction (1979).

    Parameters
    ----------
    tests : see ``cox.check_proportionality``
    """
    single = tests[(tests.term != "all") & tests.p_value.notna()]
    if single.empty or single.p_adjusted.min() >= SIGNIFICANCE_LEVEL:
        return None
    return str(single.term[single.p_value.idxmin()])


def fit_by_period(tenures: pd.DataFrame, design: CoxDesign, term: str) -> tuple[CoxFit, list[str]]:
    """Fit a Cox regression in which one term has a ratio in each of three periods.

    The periods have equally many events. Each tenure is split at their borders: it ends in one
    period and enters the next late, so that on any day everyone is at risk once.

    Returns
    -------
    fit, and the names of the term's columns in it

    References
    ----------
    Step functions of time as in Therneau, T. M. and Grambsch, P. M. (2000), Modeling Survival Data,
    Springer, section 6.5.
    """
    events = tenures.duration[tenures.ended.astype(bool)]
    borders = np.unique(np.floor(events.quantile(np.arange(1, PERIODS) / PERIODS)))
    borders = borders[(borders > 0) & (borders < events.max())]
    edges, own = np.r_[0.0, borders, np.inf], design.find_columns(term)
    pieces, columns = [], []
    for start, stop in zip(edges, edges[1:], strict=False):
        inside = ((tenures.duration > start) | (start == 0)) & (tenures.entry < stop)
        pieces.append(_cut_to_period(tenures[inside], start, stop))
        period = f"after day {start:.0f}" if stop == np.inf else f"day {start:.0f} to {stop:.0f}"
        named = {name: f"{name}, {period}" for name in own}
        columns.append(design.matrix[inside].rename(columns=named))
    fit = fit_cox(
        pd.concat(pieces, ignore_index=True), pd.concat(columns, ignore_index=True).fillna(0.0)
    )
    return fit, [name for part in columns for name in part if name not in design.matrix]


def _cut_to_period(tenures: pd.DataFrame, start: float, stop: float) -> pd.DataFrame:
    return tenures.assign(
        entry=tenures.entry.clip(lower=start),
        duration=tenures.duration.clip(upper=stop),
        ended=tenures.ended & (tenures.duration <= stop),
    )


def compare_alternatives(
    tenures: pd.DataFrame, design: CoxDesign, term: str, plain: CoxFit
) -> pd.DataFrame:
    """Return what the two alternatives to one constant ratio of a term gain.

    Returns
    -------
    DataFrame with columns remedy, gain, df, p_value, still_changing
        ``remedy``: none, periods or strata. ``gain`` is that of the periods: twice the gain in
        log-likelihood over the plain model, with its degrees of freedom and p-value (likelihood
        ratio); the likelihood with strata can't be compared with it. ``still_changing``: p-value of
        the test that the ratios of all other terms are constant over time, under each.
    """
    own_columns = design.find_columns(term)
    others = [name for name in design.matrix if name not in own_columns]
    rest = tuple(owner for owner in design.terms if owner != term)
    fit, own = fit_by_period(tenures, design, term)
    gain = 2 * (fit.log_likelihood - plain.log_likelihood)
    df = len(own) - len(own_columns)
    rows = [
        (NONE, np.nan, 0, np.nan, _check_others(plain, design.terms, term)),
        (BY_PERIOD, gain, df, float(chi2.sf(gain, max(df, 1))), np.nan),
    ]
    if rest:
        stratified = fit_cox(tenures, design.matrix[others], design.groups[term])
        joint = check_proportionality(stratified, rest).p_value.iloc[-1]
        rows.append((STRATIFIED, np.nan, 0, np.nan, joint))
    return pd.DataFrame(rows, columns=ALTERNATIVES)


def _check_others(fit: CoxFit, terms: Sequence[str], term: str) -> float:
    """Return the p-value of the joint test of all terms but one."""
    named = ["rest" if owner != term else owner for owner in terms]
    tests = check_proportionality(fit, named)
    joint = tests[tests.term == "rest"].p_value
    return float(joint.iloc[0]) if len(joint) else np.nan


def tabulate_period_ratios(tenures: pd.DataFrame, design: CoxDesign, term: str) -> pd.DataFrame:
    """Return the hazard ratios of a term in each period, with 95 % intervals.

    Returns
    -------
    DataFrame with the columns of ``cox.tabulate_hazard_ratios``
    """
    fit, own = fit_by_period(tenures, design, term)
    table = tabulate_hazard_ratios(fit)
    return table[table.column.isin(own)].reset_index(drop=True)
