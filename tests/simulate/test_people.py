"""The customers: when they join, who returns, who is quiet."""

import pandas as pd
from simulated_companies import LAST, find_spells

from research.simulate import simulate


def test_customers_join_before_the_history_and_until_its_end(company):
    joined = company["customers"].joined_at
    assert 0.3 < (joined < "2024-01-01").mean() < 0.6
    assert joined.max() > LAST - pd.Timedelta(days=15)


def test_some_ages_are_missing_and_the_others_are_whole_years_of_adults(company):
    age = company["customers"].age
    assert 0.02 < age.isna().mean() < 0.06
    assert age.min() >= 18 and age.max() <= 84


def test_about_a_sixth_of_the_leavers_come_back_once_and_a_month_later_at_the_earliest():
    spells = find_spells(simulate(6000, 24, 0))
    counts, left = (
        spells.groupby("customer_id").size(),
        spells.dropna(subset="ended_at").customer_id.nunique(),
    )
    assert counts.max() == 2
    assert 0.12 < (counts == 2).sum() / left < 0.2
    pause = spells.started_at - spells.groupby("customer_id").ended_at.shift()
    assert pause.dropna().min() >= pd.Timedelta(days=30)


def test_some_customers_are_quiet_and_some_never_answer(company):
    settled = company["customers"][company["customers"].joined_at < "2025-01-01"].customer_id
    assert 0.05 < (~settled.isin(company["usage"].customer_id)).mean() < 0.25
    assert 0.2 < (~settled.isin(company["feedback"].customer_id)).mean() < 0.7
