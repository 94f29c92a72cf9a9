"""Time: windows, labels, durations, panels and splits."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from research.data import coverage, load
from research.errors import StudyError
from research.panel import splits
from research.panel.evidence import evidence_as_of, filter_as_of
from research.panel.labels import find_population
from research.panel.splits import Split

T = date(2024, 6, 30)


def days(*texts: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(text) for text in texts]


def customers(*names: str, joined: str = "2023-01-01") -> pd.DataFrame:
    return pd.DataFrame({"customer_id": names, "joined_at": days(joined) * len(names)})


def contract(customer: str, started: str, ended: str | None, **more) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [customer],
            "started_at": days(started),
            "ended_at": [pd.Timestamp(ended) if ended else pd.NaT],
            **more,
        }
    )


def order(customer: str, *ordered: str, amount: float = 10.0) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": customer, "ordered_at": days(*ordered), "amount": amount})


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
def test_an_end_within_the_lead_is_told_apart_and_the_window_moves_behind_it(
    write_study, ended, in_lead, churned
):
    labels = label_contracts(
        write_study, contract("a", "2024-01-01", ended), churn={"horizon_days": 30, "lead_days": 7}
    )
    assert (labels.left_in_lead["a"], labels.churned["a"]) == (in_lead, churned)


def test_an_end_late_in_the_day_counts_for_that_day(write_study):
    labels = label_contracts(
        write_study,
        contract("a", "2024-01-01", "2024-07-30 23:59:59"),
        contract("b", "2024-01-01", "2024-06-30 23:59:59"),
    )
    assert list(labels.index) == ["a"]
    assert labels.churned["a"]


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


def test_a_returned_order_is_no_sign_of_life(write_study):
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
        ([], 0, True),  # silence from T on: 60 days after 30 June have passed by 31 December
        (["2024-08-29"], 60, True),  # the gap of 60 days is no lapse; silence follows from day 60
        (
            ["2024-08-30"],
            0,
            True,
        ),  # a gap of 61 days: 60 days without an order followed the snapshot
        (
            ["2024-08-15", "2024-10-01"],
            93,
            True,
        ),  # gaps of 46 and 47 days, then silence from 1 October
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


def test_a_wait_runs_from_the_end_of_the_lead_to_the_end_of_cover_or_of_sight(write_study):
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


def test_a_wait_for_a_buyer_runs_to_the_next_purchase_after_the_lead(write_study):
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


def test_durations_and_waits_for_training_end_where_training_knows_no_more(write_study):
    rows = (
        contract("later", "2024-01-01", "2024-09-01"),
        contract("sooner", "2024-01-01", "2024-08-01"),
    )
    labels = label_contracts(write_study, *rows, known_by=date(2024, 8, 31))
    assert dict(labels.event) == dict(labels.event_observed) == {"later": False, "sooner": True}
    assert labels.leaves_in_data.all()  # what the leak gate may know, and no model
    assert (
        dict(labels.duration_days) == dict(labels.time_to_event_days) == {"later": 62, "sooner": 32}
    )  # 30 June to 31 August, to 1 August


def test_a_wait_for_a_purchase_ends_where_training_knows_no_more(write_study):
    labels = label_orders(
        write_study,
        order("later", "2024-06-01", "2024-09-01"),
        order("z", "2024-12-31"),
        known_by=date(2024, 8, 31),
    )
    assert (labels.time_to_event_days["later"], labels.event_observed["later"]) == (62, False)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lead", [0, 7])
def test_the_wait_decides_churn(write_study, seed, lead):
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


def random_company(write_study, seed: int, **changes):
    rng = np.random.default_rng(seed)
    ids = [f"c{i}" for i in range(60)]
    started = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 150, 60), unit="D")
    ended = started + pd.to_timedelta(rng.integers(5, 300, 60), unit="D")
    table = pd.DataFrame(
        {"customer_id": ids, "started_at": started, "ended_at": ended.where(ended < "2024-12-31")}
    )
    study = write_study(
        "contractual", tables={"customers": customers(*ids), "contracts": table}, **changes
    )
    return study, load.load_tables(study)


@pytest.mark.parametrize("seed", range(3))
def test_who_leaves_in_lead_or_window_has_a_duration_that_says_so(write_study, seed):
    study, tables = random_company(write_study, seed)
    labels = splits.label_panel(tables, study, [T])[1].to_pandas()
    inside = labels.event & (labels.duration_days <= 30)
    assert (labels.churned == inside).all()
    assert not (labels.churned & labels.left_in_lead).any()


@pytest.mark.parametrize("column", ["ended_at", "end_reason", "voluntary"])
def test_evidence_hides_an_end_with_its_reason_until_the_day_it_happens(write_study, column):
    ends = [
        contract("before", "2024-01-01", "2024-06-30"),
        contract("after", "2024-01-01", "2024-07-01"),
    ]
    table = pd.concat(ends, ignore_index=True).assign(end_reason="price", voluntary=True)
    study = write_study(
        "contractual", tables={"customers": customers("before", "after"), "contracts": table}
    )
    seen = (
        evidence_as_of(load.load_tables(study), [T])["contracts"]
        .to_pandas()
        .set_index("customer_id")[column]
    )
    assert seen.notna().to_dict() == {"before": True, "after": False}


def test_evidence_hides_a_resolution_until_the_day_it_happens():
    contacts = ibis.memtable(
        pd.DataFrame(
            {
                "customer_id": ["a", "b"],
                "contacted_at": days("2024-06-01", "2024-06-01"),
                "resolved_at": days("2024-06-30 18:00", "2024-07-01"),
            }
        )
    )
    seen = filter_as_of(contacts, "contacts", [T]).to_pandas().set_index("customer_id").resolved_at
    assert seen.notna().to_dict() == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("used", "known", "seen"),
    [
        ("2024-06-30 23:59", "2024-06-30 23:59", True),
        ("2024-07-01", "2024-07-01", False),
        ("2024-06-01", "2024-07-01", False),  # happened before, arrived after
        ("2024-06-01", None, False),  # never arrived
    ],
)
def test_evidence_is_cut_on_the_day_and_on_the_arrival(used, known, seen):
    usage = ibis.memtable(
        pd.DataFrame(
            {
                "customer_id": ["a"],
                "used_at": days(used),
                "known_at": [pd.Timestamp(known) if known else pd.NaT],
            }
        )
    )
    assert (filter_as_of(usage, "usage", [T]).count().execute() == 1) == seen


@pytest.mark.parametrize("noise_seed", range(3))
def test_the_future_never_matters_to_evidence_and_population(write_study, noise_seed):
    study, tables = random_company(write_study, seed=7)
    before = evidence_and_population(study, tables)
    rng = np.random.default_rng(noise_seed)
    table = tables["contracts"].to_pandas()
    later = table.ended_at > pd.Timestamp(T) + timedelta(days=1)
    table.loc[later, "ended_at"] = pd.Timestamp("2024-07-02") + pd.to_timedelta(
        rng.integers(0, 150, later.sum()), unit="D"
    )
    invented = table.assign(started_at=pd.Timestamp("2024-07-01"), ended_at=pd.NaT)
    scrambled = write_study(
        "contractual",
        tables={
            "customers": tables["customers"].to_pandas(),
            "contracts": pd.concat([table, invented]),
        },
    )
    after = evidence_and_population(scrambled, load.load_tables(scrambled))
    for first, second in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(first, second)


def evidence_and_population(study, tables) -> list[pd.DataFrame]:
    evidence = evidence_as_of(tables, [T])
    found = [evidence["contracts"], find_population(evidence, study)]
    return [table.to_pandas().sort_values("customer_id", ignore_index=True) for table in found]


def test_a_window_beyond_the_data_is_refused_with_the_last_snapshot_that_works(write_study):
    with pytest.raises(
        StudyError,
        match=(
            r"ends 2024-07-30 and the data end 2024-07-15; use a snapshot on or before 2024-06-15"
        ),
    ):
        label_contracts(write_study, contract("a", "2024-01-01", None), data_end="2024-07-15")


def test_a_horizon_longer_than_the_data_is_refused_with_the_longest_that_works(write_study):
    with pytest.raises(StudyError, match=r"use a horizon and lead of at most 180 days together"):
        label_contracts(
            write_study,
            contract("a", "2024-06-01", None),
            churn={"horizon_days": 400},
            data_end="2024-11-28",
        )


def test_a_snapshot_before_the_first_row_is_refused(write_study):
    with pytest.raises(
        StudyError,
        match=(
            r"expected evidence at every snapshot, got a snapshot on 2024-06-30 but the first"
            r" row is of 2024-07-02"
        ),
    ):
        label_contracts(write_study, contract("a", "2024-07-02", None))


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


def test_training_windows_close_by_the_first_test_snapshot(write_study):
    study = write_study(
        churn={"horizon_days": 30, "lead_days": 7},
        snapshots={"last": "2024-06-30", "every_days": 10, "train": 3, "test": 2},
    )
    split = splits.plan_split(study)
    assert split.test == (date(2024, 6, 20), date(2024, 6, 30))
    assert split.train == (
        date(2024, 4, 24),
        date(2024, 5, 4),
        date(2024, 5, 14),
    )  # 14 May + 37 days = 20 June
    splits.require_out_of_time(split, study)


def test_overlapping_windows_are_refused_with_the_last_training_snapshot_that_works(write_study):
    study = write_study()
    with pytest.raises(
        StudyError,
        match=(
            r"got the training snapshot 2024-06-01 whose window closes 2024-07-01; use training"
            r" snapshots on or before 2024-05-31"
        ),
    ):
        splits.require_out_of_time(Split((date(2024, 5, 31), date(2024, 6, 1)), (T,)), study)


def test_customers_on_both_sides_of_a_random_split_are_refused():
    panel = pd.DataFrame({"customer_id": ["a", "a", "b"], "churned": [True, False, True]})
    with pytest.raises(
        StudyError,
        match=(
            r"expected each customer on one side of a random split, got 1 on both \(a\); split"
            r" by customer_id"
        ),
    ):
        splits.require_disjoint(panel.iloc[[0]], panel.iloc[[1, 2]])


def test_a_data_end_that_has_not_come_yet_is_refused(write_study):
    with pytest.raises(
        StudyError, match="key data_end: expected a day that is not in the future, got 2199-01-01"
    ):
        label_contracts(write_study, contract("a", "2024-01-01", None), data_end="2199-01-01")
