"""What to do where hazards aren't proportional: strata, or ratios of their own for early and late
days.

A column whose ratio changes with time is told for each period apart. As a stratum it leaves the
model and gets baseline hazards of its own, which cleans the ratios of the others. Both are shown
beside what they gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from research.survival.cox import CoxFit, check_proportionality, fit_cox, tabulate_hazard_ratios

LEAST_ROWS = 50  # of a level with a column of its own, and of a stratum
LEVELS = 8  # of a text; the others share one
OTHER = "other"
PERIODS = 3  # as many ends in each
LEVEL = 0.05
DEPENDENT = 1e-6  # of a column's length: what is left of one that others make up


@dataclass(frozen=True)
class CoxDesign:
    """Columns as a Cox regression takes them: numbers in standard deviations, levels against the
    commonest; ``terms`` says whose each is.
    """

    matrix: pd.DataFrame
    terms: tuple[str, ...]
    groups: pd.DataFrame  # each column in groups, as strata take it


def build_cox_design(frame: pd.DataFrame) -> CoxDesign:
    """Bring attributes to the numbers of a Cox regression; what doesn't vary, or others make up,
    stays out.

    Parameters
    ----------
    frame : DataFrame of numbers and texts
        A missing number becomes the median and gets a column that says so, a missing text the level
        "not known". A text keeps its 8 most frequent levels of at least 50 rows, the others are put
        together.
    """
    parts, groups = {}, {}
    for name in frame:
        column = frame[name]
        made = (
            _scale_number(column) if pd.api.types.is_numeric_dtype(column) else _mark_levels(column)
        )
        made = made.loc[:, made.std() > 0]
        if made.shape[1]:
            parts[name], groups[name] = (
                made.rename(columns=lambda part, name=name: f"{name}{part}"),
                _group(column),
            )
    matrix = pd.concat(parts.values(), axis=1) if parts else pd.DataFrame(index=frame.index)
    terms, new = (
        np.array([name for name, part in parts.items() for _ in part], object),
        _find_new(matrix.to_numpy(float)),
    )
    return CoxDesign(matrix.loc[:, new], tuple(terms[new]), pd.DataFrame(groups, index=frame.index))


def _find_new(columns: np.ndarray) -> np.ndarray:
    """Say which columns aren't a sum of those before them, such as "no internet service" told a
    second time.
    """
    if not columns.shape[1]:
        return np.zeros(0, bool)
    centred = columns - columns.mean(axis=0)
    rest = np.abs(np.diag(np.linalg.qr(centred, mode="r")))
    return rest > DEPENDENT * np.linalg.norm(centred, axis=0)[: len(rest)]


def _scale_number(column: pd.Series) -> pd.DataFrame:
    number, missing = column.astype(float), column.isna()
    filled = number.fillna(number.median()).fillna(0.0)
    return pd.DataFrame(
        {
            ", per standard deviation": (filled - filled.mean()) / (filled.std() or 1),
            ": not known": missing.astype(float),
        }
    )


def _mark_levels(column: pd.Series) -> pd.DataFrame:
    levels = _group(column)
    others = levels.value_counts().index[1:]
    return pd.DataFrame(
        {f": {level}": (levels == level).astype(float) for level in sorted(others)},
        index=column.index,
    )


def _group(column: pd.Series) -> pd.Series:
    """Return levels of a text, quarters of a number."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > LEVELS:
        return (
            pd.qcut(column, 4, labels=False, duplicates="drop")
            .astype(object)
            .where(column.notna(), "not known")
            .astype(str)
        )
    texts = column.astype(object).where(column.notna(), "not known").astype(str)
    counts = texts.value_counts()
    return texts.where(texts.isin(counts.index[:LEVELS][counts[:LEVELS] >= LEAST_ROWS]), OTHER)


def find_least_proportional(tests: pd.DataFrame) -> str | None:
    """Return the term whose ratio changes most surely with time, none where no p-value stays below
    5 % after Holm's correction (1979).
    """
    single = tests[(tests.term != "all") & tests.p_value.notna()]
    if single.empty or single.p_value.min() * len(single) >= LEVEL:
        return None
    return str(single.term[single.p_value.idxmin()])


