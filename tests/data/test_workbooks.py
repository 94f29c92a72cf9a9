"""Excel sheets: every cell keeps the type that the workbook states."""

import zipfile
from datetime import date, timedelta

import duckdb
import pytest
from raw_files import faults_of, write_xlsx

from research.data.readers import describe_reader
from research.data.workbooks import _make_column


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


def rewrite(path, part: str, old: str, new: str) -> None:
    """Replace a text in one part of a workbook."""
    with zipfile.ZipFile(path) as parts:
        texts = {name: parts.read(name).decode() for name in parts.namelist()}
    assert old in texts[part]
    texts[part] = texts[part].replace(old, new)
    with zipfile.ZipFile(path, "w") as parts:
        for name, text in texts.items():
            parts.writestr(name, text)


def test_a_workbook_of_several_filled_sheets_needs_the_name_of_one(flat):
    study = flat("x.xlsx", None)
    write_xlsx(study.raw / "x.xlsx", Old=[["id"], ["a"]], Data=[["id"], ["b"]], Notes=[])
    assert fault_of(study) == (
        ": expected the key 'sheet' for a workbook of several sheets, got Old, Data in x.xlsx; name"
        " the one to read"
    )
    write_xlsx(study.raw / "x.xlsx", Notes=[], Data=[["id"], ["b"]])
    assert read(study).fetchall() == [("b",)]


@pytest.mark.parametrize("stored", ["", "<v/>", "<v></v>"])
def test_formulas_without_a_stored_value_are_refused(sheet, stored):
    study = sheet(["id", "fee"], ["a", 1], ["b", 2])
    new = f'<c r="B3"><f>A1*2</f>{stored}</c>'
    rewrite(study.raw / "x.xlsx", "xl/sheet0.xml", "<c><v>2</v></c>", new)
    assert fault_of(study) == (
        ": expected cells with values, got 1 formulas without a stored value, the first in B3; open"
        " x.xlsx in a spreadsheet program and save it"
    )


def test_a_formula_with_a_stored_value_or_an_empty_text_is_read(sheet):
    study = sheet(["id", "fee"], ["a", 1], ["b", 2], ["c", 3])
    path = study.raw / "x.xlsx"
    rewrite(path, "xl/sheet0.xml", "<c><v>2</v></c>", '<c r="B3"><f>A1</f><v>7</v></c>')
    rewrite(path, "xl/sheet0.xml", "<c><v>3</v></c>", '<c r="B4" t="str"><f>A1</f><v></v></c>')
    assert read(study).fetchall() == [("a", 1), ("b", 7), ("c", None)]


def test_an_error_is_the_text_that_the_workbook_shows(sheet):
    study = sheet(["id", "fee"], ["a", 1], ["b", 2])
    new = '<c r="B3" t="e"><f>VLOOKUP(1)</f><v>#N/A</v></c>'
    rewrite(study.raw / "x.xlsx", "xl/sheet0.xml", "<c><v>2</v></c>", new)
    assert read(study).fetchall() == [("a", "1"), ("b", "#N/A")]


def test_cells_merged_over_rows_are_refused(sheet):
    study = sheet(["id", "plan"], ["a", "basic"], ["b", "x"])
    new = '</sheetData><mergeCells><mergeCell ref="B2:B3"/></mergeCells>'
    rewrite(study.raw / "x.xlsx", "xl/sheet0.xml", "</sheetData>", new)
    assert fault_of(study) == (
        ": expected one cell for each value below the header, got 1 merged over several rows, such"
        " as B2:B3; unmerge and fill them"
    )


def test_lengths_of_time_are_texts_of_hours_minutes_and_seconds():
    cells = (timedelta(hours=27, minutes=15), timedelta(minutes=30), "")
    column = _make_column("", "x", "A", cells, [2, 3, 4], {})
    assert column.to_pylist() == ["27:15:00", "00:30:00", None]
