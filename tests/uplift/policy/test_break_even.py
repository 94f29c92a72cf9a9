"""Break-even without a trial: by hand, and the first test."""

import numpy as np
import pandas as pd
import pytest

from research.errors import NotApplicable
from research.uplift.policy import break_even


def values() -> pd.DataFrame:
    risk = np.linspace(0.01, 1, 100)
    return pd.DataFrame(
        {
            "customer_id": range(100),
            "risk": risk,
            "value_of_keeping": 50.0,
        }
    )


def test_break_even_is_the_cost_over_the_value_of_a_kept_customer(write_study):
    study = write_study(
        "flat",
        economics={
            "currency": "EUR",
            "capacity": 10,
            "margin_per_customer": 50,
            "offer_cost": 4,
            "contact_cost": 1,
        },
    )
    table = break_even.tabulate_break_even(values(), study)
    assert table.break_even_points.tolist() == pytest.approx([10] * 5)  # 5 of 50
    assert table.mean_risk_share.iloc[0] == pytest.approx(0.905)
    test = break_even.draw_test(values(), study, 0)
    assert test.arm.value_counts().to_dict() == {"": 80, "contact": 10, "control": 10}
    assert test.risk[test.arm != ""].min() > test.risk[test.arm == ""].max()


def test_a_study_without_trial_and_costs_has_nothing_to_weigh(write_study):
    with pytest.raises(NotApplicable, match="the economics of the study tiny name no costs"):
        break_even.tabulate_break_even(values(), write_study("flat"))


def test_the_reason_without_a_trial_comes_before_what_else_is_missing(write_study):
    with pytest.raises(
        NotApplicable,
        match=(
            "no arms here; without a trial, the economics of the study tiny name no costs: there is"
            " nothing to weigh"
        ),
    ):
        break_even.load_customers({}, write_study("flat"), 0, "no arms here")
