"""A random part of each action is held out, with the probability that is written down."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.watchlist.holdout import choose_share, count_holdout, draw_holdout

DAY = date(2024, 6, 30)


def listed(calls: int, letters: int = 0) -> pd.DataFrame:
    n = calls + letters
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(n)],
            "arm": ["call"] * calls + ["letter"] * letters,
            "cost": [5.0] * calls + [1.0] * letters,
        }
    )


def test_each_action_is_a_campaign_with_a_control_of_the_share():
    assigned = draw_holdout(listed(200, 100), 0.1, DAY, 0)
    counts = count_holdout(assigned).set_index("campaign")
    assert counts.held_out.to_dict() == {
        "watchlist 2024-06-30 call": 20,
        "watchlist 2024-06-30 letter": 10,
    }
    assert counts.cost.tolist() == [900, 90]
    assert (assigned.propensity == np.where(assigned.arm == "control", 0.1, 0.9)).all()


def test_the_draw_does_not_depend_on_the_order_of_the_rows_but_on_the_day():
    rows = listed(60)
    one = draw_holdout(rows, 0.2, DAY, 0).set_index("customer_id").arm
    other = draw_holdout(rows.sample(frac=1, random_state=1), 0.2, DAY, 0)
    assert other.set_index("customer_id").arm.sort_index().equals(one.sort_index())
    later = draw_holdout(rows, 0.2, date(2024, 7, 31), 0).set_index("customer_id").arm
    assert not later.equals(one)


def test_everybody_is_held_out_with_the_probability_that_is_written_down():
    rows = listed(7)
    drawn = np.array([draw_holdout(rows, 0.15, DAY, seed).arm == "control" for seed in range(4000)])
    error = np.sqrt(0.15 * 0.85 / 4000)
    assert np.abs(drawn.mean(axis=0) - 0.15).max() < 3.5 * error
    assert {*drawn.sum(axis=1)} == {1, 2}  # 1.05 of 7 on average


def test_customers_of_one_unit_are_held_out_together():
    rows = listed(80).assign(household=np.repeat(np.arange(40), 2))
    assigned = draw_holdout(rows, 0.25, DAY, 0, unit="household")
    by_house = assigned.groupby(rows.household).arm.nunique()
    assert (by_house == 1).all()
    assert (assigned.arm == "control").sum() == 20


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nobody_or_everybody(share):
    assigned = draw_holdout(listed(10), share, DAY, 0)
    assert (assigned.arm == "control").mean() == share


def test_an_empty_list_has_no_assignments():
    assert draw_holdout(listed(0), 0.1, DAY, 0).empty


def test_the_share_is_the_least_with_which_a_list_detects_the_effect():
    # s (1 - s) = p (1 - p) (z / effect)^2 / n, z = 1.96 + 0.84: 0.25 (2.8016 / 0.1)^2 / 1,000 =
    # 0.1962, which s = 0.268 solves; rounded up to whole hundredths
    share = choose_share(0.1, 1000, 0.5, 0.1)
    assert (share.share, share.lists) == (0.27, 1)
    assert choose_share(0.1, 100_000, 0.5, 0.1).share == 0.1  # the playbook's is enough


def test_where_no_share_detects_the_effect_the_least_stays_and_lists_add_up():
    # 0.25 (2.8016 / 0.02)^2 = 4,905.6 over 0.1 * 0.9 * 300
    share = choose_share(0.1, 300, 0.5, 0.02)
    assert (share.share, share.lists) == (0.1, 182)
    assert choose_share(0.0, 300, 0.5, 0.02).share == 0
    assert choose_share(0.1, 300, 0.5, 0.0).lists == 0
