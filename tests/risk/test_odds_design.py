"""The columns of an explaining regression: collinear ones and separating ones are found."""

import numpy as np
import pandas as pd
import pytest

from research.risk.odds_design import (
    EMPTY,
    NUMBER,
    OTHER,
    choose_columns,
    compute_inflation,
    correlate,
    find_separation,
    make_design,
)


def customers(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"age": rng.normal(50, 10, n), "plan": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])}
    )


def test_a_category_needs_twenty_rows_for_a_column_of_its_own_and_the_commonest_has_none():
    plan = ["a"] * 60 + ["b"] * 20 + ["c"] * 19 + ["d"] * 1
    design = make_design(pd.DataFrame({"plan": plan}), ["plan"])
    assert [*design.columns] == [("plan", "b"), ("plan", OTHER)]
    assert design.sum().tolist() == [20, 20]


def test_a_number_is_in_standard_deviations_and_empty_values_are_marked():
    values = np.r_[np.full(40, np.nan), np.tile([-1.0, 1.0], 80)]
    design = make_design(pd.DataFrame({"x": values}), ["x"])
    assert [*design.columns] == [("x", NUMBER), ("x", EMPTY)]
    # 160 of 200 rows are 1 away from the mean: a standard deviation of the root of 0.8
    assert design["x", NUMBER].abs().max() == pytest.approx(1 / np.sqrt(0.8))
    assert design["x", EMPTY].sum() == 40


def test_inflation_of_two_columns_by_hand():
    correlations = np.array([[1, 0.8], [0.8, 1]])
    assert compute_inflation(correlations, {"x": [0], "y": [1]}) == pytest.approx(
        {"x": 1 / (1 - 0.64), "y": 1 / (1 - 0.64)}
    )


def test_a_category_with_three_columns_is_inflated_as_a_whole():
    rows = customers()
    design = make_design(rows.assign(dup=rows.plan), ["plan", "dup", "age"])
    chosen, left_out = choose_columns(design, None, 5, {})
    assert {name for name, _ in chosen} == {"plan", "age"}
    assert list(left_out) == ["dup"]


@pytest.mark.parametrize("seed", range(3))
def test_separation_is_found_in_a_combination_of_columns_and_not_where_classes_overlap(seed):
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(400, 3))
    matrix = np.column_stack([np.ones(400), columns])
    apart = columns @ [1, -1, 0] > 0.1
    direction = find_separation(matrix, apart)
    assert direction.any()
    assert ((matrix @ direction)[apart] >= -1e-6).all()
    assert ((matrix @ direction)[~apart] <= 1e-6).all()
    assert not find_separation(matrix, apart ^ (rng.random(400) < 0.05)).any()


@pytest.mark.parametrize("at", range(5))
def test_one_flagged_churner_among_many_rows_separates_them_wherever_the_row_stands(at):
    rng = np.random.default_rng(0)
    flag = np.arange(5000) == at
    matrix = np.column_stack([np.ones(5000), rng.normal(size=5000), flag])
    churned = flag | (rng.random(5000) < 0.3)
    assert find_separation(matrix, churned)[2] > 0
    both = matrix.copy()
    both[[100, 101], 2] = 1  # a churner and one who stays carry the flag too
    churned[[100, 101]] = True, False
    assert not find_separation(both, churned).any()


@pytest.mark.filterwarnings("error")
def test_empty_and_constant_columns_are_left_out_without_a_warning():
    empty = pd.DataFrame({"empty": np.full(60, np.nan), "fee": np.arange(60.0)})
    assert [*make_design(empty, ["empty", "fee"]).columns] == [("fee", NUMBER)]
    constant = pd.DataFrame({"a": np.arange(5.0), "b": np.ones(5)})
    np.testing.assert_allclose(correlate(constant), [[1, 0], [0, 0]])
