"""Days of grace at each place that asks who is a customer: nobody leaves in a short gap."""

from datetime import date

import pandas as pd
import pytest
from dated_rows import contract, customers

from research.data import load
from research.lifecycle import cohorts, indicator_terms
from research.panel import labels, spells
from research.panel.evidence import evidence_as_of
from research.survival import tenure
from research.value import contract_margins

CHURN = {"horizon_days": 30, "lead_days": 0, "grace_days": 10}
ROWS = (
    contract("late", "2024-01-01", "2024-03-01", monthly_fee=30.4375),
    contract("late", "2024-03-08", None, monthly_fee=30.4375),  # a gap of 7 days
    contract("gone", "2024-01-01", "2024-03-01", monthly_fee=30.4375, end_reason="price"),
    contract("back", "2024-01-01", "2024-02-01", monthly_fee=30.4375),
    contract("back", "2024-04-01", None, monthly_fee=30.4375),  # one of 60
)
KEYS = ["customer_id"]


@pytest.fixture
def company(write_study):
    rows = pd.concat(ROWS, ignore_index=True)
    people = customers("late", "gone", "back", joined="2024-01-01")
    study = write_study("contractual", tables={"customers": people, "contracts": rows}, churn=CHURN)
    return study, load.load_tables(study)


def at(company, day: date):
    study, tables = company
    return evidence_as_of(tables, [day]), study


@pytest.mark.parametrize(
    ("day", "members"),
    [
        (date(2024, 3, 1), {"late", "gone"}),
        (date(2024, 3, 10), {"late", "gone"}),
        (date(2024, 3, 11), {"late"}),
        (date(2024, 4, 1), {"late", "back"}),
    ],
)
def test_the_population_and_the_spells_hold_until_grace_is_over(company, day, members):
    evidence, study = at(company, day)
    assert {*labels.find_population(evidence, study).to_pandas().customer_id} == members
    table = spells.find_spells(evidence, study).to_pandas()
    assert {*table[table.ended.isna()].customer_id} == members


def test_nothing_known_inside_a_gap_tells_whether_a_term_follows(company):
    evidence, _ = at(company, date(2024, 3, 5))
    rows = evidence["contracts"].to_pandas().set_index("customer_id")
    inside = rows.loc[["late", "gone"]]
    assert inside[["ended_at", "covered_until", "end_reason"]].isna().all(axis=None)


def test_ends_count_on_the_day_on_which_they_are_certain_with_their_reason(company):
    evidence, study = at(company, date(2024, 3, 31))
    left = spells.find_leavers(evidence, study, 30).to_pandas().set_index("customer_id")
    assert [*left.index] == ["gone"]
    assert (left.ended["gone"], left.reason["gone"]) == (pd.Timestamp("2024-03-11"), "price")
    status = indicator_terms.find_customer_status(evidence, study).to_pandas()
    status = status.set_index("customer_id")
    assert dict(status.at_start) == {"gone": True, "late": True}  # 1 March, in the gap of both
    assert dict(status.left) == {"gone": True, "late": False}
    fees = indicator_terms.sum_fees(evidence["contracts"], study).to_pandas()
    assert fees.set_index("customer_id").fee_start["late"] == 30.4375


def test_tenures_end_with_cover_and_are_observed_until_ends_are_certain(company):
    study, tables = company
    table = tenure.load_tenures(tables, study).set_index("customer_id")
    # 2024-01-01 to 2024-03-01, to 2024-02-01, and to 2024-12-21
    assert dict(table.duration) == {"gone": 60, "back": 31, "late": 355}
    assert dict(table.ended) == {"gone": True, "back": True, "late": False}


def test_cohorts_count_who_is_covered_or_in_a_gap_that_closed(company):
    evidence, study = at(company, date(2024, 4, 15))
    cells = cohorts.compute_retention(evidence, study, date(2024, 4, 15))
    # observed to 5 April; back is gone from day 31 to 91, gone from day 60 on; late is never gone
    assert cells.age_months.to_list() == [0, 1, 2]
    assert cells.retained.to_list()[::2] == [3, 1]


def test_fees_are_earned_on_covered_days_alone(company):
    study, tables = company
    people = pd.Series(["late", "gone", "back"])
    earned = contract_margins.load_realised_margins(
        tables, study.economics, people, date(2024, 2, 20), date(2024, 3, 20)
    )
    # a day earns 1: 21 February to the end of it, and from 8 to 20 March
    assert earned == pytest.approx([9 + 13, 9, 0])
    # at a snapshot in the gap both are customers with a fee
    fees = contract_margins.load_fees(tables, people, date(2024, 3, 5))
    assert fees == pytest.approx([1, 1, 0])
