"""The deciding sum: by hand, and against statsmodels' interval of a difference."""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from trial_maker import make_alike_case, make_case, make_trial

from research.uplift.policy import report
from research.uplift.policy.deciding_sum import tabulate_deciding_sum


def test_cost_effect_and_worth_are_put_together_by_hand():
    # effects of 0.2 and 0.4, each known without error: 3 over 0.2, and 0.2 times 40
    case = make_case(np.tile([0.2, 0.4], (50, 1)), np.tile([3.0, 5.0], (50, 1)), worth=40.0)
    first, second = (row for _, row in tabulate_deciding_sum(case).iterrows())
    assert (first.cost, first.effect_points, first.mean_worth) == pytest.approx((3, 20, 40))
    assert (first.cost_per_kept, first.break_even_cost) == pytest.approx((15, 8))
    assert (second.cost_per_kept, second.break_even_cost) == pytest.approx((12.5, 16))
    assert first.break_even_points == pytest.approx(7.5)  # 3 of 40


def test_its_effect_and_interval_are_those_of_a_regression_of_the_trial():
    case = make_alike_case(1, 0.2, 3000, arms=1)
    row = tabulate_deciding_sum(case).iloc[0]
    rows = make_trial(3000, 1, lambda x: 0.2 + 0 * x)[0].rows
    fit = smf.ols("kept ~ arm == 'call'", rows).fit(cov_type="HC3")
    effect, (low, high) = 100 * fit.params.iloc[1], 100 * fit.conf_int().iloc[1]
    assert row.effect_points == pytest.approx(effect, abs=0.05)
    assert (row.effect_low, row.effect_high) == pytest.approx((low, high), abs=0.1)
    # of a cost of 1 and a worth of 20
    assert (row.cost_per_kept_low, row.cost_per_kept_high) == pytest.approx(
        (100 / row.effect_high, 100 / row.effect_low)
    )
    assert row.break_even_high == pytest.approx(0.2 * row.effect_high)


def test_the_cost_of_a_customer_kept_cant_be_told_where_the_effect_may_be_0():
    row = tabulate_deciding_sum(make_alike_case(2, 0.0, arms=1))
    assert row.effect_low.item() < 0 < row.effect_high.item()
    assert row.cost_per_kept.isna().all() and row.break_even_cost.notna().all()
    text = report.describe_deciding_sum(row, "EUR", "stays")
    assert "call costs 1.00 EUR a customer; per one more its cost can't be told" in text
    cell = report.deciding_sum_table(row, "EUR", "stays").iloc[0]["cost per one more, EUR"]
    assert cell == "can't be told"


def test_the_sentence_holds_the_cost_of_one_kept_and_the_worth_beside_each_other():
    case = make_case(np.tile([0.2, 0.4], (50, 1)), np.tile([3.0, 5.0], (50, 1)), worth=40.0)
    text = report.describe_deciding_sum(tabulate_deciding_sum(case), "EUR", "stays")
    assert text == (
        "One more of “stays” is worth 40.00 EUR on average; a costs 3.00 EUR a customer and 15.00"
        " per one more, and would break even at 8.00 a customer; b costs 5.00 EUR a customer and"
        " 12.50 per one more, and would break even at 16.00 a customer (95 % intervals, each offer"
        " by itself)."
    )
