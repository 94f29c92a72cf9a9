"""Months of the calendar beside days: label windows, snapshots and the windows of indicators."""

from datetime import date

import ibis
import pandas as pd
import pytest
from dated_rows import contract, customers

from research.data import load
from research.errors import StudyError
from research.lifecycle import indicators
from research.panel import labels, periods, splits
from research.panel.evidence import evidence_as_of
from research.study import adjust

MONTHS = {"horizon": "3 months", "lead_days": 0}
DAYS = [
    (date(2024, 1, 15), 1, date(2024, 2, 15)),
    (date(2024, 1, 30), 1, date(2024, 2, 29)),  # February has no 30th
    (date(2024, 1, 31), 1, date(2024, 2, 29)),
    (date(2024, 2, 29), 1, date(2024, 3, 31)),  # the end of a month stays one
    (date(2024, 6, 30), 3, date(2024, 9, 30)),
    (date(2024, 6, 30), -1, date(2024, 5, 31)),
    (date(2024, 3, 30), -1, date(2024, 2, 29)),
    (date(2024, 12, 31), 2, date(2025, 2, 28)),
]


@pytest.mark.parametrize(("day", "months", "moved"), DAYS)
def test_ends_of_months_stay_ends_of_months(day, months, moved):
    assert periods.add_months(day, months) == moved
    table = ibis.memtable({"day": pd.to_datetime([day])})
    found = table.mutate(moved=periods.shift_months(table.day, months)).to_pandas().moved[0]
    assert found.date() == moved


@pytest.mark.parametrize(
    ("ended", "churned"),
    [("2024-07-01", True), ("2024-09-30", True), ("2024-10-01", False)],
)
def test_a_label_window_of_months_closes_with_the_month(write_study, ended, churned):
    rows = [contract("a", "2024-01-01", ended), contract("b", "2024-01-01", None)]
    tables = {"customers": customers("a", "b"), "contracts": pd.concat(rows, ignore_index=True)}
    study = write_study("contractual", tables=tables, churn=MONTHS)
    loaded = load.load_tables(study)
    evidence = evidence_as_of(loaded, [date(2024, 6, 30)])
    population = labels.find_population(evidence, study)
    found = labels.label_churn(loaded, population, study).to_pandas().set_index("customer_id")
    assert found.churned["a"] == churned


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


def test_a_horizon_in_days_takes_the_place_of_months(write_study):
    study = write_study(churn=MONTHS)
    assert (study.churn.horizon_months, study.churn.horizon_days) == (3, 91)
    assert adjust(study, horizon_days=60).churn.horizon_months == 0
    assert adjust(study, lead_days=3).churn.horizon_months == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"churn": MONTHS | {"horizon_days": 30}},
            "key churn: expected horizon or horizon_days, got 3 months and 30; remove one of them",
        ),
        (
            {"churn": {"horizon": "3 weeks"}},
            "key churn.horizon: expected months such as '3 months', got",
        ),
        (
            {"snapshots": {"last": "2024-06-30", "every": "month", "every_days": 10}},
            "key snapshots: expected every or every_days, got month and 10; remove one of them",
        ),
    ],
)
def test_months_and_days_exclude_one_another(write_study, changes, sentence):
    with pytest.raises(StudyError) as refusal:
        write_study(**changes)
    assert any(sentence in fault for fault in refusal.value.faults)


def test_a_constant_churn_at_the_turn_of_months_is_constant_by_months(write_study):
    """One of 20 leaves on each first of a month; 30 days up to the 31st would hold none."""
    names = [f"c{number:03}" for number in range(200)]
    ended, staying = {}, names
    for month in pd.date_range("2024-02-01", "2024-08-01", freq="MS"):
        leavers, staying = staying[: len(staying) // 20], staying[len(staying) // 20 :]
        ended |= dict.fromkeys(leavers, month)
    table = pd.DataFrame({"customer_id": names, "started_at": pd.Timestamp("2023-06-01")})
    table["ended_at"] = pd.to_datetime(table.customer_id.map(ended))
    tables = {"customers": customers(*names), "contracts": table}
    plan = {"last": "2024-08-31", "train": 1, "test": 1}
    shares = {}
    for name, more in (("months", {"every": "month"}), ("days", {"every_days": 30})):
        study = write_study("contractual", name=name, tables=tables, snapshots=plan | more)
        loaded = load.load_tables(study)
        days = indicators.list_snapshots(loaded, study, 3)
        found = indicators.compute_indicators(loaded, study, days)
        shares[name] = found[found.indicator == "customer_churn_rate"].value.to_list()
        if name == "months":
            assert days == [date(2024, 6, 30), date(2024, 7, 31), date(2024, 8, 31)]
    assert shares["months"] == pytest.approx([0.05] * 3, abs=0.006)
    assert shares["days"][-1] == 0
