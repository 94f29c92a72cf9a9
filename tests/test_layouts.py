"""Tables of ``30_risk`` as a reader takes them in."""

import numpy as np
import pandas as pd
import pytest

from research import layouts
from research.disagreement import ODDS, PERMUTATION, SHAP


def driver(feature: str, family: str, measure: str, value: float, rank: int, direction: int = 1) -> dict:
    names = {"feature": feature, "description": f"what {feature} is", "together_with": "b; c" if feature == "use" else "", "family": family}
    return names | {"measure": measure, "value": value, "low": value - 0.01, "high": value + 0.01, "rank": rank, "direction": direction}


@pytest.fixture
def drivers() -> pd.DataFrame:
    rows = [driver("use", "trees", PERMUTATION, 0.05, 1, -1), driver("fee", "trees", PERMUTATION, 0.02, 2), driver("age", "trees", PERMUTATION, 0.0, 3, 0)]
    rows += [driver("fee", "logistic", PERMUTATION, 0.04, 1), driver("use", "trees", SHAP, 0.6, 1, -1), driver("fee", "logistic", ODDS, 2.0, 1)]
    return pd.DataFrame(rows)


def test_what_leads_in_any_family_comes_first(drivers):
    assert layouts.rank_drivers(drivers, 2) == ["use", "fee"]  # both lead once; fee is second elsewhere


def test_each_driver_is_one_row_with_a_column_for_each_family_and_measure(drivers):
    table = layouts.lay_out_drivers(drivers, 2).set_index("feature")
    assert [*table.index] == ["what use is (with 2 like it)", "what fee is"]
    assert table["log-loss when shuffled, trees"].tolist() == ["0.050 (0.040 to 0.060) ↓", "0.020 (0.010 to 0.030) ↑"]
    assert table["log-loss when shuffled, logistic"].tolist() == ["", "0.040 (0.030 to 0.050) ↑"]
    assert table["SHAP, trees"].tolist() == ["0.60 (0.59 to 0.61) ↓", ""]


def test_money_is_whole_and_what_is_certain_has_no_interval():
    rows = {"policy": ["contact nobody", "list by a"], "contacted": [0, 5], "profit_per_cycle": [0.0, -12.6], "low": [0.0, -20.2], "high": [0.0, 1234.4]}
    rows |= dict.fromkeys(["gain_over_lot", "gain_low", "gain_high", "empc", "empc_low", "empc_high"], np.nan) | {"currency": "EUR", "against_lot": ""}
    table = layouts.lay_out_profit(pd.DataFrame(rows))
    assert table["profit a cycle, EUR"].tolist() == ["0", "−13 (−20 to 1,234)"]
    assert table["more than by lot"].tolist() == ["–", "–"]


def test_odds_leave_out_what_was_not_estimated():
    row = {"description": "fee", "change": "more", "odds_ratio": 2.0, "low": 1.5, "high": 2.7, "effect_points": 3.0, "effect_low": 1.0, "effect_high": 5.0}
    table = layouts.lay_out_odds(pd.DataFrame([row | {"inflation": 1.24, "left_out": ""}, row | {"inflation": np.nan, "left_out": "constant"}]))
    assert table["odds ratio"].tolist() == ["2.00 (1.50 to 2.70)"]
    assert table["variance inflation"].tolist() == [1.2]
