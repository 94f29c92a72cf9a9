"""Landmarks from which survival is learned, and who is under contract."""

from datetime import date

import pytest
from valued_companies import T, draw_contracts, write_contracts

from research.errors import StudyError
from research.value import customers
from research.value.subscriber_panel import load_subscribers, plan_landmarks


def test_landmarks_lie_the_span_half_of_it_and_the_window_before_the_snapshot(write_study):
    study, tables = write_contracts(write_study, draw_contracts(60))
    # value_days 90, horizon 30; data from 2023-06-01
    assert plan_landmarks(tables, study, T) == (
        date(2024, 4, 1),
        date(2024, 5, 16),
        date(2024, 5, 31),
    )
    # 90 days of history before the first landmark: 2023-08-30 is the first that is possible
    assert plan_landmarks(tables, study, date(2023, 10, 1)) == (date(2023, 9, 1),)


def test_too_short_data_are_one_sentence(write_study):
    study, tables = write_contracts(write_study, draw_contracts(60))
    with pytest.raises(
        StudyError, match="expected data from 120 days before the snapshot 2023-07-10 on"
    ):
        customers.load_values(tables, study, date(2023, 7, 10), 0)


def test_everybody_under_contract_at_the_snapshot_is_valued_and_nobody_else(write_study):
    tables = draw_contracts(300)
    study, loaded = write_contracts(write_study, tables)
    panel = load_subscribers(loaded, study, T)
    lines = tables["contracts"]
    running = (lines.started_at <= "2024-06-30") & ~(lines.ended_at <= "2024-06-30")
    assert {*panel.present.customer_id} == {*lines.customer_id[running]}
    assert panel.train.snapshot.max() < panel.present.snapshot.min()
    assert len(panel.outcome) == len(panel.train)
