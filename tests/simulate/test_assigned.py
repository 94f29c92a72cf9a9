"""A company lives on under assignments from outside; what came before stays as it was."""

import numpy as np
import pandas as pd
import pytest

from research.errors import UsageError
from research.simulate import Company, simulate_company
from research.simulate.assigned import place_assignments, read_assignments

SIZE, MONTHS = 1_500, 14
DAY = pd.Timestamp("2025-07-01")  # the company ends with 2025


def assign(arm: str, customers: range = range(SIZE), day: pd.Timestamp = DAY) -> pd.DataFrame:
    ids = [f"C{number + 1:06d}" for number in customers]
    rows = {"customer_id": ids, "campaign": "list", "assigned_at": day, "arm": arm}
    return pd.DataFrame(rows | {"cost": 1.0, "propensity": 0.9})


def live(rows: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    placed = None if rows is None else place_assignments(rows, SIZE, MONTHS)
    return simulate_company(Company(SIZE, MONTHS, 0, (), block=500, assigned=placed))


@pytest.fixture(scope="module")
def untouched() -> dict[str, pd.DataFrame]:
    return live(None)


def count_leavers(tables: dict[str, pd.DataFrame], first: str, last: str) -> int:
    ends = tables["contracts"].loc[tables["contracts"].end_reason.notna(), "ended_at"]
    return int(ends.between(first, last).sum())


def test_control_changes_nothing_but_the_table_of_campaigns(untouched):
    tables = live(assign("control"))
    for name, table in untouched.items():
        if name != "campaigns":
            pd.testing.assert_frame_equal(tables[name], table)
    listed = tables["campaigns"][tables["campaigns"].campaign == "list"]
    assert set(listed.arm) == {"control"}
    # only customers under contract on the day can have been assigned
    assert 0.2 * SIZE < len(listed) < SIZE
    assert tables["campaigns"].customer_id.is_monotonic_increasing


@pytest.mark.parametrize(("arm", "sign"), [("reminder", 1), ("advice", 1), ("call", -1)])
def test_contact_acts_from_its_month_on_for_three_months_and_not_before(untouched, arm, sign):
    tables = live(assign(arm))
    before = [count_leavers(one, "2024-11-01", "2025-07-01") for one in (untouched, tables)]
    assert before[0] == before[1] > 0
    then = [count_leavers(one, "2025-07-02", "2025-10-01") for one in (untouched, tables)]
    assert sign * (then[1] - then[0]) > 0


def test_only_the_customers_assigned_are_touched(untouched):
    tables = live(assign("reminder", range(200)))
    others = untouched["contracts"].customer_id > "C000200"
    pd.testing.assert_frame_equal(
        tables["contracts"][tables["contracts"].customer_id > "C000200"].reset_index(drop=True),
        untouched["contracts"][others].reset_index(drop=True),
    )
    assert not tables["contracts"].equals(untouched["contracts"])


def test_within_a_month_contact_acts_from_the_next_one_on():
    days = pd.to_datetime(["2025-07-01", "2025-07-02", "2025-07-31"])
    placed = [
        place_assignments(assign("call", range(1), day), SIZE, MONTHS).month.iloc[0] for day in days
    ]
    # November 2024 is month 0
    assert placed == [8, 9, 9]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"arm": "visit"},
            "expected an arm of control, discount, call, reminder, advice, got 'visit'",
        ),
        ({"customer_id": "C999999"}, "expected a customer of the company, got 'C999999'"),
        ({"customer_id": "x"}, "expected a customer of the company, got 'x'"),
        ({"assigned_at": "soon"}, "expected a day within the history, got 'soon'"),
        ({"assigned_at": pd.Timestamp("2020-01-01")}, "expected a day within the history"),
    ],
)
def test_what_cannot_be_placed_is_one_sentence(change, words):
    rows = assign("call", range(3)).astype({"assigned_at": object})
    for column, value in change.items():
        rows.loc[1, column] = value
    with pytest.raises(UsageError) as caught:
        place_assignments(rows, SIZE, MONTHS)
    assert len(caught.value.faults) == 1
    assert words in caught.value.faults[0]
    assert "in 1 of 3 rows" in caught.value.faults[0]


def test_assignments_are_read_from_csv_and_parquet_alike(tmp_path):
    rows = assign("call", range(5))
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_parquet(tmp_path / "a.parquet")
    one, other = (
        read_assignments(tmp_path / name, SIZE, MONTHS) for name in ("a.csv", "a.parquet")
    )
    assert (one.customer == other.customer).all()
    assert (one.month == other.month).all()
    assert np.array_equal(one.customer, np.arange(5))
    with pytest.raises(UsageError, match="expected a readable CSV or Parquet file"):
        read_assignments(tmp_path / "none.csv", SIZE, MONTHS)
    rows.drop(columns="arm").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UsageError, match="got none named arm"):
        read_assignments(tmp_path / "b.csv", SIZE, MONTHS)
