"""The day that is scored: which days are refused, and that nothing after it is known."""

from datetime import date, timedelta

import pandas as pd
import pytest
from valued_companies import draw_contracts, write_flat

from research.data import load
from research.errors import StudyError, UsageError
from research.features.build import load_panel
from research.watchlist import scored_day

END = date(2024, 12, 31)
START = date(2023, 6, 1)
CHURN = {"horizon_days": 30, "lead_days": 5}
PLAN = {"last": "2024-06-30", "train": 3, "test": 2, "every_days": 30}


def company() -> dict[str, pd.DataFrame]:
    """Contracts of which one begins on the first day."""
    tables = draw_contracts(120)
    tables["contracts"].loc[0, ["started_at", "ended_at"]] = [pd.Timestamp(START), pd.NaT]
    tables["customers"].loc[0, "joined_at"] = pd.Timestamp(START)
    return tables


def write(write_study, tables: dict | None = None, **changes):
    given = {"churn": CHURN, "snapshots": PLAN, "data_start": str(START)} | changes
    study = write_study("contractual", tables=tables or company(), **given)
    return study, load.load_tables(study)


def test_the_scored_day_is_the_one_asked_for_else_that_of_the_study_else_the_end_of_the_data(
    write_study,
):
    study, tables = write(write_study)
    assert scored_day.find_scored_day(tables, study) == END
    named, _ = write(write_study, snapshots=PLAN | {"scored": "2024-11-30"})
    assert scored_day.find_scored_day(tables, named) == date(2024, 11, 30)
    assert scored_day.find_scored_day(tables, named, "2024-10-01") == date(2024, 10, 1)


def test_a_day_after_the_data_is_refused_and_their_last_day_is_not(write_study):
    study, tables = write(write_study)
    assert scored_day.find_scored_day(tables, study, END) == END
    with pytest.raises(StudyError, match=r"on or before the last day of the data, 2024-12-31, got"):
        scored_day.find_scored_day(tables, study, END + timedelta(days=1))


def test_a_day_before_the_shortest_window_of_features_is_refused(write_study):
    study, tables = write(write_study, features={"windows": [20, 60]})
    first = START + timedelta(days=19)  # the window of 20 days is [first day, first day + 19]
    assert scored_day.find_scored_day(tables, study, first) == first
    with pytest.raises(StudyError, match=r"on or after 2023-06-20.*\(20 days\).*got 2023-06-19"):
        scored_day.find_scored_day(tables, study, first - timedelta(days=1))


def test_windows_that_reach_back_before_the_data_are_named(write_study):
    study, tables = write(write_study, features={"windows": [20, 60]})
    whole = START + timedelta(days=59)
    assert scored_day.describe_short_history(tables, study, whole) == ""
    sentence = scored_day.describe_short_history(tables, study, whole - timedelta(days=1))
    assert "over the last 60 days see 59 days alone" in sentence


@pytest.mark.parametrize("text", ["tomorrow", "2024-02-30", "31.12.2024", "2024-13-01"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(UsageError, match="expected a day in the form 2025-06-30, got"):
        scored_day.read_day(text)


def test_a_flat_study_has_no_day_to_score(write_study):
    study, tables = write_flat(write_study, 40)
    with pytest.raises(StudyError, match="no day to score"):
        scored_day.find_scored_day(tables, study)


def test_training_snapshots_are_those_whose_windows_closed_by_the_day(write_study):
    study, tables = write(write_study)
    outlook = scored_day.look_from(tables, study, END)
    latest = END - timedelta(days=35)  # lead and horizon: the window closes on the day itself
    assert outlook.train == tuple(latest - timedelta(days=30 * back) for back in (2, 1, 0))
    assert outlook.judged == latest
    assert (outlook.opens, outlook.closes) == (date(2025, 1, 5), date(2025, 2, 4))


def test_snapshots_before_the_data_are_left_out_and_a_day_without_any_is_refused(write_study):
    study, tables = write(write_study)
    day = START + timedelta(days=35 + 30)
    outlook = scored_day.look_from(tables, study, day)
    assert outlook.train == (START, START + timedelta(days=30))
    early = scored_day.look_from(tables, study, START + timedelta(days=34))
    with pytest.raises(StudyError, match=r"closed by 2023-07-05, got none.*closes 2023-07-06"):
        scored_day.require_training(early)


def test_what_happens_after_the_day_changes_neither_features_nor_labels(write_study):
    study, tables = write(write_study)
    day = date(2024, 6, 30)
    given = company()
    contracts = given["contracts"]
    contracts = contracts[contracts.started_at <= pd.Timestamp(day)]
    later = contracts.ended_at > pd.Timestamp(day)
    other = contracts.assign(ended_at=contracts.ended_at.mask(later))  # nobody leaves any more
    people = given["customers"][given["customers"].customer_id.isin(other.customer_id)]
    changed = {"customers": people, "contracts": other}
    again, others = write(write_study, changed, name="other")

    def load_all(tables, study):
        outlook = scored_day.look_from(tables, study, day)
        present = pd.concat(outlook.load_parts(), ignore_index=True)
        return present, load_panel(outlook.tables, outlook.study, outlook.train, known_by=day)

    for one, two in zip(load_all(tables, study), load_all(others, again), strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert not load_all(tables, study)[0].columns.intersection(["churned", "left_in_lead"]).size
