"""Snapshots with room for follow-up, the days that are judged, and columns that stand for time."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.models.survival_at_horizon import frame_outcome
from research.survival.follow_up import (
    choose_evaluation_days,
    choose_restriction_time,
    find_duration_proxies,
    find_longest_follow_up,
    load_survival_panel,
    plan_follow_up,
    require_leavers,
)
from research.survival.tenure import load_tenures


def write_orders(write_study, end: str, **changes):
    people = pd.DataFrame({"customer_id": ["a"], "joined_at": pd.to_datetime(["2024-01-01"])})
    orders = pd.DataFrame(
        {"customer_id": "a", "ordered_at": pd.to_datetime(["2024-01-01", end]), "amount": 1.0}
    )
    snapshots = {"last": "2024-06-01", "train": 1, "test": 1} | changes
    return write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders},
        data_end=end,
        snapshots=snapshots,
    )


def test_lapses_can_be_followed_on_both_sides_of_the_test_snapshot(write_study):
    # horizon 30, active 90, inactive 60; orders 2024-01-01 to 2024-07-01, snapshot 2024-06-01:
    # lapses are known to begin until 2024-05-02.
    # Of the 122 days before it, 60 pass until the lapses of the training rows are known and 90 are
    # history: nothing is left
    study = write_orders(write_study, "2024-07-01")
    with pytest.raises(
        StudyError, match="expected 224 days of orders to follow lapses of 7 days, got 182; use"
    ):
        plan_follow_up(load.load_tables(study), study)


def test_the_snapshots_of_lapses_leave_room_for_the_inactivity(write_study):
    study = write_orders(write_study, "2024-12-31", last="2024-12-01")
    plan = plan_follow_up(load.load_tables(study), study)
    # known until 2024-11-01; 30 days to follow: test on 2024-10-02; its training rows were known 60
    # days before that to 2024-08-03: 30 days earlier
    assert plan.test == (date(2024, 10, 2),)
    assert plan.train == (date(2024, 7, 4),)
    assert plan.days == (6, 12, 18, 24, 30)


def test_a_contract_study_keeps_its_test_snapshots_and_learns_from_some_a_horizon_apart(
    write_study,
):
    people = pd.DataFrame({"customer_id": ["a"], "joined_at": pd.to_datetime(["2023-01-01"])})
    contracts = pd.DataFrame({"customer_id": ["a"], "started_at": pd.to_datetime(["2023-01-01"])})
    study = write_study(
        tables={"customers": people, "contracts": contracts},
        snapshots={"last": "2024-06-30", "every_days": 10, "train": 8, "test": 2},
    )
    plan = plan_follow_up(load.load_tables(study), study)
    assert plan.test == (date(2024, 6, 20), date(2024, 6, 30))
    assert plan.train == (date(2024, 3, 22), date(2024, 4, 21), date(2024, 5, 21))
    assert plan.days == (6, 12, 18, 24, 30)


def test_a_flat_study_is_one_part_with_the_outcomes_of_its_tenures(write_study):
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{i:02d}" for i in range(50)],
            "churned": [True, False] * 25,
            "duration": [*np.arange(1.0, 50), np.nan],
            "fee": np.random.default_rng(0).uniform(10, 20, 50),
        }
    ).assign(tenure=lambda table: table.duration)
    study = write_study("flat", tables={"snapshot": rows})
    tables = load.load_tables(study)
    panel = load_survival_panel(tables, study, load_tenures(tables, study))
    assert not panel.dated
    assert panel.counts.values.tolist() == [["cross-validated", 49, 49, 25, 49.0]]
    assert panel.test_outcome["days"].tolist() == list(range(1, 50))
    assert panel.find_proxies(["fee", "tenure"]) == ["tenure"]


def test_a_column_that_grows_with_the_duration_stands_for_it_and_an_attribute_does_not():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "duration": rng.integers(1, 73, 500).astype(float),
            "fee": rng.uniform(20, 100, 500),
            "plan": "x",
            "same": 1,
        }
    )
    frame = frame.assign(
        tenure=frame.duration, paid=frame.duration * frame.fee, remaining=72 - frame.duration
    )
    assert find_duration_proxies(frame, ["fee", "plan", "same", "tenure", "paid", "remaining"]) == [
        "tenure",
        "paid",
        "remaining",
    ]


def test_a_total_over_the_duration_stands_for_it_and_what_is_paid_each_month_does_not():
    rng = np.random.default_rng(0)
    months, paid = rng.integers(1, 72, 2000), rng.uniform(10, 100, 2000)
    frame = pd.DataFrame(
        {
            "duration": months,
            "paid": paid,
            "total": paid * months * rng.uniform(0.97, 1.03, 2000),
            "calls": rng.poisson(0.02 * months),
        }
    )
    frame.loc[rng.random(2000) < 0.3, ["paid", "total"]] = 0.0
    assert find_duration_proxies(frame, ["paid", "total", "calls"]) == ["total"]
    # alone it is as good as any other hint
    assert find_duration_proxies(frame, ["total", "calls"]) == []


def test_times_of_a_flat_study_end_where_four_in_five_durations_have():
    hundred = pd.DataFrame({"duration": np.arange(1.0, 101)})
    assert choose_evaluation_days(hundred) == (17, 33, 49, 65, 80)
    assert choose_evaluation_days(pd.DataFrame({"duration": [0, 1, 2, 3, 3.0]})) == (1, 2, 3)


def test_lifetimes_are_given_no_further_than_rows_were_observed(write_study):
    outcome = frame_outcome(np.zeros(100, bool), np.arange(1, 101))
    assert find_longest_follow_up(outcome) == 81  # 81 to 100 are twenty
    rows = pd.DataFrame({"customer_id": ["a"], "churned": [True], "duration": [1.0]})
    assert choose_restriction_time(outcome, write_study("flat", tables={"snapshot": rows})) == 20
    with pytest.raises(StudyError, match="expected more than 20 training rows, got 3"):
        find_longest_follow_up(outcome[:3])


def test_too_few_who_are_observed_to_leave_are_one_sentence():
    outcome = frame_outcome(np.arange(500) < 19, np.full(500, 30.0))
    with pytest.raises(
        StudyError,
        match=(
            "expected at least 20 customers who are observed to leave among the training rows, got"
            " 19 of 500"
        ),
    ):
        require_leavers(outcome, "training")


def test_a_study_in_months_learns_from_snapshots_a_horizon_of_months_apart(write_study):
    people = pd.DataFrame({"customer_id": ["a"], "joined_at": pd.to_datetime(["2023-01-01"])})
    contracts = pd.DataFrame({"customer_id": ["a"], "started_at": pd.to_datetime(["2023-01-01"])})
    study = write_study(
        tables={"customers": people, "contracts": contracts},
        churn={"horizon": "3 months", "lead_days": 0},
        snapshots={"last": "2024-06-30", "every": "month", "train": 10, "test": 2},
    )
    plan = plan_follow_up(load.load_tables(study), study)
    assert plan.test == (date(2024, 5, 31), date(2024, 6, 30))
    # three steps of a month are the horizon; 91 days would need four steps of 30
    assert plan.train == (date(2023, 8, 31), date(2023, 11, 30), date(2024, 2, 29))
    # 31 May to 31 August and 30 June to 30 September have 92 days: judged up to all of them
    assert plan.days == (19, 37, 56, 74, 92)
