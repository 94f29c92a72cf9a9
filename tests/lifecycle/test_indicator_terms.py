"""What each customer adds to the indicators, worked by hand."""

from datetime import date

import pandas as pd
import pytest
from dated_rows import company_with_gaps
from subscribers import OLD, T, frame, people, subscribers

from research.data import load
from research.lifecycle import indicator_terms
from research.panel import spells
from research.panel.evidence import evidence_as_of


def evidence_of(write_study, tables, kind="contractual"):
    study = write_study(kind, tables=tables)
    return evidence_as_of(load.load_tables(study), [T]), study


def by_customer(table) -> pd.DataFrame:
    return table.to_pandas().set_index("customer_id")


def test_status_is_that_of_the_start_of_the_end_and_of_a_retention_span_ago(write_study):
    evidence, study = evidence_of(write_study, subscribers())
    status = by_customer(indicator_terms.find_customer_status(evidence, study))
    # b left on 1 June, c on 30 June, d on the day of the start; f came after the start
    assert {*status.index[status.at_start]} == {*"abce"}
    assert {*status.index[status.left]} == {*"bc"}
    assert {*status.index[status.at_end]} == {*"aef"}
    assert {*status.index[status.earlier]} == {*"abcde"}


def test_fees_are_those_of_the_terms_that_run_on_the_day(write_study):
    evidence, study = evidence_of(write_study, subscribers())
    fees = by_customer(indicator_terms.sum_fees(evidence["contracts"], study))
    # a changes from 10 to 15 on 15 June, e from 50 to 35 on 10 June
    assert dict(fees.fee_start) == {"a": 10, "b": 20, "c": 30, "d": 0, "e": 50, "f": 0}
    assert dict(fees.fee_end) == {"a": 15, "b": 0, "c": 0, "d": 0, "e": 35, "f": 60}


def test_a_fee_that_is_not_recorded_is_empty_and_not_zero(write_study):
    contracts = frame(
        "customer_id started_at ended_at monthly_fee",
        ("a", OLD, None, None),
        ("b", OLD, "2024-06-10", 5.0),
        ("b", "2024-06-10", None, None),
    )
    tables = {"customers": people("ab"), "contracts": contracts}
    evidence, study = evidence_of(write_study, tables)
    fees = by_customer(indicator_terms.sum_fees(evidence["contracts"], study))
    assert fees.loc["a"].isna()[["fee_start", "fee_end"]].all()
    assert fees.fee_start["b"] == 5
    assert pd.isna(fees.fee_end["b"])


@pytest.mark.parametrize(("day", "days"), [("2024-05-31", 0), ("2024-06-01", 1), ("2024-06-30", 1)])
def test_days_with_a_purchase_count_from_the_day_after_the_start(write_study, day, days):
    orders = frame("customer_id ordered_at amount", ("a", day, 5.0), ("a", f"{day} 20:00", 5.0))
    tables = subscribers() | {"orders": orders}
    evidence, study = evidence_of(write_study, tables)
    counts = by_customer(indicator_terms.count_purchases(evidence["orders"], study))
    assert (counts.days_in_year["a"], counts.days_in_window["a"]) == (1, days)


def test_answers_without_a_kind_are_about_satisfaction(write_study):
    evidence, _ = evidence_of(write_study, subscribers())
    without = evidence["feedback"].drop("kind")
    assert without.filter(indicator_terms.is_csat(without)).count().execute() == 13
    assert without.filter(indicator_terms.is_nps(without)).count().execute() == 0


def test_there_is_one_row_per_customer_and_a_ratio_for_each_table(write_study):
    evidence, study = evidence_of(write_study, subscribers())
    terms, ratios = indicator_terms.build_terms(evidence, study, pd.DataFrame())
    assert sorted(terms.customer_id.to_pandas()) == [*"abcdef"]
    # the durations have no ratio
    missing = {"retention_time", "retention_time_median", "resolution_time"}
    assert not missing & {*ratios}
    assert {"customer_churn_rate", "csat", "referral_rate", "reasons_recorded"} <= {*ratios}


def test_without_fees_there_is_no_ratio_of_money(write_study):
    tables = subscribers()
    tables["contracts"] = tables["contracts"].drop(columns="monthly_fee")
    evidence, study = evidence_of(write_study, tables)
    _, ratios = indicator_terms.build_terms(evidence, study, pd.DataFrame())
    assert not {"revenue_churn_rate", "revenue_lost"} & {*ratios}


def test_ends_count_on_the_day_on_which_they_are_certain_with_their_reason(write_study):
    study, tables = company_with_gaps(write_study)
    evidence = evidence_as_of(tables, [date(2024, 3, 31)])
    left = spells.find_leavers(evidence, study, 30).to_pandas().set_index("customer_id")
    assert [*left.index] == ["gone"]
    assert (left.ended["gone"], left.reason["gone"]) == (pd.Timestamp("2024-03-11"), "price")
    status = indicator_terms.find_customer_status(evidence, study).to_pandas()
    status = status.set_index("customer_id")
    assert dict(status.at_start) == {"gone": True, "late": True}  # 1 March, in the gap of both
    assert dict(status.left) == {"gone": True, "late": False}
    fees = indicator_terms.sum_fees(evidence["contracts"], study).to_pandas()
    assert fees.set_index("customer_id").fee_start["late"] == 30.4375
