"""Features: worked by hand, and blind to the future."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from small_companies import T, company

from research.data import load
from research.errors import StudyError
from research.features import assembly
from research.features.build import KEYS, LABELS, list_features, load_flat, load_panel, write_panel

DAYS = [date(2024, 4, 30), date(2024, 5, 31), T]
SENSITIVE = ["gender", "region"]
EVENTS = {
    "orders": "ordered_at",
    "usage": "used_at",
    "contacts": "contacted_at",
    "feedback": "given_at",
}


def people_of_all_kinds() -> dict[str, pd.DataFrame]:
    """The company with attributes of every type; c00 and c01 stay."""
    tables = company()
    more = {
        "vip": pd.array([True, None, False, True] * 10, dtype="boolean"),
        "calls_at": [pd.Timestamp("2024-01-01 09:30").time()] * 40,
    }
    more |= {
        "n_children": [None, 2.0] * 20,
        "upgraded_on": pd.to_datetime(["2024-06-20", "2024-07-20"] * 20),
        "gender": "f",
    }
    tables["customers"] = tables["customers"].assign(**more)
    tables["contracts"].loc[:1, "ended_at"] = pd.NaT
    return tables


@pytest.fixture(scope="module")
def study(write_shared):
    return write_shared(
        "contractual", tables=people_of_all_kinds(), data_end="2024-12-31", sensitive=SENSITIVE
    )


@pytest.fixture(scope="module")
def loaded(study):
    return load.load_tables(study)


@pytest.fixture(scope="module")
def here(loaded, study) -> pd.DataFrame:
    """The company at the snapshot."""
    return load_panel(loaded, study, [T])


@pytest.fixture(scope="module")
def panel(loaded, study) -> pd.DataFrame:
    """The company at three snapshots."""
    return load_panel(loaded, study, DAYS)


def build(write_study, tables: dict[str, pd.DataFrame], **changes) -> pd.DataFrame:
    study = write_study("contractual", tables=tables, data_end="2024-12-31", **changes)
    return load_panel(load.load_tables(study), study, [T])


def without_labels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=LABELS)


def scramble(tables: dict[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """Change, delete and invent rows after the snapshot in every table."""
    rng = np.random.default_rng(seed)
    changed = {"customers": tables["customers"], "contracts": tables["contracts"].copy()}
    late = changed["contracts"].ended_at >= "2024-07-01"
    changed["contracts"].loc[late, "ended_at"] = pd.Timestamp("2024-07-01") + pd.to_timedelta(
        rng.integers(0, 180, late.sum()), unit="D"
    )
    for name, column in EVENTS.items():
        before, after = (
            tables[name][tables[name][column] < "2024-07-01"],
            tables[name][tables[name][column] >= "2024-07-01"],
        )
        invented = before.sample(50, replace=True, random_state=seed).assign(
            **{column: pd.Timestamp("2024-07-01")}
        )
        changed[name] = pd.concat([before, after.sample(frac=0.5, random_state=seed), invented])
    seen = (changed["contacts"].resolved_at < "2024-07-01") & (
        changed["contacts"].contacted_at < "2024-07-01"
    )
    changed["contacts"]["resolved_at"] = changed["contacts"].resolved_at.where(
        seen, pd.Timestamp("2025-01-30")
    )
    return changed


@pytest.mark.parametrize("seed", list_seeds(3))
def test_the_future_never_matters_to_the_bit(write_study, here, seed):
    there = build(write_study, scramble(people_of_all_kinds(), seed), sensitive=SENSITIVE)
    pd.testing.assert_frame_equal(without_labels(here), without_labels(there), check_exact=True)


def test_rows_that_arrive_after_the_snapshot_never_matter(write_study, here):
    tables = people_of_all_kinds()
    late = tables["orders"].head(50).assign(known_at=pd.Timestamp("2024-12-01"))
    with_late = tables | {
        "orders": pd.concat(
            [
                tables["orders"].assign(known_at=lambda t: t.ordered_at),
                late[late.ordered_at < "2024-12-01"],
            ]
        )
    }
    pd.testing.assert_frame_equal(
        here, build(write_study, with_late, sensitive=SENSITIVE), check_exact=True
    )


def test_the_past_does_matter(write_study, here):
    tables = people_of_all_kinds()
    fewer = tables | {"usage": tables["usage"].iloc[::2]}
    there = build(write_study, fewer, sensitive=SENSITIVE)
    assert list(there) == list(here) and not without_labels(there).equals(without_labels(here))


@pytest.mark.parametrize("part", [7, 50_000])
def test_what_is_written_part_by_part_is_what_is_loaded(
    loaded, study, panel, tmp_path, monkeypatch, part
):
    monkeypatch.setattr(assembly, "PART", part)
    write_panel(loaded, study, DAYS, tmp_path / "panel.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "panel.parquet"), panel, check_exact=True
    )


def test_every_population_member_has_exactly_one_row_per_snapshot(panel):
    assert not panel.duplicated(KEYS).any()
    assert panel.snapshot.nunique() == 3


@pytest.fixture(scope="module")
def by_hand(write_shared) -> pd.DataFrame:
    """Two customers with orders only or contacts and feedback only, and one without any event."""
    ordered = [
        "2024-06-30 20:00",
        "2024-06-01 09:00",
        "2024-06-01 10:00",
        "2024-05-31",
        "2024-04-01",
        "2024-07-01",
    ]
    orders = {
        "customer_id": "buys",
        "ordered_at": pd.to_datetime(ordered, format="mixed"),
        "amount": [5.0, 10.0, -4.0, 20.0, 40.0, 1000.0],
    }
    contacted = pd.to_datetime(["2024-06-29", "2024-03-01", "2024-06-10"])
    resolved = pd.to_datetime(["2024-07-02", "2024-03-05", None])
    given = pd.to_datetime(["2024-06-01", "2024-06-20", "2023-06-30", "2024-07-01"])
    ids, began = (
        ["buys", "talks", "silent"],
        pd.to_datetime(["2024-04-01", "2023-04-01", "2023-05-01"]),
    )
    tables = {
        "customers": pd.DataFrame({"customer_id": ids, "joined_at": began}),
        "contracts": pd.DataFrame({"customer_id": ids, "started_at": began}),
        "orders": pd.DataFrame(orders),
        "usage": pd.DataFrame({"customer_id": ["talks"], "used_at": [pd.Timestamp("2024-06-20")]}),
        "contacts": pd.DataFrame(
            {
                "customer_id": "talks",
                "contacted_at": contacted,
                "resolved_at": resolved,
                "complaint": [True, True, False],
            }
        ),
        "feedback": pd.DataFrame(
            {"customer_id": "talks", "given_at": given, "score": [2.0, 5.0, 1.0, 4.0]}
        ),
    }
    return build(write_shared, tables, name="by_hand").set_index("customer_id")


def test_order_features_worked_by_hand(by_hand):
    row = by_hand.loc["buys"]
    # 30 June and 1 June (29 days old); the return is no purchase, 31 May is 30 days old and outside
    assert row.n_orders_30d == 2
    assert row.n_orders_90d == 3  # 31 May too; 1 April is 90 days old and outside
    assert row.n_orders_365d == 4
    assert row.n_orders_days_30d == 2
    assert row.sum_amount_30d == 11  # 5 + 10 - 4
    assert row.sum_amount_90d == 31  # 11 + 20
    assert row.sum_amount_365d == 71  # 31 + 40
    assert row.n_returns_365d == 1
    assert (row.days_since_last_orders, row.days_since_first_orders) == (0, 90)
    assert (row.tenure_days, row.contract_age_days) == (90, 90)


def test_contact_and_feedback_features_worked_by_hand(by_hand):
    row = by_hand.loc["talks"]
    assert (
        row.n_unresolved == 2
    )  # the one resolved on 2 July is open on 30 June, like the one never resolved
    assert (row.n_complaints_30d, row.n_complaints_365d) == (1, 2)
    assert (
        row.mean_score_365d == 3.5
    )  # 2 and 5; 30 June 2023 is 366 days old in a leap year, 1 July is the future
    assert row.last_score == 5


def test_a_customer_without_any_event_has_zero_counts_and_empty_recencies(by_hand):
    row = by_hand.loc["silent"]
    assert (row.n_usage_30d, row.sum_amount_365d, row.n_orders_days_90d) == (0, 0, 0)
    assert pd.isna(row.days_since_last_usage)
    assert pd.isna(row.last_score)


def test_sensitive_columns_keys_and_labels_never_enter_a_model(here, study):
    assert not {*SENSITIVE, *KEYS, *LABELS} & {*list_features(here, study)}


def test_flags_of_a_flat_study_become_numbers_and_the_label_stays_a_flag(write_study):
    flat = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "churned": [True, False],
            "partner": [True, False],
            "plan": ["x", None],
        }
    )
    study = write_study("flat", tables={"snapshot": flat})
    frame = load_flat(load.load_tables(study), study)
    assert frame.churned.dtype == bool
    assert list(frame.partner) == [1, 0]
    assert list_features(frame, study) == ["partner", "plan"]


def test_nullable_flags_and_times_of_day_of_a_customer_can_enter_a_model(here):
    assert here.vip.dtype == float
    assert set(here.calls_at) == {"09:30:00"}


def test_attributes_are_never_filled_and_never_replace_a_feature(write_study, here):
    assert here.n_children.isna().any()
    tables = company()
    tables["customers"]["plan"] = "gold"
    with pytest.raises(
        StudyError,
        match=(
            "expected attributes whose names differ from those of other tables' features, got"
            " plan; rename them in customers.sql"
        ),
    ):
        build(write_study, tables)


def test_a_line_marked_as_returned_is_no_purchase_whatever_its_sign(write_study):
    tables = {
        name: frame
        for name, frame in company(people=1).items()
        if name in ("customers", "contracts")
    }
    ordered = pd.to_datetime(["2024-06-01", "2024-06-20"])
    tables["orders"] = pd.DataFrame(
        {
            "customer_id": "c00",
            "ordered_at": ordered,
            "amount": [30.0, 30.0],
            "returned": [False, True],
        }
    )
    tables["contracts"]["ended_at"] = pd.NaT
    row = build(write_study, tables).iloc[0]
    assert (row.n_orders_30d, row.days_since_last_orders, row.n_returns_365d) == (1, 29, 1)
    assert (row.sum_amount_30d, row.mean_amount_30d) == (0, 30)


def test_columns_named_like_those_made_on_the_way_are_the_companys_own(write_study):
    tables = company()
    plain = build(write_study, tables)
    hostile = {
        name: frame.assign(number=1.5, Known=pd.Timestamp("2024-12-01"), day="x", bucket=2)
        for name, frame in tables.items()
        if name in EVENTS
    }
    people = tables["customers"].assign(Number=7.0, known=1.0)
    study = write_study(
        "contractual", tables=tables | hostile | {"customers": people}, data_end="2024-12-31"
    )
    loaded = load.load_tables(study)
    alone = load_panel(loaded, study, [T])
    assert (alone.Number == 7).all()
    pd.testing.assert_frame_equal(alone[plain.columns], plain)
    among = load_panel(loaded, study, DAYS)
    among = among[among.snapshot == pd.Timestamp(T)].reset_index(drop=True)
    pd.testing.assert_frame_equal(among[plain.columns], plain, check_dtype=False)


def test_an_attribute_that_differs_from_a_feature_by_capitals_alone_is_refused(write_study):
    tables = company()
    tables["customers"]["Plan"] = "gold"
    with pytest.raises(
        StudyError,
        match="attributes whose names differ from those of other tables' features, got plan",
    ):
        build(write_study, tables)


def test_a_date_of_a_customer_becomes_the_days_since_it_and_nothing_while_it_lies_ahead(here):
    days = here.set_index("customer_id").days_since_upgraded_on
    assert days["c00"] == 10
    assert pd.isna(days["c01"])


def test_a_misspelt_sensitive_column_is_refused(write_study):
    study = write_study(
        "contractual", tables=company(), data_end="2024-12-31", sensitive=["Region"]
    )
    with pytest.raises(
        StudyError,
        match=(
            r"key sensitive: expected columns of the table customers \(customer_id, joined_at,"
            r" region\), got Region; correct the spelling"
        ),
    ):
        load.load_tables(study)
