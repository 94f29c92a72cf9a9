"""Scorecards: targets and changes by their intervals, and what is not measured."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from subscribers import OLD, T, frame, people, stamps, subscribers

from research.data import load
from research.lifecycle import indicators, scorecard
from research.lifecycle.indicator_definitions import DEFINITIONS


def test_targets_are_compared_with_the_interval(write_study):
    targets = {
        "customer_churn_rate": 0.9,
        "retention_rate": 0.95,
        "csat": 0.5,
        "revenue_lost": 100.0,
        "complaint_rate": 0.5,
    }
    study = write_study(tables=subscribers(), lifecycle={"targets": targets})
    loaded = load.load_tables(study)
    listed = scorecard.indicators_table(
        indicators.compute_indicators(loaded, study, [T]), study, loaded
    ).set_index("indicator")
    assert listed.high["customer_churn_rate"] < 0.9
    assert listed.high["retention_rate"] < 0.95
    assert {name: listed.verdict[name] for name in [*targets, "nps"]} == {
        "customer_churn_rate": "met",
        "retention_rate": "missed",
        "csat": "inconclusive",
        "revenue_lost": "inconclusive",  # the interval of the total reaches down to 0
        "complaint_rate": "inconclusive",  # a quarter, and up to 70 %
        "nps": "",
    }


def test_a_summary_compares_with_the_snapshot_before_and_a_year_ago(write_study):
    study = write_study(tables=subscribers())
    loaded = load.load_tables(study)
    days = [
        date(2023, 6, 25),
        date(2024, 5, 31),
        T,
    ]  # 371 days before: within half a window of a year
    measured = indicators.compute_indicators(loaded, study, days)
    summary = scorecard.summarise_indicators(
        scorecard.indicators_table(measured, study, loaded), study
    ).set_index("indicator")
    was, now = measured[measured.indicator == "customer_churn_rate"].value.iloc[1:]
    row = summary.loc["customer_churn_rate"]
    assert (row.value, row.change) == (0.5, pytest.approx(now - was))
    assert row.change_low < row.change < row.change_high
    assert row.change_year == pytest.approx(0.5)
    assert len(summary) == len(DEFINITIONS)


def test_a_change_adds_up_the_distances_to_the_bounds():
    part = pd.DataFrame(
        {
            "snapshot": stamps(["2024-05-31", "2024-06-30"]),
            "value": [0.4, 0.5],
            "low": [0.37, 0.46],
            "high": [0.44, 0.53],
        }
    )
    change = scorecard._compute_change(
        part.iloc[1], part.set_index("snapshot"), pd.Timestamp("2024-05-31"), pd.Timedelta(0)
    )
    assert change == pytest.approx(
        (0.1, 0.1 - np.hypot(0.04, 0.04), 0.1 + np.hypot(0.03, 0.03))
    )  # 0.5 - 0.46 and 0.44 - 0.4; 0.53 - 0.5 and 0.4 - 0.37


def test_a_value_that_must_be_what_it_is_has_no_change():
    part = pd.DataFrame({"snapshot": stamps(["2024-05-31", "2024-06-30"]), "value": 90.0})
    part = part.assign(low=np.nan, high=np.nan)
    change = scorecard._compute_change(
        part.iloc[1], part.set_index("snapshot"), pd.Timestamp("2024-05-31"), pd.Timedelta(0)
    )
    assert np.isnan(change).all()


def test_an_indicator_without_its_table_is_listed_with_what_it_needs(write_study):
    tables = {
        name: table
        for name, table in subscribers().items()
        if name in ("customers", "contracts", "feedback")
    }
    tables["feedback"] = tables["feedback"].query("kind != 'nps' and kind != 'NPS'")
    study = write_study(tables=tables)
    loaded = load.load_tables(study)
    listed = scorecard.indicators_table(
        indicators.compute_indicators(loaded, study, [T]), study, loaded
    )
    missing = listed[listed.status == "not measured"].set_index("indicator")
    assert {
        name: missing.needs[name]
        for name in ("nps", "complaint_rate", "referral_rate", "repeat_purchase_rate")
    } == {
        "nps": "table feedback with kind, score and rows of kind nps",
        "complaint_rate": "table contacts with complaint",
        "referral_rate": "table referrals",
        "repeat_purchase_rate": "table orders",
    }
    assert missing.note["nps"] == "no answers of kind nps recorded by then"
    assert missing.snapshot.isna().all()
    assert sorted(listed.indicator.unique()) == sorted(DEFINITIONS)


def test_contracts_without_ends_measure_nothing_and_are_listed_so(write_study):
    study = write_study(
        tables={
            "customers": people("ab"),
            "contracts": frame("customer_id started_at", ("a", OLD), ("b", OLD)),
        }
    )
    loaded = load.load_tables(study)
    measured = indicators.compute_indicators(loaded, study, [T])
    assert measured.empty
    listed = scorecard.indicators_table(measured, study, loaded)
    assert set(listed.status) == {"not measured"}
    assert listed.needs.iloc[0] == "table contracts with ended_at"
    assert len(scorecard.summarise_indicators(listed, study)) == len(DEFINITIONS)


@pytest.mark.parametrize(
    ("plan", "a_year_ago"), [({"every": "month"}, "2023-06-30"), ({"every_days": 30}, "2023-07-01")]
)
def test_a_year_ago_is_the_same_day_of_the_month_where_snapshots_are_months_apart(
    write_study, plan, a_year_ago
):
    # 29 February 2024 lies between: 365 days before 30 June 2024 is 1 July 2023
    study = write_study(tables=subscribers(), snapshots={"last": "2024-06-30"} | plan)
    loaded = load.load_tables(study)
    days = [date(2023, 6, 30), date(2023, 7, 1), T]
    measured = indicators.compute_indicators(loaded, study, days)
    churned = measured.indicator == "customer_churn_rate"
    measured.loc[churned, "value"] = [0.1, 0.2, 0.5]
    table = scorecard.indicators_table(measured, study, loaded)
    row = (
        scorecard.summarise_indicators(table, study)
        .set_index("indicator")
        .loc["customer_churn_rate"]
    )
    then = {"2023-06-30": 0.1, "2023-07-01": 0.2}[a_year_ago]
    assert row.change_year == pytest.approx(0.5 - then)
