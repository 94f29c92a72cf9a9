"""Contract tables: what a study's SQL returns is brought to the types of the columns."""

import ibis
import pandas as pd
import pytest
from contract_tables import adapted, customers, register

from research.data.contracts import (
    CONTRACTS,
    Column,
    ContractTable,
    Resolution,
    Words,
    index_records,
    list_event_tables,
)
from research.study_schema import TABLES


def test_numbers_as_keys_become_text(write_study):
    assert adapted(
        write_study, "SELECT * FROM raw_customers", customers(customer_id=[7, 8])
    ).customer_id.tolist() == ["7", "8"]


def test_times_with_a_zone_become_utc_whatever_the_machine_says(write_study, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    found = adapted(
        write_study,
        "SELECT customer_id, TIMESTAMPTZ '2024-01-01 00:30:00+02' AS joined_at FROM raw_customers",
    )
    assert found.joined_at.astype(str).tolist() == ["2023-12-31 22:30:00"] * 2


def test_a_huge_decimal_attribute_becomes_a_float(write_study):
    found = adapted(
        write_study,
        "SELECT *, 12345678901234567890123456789012345678::DECIMAL(38, 0) AS points FROM"
        " raw_customers",
    )
    assert found.points.tolist() == [1.2345678901234568e37] * 2


def test_columns_with_quotes_and_letters_of_any_script_pass_untouched(write_study):
    found = adapted(write_study, 'SELECT *, 1 AS "a""b\'c", 2 AS "größe ☃" FROM raw_customers')
    assert [*found.columns[2:]] == ["a\"b'c", "größe ☃"]


def test_an_optional_column_may_be_null_in_every_row(write_study):
    assert (
        adapted(write_study, "SELECT *, NULL AS known_at FROM raw_customers").known_at.isna().all()
    )


def test_a_flag_of_zeros_and_ones_becomes_true_and_false():
    flat = pd.DataFrame({"customer_id": ["a", "b", "c"], "churned": [0, 1, 0]})
    assert register(ibis.duckdb.connect(), snapshot=flat)[
        "snapshot"
    ].churned.execute().tolist() == [False, True, False]


def visits(**changes) -> ContractTable:
    """Return a record of a table that no study has, with some parts changed."""
    columns = {
        "customer_id": Column("key"),
        "visited_at": Column("time"),
        "left_at": Column("time", required=False),
        "spent": Column("number", required=False),
        "known_at": Column("time", required=False),
    }
    parts = {
        "grain": "event",
        "columns": columns,
        "dated": "visited_at",
        "resolved": Resolution("left_at"),
        "summed": ("spent",),
        "words": Words("visits", "visit", "never visited"),
    }
    return ContractTable("visits", **parts | changes)


def without(*names: str) -> dict[str, Column]:
    """Return the columns of the record but some."""
    return {name: column for name, column in visits().columns.items() if name not in names}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"grain": ""},
            "expected a grain among customer, contract, event, got ''; name what a row is",
        ),
        (
            {"columns": without("customer_id")},
            "expected a column customer_id of kind key, got no such column; add it to its columns",
        ),
        (
            {"columns": without("visited_at")},
            "expected a column visited_at of kind time, got no such column; add it to its columns",
        ),
        (
            {"columns": without("known_at")},
            "expected a column known_at of kind time, got no such column; add it to its columns",
        ),
        (
            {"columns": without("left_at")},
            "expected a column left_at of kind time, got no such column; add it to its columns",
        ),
        (
            {"resolved": Resolution("left_at", details=("mood",))},
            "expected a column mood, got no such column; add it to its columns",
        ),
        (
            {"summed": ("left_at",)},
            "expected a column left_at of kind number, got time; add it to its columns",
        ),
        (
            {"columns": visits().columns | {"spent": Column("money")}, "summed": ()},
            "expected a kind among key, time, number, text, flag, got 'money' for spent;"
            " correct it",
        ),
        (
            {"dated": None, "resolved": None},
            "expected the column that dates a row (dated), got none; name it",
        ),
        (
            {"words": None},
            "expected words for its rows (words), got none for rows, one, never; they stand in the"
            " description of every feature",
        ),
        (
            {"words": Words("visits", "visit")},
            "expected words for its rows (words), got none for never; they stand in the"
            " description of every feature",
        ),
        (
            {"grain": "customer"},
            "expected parts of an event table with the grain event alone, got words; remove it",
        ),
    ],
)
def test_a_record_without_a_part_is_refused_with_the_table_and_the_part(changes, sentence):
    with pytest.raises(ValueError) as refusal:
        visits(**changes)
    assert str(refusal.value) == f"contract table visits: {sentence}"


def test_a_record_with_several_faults_names_all_of_them():
    with pytest.raises(ValueError) as refusal:
        ContractTable("visits", grain="event")
    assert [line.split(": ")[0] for line in str(refusal.value).split("\n")] == (
        ["contract table visits"] * 3
    )


def test_a_record_that_studies_know_nothing_of_is_refused():
    with pytest.raises(ValueError) as refusal:
        index_records([*CONTRACTS.values(), visits()])
    assert str(refusal.value) == (
        "study_schema.TABLES: expected the names of the records in data/contracts.py, in their"
        f" order ({', '.join(TABLES)}, visits), got {', '.join(TABLES)}; write both alike"
    )


def test_dates_are_in_order_and_what_is_resolved_later_comes_from_the_record():
    assert visits().ordered == (("visited_at", "left_at"), ("visited_at", "known_at"))
    assert visits().later == ("left_at",)
    assert CONTRACTS["contracts"].later == (
        "ended_at",
        "end_reason",
        "voluntary",
        "covered_until",
    )
    assert CONTRACTS["snapshot"].ordered == CONTRACTS["snapshot"].later == ()


def test_a_customer_has_one_row_where_a_row_is_a_customer():
    assert [name for name, table in CONTRACTS.items() if table.unique] == ["customers", "snapshot"]


def test_features_are_counted_from_tables_of_events():
    others = [name for name in CONTRACTS if name not in list_event_tables()]
    assert others == ["customers", "contracts", "snapshot"]
