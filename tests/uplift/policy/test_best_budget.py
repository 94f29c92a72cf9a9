"""The best budget: chosen on some customers, judged on others, without the bias of the choice."""

import numpy as np
import pytest
from cases import slow
from trial_maker import make_alike_case, make_case

from research.uplift.policy.best_budget import choose_on_others, judge_best_budget
from research.uplift.policy.policies import NET_GAIN, evaluate_budgets


def test_where_effects_are_known_the_best_budget_is_the_smallest_that_earns_most():
    case = make_case(np.r_[np.full((20, 1), 3.0), np.full((20, 1), 0.5)], np.ones((40, 1)))
    row = judge_best_budget(case, evaluate_budgets(case, 0), 200, 0).iloc[0]
    assert (row.policy, row.budget, row.contacted) == (NET_GAIN, 20, 20)
    assert row.highest == row.profit == 40


def test_a_budget_is_chosen_on_the_other_parts():
    # customer 0 alone would raise the second budget above the first
    profits = np.column_stack([np.ones(10), np.r_[100.0, np.zeros(9)]])
    assert choose_on_others(profits, np.arange(10), 0).tolist() == [0, *[1] * 9]


@pytest.mark.parametrize(("trials", "least"), [(12, 2), slow(80, 5)])
def test_the_best_budget_is_not_too_good_where_nothing_has_an_effect(trials, least):
    errors, inside = [], []
    for seed in range(trials):
        case = make_alike_case(seed, 0.0, n=600, cost=1e-6, arms=2)
        row = judge_best_budget(case, evaluate_budgets(case, seed), 100, seed).iloc[0]
        errors.append((row.highest - row.true_profit, row.profit - row.true_profit))
        inside.append(row.band_low <= row.true_profit <= row.band_high)
    highest, judged = np.mean(errors, axis=0)
    noise = np.std(errors, axis=0) / np.sqrt(trials)
    assert highest > least * noise[0]  # picked and judged on the same customers
    assert judged == pytest.approx(0, abs=3 * noise[1])
    assert np.mean(inside) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / trials)
