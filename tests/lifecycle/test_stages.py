"""Customers in stages, moves between them and time in a stage, counted by hand."""

from datetime import date

import pandas as pd
import pytest
from staged_company import LAST, ago, write_company, write_moving_company

from research.data import load
from research.features import stage
from research.lifecycle.stages import compute_time_in_stage, count_stages, count_transitions
from research.panel.evidence import evidence_as_of
from research.panel.periods import Months


def test_stages_are_shares_of_those_who_are_customers(write_study):
    study = write_company(
        write_study,
        [("a", 400, None), ("b", 400, None), ("c", 10, None), ("d", 10, None), ("e", 400, 3)],
    )
    counts = count_stages(
        stage.assign_stages(evidence_as_of(load.load_tables(study), [LAST.date()]), study)
    ).set_index("stage")
    assert dict(counts.customers) == {
        "introduction": 2,
        "growth": 0,
        "maturity": 2,
        "decline": 0,
        "gone": 1,
        "won back": 0,
    }
    assert counts.share["introduction"] == 0.5  # 2 of the 4 who are customers
    assert counts.low["introduction"] == pytest.approx(
        0.150, abs=5e-4
    )  # Wilson: (.5 + 3.8415/8 - 1.96 sqrt(.25/4 + 3.8415/64)) / (1 + 3.8415/4)
    assert pd.isna(counts.share["gone"])


def test_moves_are_counted_from_each_snapshot_to_the_next(write_study):
    _, stages = write_moving_company(write_study)
    transitions = count_transitions(stages)
    by_pair = {
        (row.origin, row.stage): (row.customers, row.moves, row.share)
        for row in transitions.itertuples()
    }
    assert by_pair == {
        ("not yet a customer", "introduction"): (1, 1, 1.0),
        ("introduction", "introduction"): (2, 2, pytest.approx(2 / 3)),  # a 90 -> 60, b 30 -> 0
        ("introduction", "maturity"): (2, 1, pytest.approx(1 / 3)),  # a 60 -> 30
        ("maturity", "maturity"): (2, 2, pytest.approx(2 / 3)),  # c 90 -> 60, a 30 -> 0
        ("maturity", "gone"): (2, 1, pytest.approx(1 / 3)),  # c 60 -> 30
        ("gone", "gone"): (1, 1, 1.0),
    }


def test_the_first_stage_of_all_new_customers_is_by_definition_and_has_no_interval(write_study):
    _, stages = write_moving_company(write_study)
    moves = count_transitions(stages).set_index("origin")[["low", "high"]]
    assert moves.loc["not yet a customer"].isna().all()
    assert moves.loc["introduction"].notna().all(axis=None)


def test_the_shares_out_of_a_stage_add_up_to_one(write_study):
    _, stages = write_moving_company(write_study)
    assert count_transitions(stages).groupby("origin").share.sum().to_numpy() == pytest.approx(1)


def test_stays_begin_within_the_snapshots_and_those_that_last_are_censored(write_study):
    _, stages = write_moving_company(write_study)
    times = compute_time_in_stage(stages, 30).set_index("stage")
    assert dict(times.stays) == {
        "introduction": 1,
        "maturity": 1,
        "gone": 1,
    }  # b's, a's after its introduction, c's; not those under way 90 days ago
    assert dict(times.finished) == {"introduction": 0, "maturity": 0, "gone": 0}
    assert times.median_days.isna().all()
    assert dict(times.longest_days) == {"introduction": 60, "maturity": 60, "gone": 60}


def test_the_median_time_in_a_stage_is_that_of_kaplan_meier(write_study):
    # four introductions of 90 days observed at 3 snapshots each, one censored after 60:
    # half have ended at 90
    spells = [(name, 150 - shift, None) for shift, name in enumerate("abcd")] + [
        ("e", 40, None),
        ("z", 400, None),
    ]
    study = write_company(write_study, spells)
    days = [ago(days).date() for days in range(180, -1, -30)]
    times = compute_time_in_stage(
        stage.assign_stages(evidence_as_of(load.load_tables(study), days), study), 30
    ).set_index("stage")
    assert tuple(times.loc["introduction", ["stays", "finished", "median_days"]]) == (5, 4, 90)


def test_a_month_in_a_stage_has_the_days_of_the_calendar(write_study):
    study = write_company(write_study, [("a", 76, None), ("z", 400, None)])
    days = [date(2024, 3, 31), date(2024, 4, 30), date(2024, 5, 31), date(2024, 6, 30)]
    stages = stage.assign_stages(evidence_as_of(load.load_tables(study), days), study)
    # a joined on 15 April and is seen from 30 April on: it stays to 31 July at least, 92 days
    assert compute_time_in_stage(stages, Months()).longest_days.to_list() == [92]
    assert compute_time_in_stage(stages, 30).longest_days.to_list() == [91]
