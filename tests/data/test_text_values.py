"""Texts that are numbers, dates or flags are named with the cast that mends them."""

import ibis
import pandas as pd
import pytest
from contract_tables import register

from research.data.text_values import describe_wrong_texts, find_text_columns


def remarks_on(*values) -> list[str]:
    rows = pd.DataFrame({"customer_id": [str(i) for i in range(len(values))], "x": values})
    rows["churned"] = False
    tables = register(ibis.duckdb.connect(), snapshot=rows)
    return [str(remark) for remark in find_text_columns(tables, None)]


@pytest.mark.parametrize(
    ("values", "cast", "expected"),
    [
        (["$60.12", "$1,200.50"], "regexp_replace(x, '[^0-9,.-]', '', 'g')", [60.12, 1200.5]),
        (["12,50", "1.234,00"], "replace(replace(", [12.5, 1234.0]),
        ([*["4594.23", "12"] * 9, " "], "TRY_CAST(replace(", [4594.23, 12.0, None]),
        (["7", "12"], "TRY_CAST(", [7.0, 12.0]),
    ],
)
def test_texts_of_numbers_are_named_and_the_cast_reads_them(values, cast, expected):
    (sentence,) = remarks_on(*values)
    assert sentence.startswith("table snapshot, column x: ") and cast in sentence
    sql = sentence.split("snapshot.sql: ")[1]
    table = ibis.memtable({"x": list(dict.fromkeys(values))})
    backend = ibis.duckdb.connect()
    backend.create_table("t", table.to_pandas())
    read = [row[0] for row in backend.raw_sql(f"SELECT {sql} FROM t").fetchall()]
    assert read == expected


@pytest.mark.parametrize(
    "values",
    [
        ["01000", "20095"],  # postcodes
        ["1000", "2000"],  # codes of one length
        ["basic", "pro"],
        ["A1", "A2"],
        ["male", "female"],
        ["", None],
    ],
)
def test_codes_and_categories_are_left_alone(values):
    assert remarks_on(*values) == []


def test_texts_of_dates_are_named():
    (sentence,) = remarks_on("2024-01-31", "2024-02-01 10:00")
    assert sentence == (
        "table snapshot, column x: 2 texts that are dates, such as '2024-01-31' are read as"
        " categories; cast it in snapshot.sql: TRY_CAST(x AS TIMESTAMP)"
    )
    assert "TRY_STRPTIME(x, '%d/%m/%Y')" in remarks_on("31/12/2024", "1/2/2024")[0]


def test_flags_of_a_table_are_named_in_one_sentence():
    assert remarks_on("Yes", "No", "No") == [
        "table snapshot, column x: texts that say yes or no, such as 'Yes', are read as categories;"
        " write flags as conditions in snapshot.sql, such as x = 'Yes'"
    ]


@pytest.mark.parametrize(
    ("kind", "values", "found", "remedy"),
    [
        (
            "time",
            ["2024-10-01", "0000-00-00", "0000-00-00"],
            "texts of which 2 of 3 are no dates or times, such as '0000-00-00' of customer 1",
            "make it null and cast the rest in t.sql: CAST(NULLIF(x, '0000-00-00') AS TIMESTAMP)",
        ),
        (
            "time",
            ["2024-10-01", None],
            "texts",
            "cast it in t.sql: CAST(x AS TIMESTAMP)",
        ),
        (
            "number",
            ["1", "n/a", "-"],
            "texts of which 2 of 3 are no numbers, such as '-' of customer 2",
            "correct them, or make them null in t.sql: TRY_CAST(x AS DOUBLE)",
        ),
        (
            "flag",
            ["Y", "N"],
            "texts ('N', 'Y')",
            "write a condition in t.sql, such as x = 'Y'",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_customer(kind, values, found, remedy):
    rows = pd.DataFrame({"customer_id": [str(i) for i in range(len(values))], "x": values})
    table = ibis.duckdb.connect().create_table("t", rows)
    assert describe_wrong_texts("t", table, "x", kind) == (found, remedy)
