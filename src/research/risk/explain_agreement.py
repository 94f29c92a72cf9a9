"""Drivers of all families side by side, and where the families disagree."""

import numpy as np
import pandas as pd

from research.reporting.format import join_words
from research.risk.odds_ratios import MORE

MOST = 10  # leading drivers that are compared
PERMUTATION, SHAP, ODDS = "log-loss when shuffled", "mean |SHAP|, log-odds", "odds ratio"
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
    permutations : see ``drivers.measure_permutation``, by family (logistic, trees, survival)
    shap : see ``drivers.explain_trees``
    odds : see ``inference.explain_logistic``
    groups : see ``drivers.group_features``
    descriptions : what each feature is, in words

    Returns
    -------
    DataFrame with columns feature, description, together_with, family, measure, value, low, high,
    rank, direction
        One row per group, family and measure; a group that moves a family's answers too little to
        be shuffled has none there. ``together_with`` names the features that are judged with it.
        Rank 1 leads: by value, and for odds ratios by how far the column moves the log-odds, |log
        odds ratio| × its spread; a group has its strongest column. ``direction`` is 1 where more of
        the feature goes with more churn, -1 where with less, and 0 where neither is shown.
    """
    tables = [
        table.assign(family=family, measure=PERMUTATION) for family, table in permutations.items()
    ]
    tables += [shap.assign(family="trees", measure=SHAP)] if shap is not None else []
    tables += (
        [_take_strongest(odds, groups).assign(family="logistic", measure=ODDS)]
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
    return table.sort_values(["measure", "family", "rank"], kind="stable", ignore_index=True)[
        COLUMNS
    ]


def _take_strongest(odds: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    rows = odds[odds.left_out == ""]
    strength = np.log(rows.odds_ratio.astype(float)).abs() * rows.spread
    numbers = rows.change == MORE
    sign = np.where(rows.low > 1, 1, np.where(rows.high < 1, -1, 0)) * numbers
    rows = rows.assign(
        strength=strength,
        value=rows.odds_ratio,
        direction=sign.astype(int),
        feature=rows.feature.map(groups),
    )
    return rows.sort_values("strength", ascending=False).drop_duplicates("feature")[
        ["feature", "value", "low", "high", "direction", "strength"]
    ]


def say_disagreement(table: pd.DataFrame, most: int = MOST) -> str:
    """Say which drivers all families share, which lead in one only, and where their directions are
    opposed.

    A driver leads a family where shuffling it raises the log-loss beyond its interval and few raise
    it more.
    """
    rows = table[(table.measure == PERMUTATION) & (table.low > 0) & (table["rank"] <= most)]
    families = [*table.family[table.measure == PERMUTATION].unique()]
    leading = {family: [*rows.description[rows.family == family]] for family in families}
    idle = [family for family, names in leading.items() if not names]
    if len(idle) == len(families):
        return (
            "**No drivers found**: shuffling any group of features raises the log-loss of no model"
            " beyond its interval."
        )
    words = [f"In {join_words(idle)} no feature is shown to matter."] if idle else []
    leading = {family: names for family, names in leading.items() if names}
    shared = [
        name
        for name in next(iter(leading.values()))
        if all(name in names for names in leading.values())
    ]
    if len(leading) > 1:
        words.append(
            f"Of up to {most} leading drivers {join_words([*leading])} share {len(shared)}:"
            f" {'; '.join(shared)}."
            if shared
            else f"{join_words([*leading])} share no leading driver."
        )
        alone = {
            family: [
                name for name in names if sum(name in others for others in leading.values()) == 1
            ]
            for family, names in leading.items()
        }
        words += [
            f"Only {family} is shown to lean on {'; '.join(names)}."
            for family, names in alone.items()
            if names
        ]
    opposed = _find_opposed(table, {*rows.feature})
    words.append(
        f"**Opposed directions**: {'; '.join(opposed)}."
        if opposed
        else "Where they show a direction, it is the same."
    )
    return " ".join(word[0].upper() + word[1:] for word in words)


def _find_opposed(table: pd.DataFrame, features: set[str]) -> list[str]:
    rows = table[table.feature.isin(features) & (table.direction != 0)]
    found = []
    for description, part in rows.groupby("description", sort=False):
        up, down = (
            [
                *dict.fromkeys(
                    f"{row.family} by {row.measure}"
                    for row in part.itertuples()
                    if row.direction == sign
                )
            ]
            for sign in (1, -1)
        )
        found += (
            [
                f"{description} (rising with churn in {join_words(up)}, falling in"
                f" {join_words(down)})"
            ]
            if up and down
            else []
        )
    return found
