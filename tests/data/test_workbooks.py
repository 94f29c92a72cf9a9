"""Excel sheets: every cell keeps the type that the workbook states."""

import zipfile
from datetime import date

import duckdb
import pytest
from raw_files import faults_of, write_xlsx

from research.data.readers import describe_reader


@pytest.fixture
def sheet(flat):
    """Return a function that writes a sheet from rows and returns the study."""

    def write(*rows: list, **options):
        study = flat("x.xlsx", None, options=options)
        write_xlsx(study.raw / "x.xlsx", Sheet1=[*rows])
        return study

    return write


def read(study) -> duckdb.DuckDBPyRelation:
    return duckdb.sql(f"SELECT * FROM {describe_reader(study, 'raw_x', study.sources['raw_x'])}")


def fault_of(study) -> str:
    (sentence,) = faults_of(describe_reader, study, "raw_x", study.sources["raw_x"])
    return sentence.removeprefix("data/tiny/study.yml, key sources.raw_x")


def test_texts_stay_texts_and_dates_stay_dates(sheet):
    study = sheet(
        ["id", "offer", "fee", "units", "vip", "joined", "code"],
        ["00123", "None", 9.5, 3, True, date(2024, 1, 31), "7"],
        ["00124", "NA", 10, 4, False, None, 8],
    )
    relation = read(study)
    types = ["VARCHAR", "VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "DATE", "VARCHAR"]
    assert [str(kind) for kind in relation.types] == types
    assert relation.fetchall() == [
        ("00123", "None", 9.5, 3, True, date(2024, 1, 31), "7"),
        ("00124", "NA", 10.0, 4, False, None, "8"),
    ]


def test_dates_among_texts_are_refused_with_the_cell_or_read_as_text(sheet):
    rows = [["id", "joined"], ["a", date(2024, 2, 2)], ["b", "unknown"], ["c", date(2024, 3, 3)]]
    assert fault_of(sheet(*rows)) == (
        ", column joined: expected one kind of values, got the text 'unknown' in cell B3 among 2"
        " dates (1 such cell); correct the workbook, or read the column as text by options: {types:"
        " {joined: VARCHAR}}"
    )
    told = read(sheet(*rows, types={"joined": "VARCHAR"})).fetchall()
    assert told == [("a", "2024-02-02"), ("b", "unknown"), ("c", "2024-03-03")]


def test_rows_above_the_header_are_named_and_skipped(sheet):
    rows = [["Report of 5 May"], [], ["id", "x"], ["a", 1], ["b", 2]]
    assert fault_of(sheet(*rows)).endswith(
        "expected a header above every column in row 1 of x.xlsx, got none in column B; if row 3 is"
        " the header, add options: {skip: 2}"
    )
    assert read(sheet(*rows, skip=2)).fetchall() == [("a", 1), ("b", 2)]


def test_another_option_is_refused(sheet):
    assert fault_of(sheet(["id"], ["a"], delim=";")) == (
        ": expected the options skip or types for a workbook, got delim; remove them"
    )


def test_a_header_that_is_there_twice_is_numbered(sheet):
    assert read(sheet(["fee", "fee"], [1, 2])).columns == ["fee", "fee_1"]


def test_a_lone_cell_far_out_is_refused_before_the_sheet_is_read(sheet):
    study = sheet(["id"], ["a"])
    path = study.raw / "x.xlsx"
    with zipfile.ZipFile(path) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    cell = b'<row><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    content["xl/sheet0.xml"] = content["xl/sheet0.xml"].replace(b"</sheetData>", cell)
    with zipfile.ZipFile(path, "w") as parts:
        for name, text in content.items():
            parts.writestr(name, text)
    assert fault_of(study) == (
        ": expected a sheet that is mostly filled, got 1 cells in x.xlsx that span 1,048,576 rows"
        " up to column XFD; delete the stray cells far to the right or far below"
    )
