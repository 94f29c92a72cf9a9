"""Orders that were cancelled soon after net out against their cancellation."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from dated_rows import customers

from research.data import cancelled_orders, load
from research.errors import StudyError
from research.features import build

DAY = "2024-03-01 "


def standing(write_study, *rows: tuple, hours: int = 24, **columns) -> list[tuple]:
    """Return time and amount of the lines that stand."""
    table = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"])
    table = table.assign(ordered_at=pd.to_datetime(table.ordered_at), **columns)
    tables = {"customers": customers(*table.customer_id.unique()), "orders": table}
    keys = {"orders": {"cancelled_within_hours": hours}} if hours else {}
    study = write_study("non_contractual", tables=tables, **keys)
    found = load.load_tables(study)["orders"].to_pandas().sort_values(["ordered_at", "amount"])
    assert [*found.columns] == [*table.columns]
    return [(f"{row.ordered_at:%d %H:%M}", row.amount) for row in found.itertuples()]


def test_a_purchase_and_its_cancellation_net_out(write_study):
    rows = [
        ("a", DAY + "10:00", 52.0),
        ("a", DAY + "10:30", 87.0),
        ("a", DAY + "11:00", -87.0),
        ("b", DAY + "11:00", 87.0),
    ]
    assert standing(write_study, *rows) == [("01 10:00", 52), ("01 11:00", 87)]
    assert len(standing(write_study, *rows, hours=0)) == 4


@pytest.mark.parametrize(
    ("back", "amount", "left"),
    [
        ("2024-03-02 10:00", -52.0, 0),  # 24 hours
        ("2024-03-02 10:01", -52.0, 2),  # later: a return, which is subtracted
        ("2024-03-01 10:00", -52.0, 0),
        ("2024-03-01 09:59", -52.0, 2),  # before the purchase
        ("2024-03-01 11:00", -50.0, 2),  # another amount
    ],
)
def test_a_cancellation_comes_within_the_hours_and_has_the_same_amount(
    write_study, back, amount, left
):
    rows = [("a", DAY + "10:00", 52.0), ("a", back, amount)]
    assert len(standing(write_study, *rows)) == left


def test_one_line_cancels_one_purchase_the_latest(write_study):
    rows = [
        ("a", DAY + "10:00", 5.0),
        ("a", DAY + "11:00", 5.0),
        ("a", DAY + "12:00", -5.0),
        ("a", DAY + "13:00", 5.0),
        ("a", DAY + "14:00", -5.0),
    ]
    assert standing(write_study, *rows) == [("01 10:00", 5)]


def test_lines_marked_as_returned_cancel_too_and_only_the_same_product(write_study):
    rows = [("a", DAY + "10:00", 5.0), ("a", DAY + "10:05", 5.0), ("a", DAY + "11:00", 5.0)]
    more = {"returned": [False, False, True], "product": ["tea", "mug", "tea"]}
    assert standing(write_study, *rows, **more) == [("01 10:05", 5)]


@pytest.mark.parametrize("seed", list_seeds(2))
def test_pairs_are_those_of_a_stack_of_purchases(write_study, seed):
    rng = np.random.default_rng(seed)
    hours = rng.permutation(3000)[:120]
    rows = [
        (who, f"{pd.Timestamp('2024-01-01') + pd.Timedelta(hours=int(hour))}", float(amount))
        for who, hour, amount in zip(
            rng.choice(["a", "b"], 120), hours, rng.choice([5, 5, -5, 7, -7], 120), strict=True
        )
    ]
    kept = []
    for who in "ab":
        for size in (5.0, 7.0):
            stack = []
            for row in sorted(row for row in rows if row[0] == who and abs(row[2]) == size):
                last = stack[-1] if stack else None
                if row[2] < 0 and last and last[2] > 0:
                    stack.pop()
                    if pd.Timestamp(row[1]) - pd.Timestamp(last[1]) > pd.Timedelta(hours=24):
                        kept += [last, row]
                else:
                    stack.append(row)
            kept += stack
    assert len(standing(write_study, *rows)) == len(kept)


def test_who_cancelled_every_order_is_no_buyer(write_study):
    orders = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "ordered_at": pd.to_datetime(
                ["2024-06-10 10:00", "2024-06-10 11:00", "2024-06-10 12:00"]
            ),
            "amount": [5.0, -5.0, 5.0],
        }
    )
    study = write_study(
        "non_contractual",
        tables={"customers": customers("a", "b"), "orders": orders},
        orders={"cancelled_within_hours": 1},
    )
    frame = build.load_panel(load.load_tables(study), study, [study.snapshots.last])
    assert frame.customer_id.to_list() == ["b"]


def test_the_key_needs_orders(write_study):
    people = customers("a")
    tables = {"customers": people, "contracts": people.rename(columns={"joined_at": "started_at"})}
    study = write_study(tables=tables, orders={"cancelled_within_hours": 24})
    with pytest.raises(StudyError, match=r"key orders.cancelled_within_hours: expected a table"):
        load.load_tables(study)


def test_amounts_are_compared_in_millionths(write_study):
    rows = [("a", DAY + "10:00", 0.3), ("a", DAY + "11:00", -0.30000000000000004)]
    rows += [("b", DAY + "10:00", 1.0)]
    assert standing(write_study, *rows) == [("01 10:00", 1.0)]


def list_remarks(write_study, cancelled: int, **keys) -> list[str]:
    """Return the remarks on 100 purchases, so many of them cancelled an hour later."""
    numbers = np.arange(100)
    bought = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in numbers],
            "ordered_at": pd.Timestamp(DAY + "10:00") + pd.to_timedelta(numbers, unit="D"),
            "amount": 5.0 + numbers,
        }
    )
    back = bought[:cancelled].assign(
        ordered_at=lambda rows: rows.ordered_at + pd.Timedelta(hours=1),
        amount=lambda rows: -rows.amount,
    )
    tables = {
        "customers": customers(*bought.customer_id),
        "orders": pd.concat([bought, back], ignore_index=True),
    }
    study = write_study("non_contractual", tables=tables, **keys)
    found = cancelled_orders.find_quick_cancellations(load.load_tables(study), study)
    return [str(remark) for remark in found]


def test_many_purchases_that_are_cancelled_within_a_day_are_said_with_the_key(write_study):
    (sentence,) = list_remarks(write_study, 30)
    assert "30 of 100 purchases are cancelled within 24 hours" in sentence
    assert "write 'orders: {cancelled_within_hours: 24}' in study.yml" in sentence
    assert list_remarks(write_study, 30, orders={"cancelled_within_hours": 24}) == []
    assert list_remarks(write_study, 1) == []
    assert list_remarks(write_study, 0) == []
