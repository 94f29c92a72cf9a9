"""Offers within a budget: knapsacks solved by hand and by trying all choices."""

from itertools import product

import numpy as np
import pytest

from research.errors import StudyError
from research.uplift.policy.knapsack import allocate, fill, pick


def test_without_bounds_everybody_gets_the_offer_that_leaves_most_and_none_where_all_lose():
    gain, cost = (
        np.array([[5.0, 9.0], [5.0, 6.0], [0.5, -3.0]]),
        np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 4.0]]),
    )
    assert allocate(gain, cost).tolist() == [2, 1, 0]  # left: 4 and 5; 4 and 2; -0.5 and -7


def test_a_budget_of_0_contacts_nobody_unless_offers_are_free():
    gain = np.array([[5.0], [2.0]])
    assert allocate(gain, np.ones((2, 1)), budget=0).tolist() == [0, 0]
    assert allocate(gain, np.zeros((2, 1)), budget=0).tolist() == [1, 1]


def test_a_tight_budget_takes_the_cheap_offer_where_it_brings_more_for_the_money():
    gain, cost = np.array([[6.0, 9.0], [6.0, 9.0]]), np.array([[1.0, 4.0], [1.0, 4.0]])
    assert allocate(gain, cost, budget=2).tolist() == [
        1,
        1,
    ]  # 10 left for both, against 5 for one dear offer, which 2 don't buy


def test_customers_who_tie_share_what_the_budget_leaves():
    assert (allocate(np.full((10, 1), 3.0), np.ones((10, 1)), budget=4) > 0).sum() == 4


def test_the_capacity_keeps_those_with_most_left():
    assert allocate(np.array([[3.0], [9.0], [5.0]]), np.ones((3, 1)), capacity=2).tolist() == [
        0,
        1,
        1,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_the_budget_holds_and_no_choice_is_better_by_more_than_one_customer(seed):
    rng = np.random.default_rng(seed)
    gain, cost = rng.normal(2, 3, (7, 2)), rng.uniform(0.5, 3, (7, 2))
    chosen, budget = allocate(gain, cost, budget=5.0), 5.0
    assert pick(cost, chosen).sum() <= budget
    every = (np.array(choice) for choice in product(range(3), repeat=7))
    best = max(
        pick(gain - cost, choice).sum() for choice in every if pick(cost, choice).sum() <= budget
    )
    assert best - pick(gain - cost, chosen).sum() <= (gain - cost).max() + 1e-9


def test_a_list_is_filled_from_the_top_until_money_or_places_run_out():
    cost, offer = np.array([[2.0], [2.0], [2.0], [2.0]]), np.ones(4, int)
    assert fill(np.array([1.0, 4.0, 3.0, 2.0]), offer, cost, budget=4.5).tolist() == [0, 1, 1, 0]
    assert fill(np.array([1.0, 4.0, 3.0, 2.0]), offer, cost, capacity=3).tolist() == [0, 1, 1, 1]


def test_who_has_no_score_is_never_listed():
    assert fill(np.array([np.nan, -np.inf, 0.0]), np.ones(3, int), np.ones((3, 1))).tolist() == [
        0,
        0,
        1,
    ]


def test_costs_budgets_and_capacities_below_0_are_refused_each_in_a_sentence():
    with pytest.raises(StudyError) as refused:
        allocate(np.ones((2, 1)), np.array([[1.0], [-1.0]]), budget=-1, capacity=-2)
    assert [fault.split(",")[0] for fault in refused.value.faults] == [
        "expected costs of 0 or more",
        "expected a budget of 0 or more",
        "expected a capacity of 0 or more",
    ]
