"""Purchases and spending of each customer: windows at their edges, histories worked by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from order_lines import write_lines

from research.data import load
from research.errors import StudyError
from research.value import purchases

T = date(2024, 3, 1)


def test_spending_is_what_repeat_purchases_brought_less_returns(write_study):
    lines = [
        *[
            ("a", "2024-01-01", 10),
            ("a", "2024-01-05", 20),
            ("a", "2024-01-05", 5),
            ("a", "2024-02-01", -7),
            ("a", "2024-03-01", 30),
        ],
        *[("once", "2024-01-01", 99), ("once", "2024-01-20", -9)],
        *[("back", "2024-01-01", 50), ("back", "2024-01-10", 20), ("back", "2024-01-15", -60)],
    ]
    study = write_lines(write_study, *lines)
    table = (
        purchases.summarise_spending(load.load_tables(study), study, [date(2024, 2, 15)])
        .to_pandas()
        .set_index("customer_id")
    )
    # 25 less 7; March lies ahead
    history = ["n_repeat", "recency_days", "age_days", "mean_amount"]
    assert table.loc["a", history].tolist() == [1, 4, 45, 18]
    assert table.loc["once", "n_repeat"] == 0
    assert np.isnan(table.loc["once", "mean_amount"])
    assert table.loc["back", "mean_amount"] == -40
    assert table.first_amount.to_dict() == {"a": 10, "once": 99, "back": 50}
    # days from the first of January to the 5th, and to the 10th; no second purchase
    expected = {"a": np.log(4), "once": 0, "back": np.log(9)}
    assert table.log_gaps_days.to_dict() == pytest.approx(expected)


def test_no_purchase_by_the_snapshot_is_one_sentence(write_study):
    study = write_lines(write_study, ("a", "2024-03-02", 5))
    with pytest.raises(StudyError, match="expected purchases on or before 2024-03-01, got none"):
        purchases.load_histories(load.load_tables(study), study, T)


def test_a_window_opens_after_the_snapshot_and_closes_with_its_last_day(write_study):
    lines = [
        ("a", "2024-01-01", 5),
        ("a", "2024-03-01 23:59", 10),
        ("a", "2024-03-02", 20),
        ("a", "2024-03-02 12:00", 1),
        ("a", "2024-03-31 23:59", 30),
    ]
    study = write_lines(
        write_study,
        *lines,
        ("a", "2024-04-01", 40),
        ("a", "2024-03-05", -4),
        ("b", "2024-01-02", 7),
    )
    tables = load.load_tables(study)
    later = purchases.load_window(tables, pd.Series(["b", "a"]), T, date(2024, 3, 31))
    assert later.purchases.tolist() == [0, 2]  # the 2nd, once, and the 31st
    assert later.amount.tolist() == [0, 20 + 1 + 30 - 4]
    last = purchases.load_last_period(tables, pd.Series(["a"]), T, 30)
    assert last.iloc[0].tolist() == [1, 10]  # (January 31, March 1]


def test_repeats_are_counted_by_day_of_customers_known_by_the_snapshot(write_study):
    study = write_lines(
        write_study,
        ("a", "2024-01-01", 5),
        ("a", "2024-01-01 12:00", 5),
        ("a", "2024-03-08", 5),
        ("new", "2024-03-02", 5),
        ("new", "2024-03-08", 5),
        ("b", "2024-02-01", 5),
        ("b", "2024-03-08", 5),
        ("b", "2024-03-09", 5),
    )
    tables = load.load_tables(study)
    histories = purchases.load_histories(tables, study, T)
    repeats = purchases.count_repeats(tables, histories, T, date(2024, 3, 8))
    assert repeats.to_dict() == {pd.Timestamp("2024-03-08"): 2}
