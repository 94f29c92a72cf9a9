"""Fees of a day, add-ons at shrunk rates, and margins that were realised."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from dated_rows import company_with_gaps
from valued_companies import T, draw_contracts, write_contracts

from research.errors import NotApplicable
from research.value import contract_margins, customers


def test_fees_of_running_contracts_add_up_and_earnings_run_day_by_day(write_study):
    lines = [
        ("a", "2024-01-01", None, 30.4375),
        ("a", "2024-03-01", "2024-07-11", 60.875),
        ("b", "2024-01-01", "2024-06-30", 99.0),
        ("c", "2024-07-05", None, 5.0),
    ]
    contracts = pd.DataFrame(
        lines, columns=["customer_id", "started_at", "ended_at", "monthly_fee"]
    )
    contracts = contracts.astype({"started_at": "datetime64[us]", "ended_at": "datetime64[us]"})
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "joined_at": pd.Timestamp("2024-01-01")})
    study, tables = write_contracts(
        write_study, {"customers": people, "contracts": contracts}, fee_margin_share=1
    )
    customer_ids = pd.Series(["a", "b", "c"])
    # b's last covered day was June 29
    assert contract_margins.load_fees(tables, customer_ids, T) == pytest.approx([3, 0, 0])
    earned = contract_margins.load_realised_margins(
        tables, study.economics, customer_ids, T, date(2024, 7, 20)
    )
    # July 1 to 20; to July 10; from July 5 on
    assert earned == pytest.approx([20 * 1 + 10 * 2, 0, 16 * 5 / 30.4375])


def test_few_orders_are_shrunk_to_the_rate_of_all():
    rng = np.random.default_rng(0)
    rates, observed = rng.gamma(2, 0.01, 4000), np.full(4000, 200.0)
    counts = rng.poisson(rates * observed)
    shrunk = contract_margins.shrink_rates(counts, observed)
    # gamma of shape 2 and rate 100
    assert shrunk == pytest.approx((2 + counts) / (100 + 200), rel=0.15)
    assert np.ptp(contract_margins.shrink_rates(np.full(50, 4), np.full(50, 100.0))) < 1e-6
    assert not contract_margins.shrink_rates(np.zeros(5), np.full(5, 100.0)).any()


def test_contracts_without_a_fee_are_not_applicable(write_study):
    tables = draw_contracts(60)
    study, loaded = write_contracts(
        write_study, tables | {"contracts": tables["contracts"].drop(columns="monthly_fee")}
    )
    with pytest.raises(NotApplicable, match="its contracts have no column monthly_fee"):
        customers.load_values(loaded, study, T, 0)
    study, loaded = write_contracts(
        write_study,
        tables | {"contracts": tables["contracts"].assign(monthly_fee=np.nan)},
        name="empty",
    )
    with pytest.raises(NotApplicable, match="monthly_fee is empty in all of its contracts"):
        customers.load_values(loaded, study, T, 0)


def test_a_holdout_ends_with_the_data_or_the_span_of_value(write_study):
    study, tables = write_contracts(write_study, draw_contracts(60))
    assert contract_margins.find_last_day(tables, study, T) == date(2024, 9, 28)  # 90 days
    assert contract_margins.find_last_day(tables, study, date(2024, 12, 1)) == date(2024, 12, 31)


def test_fees_are_earned_on_covered_days_alone(write_study):
    study, tables = company_with_gaps(write_study)
    people = pd.Series(["late", "gone", "back"])
    earned = contract_margins.load_realised_margins(
        tables, study.economics, people, date(2024, 2, 20), date(2024, 3, 20)
    )
    # a day earns 1: 21 February to the end of it, and from 8 to 20 March
    assert earned == pytest.approx([9 + 13, 9, 0])
    # at a snapshot in the gap both are customers with a fee
    fees = contract_margins.load_fees(tables, people, date(2024, 3, 5))
    assert fees == pytest.approx([1, 1, 0])
