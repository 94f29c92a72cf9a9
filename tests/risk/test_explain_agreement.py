"""Drivers of all families in one table, and where the families disagree."""

import numpy as np
import pandas as pd

from research.risk.explain_agreement import ODDS, PERMUTATION, SHAP, compare_drivers
from research.risk.odds_ratios import MORE, explain_logistic
from research.risk.report import describe_drivers, drivers_table


def permuted(values: dict[str, tuple[float, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(name, value, low, value + 0.01, sign) for name, (value, low, sign) in values.items()],
        columns=["feature", "value", "low", "high", "direction"],
    ).assign(share_of_gain=lambda table: table.value / 0.5)


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


def test_the_table_ranks_odds_ratios_by_how_far_they_move():
    table = compared(ALL, ALL)
    odds = table[table.measure == ODDS].set_index("feature")
    # ln 2 x 1 = 0.69, ln 8 x 0.1 = 0.21
    assert odds["rank"].to_dict() == {"age": 1, "plan": 2}
    assert odds.direction.to_dict() == {"age": 1, "plan": 0}
    assert odds.change.to_dict() == {"age": MORE, "plan": "b against a"}
    assert table.set_index("feature").together_with["visits"].tolist() == ["visits lately"] * 2
    assert table[table.measure == PERMUTATION].groupby("family")["rank"].apply(list).to_dict() == {
        "logistic": [1, 2, 3],
        "trees": [1, 2, 3],
    }


def test_a_feature_has_its_own_odds_ratio_or_none():
    # visits_90d, a member of the group named visits, was estimated, visits itself was not
    table = compared(ALL, ALL)
    assert table[(table.measure == ODDS) & (table.feature == "visits")].empty
    shown = drivers_table(table).set_index("feature")["odds ratio"]
    assert shown["visits ever (together with visits lately)"] == ""
    assert shown["age in years"] == "2.00 (1.50 to 3.00) ↑"


def test_every_odds_ratio_among_the_drivers_is_that_of_the_feature_in_the_fitted_model():
    rng = np.random.default_rng(5)
    n = 3_000
    months, gap, visits = rng.normal(size=(3, n))
    renewal = 0.9 * months + np.sqrt(1 - 0.81) * rng.normal(size=n)
    risk = 1 / (1 + np.exp(1.5 - 0.6 * months + 2 * renewal - 0.2 * gap))
    frame = pd.DataFrame({"months": months, "renewal": renewal, "gap": gap, "visits": visits})
    frame["churned"] = rng.random(n) < risk
    empty = rng.random(n) < np.where(frame.churned, 0.5, 0.1)  # emptiness moves most
    frame["gap"] = frame.gap.where(~empty)
    frame["customer_id"] = np.arange(n)
    features = ["months", "renewal", "gap", "visits"]
    odds = explain_logistic(frame, features, {})
    groups = pd.Series({"months": "months", "renewal": "months", "gap": "gap", "visits": "visits"})
    table = compare_drivers({}, None, odds, groups, {}).set_index("feature")
    own = odds[odds.change == MORE].set_index("feature")
    assert {*table.index} == {"months", "gap", "visits"}
    np.testing.assert_array_equal(table.value, own.odds_ratio[table.index])
    assert table.direction["months"] == 1  # more months alone: more churn, renewal held equal


def test_the_odds_ratio_of_one_of_a_group_contradicts_no_direction_of_the_group():
    shap = permuted({"age": (0.3, 0.2, 1)})
    odds = pd.DataFrame(
        {"feature": ["age"], "change": [MORE], "odds_ratio": [0.5], "low": [0.4], "high": [0.6]}
    ).assign(spread=1.0, left_out="")
    grouped, alone = pd.Series({"age": "age", "visits": "age"}), pd.Series({"age": "age"})

    def describe(groups):
        families = {"trees": permuted({"age": (0.3, 0.2, 1)})}
        return describe_drivers(compare_drivers(families, shap, odds, groups, {}))

    assert describe(grouped).endswith("Where the models have a direction, they agree on it.")
    assert f"trees by {SHAP}; less churn: logistic by odds ratio" in describe(alone)


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
