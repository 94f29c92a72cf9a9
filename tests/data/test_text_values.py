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
        (["7", "12", "NA", "-", "#DIV/0!"], "TRY_CAST(", [7.0, 12.0, None, None, None]),
        ([*map(str, range(20)), "A12"], "TRY_CAST(", [*map(float, range(20)), None]),
        (["7", "12", "\\N", "nan"], "TRY_CAST(", [7.0, 12.0, None, None]),
        (["12.50-", "7.25"], "CASE WHEN", [-12.5, 7.25]),
        (["(12.50)", "7.25", "n/a"], "CASE WHEN", [-12.5, 7.25, None]),
        (["\u22123.5", "7.25"], "CASE WHEN", [-3.5, 7.25]),
        (["1\u202f234,50", "5\u00a0678,00"], "replace(replace(", [1234.5, 5678.0]),
        (["€ 12,50", "1.234,00 €"], "replace(replace(", [12.5, 1234.0]),
        (["0,125", "0,25"], "replace(replace(", [0.125, 0.25]),
        (["1,00,000.50", "7,500.00"], "TRY_CAST(", [100000.5, 7500.0]),
        (["EUR 350", "EUR 1200", "-"], "EUR", [350.0, 1200.0, None]),
        (["7 GB", "12 GB"], "TRY_CAST(", [7.0, 12.0]),
        (["27:15:00", "08:30:00"], "INTERVAL", [27.25, 8.5]),
    ],
)
def test_texts_of_numbers_are_named_and_the_cast_reads_them(values, cast, expected):
    (sentence,) = remarks_on(*values)
    assert sentence.startswith("table snapshot, column x: ") and cast in sentence
    sql = sentence.split("snapshot.sql: ")[1].removesuffix(", which is in hours")
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
        ["n/a", "-", "basic"],
        ["one 2", "two 3"],
        ["ABC 1", "DEF 22", "GHI 3", "JKL 4"],
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


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["31/12/24", "01/02/23"], "'%d/%m/%y'"),
        (["31.12.2024 10:00", "01.02.2023 09:30"], "'%d.%m.%Y %H:%M'"),
        (["31-Dec-2024", "01-Apr-2023"], "'%d-%b-%Y'"),
        (["01/02/2024", "03/04/2023"], "'%d/%m/%Y'), or '%m/%d/%Y', whichever is"),
    ],
)
def test_the_format_of_dates_is_that_of_all_values(values, form):
    assert f"TRY_STRPTIME(x, {form}" in remarks_on(*values)[0]


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        (["12,50", "12.50"], "after bringing the 1 texts with a decimal point and the 1 with a"),
        (["7 GB", "512 MB"], "which are in 2 units, into one"),
        (["€ 1.234", "€ 950"], "of replace(x, '.', '') where the point parts thousands"),
    ],
)
def test_numbers_that_no_single_cast_reads_are_told(values, doubt):
    assert doubt in remarks_on(*values)[0]


def test_flags_in_several_words_are_named_with_all_that_say_yes():
    (sentence,) = remarks_on("Y", "no", "yes", "N", "Ja")
    assert sentence.endswith("such as lower(trim(x)) IN ('ja', 'y', 'yes')")


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
            "time",
            ["01-Apr-23", "28-Feb-24"],
            "texts of which 2 of 2 are no dates or times, such as '01-Apr-23' of customer 0",
            "cast it in t.sql: TRY_STRPTIME(x, '%d-%b-%y')",
        ),
        (
            "time",
            ["20240401", "20240228", *["00000000"] * 2],
            "texts of which 4 of 4 are no dates or times, such as '00000000' of customer 2",
            "cast it in t.sql: TRY_STRPTIME(x, '%Y%m%d')",
        ),
        (
            "time",
            ["spring", "autumn"],
            "texts of which 2 of 2 are no dates or times, such as 'autumn' of customer 1",
            "select another column in t.sql, or write what makes them dates or times",
        ),
        (
            "time",
            ["2024-04-01T00:00:00+02:00", "2024-04-02"],
            "texts of which 1 of 2 name a time zone",
            "cast it in t.sql: CAST(x AS TIMESTAMPTZ), which takes the others as UTC",
        ),
        (
            "flag",
            ["Ja", "Nein"],
            "texts ('Ja', 'Nein')",
            "write a condition in t.sql, such as x = 'Ja'",
        ),
        (
            "flag",
            ["Churned", "Stayed"],
            "texts ('Churned', 'Stayed')",
            "write a condition in t.sql, such as x = 'Stayed', with the value that means yes",
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


@pytest.mark.parametrize(
    ("number", "sql", "day"),
    [
        (20240115, "STRPTIME(CAST(x AS VARCHAR), '%Y%m%d')", "2024-01-15"),
        (45306, "DATE '1899-12-30' + CAST(x AS INTEGER)", "2024-01-15"),
        (1705276800, "epoch_ms(CAST(x AS BIGINT) * 1000)", "2024-01-15"),
        (1705276800000, "epoch_ms(CAST(x AS BIGINT))", "2024-01-15"),
    ],
)
def test_numbers_in_place_of_dates_are_named_with_the_cast(number, sql, day):
    engine = ibis.duckdb.connect()
    table = engine.create_table("t", pd.DataFrame({"customer_id": ["a"], "x": [number]}))
    found, remedy = describe_wrong_texts("t", table, "x", "time")
    assert found == "int64" and remedy.startswith(f"cast it in t.sql: {sql}")
    assert str(engine.raw_sql(f"SELECT {sql} FROM t").fetchone()[0])[:10] == day