def fit_by_period(stays: pd.DataFrame, design: CoxDesign, term: str) -> tuple[CoxFit, list[str]]:
    """Fit a Cox regression in which one term has ratios of its own in each of three periods, which
    hold equally many ends.

    Each stay is cut at the borders: it ends in one period and enters the next late, so that at any
    day everyone is at risk once.

    Returns
    -------
    fit, and the names of the term's columns in it

    References
    ----------
    Step functions of time as in Therneau, T. M. and Grambsch, P. M. (2000), Modeling Survival Data,
    Springer, section 6.5.
    """
    ends = stays.duration[stays.ended.astype(bool)]
    borders = np.unique(np.floor(ends.quantile(np.arange(1, PERIODS) / PERIODS)))
    borders = borders[(borders > 0) & (borders < ends.max())]
    edges, own = (
        np.r_[0.0, borders, np.inf],
        [name for name, whose in zip(design.matrix, design.terms, strict=True) if whose == term],
    )
    pieces, columns = [], []
    for start, stop in zip(edges, edges[1:], strict=False):
        inside = ((stays.duration > start) | (start == 0)) & (stays.entry < stop)
        part = stays[inside]
        pieces.append(
            part.assign(
                entry=part.entry.clip(lower=start),
                duration=part.duration.clip(upper=stop),
                ended=part.ended & (part.duration <= stop),
            )
        )
        words = f"after day {start:.0f}" if stop == np.inf else f"day {start:.0f} to {stop:.0f}"
        columns.append(
            design.matrix[inside].rename(columns={name: f"{name}, {words}" for name in own})
        )
    fit = fit_cox(
        pd.concat(pieces, ignore_index=True), pd.concat(columns, ignore_index=True).fillna(0.0)
    )
    return fit, [name for part in columns for name in part if name not in design.matrix]


def compare_alternatives(
    stays: pd.DataFrame, design: CoxDesign, term: str, plain: CoxFit
) -> pd.DataFrame:
    """Say what the two remedies for a term gain.

    Returns
    -------
    DataFrame with columns remedy, gain, df, p_value, still_changing
        ``gain`` is that of the periods: twice the log-likelihood gained over the plain model, with
        its degrees of freedom and p-value (likelihood ratio). The likelihood of strata can't be
        compared with it. ``still_changing``: p-value of the test that the ratios of all other terms
        stay the same over time, under each remedy and before.
    """
    others = [
        name for name, whose in zip(design.matrix, design.terms, strict=True) if whose != term
    ]
    rest = tuple(whose for whose in design.terms if whose != term)
    fit, own = fit_by_period(stays, design, term)
    gain, free = (
        2 * (fit.log_likelihood - plain.log_likelihood),
        len(own) - (len(design.terms) - len(rest)),
    )
    rows = [
        ("none", np.nan, 0, np.nan, _check_rest(plain, design.terms, term)),
        ("periods", gain, free, float(chi2.sf(gain, max(free, 1))), np.nan),
    ]
    if rest:
        stratified = fit_cox(stays, design.matrix[others], design.groups[term])
        rows.append(
            ("strata", np.nan, 0, np.nan, check_proportionality(stratified, rest).p_value.iloc[-1])
        )
    return pd.DataFrame(rows, columns=["remedy", "gain", "df", "p_value", "still_changing"])


def _check_rest(fit: CoxFit, terms: Sequence[str], term: str) -> float:
    """Return the p-value of the joint test of all terms but one."""
    joint = check_proportionality(fit, ["rest" if whose != term else whose for whose in terms])
    found = joint[joint.term == "rest"].p_value
    return float(found.iloc[0]) if len(found) else np.nan


def tabulate_period_ratios(stays: pd.DataFrame, design: CoxDesign, term: str) -> pd.DataFrame:
    """Return the hazard ratios of a term in each period, with 95 % intervals; columns as in
    ``proportional.tabulate_hazard_ratios``.
    """
    fit, own = fit_by_period(stays, design, term)
    table = tabulate_hazard_ratios(fit)
    return table[table.column.isin(own)].reset_index(drop=True)
