"""Sentences on policies: what is earned, against what, and that nothing is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trial_maker import make_case

from research.evaluation.bootstrap import BETTER, NO_DIFFERENCE
from research.uplift.policy import break_even, report
from research.uplift.policy.contact_list import CONTACT, INCONCLUSIVE, LEAVE_ALONE
from research.uplift.policy.policies import HIGHEST_RISK, NET_GAIN, NOBODY, RANDOM_SELECTION


def describe(low: float, high: float, verdict: str, contact: str = CONTACT) -> str:
    """Return the verdict on a profit with this interval, against two baselines."""
    row = {
        "policy": NET_GAIN,
        "budget": 100,
        "contacted": 9,
        "cost": 90.0,
        "profit": (low + high) / 2,
        "low": low,
        "high": high,
        "band_low": low,
        "band_high": high,
    }
    nothing = {"low": 0, "high": 0, "band_low": 0, "band_high": 0, "profit": 0}
    policies = pd.DataFrame([{"policy": NOBODY} | nothing, row])
    band = {"band_low": -1.0, "band_high": 19.0}
    best = {"budget": 100, "contacted": 9, "profit": 4.0, "highest": 9.0} | band
    best = pd.DataFrame([best])
    differences = pd.DataFrame(
        [(NET_GAIN, name, 1, verdict) for name in (RANDOM_SELECTION, HIGHEST_RISK)],
        columns=["policy", "reference", "value", "verdict"],
    )
    targets = pd.DataFrame({"decision": [contact, LEAVE_ALONE, LEAVE_ALONE]})
    return report.describe_policies(policies, differences, policies.tail(1), best, targets, "EUR")


def test_a_verdict_says_what_is_earned_and_against_what():
    words = describe(10, 90, BETTER)
    assert "earns 50.00 (10.00 to 90.00) EUR a cycle" in words
    assert "It earns more than random selection and selection by risk." in words
    assert "does not earn significantly more" not in words
    assert "**Leave 2 alone**" in words
    assert "Along its curve of profit it is shown to earn at 100 EUR (95 % band" in words
    assert (
        "9.00 (−1.00 to 19.00) EUR a cycle (95 % band there), too high by its sampling error"
        in words
    )
    assert "judged on others earns 4.00 EUR" in words


def test_only_budgets_whose_band_lies_above_0_are_called_shown_to_earn():
    curve = pd.DataFrame({"budget": range(0, 70, 10), "contacted": range(7)})
    curve = curve.assign(band_low=[0, 5, -1, 3, -1, 2, 4])
    best = pd.Series({"budget": 0, "contacted": 0})
    shown, _ = report._describe_budget(curve, best, "EUR")
    assert "shown to earn at 10, 30 and 50 to 60 EUR (95 % band over its 6 points" in shown


def test_a_verdict_can_say_that_nothing_is_earned():
    words = describe(-10, 90, NO_DIFFERENCE)
    assert "does not earn significantly more than contacting nobody" in words
    assert (
        "It does not earn significantly more than random selection and selection by risk." in words
    )
    assert "At no point of its curve of profit is it shown to earn" in words


def test_a_list_without_significant_profit_is_empty():
    words = describe(-10, 90, NO_DIFFERENCE, INCONCLUSIVE)
    assert "This cycle's list is empty: the 1 customers who would be on it" in words
    assert "For 2 customers every offer has a negative estimated effect (not significant)" in words


def test_amounts_are_whole_from_100_on_and_zero_has_no_sign():
    assert report.write_money(250.4, -3.2, 1200.0) == "250 (−3 to 1,200)"
    assert report.write_money(-0.001, -0.5, 0.5) == "0.00 (−0.50 to 0.50)"
    assert report.write_money(np.nan, 0, 0) == "–"


def test_costs_are_means_per_arm_with_the_value_of_a_unit():
    case = make_case(np.zeros((2, 2)), [[1.0, 2.0], [3.0, 2.0]], worth=[10.0, 20.0])
    text = report.describe_costs(case, "EUR", "stays")
    assert "Cost per customer assigned, EUR: a: 2.00; b: 2.00." in text
    assert "One more of “stays” is worth 15.00 on average, 11.00 to 19.00 among" in text
    assert "Models learn" not in text
    many = replace(case, largest_arm=100_000)
    assert "Models learn from at most 25,000" in report.describe_costs(many, "EUR", "stays")


def test_the_break_even_sentence_has_the_size_and_the_smallest_effect_of_the_test(write_study):
    economics = {
        "currency": "EUR",
        "capacity": 10,
        "margin_per_customer": 50,
        "offer_cost": 4,
        "contact_cost": 1,
    }
    study = write_study("flat", economics=economics)
    numbers = {"risk": 0.5, "value_of_keeping": 50.0}
    values = pd.DataFrame({"customer_id": range(100)} | numbers)
    table = break_even.tabulate_break_even(values, study)
    text = report.describe_break_even(table, values, study, "no arms here")
    assert text.startswith("**The effect of contact is not known here**: no arms here.")
    # z(0.9875) + z(0.8) = 3.083; 0.4935 is 3.083 sqrt((0.5 x 0.5 + 0.0065 x 0.9935) / 10)
    assert break_even.plan_first_test(values, study).smallest == pytest.approx(49.36, abs=0.01)
    assert "A test of 10 contacted and 10 left alone detects an effect of 49.4 points" in text
    assert "a customer kept is worth 50.0 EUR, so that it pays from an effect of 10.0" in text
