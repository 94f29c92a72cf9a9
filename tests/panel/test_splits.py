"""Training and test snapshots: out of time, within the data, and no customer on both sides."""

from datetime import date

import pandas as pd
import pytest
from dated_rows import contract, customers

from research.data import load
from research.errors import StudyError
from research.panel import splits
from research.panel.splits import Split

T = date(2024, 6, 30)


def label_one(write_study, started: str, **changes) -> None:
    tables = {"customers": customers("a"), "contracts": contract("a", started, None)}
    study = write_study("contractual", tables=tables, **changes)
    splits.label_panel(load.load_tables(study), study, [T])


def test_a_window_beyond_the_data_is_refused_with_the_last_snapshot_that_works(write_study):
    with pytest.raises(
        StudyError,
        match=(
            r"ends 2024-07-30 and the data end 2024-07-15; use a snapshot on or before 2024-06-15"
        ),
    ):
        label_one(write_study, "2024-01-01", data_end="2024-07-15")


def test_a_horizon_longer_than_the_data_is_refused_with_the_longest_that_works(write_study):
    with pytest.raises(StudyError, match=r"use a horizon and lead of at most 180 days together"):
        label_one(write_study, "2024-06-01", churn={"horizon_days": 400}, data_end="2024-11-28")


def test_days_of_grace_need_data_after_the_window_and_between_training_and_test(write_study):
    churn = {"horizon_days": 30, "lead_days": 7, "grace_days": 10}
    expected = (
        r"the window after snapshot 2024-06-30 ends 2024-08-06, known 2024-08-16 after 10 days of"
        r" grace, and the data end 2024-08-15; use a snapshot on or before 2024-06-29"
    )
    with pytest.raises(StudyError, match=expected):
        label_one(write_study, "2024-01-01", churn=churn, data_end="2024-08-15")
    label_one(write_study, "2024-01-01", churn=churn, data_end="2024-08-16")
    study = write_study(churn=churn)
    split = splits.plan_split(study)
    assert split.train == (date(2024, 5, 14),)  # 14 May + 7 + 30 + 10 days = 30 June
    splits.require_out_of_time(split, study)
    with pytest.raises(StudyError, match="on or before 2024-05-14"):
        splits.require_out_of_time(Split((date(2024, 5, 15),), (T,)), study)


def test_a_snapshot_before_the_first_row_is_refused(write_study):
    with pytest.raises(
        StudyError,
        match=(
            r"expected evidence at every snapshot, got a snapshot on 2024-06-30 but the first"
            r" row is of 2024-07-02"
        ),
    ):
        label_one(write_study, "2024-07-02")


def test_a_snapshot_before_ends_were_recorded_is_refused(write_study):
    expected = r"got a snapshot on 2024-06-30 but data_start is 2024-07-01; use fewer training"
    with pytest.raises(StudyError, match=expected):
        label_one(write_study, "2024-01-01", data_start="2024-07-01")
    label_one(write_study, "2024-01-01", data_start="2024-06-30")


def test_training_windows_close_by_the_first_test_snapshot(write_study):
    study = write_study(
        churn={"horizon_days": 30, "lead_days": 7},
        snapshots={"last": "2024-06-30", "every_days": 10, "train": 3, "test": 2},
    )
    split = splits.plan_split(study)
    assert split.test == (date(2024, 6, 20), date(2024, 6, 30))
    assert split.train == (
        date(2024, 4, 24),
        date(2024, 5, 4),
        date(2024, 5, 14),
    )  # 14 May + 37 days = 20 June
    splits.require_out_of_time(split, study)


def test_overlapping_windows_are_refused_with_the_last_training_snapshot_that_works(write_study):
    study = write_study()
    with pytest.raises(
        StudyError,
        match=(
            r"got the training snapshot 2024-06-01 whose window closes 2024-07-01; use training"
            r" snapshots on or before 2024-05-31"
        ),
    ):
        splits.require_out_of_time(Split((date(2024, 5, 31), date(2024, 6, 1)), (T,)), study)


def test_customers_on_both_sides_of_a_random_split_are_refused():
    panel = pd.DataFrame({"customer_id": ["a", "a", "b"], "churned": [True, False, True]})
    with pytest.raises(
        StudyError,
        match=(
            r"expected each customer on one side of a random split, got 1 on both \(a\); split"
            r" by customer_id"
        ),
    ):
        splits.require_disjoint(panel.iloc[[0]], panel.iloc[[1, 2]])


