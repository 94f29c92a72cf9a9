"""Who can churn after a snapshot and who did: windows, populations, durations."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from dated_rows import company_with_gaps, contract, customers, days, order, random_company

from research.data import coverage, load
from research.errors import StudyError
from research.panel import spells, splits
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population

T = date(2024, 6, 30)


def label_contracts(
    write_study, *contracts: pd.DataFrame, known_by=None, **changes
) -> pd.DataFrame:
    table = pd.concat(contracts, ignore_index=True)
    people = customers(*table.customer_id.unique())
    study = write_study("contractual", tables={"customers": people, "contracts": table}, **changes)
    _, labels = splits.label_panel(load.load_tables(study), study, [T], known_by)
    return labels.to_pandas().set_index("customer_id")


def label_orders(write_study, *orders: pd.DataFrame, known_by=None, **changes) -> pd.DataFrame:
    table = pd.concat(orders, ignore_index=True)
    study = write_study(
        "non_contractual",
        tables={"customers": customers(*table.customer_id.unique()), "orders": table},
        **changes,
    )
    _, labels = splits.label_panel(load.load_tables(study), study, [T], known_by)
    return labels.to_pandas().set_index("customer_id")


@pytest.mark.parametrize(
    ("ended", "member", "churned"),
    [
        ("2024-06-29", False, None),  # over before the snapshot
        ("2024-06-30", False, None),  # ends on the snapshot: no contract runs at its end
        ("2024-07-01", True, True),  # the first day of (T, T + 30]
        ("2024-07-30", True, True),  # the last day: T + 30
        ("2024-07-31", True, False),  # the day after
        (None, True, False),
    ],
)
def test_contract_label_window_is_open_at_the_snapshot_and_closed_at_the_horizon(
    write_study, ended, member, churned
):
    labels = label_contracts(
        write_study, contract("a", "2024-01-01", ended), contract("other", "2024-01-01", None)
    )
    assert ("a" in labels.index) == member
    if member:
        assert labels.churned["a"] == churned


@pytest.mark.parametrize(
    ("ended", "in_lead", "churned"),
    [
        ("2024-07-01", True, False),
        ("2024-07-07", True, False),  # T + 7: the last day of the lead
        ("2024-07-08", False, True),  # the first day after it
        ("2024-08-06", False, True),  # T + 7 + 30
        ("2024-08-07", False, False),
    ],
)
def test_an_end_within_the_lead_is_counted_apart_and_the_window_moves_behind_it(
    write_study, ended, in_lead, churned
):
    labels = label_contracts(
        write_study, contract("a", "2024-01-01", ended), churn={"horizon_days": 30, "lead_days": 7}
    )
    assert (labels.left_in_lead["a"], labels.churned["a"]) == (in_lead, churned)


def test_an_end_late_in_the_day_counts_for_that_day_and_in_its_last_minute_for_the_next(
    write_study,
):
    labels = label_contracts(
        write_study,
        contract("a", "2024-01-01", "2024-07-30 23:58:59"),
        contract("b", "2024-01-01", "2024-06-30 23:58:59"),
        contract("covered to T", "2024-01-01", "2024-06-30 23:59:59"),
        contract("covered to T + 30", "2024-01-01", "2024-07-30 23:59:59"),
    )
    assert dict(labels.churned) == {
        "a": True,
        "covered to T": True,
        "covered to T + 30": False,
    }


@pytest.mark.parametrize(
    ("started", "member"),
    [("2024-06-29", True), ("2024-06-30", True), ("2024-06-30 23:00", True), ("2024-07-01", False)],
)
def test_a_contract_counts_from_the_day_it_starts(write_study, started, member):
    labels = label_contracts(
        write_study, contract("a", started, None), contract("other", "2024-01-01", None)
    )
    assert ("a" in labels.index) == member


def test_a_renewal_without_a_gap_is_no_churn_and_one_after_a_gap_is(write_study):
    seamless = [
        contract("seamless", "2024-01-01", "2024-07-10"),
        contract("seamless", "2024-07-10", None),
    ]
    gap = [contract("gap", "2024-01-01", "2024-07-10"), contract("gap", "2024-07-12", None)]
    labels = label_contracts(write_study, *seamless, *gap)
    assert dict(labels.churned) == {"seamless": False, "gap": True}


def test_a_short_contract_inside_a_long_one_ends_nothing(write_study):
    labels = label_contracts(
        write_study, contract("a", "2024-01-01", None), contract("a", "2024-02-01", "2024-07-05")
    )
    assert not labels.churned["a"]
    assert len(labels) == 1


def test_contract_durations_run_to_the_end_or_are_censored_at_the_data_end(write_study):
    labels = label_contracts(
        write_study,
        contract("leaves", "2024-01-01", "2024-07-10"),
        contract("stays", "2024-01-01", None),
    )
    assert labels.duration_days["leaves"] == 10  # 30 June to 10 July
    assert (
        labels.duration_days["stays"] == 184
    )  # 30 June to 31 December: 31 + 31 + 30 + 31 + 30 + 31
    assert dict(labels.event) == {"leaves": True, "stays": False}


def test_an_end_after_the_data_end_is_unknown(write_study):
    labels = label_contracts(
        write_study, contract("a", "2024-01-01", "2024-12-31"), data_end="2024-12-30"
    )
    assert not labels.event["a"]


def test_a_contract_that_reached_us_after_the_snapshot_makes_no_member(write_study):
    late = contract("late", "2024-01-01", None, known_at=days("2024-07-01"))
    known = contract("known", "2024-01-01", None, known_at=days("2024-06-30"))
    assert list(label_contracts(write_study, late, known).index) == ["known"]


def test_a_label_for_training_knows_only_what_had_arrived_by_then(write_study):
    run = contract("a", "2024-01-01", "2024-07-10", known_at=days("2024-01-01"))
    renewal = contract("a", "2024-07-01", None, known_at=days("2024-12-01"))
    assert label_contracts(write_study, run, renewal, known_by=date(2024, 8, 1)).churned["a"]
    assert not label_contracts(write_study, run, renewal).churned["a"]


@pytest.mark.parametrize(
    ("ordered", "churned"),
    [
        ("2024-06-30", True),
        ("2024-07-01", False),
        ("2024-07-30", False),
        ("2024-07-30 23:59", False),
        ("2024-07-31", True),
    ],
)
def test_lapse_label_window_is_open_at_the_snapshot_and_closed_at_the_horizon(
    write_study, ordered, churned
):
    labels = label_orders(write_study, order("a", "2024-06-01", ordered))
    assert labels.churned["a"] == churned


@pytest.mark.parametrize(
    ("ordered", "member"),
    [
        ("2024-04-01", False),
        ("2024-04-02", True),
        ("2024-06-30 23:00", True),
        ("2024-07-01", False),
    ],
)
def test_a_customer_is_active_with_an_order_on_one_of_the_last_90_days(
    write_study, ordered, member
):
    labels = label_orders(write_study, order("a", ordered), order("other", "2024-06-01"))
    assert ("a" in labels.index) == member  # 2 April to 30 June are 90 days


def test_a_returned_order_shows_no_activity(write_study):
    labels = label_orders(
        write_study,
        order("a", "2024-06-01"),
        order("a", "2024-07-05", amount=-10.0),
        order("b", "2024-06-01", amount=-1.0),
    )
    assert list(labels.index) == ["a"]
    assert labels.churned["a"]


@pytest.mark.parametrize(
    ("later", "duration", "event"),
    [
        ([], 0, True),  # inactivity from T on: 60 days after 30 June have passed by 31 December
        (
            ["2024-08-29"],
            60,
            True,
        ),  # the gap of 60 days is no lapse; inactivity follows from day 60
        (
            ["2024-08-30"],
            0,
            True,
        ),  # a gap of 61 days: 60 days without an order followed the snapshot
        (
            ["2024-08-15", "2024-10-01"],
            93,
            True,
        ),  # gaps of 46 and 47 days, then inactivity from 1 October
        (
            ["2024-08-15", "2024-10-01", "2024-11-02"],
            124,
            False,
        ),  # 60 days after 2 November are not over: censored on 1 November
    ],
)
def test_lapse_durations_worked_by_hand(write_study, later, duration, event):
    labels = label_orders(write_study, order("a", "2024-06-15", *later))
    assert (labels.duration_days["a"], labels.event["a"]) == (duration, event)


def test_the_time_to_event_runs_from_the_end_of_the_lead_to_the_end_of_cover_or_of_follow_up(
    write_study,
):
    ends = {"in lead": "2024-07-07", "leaves": "2024-07-08", "stays": None}
    labels = label_contracts(
        write_study,
        *(contract(name, "2024-01-01", end) for name, end in ends.items()),
        churn={"horizon_days": 30, "lead_days": 7},
    )
    assert dict(labels.time_to_event_days) == {
        "in lead": 0,
        "leaves": 1,
        "stays": 177,
    }  # from 7 July, to 8 July, to 31 December: 24 + 31 + 30 + 31 + 30 + 31
    assert dict(labels.event_observed) == {"in lead": True, "leaves": True, "stays": False}


def test_the_time_to_event_of_a_buyer_runs_to_the_next_purchase_after_the_lead(write_study):
    rows = (
        order("back", "2024-06-01", "2024-07-03", "2024-07-20", "2024-08-01"),
        order("lead", "2024-06-01", "2024-07-07"),
        order("z", "2024-12-31"),
    )
    churn = {"horizon_days": 30, "lead_days": 7, "active_days": 90, "inactive_days": 60}
    labels = label_orders(write_study, *rows, churn=churn)
    assert dict(labels.time_to_event_days) == {
        "back": 13,
        "lead": 177,
    }  # 7 to 20 July; to the end of the data
    assert dict(labels.event_observed) == {"back": True, "lead": False}


def test_durations_and_times_to_event_of_training_rows_are_censored_where_training_ends(
    write_study,
):
    rows = (
        contract("later", "2024-01-01", "2024-09-01"),
        contract("sooner", "2024-01-01", "2024-08-01"),
    )
    labels = label_contracts(write_study, *rows, known_by=date(2024, 8, 31))
    assert dict(labels.event) == dict(labels.event_observed) == {"later": False, "sooner": True}
    assert labels.leaves_in_data.all()  # what the leakage checks may know, and no model
    assert (
        dict(labels.duration_days) == dict(labels.time_to_event_days) == {"later": 62, "sooner": 32}
    )  # 30 June to 31 August, to 1 August


def test_the_time_to_a_purchase_is_censored_where_training_ends(write_study):
    labels = label_orders(
        write_study,
        order("later", "2024-06-01", "2024-09-01"),
        order("z", "2024-12-31"),
        known_by=date(2024, 8, 31),
    )
    assert (labels.time_to_event_days["later"], labels.event_observed["later"]) == (62, False)


@pytest.mark.parametrize("seed", list_seeds(3))
@pytest.mark.parametrize("lead", [0, 7])
def test_the_time_to_event_decides_churn(write_study, seed, lead):
    study, tables = random_company(write_study, seed, churn={"horizon_days": 30, "lead_days": lead})
    labels = splits.label_panel(tables, study, [T])[1].to_pandas()
    assert (
        labels.churned
        == (labels.event_observed & (labels.time_to_event_days <= 30) & ~labels.left_in_lead)
    ).all()


def test_a_panel_of_many_snapshots_equals_each_snapshot_alone(write_study):
    study, tables = random_company(write_study, seed=1)
    dates = [date(2024, 4, 30), date(2024, 5, 31), T]
    together = splits.label_panel(tables, study, dates)[1].to_pandas()
    alone = pd.concat([splits.label_panel(tables, study, [day])[1].to_pandas() for day in dates])
    keys = ["snapshot", "customer_id"]
    pd.testing.assert_frame_equal(
        together.sort_values(keys, ignore_index=True), alone.sort_values(keys, ignore_index=True)
    )


@pytest.mark.parametrize("seed", list_seeds(3))
def test_who_leaves_in_lead_or_window_has_a_duration_that_says_so(write_study, seed):
    study, tables = random_company(write_study, seed)
    labels = splits.label_panel(tables, study, [T])[1].to_pandas()
    inside = labels.event & (labels.duration_days <= 30)
    assert (labels.churned == inside).all()
    assert not (labels.churned & labels.left_in_lead).any()


def test_the_data_end_is_the_last_day_of_the_labelled_table_unless_named(write_study):
    study = write_study(
        "contractual",
        tables={
            "customers": customers("a"),
            "contracts": contract("a", "2024-01-01", "2024-11-05 13:00"),
        },
        data_end=None,
    )
    assert coverage.find_data_end(load.load_tables(study), study) == date(2024, 11, 5)


def test_a_data_end_that_has_not_come_yet_is_refused(write_study):
    with pytest.raises(
        StudyError, match="key data_end: expected a day that is not in the future, got 2199-01-01"
    ):
        label_contracts(write_study, contract("a", "2024-01-01", None), data_end="2199-01-01")


GRACE = {"horizon_days": 30, "lead_days": 0, "grace_days": 10}


@pytest.mark.parametrize(
    ("ended", "renewed", "member", "left_before", "churned"),
    [
        ("2024-06-20", None, False, None, None),  # certain on T: 10 days are over
        ("2024-06-20", "2024-06-30", True, False, False),  # T is the last day of grace
        ("2024-06-21", None, True, True, False),  # T lies in the gap, and nobody comes back
        ("2024-06-21", "2024-07-01", True, False, False),  # the gap of T closes in time
        ("2024-06-21", "2024-07-02", True, True, False),  # ... and a day too late
        ("2024-07-01", None, True, False, True),
        ("2024-07-30", "2024-08-09", True, False, False),  # 10 days after the window's last day
        ("2024-07-30", "2024-08-10", True, False, True),
        ("2024-07-31", None, True, False, False),
    ],
)
def test_a_gap_of_at_most_the_days_of_grace_is_no_leave(
    write_study, ended, renewed, member, left_before, churned
):
    rows = [contract("a", "2024-01-01", ended)]
    rows += [contract("a", renewed, None)] if renewed else []
    labels = label_contracts(write_study, *rows, contract("b", "2024-01-01", None), churn=GRACE)
    assert ("a" in labels.index) == member
    if member:
        assert (labels.left_in_lead["a"], labels.churned["a"]) == (left_before, churned)


def test_durations_run_to_the_end_of_cover_and_are_censored_when_ends_can_still_be_undone(
    write_study,
):
    labels = label_contracts(
        write_study,
        contract("leaves", "2024-01-01", "2024-07-10"),
        contract("in the gap of T", "2024-01-01", "2024-06-25"),
        contract("uncertain", "2024-01-01", "2024-12-22"),
        contract("stays", "2024-01-01", None),
        churn=GRACE,
    )
    # the data end on 31 December, 184 days after T, and what ended by 21 December is certain
    durations = {"leaves": 10, "in the gap of T": 0, "uncertain": 174, "stays": 174}
    assert dict(labels.duration_days) == durations
    assert {*labels.index[labels.event]} == {"in the gap of T", "leaves"}


def test_a_renewal_known_only_after_the_day_of_learning_leaves_an_end_uncertain(write_study):
    labels = label_contracts(
        write_study,
        contract("a", "2024-01-01", "2024-07-25", known_at=days("2024-01-01")),
        contract("a", "2024-08-01", None, known_at=days("2024-08-03")),
        churn=GRACE,
        known_by=date(2024, 8, 2),
    )
    assert not labels.event["a"]
    assert labels.duration_days["a"] == 23  # 30 June to 23 July: 10 days before 2 August


@pytest.mark.parametrize("seed", list_seeds(3))
def test_grace_of_no_day_changes_nothing_and_labels_with_grace_follow_from_each_gap(
    write_study, seed
):
    """Against a walk through each customer's terms."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 20, 80).cumsum() % 330
    table = pd.DataFrame(
        {
            "customer_id": rng.choice([f"c{i}" for i in range(12)], 80),
            "started_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(starts, unit="D"),
        }
    )
    table["ended_at"] = table.started_at + pd.to_timedelta(rng.integers(1, 40, 80), unit="D")
    table["ended_at"] = table.ended_at.where(table.ended_at <= "2024-12-31")
    labels = label_contracts(write_study, table, churn=GRACE)
    assert dict(label_contracts(write_study, table, churn=GRACE | {"grace_days": 0}).churned) == (
        dict(label_contracts(write_study, table).churned)
    )
    for customer, left in walk(table, 10).items():
        if left is None:
            assert customer not in labels.index
        else:
            window = pd.Timestamp("2024-06-30") < left <= pd.Timestamp("2024-07-30")
            assert labels.churned[customer] == window


