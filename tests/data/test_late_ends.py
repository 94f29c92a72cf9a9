"""Remarks on ends that are recorded only from some day on."""

import numpy as np
import pandas as pd
from dated_rows import customers

from research.data import load
from research.data.remarks import find_data_remarks


def remarks_on(
    write_study, recorded_from: str, leave: float = 0.01, stray: int = 0, **changes
) -> list[str]:
    """Return the remarks on 400 customers, of whom a share leaves each day; who left before ends
    were recorded is not in the data.
    """
    rng = np.random.default_rng(0)
    started = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, 400), unit="D")
    ended = started + pd.to_timedelta(np.minimum(rng.geometric(leave, 400), 5000), unit="D")
    rows = pd.DataFrame({"started_at": started, "ended_at": ended})
    first = pd.Timestamp("2023-01-01")
    rows.loc[0] = [first, pd.NaT]
    rows = rows[~(rows.ended_at < recorded_from)].reset_index(drop=True)
    rows.loc[1:stray] = [first, first + pd.Timedelta(days=99)]
    rows["ended_at"] = rows.ended_at.where(rows.ended_at <= "2024-12-31")
    rows["customer_id"] = [f"c{i}" for i in rows.index]
    study = write_study(
        tables={"customers": customers(*rows.customer_id), "contracts": rows}, **changes
    )
    return [str(remark) for remark in find_data_remarks(load.load_tables(study), study)]


def test_ends_that_begin_long_after_the_first_start_are_said_with_the_day(write_study):
    (sentence,) = remarks_on(write_study, "2024-09-01")
    assert sentence.startswith("table contracts, column ended_at: the first of ")
    assert " ends is of 2024-09-01, 609 days after the first contract began, where " in sentence
    assert sentence.endswith(
        " would have been expected at the later rate; if ends were not recorded before, write"
        " 'data_start: 2024-09-01' in study.yml, or who had left by then is missing and customers"
        " seem to stay longer than they do"
    )


def test_ends_from_the_start_and_a_study_that_says_since_when_are_no_remark(write_study):
    assert remarks_on(write_study, "2023-01-01") == []
    assert remarks_on(write_study, "2024-09-01", data_start="2024-09-01") == []


def test_a_first_end_that_comes_late_by_chance_is_no_remark(write_study):
    assert remarks_on(write_study, "2023-01-01", leave=0.00002) == []


def test_a_few_stray_ends_do_not_hide_the_day_from_which_ends_are_recorded(write_study):
    (sentence,) = remarks_on(write_study, "2024-09-01", stray=2)
    assert " ends but 2 is of 2024-09-01, 609 days after the first contract" in sentence
    assert "'data_start: 2024-09-01'" in sentence


def test_a_data_start_long_before_the_first_end_is_said_too(write_study):
    (sentence,) = remarks_on(write_study, "2024-09-01", data_start="2023-01-01")
    assert "609 days after the first contract began" in sentence
    (sentence,) = remarks_on(write_study, "2024-09-01", data_start="2023-06-01")
    assert "2024-09-01, 458 days after data_start, where" in sentence
