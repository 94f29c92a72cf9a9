"""What is at risk with each customer, worked by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.watchlist.worth import MOST_DAYS_LEFT, add_worth

DAY, CLOSES = date(2024, 6, 30), date(2024, 9, 28)  # 90 days
ECONOMICS = {"currency": "EUR", "capacity": 5, "discount_rate": 0.0, "value_days": 365}


def add(write_study, risk, amount, **economics) -> pd.DataFrame:
    study = write_study("contractual", economics=ECONOMICS | economics)
    rows = pd.DataFrame({"risk_by_end": risk, "monthly_amount": amount})
    return add_worth(rows, study, DAY, CLOSES)


def test_who_never_leaves_is_worth_all_days_after_the_window_and_nothing_is_at_risk(write_study):
    # 30.436875 EUR a month are 1 EUR a day; 365 - 90 days are left; at half the fee as margin 137.5
    table = add(write_study, [0.0], [365.2425 / 12], fee_margin_share=0.5)
    assert table.worth_of_keeping.item() == pytest.approx(137.5, rel=1e-4)
    assert table.value_at_risk.item() == 0
    assert table.days_left.item() == MOST_DAYS_LEFT


def test_the_hazard_of_the_window_goes_on_after_it(write_study):
    # half leave in 90 days: hazard ln 2 / 90, so 129.8 days are left on average, and after the
    # window the expected days up to day 365 are (90 / ln 2) (1 - 2^(-275/90)) = 114.2
    table = add(write_study, [0.5], [365.2425 / 12])
    expected = 90 / np.log(2) * (1 - 2 ** (-275 / 90))
    assert table.worth_of_keeping.item() == pytest.approx(expected, rel=1e-4)
    assert table.value_at_risk.item() == pytest.approx(expected / 2, rel=1e-4)
    assert table.days_left.item() == pytest.approx(90 / np.log(2))


def test_a_customer_without_an_amount_counts_as_the_median_and_without_any_all_are_empty(
    write_study,
):
    table = add(write_study, [0.1, 0.1, 0.1], [10.0, 20.0, None])
    assert table.worth_of_keeping[2] == pytest.approx(table.worth_of_keeping[:2].mean())
    assert add(write_study, [0.1], [np.nan]).value_at_risk.isna().all()