def walk(table: pd.DataFrame, grace: int) -> dict[str, pd.Timestamp | None]:
    """Return when each customer's cover of 30 June ends; none for who isn't a customer."""
    found = {}
    for customer, own in table.sort_values("started_at").groupby("customer_id"):
        end = None
        for term in own.itertuples():
            until = term.ended_at if pd.notna(term.ended_at) else pd.Timestamp("2200-01-01")
            if end is not None and term.started_at > end + pd.Timedelta(days=grace):
                if term.started_at > pd.Timestamp(T):
                    break
                end = None
            if end is None and term.started_at > pd.Timestamp(T):
                break
            end = until if end is None else max(end, until)
        member = end is not None and end + pd.Timedelta(days=grace) > pd.Timestamp(T)
        found[customer] = end if member else None
    return found


MONTHS = {"horizon": "3 months", "lead_days": 0}


@pytest.mark.parametrize(
    ("ended", "churned"),
    [("2024-07-01", True), ("2024-09-30", True), ("2024-10-01", False)],
)
def test_a_label_window_of_months_closes_with_the_month(write_study, ended, churned):
    rows = [contract("a", "2024-01-01", ended), contract("b", "2024-01-01", None)]
    assert label_contracts(write_study, *rows, churn=MONTHS).churned["a"] == churned


@pytest.mark.parametrize(
    ("day", "members"),
    [
        (date(2024, 3, 1), {"late", "gone"}),
        (date(2024, 3, 10), {"late", "gone"}),
        (date(2024, 3, 11), {"late"}),
        (date(2024, 4, 1), {"late", "back"}),
    ],
)
def test_the_population_and_the_spells_hold_until_grace_is_over(write_study, day, members):
    study, tables = company_with_gaps(write_study)
    evidence = evidence_as_of(tables, [day])
    assert {*find_population(evidence, study).to_pandas().customer_id} == members
    table = spells.find_spells(evidence, study).to_pandas()
    assert {*table[table.ended.isna()].customer_id} == members
