"""Drivers of all model families in one table: permutation importance, SHAP and odds ratios.

Permutation importance and SHAP are those of a group of correlated features, named by the member
most like the others. An odds ratio belongs to one column of a regression that holds the others
equal: a group has that of the member that names it, and of no other.
"""

import numpy as np
import pandas as pd

from research.risk.odds_ratios import EMPTIED, MORE

PERMUTATION, SHAP, ODDS = "permutation importance", "mean |SHAP|, log-odds", "odds ratio"
MEASURES = (PERMUTATION, SHAP, ODDS)  # in the order of the table
COLUMNS = [
    "feature",
    "description",
    "together_with",
    "family",
    "measure",
    "value",
    "low",
    "high",
    "rank",
    "direction",
    "change",
    "share_of_gain",
]


def compare_drivers(
    permutations: dict[str, pd.DataFrame],
    shap: pd.DataFrame | None,
    odds: pd.DataFrame | None,
    groups: pd.Series,
    descriptions: dict[str, str],
) -> pd.DataFrame:
    """Return the table of drivers: each group of features, by family and measure.

    Parameters
    ----------
    permutations : see ``explain.permutation_importance``, by family (logistic, trees, survival)
    shap : see ``explain.explain_trees``
    odds : see ``odds_ratios.explain_logistic``
    groups : see ``explain.group_features``
    descriptions : what each feature is, in words

    Returns
    -------
    DataFrame with columns feature, description, together_with, family, measure, value, low, high,
    rank, direction, change, share_of_gain
        One row per group, family and measure; a group that moves a family's predictions too little
        to be permuted has none there, nor one whose name isn't in the regression of the odds
        ratios. ``together_with`` names the other features of its group. Rank 1 leads: by value, and
        for odds ratios by how far the column moves the log-odds, |log odds ratio| × its spread.
        ``change`` says what an odds ratio is of: one standard deviation more of a number, or of a
        text the category that moves the log-odds most. ``direction`` is 1 where more of the feature
        goes with more churn, -1 where with less, and 0 where neither is significant.
        ``share_of_gain`` is that of a permutation importance, else empty.
    """
    tables = [
        table.assign(family=family, measure=PERMUTATION) for family, table in permutations.items()
    ]
    tables += [shap.assign(family="trees", measure=SHAP)] if shap is not None else []
    tables += (
        [_take_own(odds, groups).assign(family="logistic", measure=ODDS)]
        if odds is not None
        else []
    )
    table = pd.concat(tables, ignore_index=True)
    table["strength"] = table.strength.fillna(table.value) if "strength" in table else table.value
    table["rank"] = (
        table.groupby(["family", "measure"])
        .strength.rank(ascending=False, method="first")
        .astype(int)
    )
    members = {
        name: [
            descriptions.get(other, other)
            for other in groups.index[groups == name]
            if other != name
        ]
        for name in groups.unique()
    }
    table["description"] = [descriptions.get(name, name) for name in table.feature]
    table["together_with"] = ["; ".join(members[name]) for name in table.feature]
    table["change"] = table.change.fillna("") if odds is not None else ""
    table["order"] = table.measure.map(MEASURES.index)
    table = table.sort_values(["order", "family", "rank"], kind="stable", ignore_index=True)
    return table.reindex(columns=COLUMNS)


def _take_own(odds: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Return the odds ratio of each group's name: of the number, or of its strongest category.

    Neither another member's nor that of being empty (see ``odds_design.EMPTY``) stands for it.
    """
    estimated = (odds.left_out == "") & (odds.change != EMPTIED)
    rows = odds[estimated & odds.feature.isin(groups.unique())]
    numbers = rows.change == MORE
    sign = np.where(rows.low > 1, 1, np.where(rows.high < 1, -1, 0)) * numbers
    rows = rows.assign(
        strength=np.log(rows.odds_ratio.astype(float)).abs() * rows.spread,
        value=rows.odds_ratio,
        direction=sign.astype(int),
    )
    return rows.sort_values("strength", ascending=False).drop_duplicates("feature")[
        ["feature", "value", "low", "high", "direction", "strength", "change"]
    ]
