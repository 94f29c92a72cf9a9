"""Money: expected profit of one cycle's list between the floor and the ceiling, and EMPC."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from research.risk import profit, report
from research.study_schema import Economics

TERMS = Economics(
    currency="EUR", capacity=2, margin_per_customer=200, offer_cost=10, contact_cost=1
)
PRICES = profit.assume_prices(TERMS)


def predictions(
    churned: list[bool], gone: list[bool] | None = None, **models: list[float]
) -> pd.DataFrame:
    n = len(churned)
    frame = pd.DataFrame(
        {"repeat": 0, "customer_id": [f"c{i}" for i in range(n)], "churned": churned, **models}
    )
    return (
        frame
        if gone is None
        else frame.assign(snapshot=pd.Timestamp("2024-01-31"), left_in_lead=gone)
    )


def test_perfect_separation_and_useless_scores_give_the_reference_values_of_empc():
    # Stripling's proflogit (test_empc.py) and R's EMP 2.0: alpha 6, beta 14, CLV 200, d 10, f 1;
    # half of the customers churn
    assert profit.compute_empc(
        np.array([False, True]), np.array([0.0, 1.0]), PRICES
    ) == pytest.approx(28.0000000000391, abs=1e-9)
    assert profit.compute_empc(
        np.array([False, True]), np.array([1.0, 0.0]), PRICES
    ) == pytest.approx(22.5007912244511, abs=1e-9)
    assert profit.compute_empc(
        np.array([True, False]), np.array([0.5, 0.5]), PRICES
    ) == pytest.approx(22.5007912244511, abs=1e-9)


def test_empc_of_ten_customers_equals_the_reference_implementation():
    # proflogit's test_empc.py: ten labels and scores, 30.3003222629848
    churned = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0], bool)
    scores = np.array(
        [
            0.6125478,
            0.3642710,
            0.4321361,
            0.1402911,
            0.3848959,
            0.2444155,
            0.9706413,
            0.8901728,
            0.7817814,
            0.8687518,
        ]
    )
    assert profit.compute_empc(churned, scores, PRICES) == pytest.approx(30.3003222629848, abs=1e-9)


def test_empc_with_weights_is_that_of_rows_written_out():
    churned, scores = np.array([True, False, True]), np.array([0.9, 0.5, 0.2])
    out = profit.compute_empc(
        np.array([True, True, False, True]), np.array([0.9, 0.9, 0.5, 0.2]), PRICES
    )
    assert profit.compute_empc(churned, scores, PRICES, np.array([2, 1, 1])) == out
    assert np.isnan(profit.compute_empc(churned, scores, PRICES, np.array([1, 0, 1])))


def test_a_list_by_hand():
    # a churner: 0.3 x (200 - 10) - 1 = 56; who would have stayed: -11; left within the lead: -1
    rows = predictions(
        [True, False, True, False, False],
        [False, False, False, True, False],
        good=[0.9, 0.1, 0.8, 0.3, 0.2],
        bad=[0.1, 0.9, 0.2, 0.8, 0.3],
    )
    assert list(profit.value_contacts(rows, PRICES)) == pytest.approx([56, -11, 56, -1, -11])
    table = profit.tabulate_profit(rows, PRICES, 2, 20, 0).set_index("policy")
    expected = {
        "contact nobody": 0,
        "contact everybody": 89,
        "random list": 35.6,
        "list by good": 112,
        "list by bad": -12,
        profit.ORACLE: 112,
    }
    assert table.profit_per_cycle.to_dict() == pytest.approx(expected)
    assert table.contacted.to_dict() == {
        "contact nobody": 0,
        "contact everybody": 5,
        "random list": 2,
        "list by good": 2,
        "list by bad": 2,
        profit.ORACLE: 2,
    }
    assert table.gain_over_lot["list by good"] == pytest.approx(112 - 35.6)


def test_the_interval_of_a_profit_holds_the_uncertainty_of_the_share_who_stay():
    rows = predictions([True] * 400, model=[0.5] * 400)
    table = profit.tabulate_profit(rows, PRICES, 100, 4000, 0).set_index("policy")
    # all on the list churn: 100 (190 b - 1) with b beta(6, 14), whose quantiles are .126 and .512
    row = table.loc["list by model"]
    assert [row.low, row.profit_per_cycle, row.high] == pytest.approx(
        [100 * (190 * share - 1) for share in (0.1258, 0.3, 0.5119)], rel=0.03
    )
    assert row.gain_low == row.gain_high == 0  # the same share for every list


def test_the_adjusted_interval_of_a_profit_is_as_skewed_as_the_share_who_stay():
    # of b beta(6, 14) one twelfth of 2.5 % lies below .083, and of a normal distribution with its
    # mean of .3 and its deviation of .1 below .014: at 4 a contact a list earns, by the normal not
    models = {f"model {number}": [0.5] * 400 for number in range(12)}
    rows = predictions([True] * 400, **models)
    dear = replace(PRICES, contact_cost=4.0)
    table = profit.tabulate_profit(rows, dear, 100, 4000, 0).set_index("policy")
    row = table.loc["list by model 3"]
    assert 0 < row.adjusted_low < 100 * (190 * 0.083 - 4)
    assert row.adjusted_high > 100 * (190 * 0.58 - 4)  # the upper one is .58
    assert row.against_nobody == "better"
    even = profit.judge_profit(np.r_[0.0, np.linspace(-1, 1, 999)], 1)
    assert even[1:3] == pytest.approx((-0.95, 0.95)) and even[3] == "no significant difference"


def test_a_leaver_without_a_value_is_worth_what_one_who_would_leave_is():
    prices = replace(PRICES, worth=pd.Series({"a": 100.0, "b": 300.0}), valued=True)
    assert prices.find_worth(pd.Series(["a", "gone"])).tolist() == [100, 200]
    risky = replace(prices, leaver_worth=250.0)
    assert risky.find_worth(pd.Series(["a", "gone"])).tolist() == [100, 250]
    # 11 spent, and of a leaver 0.3 x (250 - 10) gained and the offer's 10 spent all the same
    assert risky.find_break_even() == pytest.approx(11 / (0.3 * 240 + 10))


def test_the_oracle_contacts_nobody_when_no_churner_pays():
    dear = replace(PRICES, contact_cost=60.0)  # 0.3 x 190 - 60 = -3
    table = profit.tabulate_profit(
        predictions([True, False, False], model=[0.9, 0.1, 0.2]), dear, 2, 20, 0
    ).set_index("policy")
    assert (table.profit_per_cycle[profit.ORACLE], table.contacted[profit.ORACLE]) == (0, 0)


def random_predictions(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    churned = rng.random(n) < 0.3
    return predictions(
        churned.tolist(),
        (rng.random(n) < 0.1) & ~churned,
        sharp=np.clip(0.5 * churned + rng.random(n) / 2, 0, 1),
        blind=np.full(n, 0.3),
    )


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), capacity=st.integers(1, 80))
def test_no_list_beats_the_oracle_even_in_an_interval_and_a_full_list_is_contacting_everybody(
    seed, capacity
):
    table = profit.tabulate_profit(random_predictions(seed), PRICES, capacity, 15, seed).set_index(
        "policy"
    )
    ceiling = table.loc[profit.ORACLE]
    within = table.drop(index=profit.EVERYBODY)
    for column in ("profit_per_cycle", "low", "high"):
        assert (within[column] <= ceiling[column] + 1e-9).all()
    if capacity >= 60:
        assert table.profit_per_cycle["list by sharp"] == pytest.approx(
            table.profit_per_cycle[profit.EVERYBODY]
        )
    assert ((table.empc <= ceiling.empc + 1e-9) | (table.index == profit.EVERYBODY)).all()


def test_an_informed_model_gains_significantly_over_a_random_list_and_a_blind_one_does_not():
    table = profit.tabulate_profit(random_predictions(3, 1000), PRICES, 150, 100, 0).set_index(
        "policy"
    )
    assert (table.against_lot["list by sharp"], table.against_lot["list by blind"]) == (
        "better",
        "no significant difference",
    )
    assert table.gain_low["list by sharp"] > 0 > table.gain_low["list by blind"]
    summary = report.describe_profit(table.reset_index(), PRICES)
    assert summary.startswith("**A list by sharp pays**")


def test_the_summary_says_where_no_list_pays():
    dear = replace(PRICES, contact_cost=150.0)  # more than 0.6 x 190
    summary = report.describe_profit(
        profit.tabulate_profit(random_predictions(3, 1000), dear, 150, 100, 0), dear
    )
    assert summary.startswith("**No list of this length pays: contacting nobody is cheaper**")


def test_only_the_last_snapshot_and_the_first_repeat_are_one_cycle():
    rows = predictions([True, False], [False, False], model=[0.9, 0.1])
    earlier = rows.assign(snapshot=pd.Timestamp("2023-12-31"), model=[0.1, 0.9])
    again = rows.assign(repeat=1, model=[0.1, 0.9])
    one, all_ = (
        profit.tabulate_profit(frame, PRICES, 1, 10, 0)
        for frame in (rows, pd.concat([earlier, rows, again]))
    )
    pd.testing.assert_frame_equal(one, all_)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"margin_per_customer": 200},
            (
                "expected margin_per_customer, offer_cost, contact_cost together, got"
                " margin_per_customer alone"
            ),
        ),
        (
            {"margin_per_customer": 5, "offer_cost": 10, "contact_cost": 1},
            "expected a margin_per_customer above the offer_cost, got 5 and 10",
        ),
        ({"margin_per_customer": float("inf"), "offer_cost": 10, "contact_cost": 1}, "finite"),
        ({"accept_alpha": 1}, "greater than 1"),
    ],
)
def test_prices_that_cannot_be_are_refused(keys, words):
    with pytest.raises(ValidationError, match=words):
        Economics(currency="EUR", capacity=5, **keys)


def test_without_prices_the_summary_says_what_to_add_and_with_them_what_is_assumed():
    assert (
        "Add `margin_per_customer`, `offer_cost` and `contact_cost`"
        in report.describe_profit_assumptions(
            profit.assume_prices(Economics(currency="EUR", capacity=5))
        )
    )
    assumptions = report.describe_profit_assumptions(PRICES)
    assert "worth 200 EUR" in assumptions
    assert "30% stay on average" in assumptions


def test_each_customer_is_worth_the_own_value_of_keeping():
    rows = predictions([True, True, False], first=[0.9, 0.1, 0.2], second=[0.1, 0.9, 0.2])
    worth = pd.Series({"c0": 100.0, "c1": 300.0})  # c2, who stays, is worth the mean
    prices = replace(PRICES, worth=worth, valued=True)
    assert list(profit.value_contacts(rows, prices)) == pytest.approx([26, 86, -11])
    table = profit.tabulate_profit(rows, prices, 1, 20, 0).set_index("policy")
    assert table.profit_per_cycle["list by first"] == pytest.approx(0.3 * 90 - 1)
    assert table.profit_per_cycle["list by second"] == pytest.approx(0.3 * 290 - 1)
    words = report.describe_profit_assumptions(prices)
    assert words.startswith(
        "A customer who is kept is worth 200 EUR on average over all customers, each the own value"
    )
    words = report.describe_profit_assumptions(prices, rows)
    left = prices.find_worth(rows.customer_id[rows.churned]).mean()
    assert f"over all customers, {left:,.0f} EUR over those who left" in words


def test_a_contact_pays_from_the_risk_at_which_it_breaks_even():
    """Of a churner 0.3 (200 - 10) - 1 = 56, of another -11: 56 p = 11 (1 - p) at p = 11 / 67."""
    assert PRICES.find_break_even() == pytest.approx(11 / 67)


def test_a_measured_share_counts_with_its_standard_error_whatever_its_sign():
    rows = predictions([True] * 400, model=[0.5] * 400)
    share = profit.Share(0.1, 0.08, measured=True, customers=3000)
    prices = replace(PRICES, offer_cost=0.0, share=share)
    table = profit.tabulate_profit(rows, prices, 100, 4000, 0)
    row = table.set_index("policy").loc["list by model"]
    # all on the list churn: 100 (200 b - 1) with b normal, 1.96 standard errors either way
    ends = [100 * (200 * (0.1 + side * 1.96 * 0.08) - 1) for side in (-1, 0, 1)]
    assert [row.low, row.profit_per_cycle, row.high] == pytest.approx(ends, abs=200)
    words = report.describe_profit_assumptions(prices)
    assert "campaigns of 3,000 customers" in words and "10.0 % (−5.7 % to 25.7 %)" in words
    told = report.describe_profit(table, prices)
    assert "the share who stay is measured by campaigns" in told


def test_the_beta_distribution_of_a_share_has_its_mean_and_standard_error():
    assert profit.assume_share(TERMS).beta == pytest.approx((6, 14))
    assert profit.Share(-0.1, 0.05, measured=True).beta is None
    none = replace(PRICES, share=profit.Share(-0.1, 0.05, measured=True))
    assert np.isnan(profit.compute_empc(np.array([True, False]), np.array([0.9, 0.1]), none))
