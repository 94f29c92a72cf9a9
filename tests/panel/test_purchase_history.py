"""Histories of purchases as known at each snapshot."""

from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.panel import purchase_history

T = date(2024, 6, 30)


def summarise(write_study, orders: pd.DataFrame, snapshots=(T,)) -> pd.DataFrame:
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study("non_contractual", tables={"customers": people, "orders": orders})
    return (
        purchase_history.summarise_orders(load.load_tables(study), study, list(snapshots))
        .to_pandas()
        .sort_values(["snapshot", "customer_id"])
    )


def orders(*rows: tuple[str, str], **more) -> pd.DataFrame:
    customers, days = zip(*rows, strict=True)
    return pd.DataFrame(
        {"customer_id": customers, "ordered_at": pd.to_datetime(list(days)), "amount": 10.0} | more
    )


def test_a_history_counts_days_up_to_the_snapshot(write_study):
    found = summarise(
        write_study,
        orders(
            *[
                ("a", day)
                for day in (
                    "2024-06-01 09:00",
                    "2024-06-01 17:00",
                    "2024-06-11 23:00",
                    "2024-06-30 23:59",
                    "2024-07-01 00:00",
                )
            ],
            ("b", "2024-06-30 12:00"),
            ("c", "2024-07-01 00:00"),
        ),
    )
    # a: two lines on one day are one; 1, 11 and 30 June count, 1 July lies ahead. b: first bought
    # on the snapshot. c: not yet
    assert found[["customer_id", *purchase_history.HISTORY]].to_numpy().tolist() == [
        ["a", 2, 29, 29],
        ["b", 0, 0, 0],
    ]


def test_returns_and_lines_of_no_amount_are_no_purchase_and_lines_not_yet_known_do_not_count(
    write_study,
):
    rows = orders(
        ("a", "2024-06-01"), ("a", "2024-06-05"), ("a", "2024-06-09"), ("a", "2024-06-20")
    )
    rows = rows.assign(
        amount=[10.0, -10.0, 10.0, 10.0],
        returned=[False, True, True, False],
        known_at=[*rows.ordered_at[:3], pd.Timestamp("2024-07-01")],
    )
    assert summarise(write_study, rows)[purchase_history.HISTORY].to_numpy().tolist() == [
        [0, 0, 29]
    ]


def test_each_snapshot_has_its_own_histories(write_study):
    found = summarise(
        write_study, orders(("a", "2024-05-01"), ("a", "2024-06-10")), (date(2024, 5, 31), T)
    )
    assert found[purchase_history.HISTORY].to_numpy().tolist() == [[0, 0, 30], [1, 40, 60]]


def test_a_study_without_orders_is_refused():
    with pytest.raises(StudyError, match="expected the table orders, got customers, usage"):
        purchase_history.summarise_orders(
            {"customers": None, "usage": None}, SimpleNamespace(name="tiny"), [T]
        )
