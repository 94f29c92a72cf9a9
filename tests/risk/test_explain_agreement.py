"""Drivers of all families in one table, and where the families disagree."""

import numpy as np
import pandas as pd

from research.risk.explain_agreement import ODDS, PERMUTATION, compare_drivers
from research.risk.odds_ratios import MORE
from research.risk.report import describe_drivers


def permuted(values: dict[str, tuple[float, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(name, value, low, value + 0.01, sign) for name, (value, low, sign) in values.items()],
        columns=["feature", "value", "low", "high", "direction"],
    )


def compared(logistic: dict, trees: dict) -> pd.DataFrame:
    groups = pd.Series({"age": "age", "visits": "visits", "visits_90d": "visits", "plan": "plan"})
    odds = pd.DataFrame(
        {
            "feature": ["age", "visits_90d", "plan", "fixed"],
            "change": [MORE, MORE, "b against a", None],
            "odds_ratio": [2.0, 0.25, 8.0, np.nan],
            "low": [1.5, 0.2, 0.9, np.nan],
            "high": [3.0, 0.3, 60.0, np.nan],
            "spread": [1.0, 1.0, 0.1, np.nan],
            "left_out": ["", "", "", "hardly varies"],
        }
    )
    words = {
        "age": "age in years",
        "visits": "visits ever",
        "visits_90d": "visits lately",
        "plan": "the plan",
    }
    return compare_drivers(
        {"logistic": permuted(logistic), "trees": permuted(trees)}, None, odds, groups, words
    )


ALL = {"age": (0.3, 0.2, 1), "visits": (0.2, 0.1, -1), "plan": (0.1, 0.05, 0)}


def test_the_table_ranks_odds_ratios_by_how_far_they_move_and_puts_a_group_under_one_name():
    table = compared(ALL, ALL)
    odds = table[table.measure == ODDS].set_index("feature")
    # ln 4 x 1 = 1.39 (a member of the group of visits), ln 2 x 1 = 0.69, ln 8 x 0.1 = 0.21
    assert odds["rank"].to_dict() == {"visits": 1, "age": 2, "plan": 3}
    assert odds.direction.to_dict() == {"visits": -1, "age": 1, "plan": 0}
    assert odds.together_with["visits"] == "visits lately"
    assert table[table.measure == PERMUTATION].groupby("family")["rank"].apply(list).to_dict() == {
        "logistic": [1, 2, 3],
        "trees": [1, 2, 3],
    }


def test_families_that_agree_are_described_so():
    summary = describe_drivers(compared(ALL, ALL))
    assert "logistic and trees share 3: age in years; visits ever; the plan." in summary
    assert summary.endswith("Where the models have a direction, they agree on it.")


def test_a_driver_of_one_family_and_opposed_directions_are_named():
    summary = describe_drivers(
        compared(ALL | {"plan": (0.1, -0.05, 0)}, ALL | {"age": (0.3, 0.2, -1)})
    )
    assert "Only trees relies significantly on the plan." in summary
    assert "**The models disagree on the direction of**: age in years" in summary


def test_no_significant_driver_is_a_verdict():
    nothing = {"age": (0.0, -0.1, 1)}
    assert describe_drivers(compared(nothing, nothing)).startswith("**No significant drivers**")
