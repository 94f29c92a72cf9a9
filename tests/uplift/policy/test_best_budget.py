"""The best budget: chosen on some customers, judged on others, without the bias of the choice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases import slow
from trial_maker import make_alike_case, make_case

from research.uplift.policy.best_budget import choose_on_others, judge_best_budget
from research.uplift.policy.case import Case
from research.uplift.policy.policies import NET_GAIN, evaluate_budgets, trace_profit


def judge(case: Case, resamples: int, seed: int) -> pd.Series:
    """Return the best budget of a case's curve of profit."""
    steps = evaluate_budgets(case)
    return judge_best_budget(case, steps, trace_profit(case, steps, resamples, seed), seed).iloc[0]


def test_where_effects_are_known_the_best_budget_is_the_smallest_that_earns_most():
    case = make_case(np.r_[np.full((20, 1), 3.0), np.full((20, 1), 0.5)], np.ones((40, 1)))
    row = judge(case, 200, 0)
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
        row = judge(case, 100, seed)
        errors.append((row.highest - row.true_profit, row.profit - row.true_profit))
        inside.append(row.band_low <= row.true_profit <= row.band_high)
    highest, judged = np.mean(errors, axis=0)
    noise = np.std(errors, axis=0) / np.sqrt(trials)
    assert highest > least * noise[0]  # picked and judged on the same customers
    assert judged == pytest.approx(0, abs=3 * noise[1])
    assert np.mean(inside) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / trials)


def test_the_band_at_the_best_budget_is_the_one_that_the_curve_has_there():
    case = make_alike_case(0, 0.2, n=200, arms=1)
    case = replace(case, clusters=np.arange(200) // 2)  # households: the band is theirs
    steps = evaluate_budgets(case)
    curve = trace_profit(case, steps, 100, 0)
    row = judge_best_budget(case, steps, curve, 0).iloc[0]
    point = curve[(curve.policy == NET_GAIN) & (curve.budget == row.budget)].iloc[0]
    assert [row.highest, row.band_low, row.band_high] == [
        point.profit,
        point.band_low,
        point.band_high,
    ]
