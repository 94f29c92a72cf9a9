"""What the tables contain: facts, counts, gaps, months, freshness, counted by hand on few rows."""

import pandas as pd
import pytest

from research.data import fetch, load, profile


def days(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(texts, format="ISO8601"))


CUSTOMERS = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c"],
        "joined_at": days("2023-01-01", "2023-02-01", "2024-12-01"),
        "city": ["Bern", None, None],
    }
)
CONTRACTS = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b"],
        "started_at": days("2023-01-01", "2023-01-01", "2023-04-30"),
        "ended_at": days("2024-07-10", "2024-07-10", None),
    }
)
FLAT = pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})


@pytest.fixture
def study(write_study):
    return write_study(tables={"customers": CUSTOMERS, "contracts": CONTRACTS}, sensitive=["city"])


@pytest.fixture
def tables(study):
    return load.load_tables(study)


def test_a_run_is_identified_by_its_facts(study, tables):
    facts = (
        profile.facts_table(study, tables, horizon_days=30, seed=0)
        .set_index("fact")
        .value.to_dict()
    )
    assert facts == {
        "study": "tiny: A tiny company",
        "kind": "contractual",
        "rows": "6 in 2 tables",
        "customers": "3",
        "first and last day": "2023-01-01 to 2024-12-01",
        "sensitive columns, never in a model": "city",
        "data hash": fetch.data_hash(study)[:16],
        "horizon_days": "30",
        "seed": "0",
    }


def test_a_flat_study_has_customers_but_no_days(write_study):
    study = write_study("flat", tables={"snapshot": FLAT})
    facts = profile.facts_table(study, load.load_tables(study)).set_index("fact").value
    assert (
        facts["customers"],
        facts["sensitive columns, never in a model"],
        "first and last day" in facts,
    ) == ("2", "none named", False)


def test_rows_customers_duplicates_and_days_are_counted_per_table(tables):
    assert profile.count_rows(tables).to_dict("records") == [
        {
            "table": "customers",
            "rows": 3,
            "customers": 3,
            "duplicates": 0,
            "first": pd.Timestamp("2023-01-01"),
            "last": pd.Timestamp("2024-12-01"),
        },
        {
            "table": "contracts",
            "rows": 3,
            "customers": 2,
            "duplicates": 1,
            "first": pd.Timestamp("2023-01-01"),
            "last": pd.Timestamp("2024-07-10"),
        },
    ]


def test_duplicates_are_the_rows_beyond_the_first_of_equal_ones(write_study):
    thrice = pd.DataFrame(
        {"customer_id": ["a"] * 5, "used_at": days(*["2024-01-01"] * 3, *["2024-01-02"] * 2)}
    )
    study = write_study(tables={"customers": CUSTOMERS, "contracts": CONTRACTS, "usage": thrice})
    counts = profile.count_rows(load.load_tables(study)).set_index("table")
    assert counts.duplicates["usage"] == 3  # 5 rows, 2 different ones


def test_the_share_of_empty_values_and_the_distinct_values_are_counted_per_column(tables):
    missing = profile.count_missing(tables).set_index(["table", "column"])
    assert missing.missing_share["customers", "city"] == pytest.approx(2 / 3)
    assert missing.missing_share["contracts", "ended_at"] == pytest.approx(1 / 3)
    assert missing.missing_share["customers", "customer_id"] == 0
    assert missing.distinct.to_dict() == {
        ("customers", "customer_id"): 3,
        ("customers", "joined_at"): 3,
        ("customers", "city"): 1,
        ("contracts", "customer_id"): 2,
        ("contracts", "started_at"): 2,
        ("contracts", "ended_at"): 1,
    }


def test_months_without_rows_count_as_zero(tables):
    months = profile.count_by_month(tables)
    contracts = months[months.table == "contracts"]
    assert contracts.month.dt.strftime("%Y-%m-%d").tolist() == [
        "2023-01-01",
        "2023-02-01",
        "2023-03-01",
        "2023-04-01",
    ]
    assert contracts.rows.tolist() == [2, 0, 0, 1]


def test_a_flat_study_has_no_months(write_study):
    months = profile.count_by_month(
        load.load_tables(write_study("flat", tables={"snapshot": FLAT}))
    )
    assert ([*months.columns], len(months)) == (["table", "month", "rows"], 0)


@pytest.mark.parametrize(
    ("last_use", "days_before", "verdict"),
    [
        ("2024-07-04", 0, "fresh at the snapshot"),  # after the snapshot of 30 June
        ("2024-06-30 18:00", 0, "fresh at the snapshot"),
        ("2024-05-31", 30, "fresh at the snapshot"),  # 30 June - 31 May = 30 days
        ("2024-05-30", 31, "stale at the snapshot"),
    ],
)
def test_a_table_that_ends_more_than_30_days_before_the_snapshot_is_stale(
    write_study, last_use, days_before, verdict
):
    usage = pd.DataFrame({"customer_id": ["a"], "used_at": days(last_use)})
    study = write_study(tables={"customers": CUSTOMERS, "contracts": CONTRACTS, "usage": usage})
    found = profile.freshness_table(load.load_tables(study), study).set_index("table").loc["usage"]
    assert (found.days_before_snapshot, found.verdict) == (days_before, verdict)
    assert (
        found.days_before_data_end
        == (pd.Timestamp("2024-12-31") - pd.Timestamp(last_use).normalize()).days
    )


def test_a_table_that_ends_after_the_snapshot_can_be_stale_at_the_data_end(write_study):
    def judge(last_use: str) -> str:
        usage = pd.DataFrame({"customer_id": ["a"], "used_at": days(last_use)})
        tables = {"customers": CUSTOMERS, "contracts": CONTRACTS, "usage": usage}
        study = write_study(tables=tables)
        freshness = profile.freshness_table(load.load_tables(study), study)
        return freshness.set_index("table").at_data_end["usage"]

    assert judge("2024-11-30") == "stale at the data end"  # 31 days before the last of December
    assert judge("2024-12-01") == "fresh at the data end"


def test_campaigns_are_listed_and_not_judged(write_study):
    campaigns = {"customer_id": ["a"], "campaign": "spring", "assigned_at": days("2023-03-01")}
    campaigns = pd.DataFrame(campaigns | {"arm": "control"})
    tables = {"customers": CUSTOMERS, "contracts": CONTRACTS, "campaigns": campaigns}
    study = write_study(tables=tables)
    freshness = profile.freshness_table(load.load_tables(study), study).set_index("table")
    assert {*tables} == {*freshness.index}
    assert freshness.verdict["campaigns"] == freshness.at_data_end["campaigns"]
    assert freshness.verdict["campaigns"].startswith("not judged")


def test_a_picture_over_time_marks_the_snapshot_and_the_end_of_the_data(study, tables, write_study):
    assert profile.find_marks(tables, study) == {
        "last snapshot": pd.Timestamp("2024-06-30"),
        "data end": pd.Timestamp("2024-12-31"),
    }
    flat = write_study("flat", name="flat", tables={"snapshot": FLAT})
    assert profile.find_marks({}, flat) == {}


def test_a_flat_study_has_no_freshness(write_study):
    flat = write_study("flat", tables={"snapshot": FLAT})
    freshness = profile.freshness_table(load.load_tables(flat), flat)
    assert ([*freshness.columns], len(freshness)) == (profile.FRESHNESS, 0)