MONTHS = {"horizon": "3 months", "lead_days": 0}


def test_a_window_of_months_must_lie_within_the_data(write_study):
    tables = {"customers": customers("a"), "contracts": contract("a", "2024-01-01", None)}
    study = write_study("contractual", tables=tables, churn=MONTHS, data_end="2024-09-29")
    expected = (
        r"ends 2024-09-30 and the data end 2024-09-29; use a snapshot on or before 2024-06-29"
    )
    with pytest.raises(StudyError, match=expected):
        splits.label_panel(load.load_tables(study), study, [date(2024, 6, 30)])


def test_snapshots_a_month_apart_stay_at_its_end_and_no_window_overlaps(write_study):
    snapshots = {"last": "2024-06-30", "every": "month", "train": 3, "test": 2}
    study = write_study(churn=MONTHS, snapshots=snapshots)
    split = splits.plan_split(study)
    assert split.test == (date(2024, 5, 31), date(2024, 6, 30))
    assert split.train == (date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29))
    splits.require_out_of_time(split, study)
    with_lead = write_study(churn=MONTHS | {"lead_days": 7}, snapshots=snapshots)
    assert max(splits.plan_split(with_lead).train) == date(2024, 1, 31)  # 7 May is after 29 Feb + 7


def plan(write_study, number: int, first: str, **changes) -> tuple[list[Split], str]:
    tables = {"customers": customers("a"), "contracts": contract("a", first, None)}
    study = write_study("contractual", tables=tables, **changes)
    return splits.plan_origins(load.load_tables(study), study, number)


def test_windows_of_earlier_origins_touch_and_dont_overlap(write_study):
    # windows of 90 days after a lead of 7, snapshots 30 apart: three steps back, 90 days, is the
    # first at which the earlier window closes (27 June + 97 = 2 October) as the next one opens
    clock = {"last": "2025-09-25", "every_days": 30, "train": 6, "test": 1}
    churn = {"horizon_days": 90, "lead_days": 7}
    found, reason = plan(write_study, 2, "2024-01-01", snapshots=clock, churn=churn)
    assert [split.test for split in found] == [(date(2025, 6, 27),), (date(2025, 3, 29),)]
    assert reason == ""
    for split in found:
        # 97 days before the origin is the last label window to close by then
        assert max(split.train) == split.origin - pd.Timedelta(days=97)
        assert len(split.train) == 6
    longer = {"horizon_days": 91, "lead_days": 7}  # a day too long for three steps
    found, _ = plan(write_study, 1, "2024-01-01", snapshots=clock, churn=longer)
    assert found[0].test == (date(2025, 5, 28),)


def test_several_test_snapshots_go_back_together(write_study):
    clock = {"last": "2025-09-25", "every_days": 30, "train": 2, "test": 2}
    churn = {"horizon_days": 30, "lead_days": 0}
    found, _ = plan(write_study, 1, "2024-01-01", snapshots=clock, churn=churn)
    # the window after 27 July closes on 26 August, the first test snapshot
    assert found[0].test == (date(2025, 6, 27), date(2025, 7, 27))


def test_origins_in_months_stay_at_the_ends_of_months(write_study):
    clock = {"last": "2025-05-31", "every": "month", "train": 2, "test": 1}
    found, _ = plan(
        write_study, 2, "2024-01-01", snapshots=clock, churn={"horizon": "1 month", "lead_days": 0}
    )
    assert [split.test[0] for split in found] == [date(2025, 4, 30), date(2025, 3, 31)]


def test_an_earlier_origin_needs_half_of_the_training_snapshots(write_study):
    clock = {"last": "2025-09-25", "every_days": 30, "train": 6, "test": 1}
    churn = {"horizon_days": 90, "lead_days": 7}
    # training snapshots of 27 June are 22 March, 20 February, 21 January ...
    found, reason = plan(write_study, 3, "2025-01-21", snapshots=clock, churn=churn)
    assert [split.train for split in found] == [
        (date(2025, 1, 21), date(2025, 2, 20), date(2025, 3, 22))
    ]
    assert reason.startswith("An origin on 2025-03-29 would have 0 training snapshots of the 6")
    found, reason = plan(write_study, 3, "2025-01-22", snapshots=clock, churn=churn)
    assert found == []
    assert reason == (
        "An origin on 2025-06-27 would have 2 training snapshots of the 6 in study.yml, where 3"
        " are needed: leaving is on record since 2025-01-22."
    )
