"""Odds ratios and marginal effects of a plain logistic regression, with their intervals.

Maximum likelihood without a penalty (statsmodels), since intervals after one have no simple
meaning; so on few columns that are not collinear. It explains, and isn't one of the models
compared. An association is no effect: a feature can be associated with churn without causing it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import norm

from research.errors import StudyError
from research.evaluation.groups import is_measured
from research.evaluation.intervals import SIGNIFICANCE_LEVEL
from research.risk.odds_design import (
    EMPTY,
    NUMBER,
    choose_columns,
    compute_inflation,
    correlate,
    drop_separating,
    make_design,
    to_texts,
)
from research.store.keep import keep

MAX_FEATURES = 15  # that are explained
# churners, or stayers, that each feature explained needs (Peduzzi et al. 1996,
# doi:10.1016/S0895-4356(96)00236-3)
CHURNERS_EACH = 10
MORE = "one standard deviation more"
FILLED = "filled"  # what an empty number is compared with
EMPTIED = f"{EMPTY} against {FILLED}"
COLUMNS = [
    "feature",
    "description",
    "change",
    "odds_ratio",
    "low",
    "high",
    "p_adjusted",
    "effect_points",
    "effect_low",
    "effect_high",
    "inflation",
    "spread",
    "n",
    "n_choosing",
    "left_out",
]


@keep
def explain_logistic(
    train: pd.DataFrame, features: Sequence[str], descriptions: dict[str, str], seed: int = 0
) -> pd.DataFrame:
    """Return what one logistic regression of churn on the most predictive features estimates.

    Numbers are in standard deviations from their mean, within 5 of them, and empty ones at the
    median with a column that marks them; a category is compared with the commonest one. Where there
    are more features than can be explained (15, or one for every ten churners), one half of the
    customers chooses them, each by what it adds to those before (score test), and only the other
    half estimates: so the choice does not narrow the intervals. Else nothing is chosen by its
    outcome, and of collinear features the first in the list stays. Rows that judge the models are
    not among ``train``.

    Parameters
    ----------
    train : DataFrame with columns customer_id, churned, those of ``features``, and left_in_lead in
        dated studies, whose rows are left out
        One row per customer and snapshot; a customer's rows are one cluster of the standard errors.
    descriptions : what each feature is, in words
    seed : draws the half that chooses

    Returns
    -------
    DataFrame with columns feature, description, change, odds_ratio, low, high, p_adjusted,
    effect_points, effect_low, effect_high, inflation, spread, n, n_choosing, left_out
        One row per column estimated, by rising p-value, then one per feature left out with the
        reason in ``left_out``. ``effect_points`` is the mean change of the risk in percentage
        points when the column alone changes so (average marginal effect, as a difference; delta
        method). Intervals hold for all columns together at 95 %, and p-values are adjusted for
        their number (Bonferroni). ``inflation`` is the generalised variance inflation per column
        (Fox & Monette 1992, doi:10.1080/01621459.1992.10475190), ``spread`` the column's standard
        deviation; ``n`` and ``n_choosing`` count rows.

    Raises
    ------
    StudyError
        If fewer than ten customers churn or stay, or no feature can be explained.
    """
    rows = train[~train.left_in_lead.astype(bool)] if "left_in_lead" in train else train
    churned = rows.churned.to_numpy(bool)
    design = make_design(rows, features)
    varying = [*dict.fromkeys(design.columns.get_level_values(0))]
    _require_enough(churned, varying)
    choosing = (
        _draw_half(rows.customer_id, seed)
        if len(varying) > _count_affordable(churned)
        else np.zeros(len(rows), bool)
    )
    chooses = (design[choosing], churned[choosing]) if choosing.any() else (design, None)
    columns, left_out = choose_columns(
        *chooses, max(_count_affordable(churned[~choosing]), 1), descriptions
    )
    kept, separated = drop_separating(
        design.loc[~choosing, columns], churned[~choosing], descriptions
    )
    estimates = _estimate(
        kept,
        churned[~choosing],
        rows.customer_id[~choosing],
        {name: _find_reference_level(rows[name]) for name in features},
    )
    constant = {name: "hardly varies" for name in features if name not in {*estimates.feature}}
    left_out = constant | left_out | separated
    reasons = pd.DataFrame({"feature": [*left_out], "left_out": [*left_out.values()]})
    table = pd.concat([estimates, reasons], ignore_index=True)
    table["description"] = [descriptions.get(name, name) for name in table.feature]
    return table.assign(n=(~choosing).sum(), n_choosing=choosing.sum()).reindex(columns=COLUMNS)


def _count_affordable(churned: np.ndarray) -> int:
    return min(MAX_FEATURES, int(min(churned.sum(), (~churned).sum())) // CHURNERS_EACH)


def _require_enough(churned: np.ndarray, varying: list[str]) -> None:
    if _count_affordable(churned) == 0 or not varying:
        raise StudyError(
            f"expected {CHURNERS_EACH} churners, as many others, and a feature that varies, got"
            f" {churned.sum()} churners in {len(churned)} rows and {len(varying)} such features;"
            " choose a longer horizon or a larger study"
        )


def _draw_half(customers: pd.Series, seed: int) -> np.ndarray:
    codes, uniques = pd.factorize(customers, sort=True)
    return np.random.default_rng(seed).permutation(len(uniques))[codes] < len(uniques) // 2


def _find_reference_level(values: pd.Series) -> str:
    """Return what columns of a feature are compared with: the commonest category, or ``FILLED``."""
    return FILLED if is_measured(values) else str(to_texts(values).value_counts().index[0])


def _estimate(
    design: pd.DataFrame, churned: np.ndarray, customers: pd.Series, references: dict[str, str]
) -> pd.DataFrame:
    if not design.shape[1]:
        return pd.DataFrame(columns=["feature", "left_out"])
    matrix = np.column_stack([np.ones(len(design)), design.to_numpy()])
    fit = sm.Logit(churned.astype(float), matrix).fit(
        disp=0, maxiter=100, cov_type="cluster", cov_kwds={"groups": pd.factorize(customers)[0]}
    )
    beta, error = np.asarray(fit.params)[1:], np.asarray(fit.bse)[1:]
    reach = norm.isf(SIGNIFICANCE_LEVEL / (2 * len(beta)))
    effects = np.array(
        [
            marginal_effect(fit.params, fit.cov_params(), *_change(design.columns, matrix, at))
            for at in range(len(beta))
        ]
    )
    names = [*design.columns.get_level_values(0)]
    places = {name: [at for at, other in enumerate(names) if other == name] for name in names}
    inflation = compute_inflation(correlate(design), places)
    table = pd.DataFrame(
        {
            "feature": names,
            "change": [
                MORE if level == NUMBER else f"{level} against {references[name]}"
                for name, level in design.columns
            ],
            "odds_ratio": np.exp(beta),
            "low": np.exp(beta - reach * error),
            "high": np.exp(beta + reach * error),
            "p_adjusted": np.minimum(len(beta) * 2 * norm.sf(np.abs(beta / error)), 1),
            "effect_points": 100 * effects[:, 0],
            "effect_low": 100 * (effects[:, 0] - reach * effects[:, 1]),
            "effect_high": 100 * (effects[:, 0] + reach * effects[:, 1]),
            "spread": design.std(ddof=0).to_numpy(),
        }
    )
    return table.assign(inflation=table.feature.map(inflation), left_out="").sort_values(
        "p_adjusted", kind="stable", ignore_index=True
    )


def _change(columns: pd.MultiIndex, matrix: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows after a change of one column, and before it.

    One standard deviation more of a number, or this category against the commonest.
    """
    name, level = columns[at]
    after, before = matrix.copy(), matrix.copy()
    if level == NUMBER:
        after[:, at + 1] += 1
        return after, before
    siblings = [
        1 + place for place, (other, kind) in enumerate(columns) if other == name and kind != NUMBER
    ]
    after[:, siblings], before[:, siblings] = 0, 0
    after[:, at + 1] = 1
    return after, before


def marginal_effect(
    beta: np.ndarray, covariance: np.ndarray, after: np.ndarray, before: np.ndarray
) -> tuple[float, float]:
    """Return the mean difference of the risks of two versions of the rows, and its standard error.

    Delta method.
    """
    risks = expit(after @ beta), expit(before @ beta)
    slope = (
        (risks[0] * (1 - risks[0]))[:, None] * after - (risks[1] * (1 - risks[1]))[:, None] * before
    ).mean(axis=0)
    return float((risks[0] - risks[1]).mean()), float(
        np.sqrt(slope @ np.asarray(covariance) @ slope)
    )
