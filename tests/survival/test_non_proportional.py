"""Alternatives where hazards aren't proportional, on companies whose ratios are known."""

import numpy as np
import pandas as pd
import pytest

from research.survival.cox import check_proportionality, fit_cox
from research.survival.non_proportional import (
    build_cox_design,
    compare_alternatives,
    find_least_proportional,
    fit_by_period,
    tabulate_period_ratios,
)


def company(turning: bool, n: int = 3000, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Premium customers leave a third as fast; if it turns, three times as fast after day 100.

    Fees matter by 1.5 per standard deviation.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"plan": rng.choice(["basic", "premium"], n), "fee": rng.normal(20, 5, n)})
    log_ratio = (
        np.where(frame.plan == "premium", np.log(1 / 3), 0) + np.log(1.5) * (frame.fee - 20) / 5
    )
    life = rng.exponential(150 * np.exp(-log_ratio))
    late = 100 + rng.exponential(
        150 * np.exp(-log_ratio - np.where(frame.plan == "premium", np.log(9), 0))
    )
    life = np.ceil(np.where((life > 100) & turning, late, life))
    return (
        pd.DataFrame({"entry": 0.0, "duration": np.minimum(life, 400), "ended": life <= 400}),
        frame,
    )


def test_columns_become_standard_deviations_and_levels_against_the_most_frequent():
    frame = pd.DataFrame(
        {
            "age": [20.0, 40, None, 60] * 100,
            "tier": ["a", "a", "b", None, "a"] * 80,
            "same": 1.0,
            "rare": ["x"] * 390 + ["y"] * 10,
        }
    )
    design = build_cox_design(frame)
    assert list(design.matrix) == [
        "age, per standard deviation",
        "age: not known",
        "tier: b",
        "tier: not known",
        "rare: other",
    ]
    assert design.matrix["age, per standard deviation"].std() == pytest.approx(1)
    assert "same" not in design.terms


def test_a_linear_combination_of_other_columns_is_left_out():
    frame = pd.DataFrame(
        {"phone": ["no", "yes", "yes"] * 100, "lines": ["no phone", "one", "two"] * 100}
    )
    design = build_cox_design(frame)
    assert len(design.terms) == 2
    assert np.linalg.matrix_rank(design.matrix - design.matrix.mean()) == 2


def test_a_ratio_that_turns_is_found_and_estimated_by_period():
    tenures, frame = company(turning=True)
    design = build_cox_design(frame)
    plain = fit_cox(tenures, design.matrix)
    worst = find_least_proportional(check_proportionality(plain, design.terms))
    assert worst == "plan"
    fit, own = fit_by_period(tenures, design, worst)
    assert len(own) == 3
    table = tabulate_period_ratios(tenures, design, worst)
    levels = table.hazard_ratio if "premium" in table.column[0] else 1 / table.hazard_ratio
    assert levels.iloc[0] == pytest.approx(1 / 3, rel=0.25)
    assert levels.iloc[2] == pytest.approx(3, rel=0.25)
    alternatives = compare_alternatives(tenures, design, worst, plain).set_index("remedy")
    assert alternatives.gain["periods"] == pytest.approx(
        2 * (fit.log_likelihood - plain.log_likelihood)
    )
    assert alternatives.p_value["periods"] < 1e-6
    assert alternatives.df["periods"] == 2
    assert alternatives.still_changing["strata"] > 0.01


def test_no_term_is_named_where_ratios_are_constant():
    tenures, frame = company(turning=False)
    design = build_cox_design(frame)
    assert (
        find_least_proportional(
            check_proportionality(fit_cox(tenures, design.matrix), design.terms)
        )
        is None
    )


def test_periods_gain_nothing_beyond_chance_where_ratios_are_constant():
    tenures, frame = company(turning=False, seed=4)
    design = build_cox_design(frame)
    table = compare_alternatives(
        tenures, design, "plan", fit_cox(tenures, design.matrix)
    ).set_index("remedy")
    assert table.p_value["periods"] > 0.01
    assert table.gain["periods"] >= 0


def test_a_term_is_named_only_beyond_holms_correction():
    tests = pd.DataFrame(
        {
            "term": ["a", "b", "c", "all"],
            "p_value": [0.02, 0.5, 0.6, 0.001],
            "p_adjusted": [0.06, 1.0, 1.0, 0.001],
        }
    )
    assert find_least_proportional(tests) is None
    tests = tests.assign(p_value=[0.016, 0.5, 0.6, 0.2], p_adjusted=[0.048, 1.0, 1.0, 0.2])
    assert find_least_proportional(tests) == "a"
