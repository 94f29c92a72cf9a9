"""Excel sheets as tables: every cell keeps the type that the workbook states.

Text stays text ("00123", "NA", "None"), dates stay dates, and a column of whole numbers is one of
whole numbers. A column with dates among texts or numbers is refused with the cell.
"""

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    WorksheetNotFound,
)

from research.data.fetch import name_key
from research.errors import StudyError
from research.study import Study
from research.study_schema import Source

OPTIONS = ("skip", "types")  # of a workbook
CELL = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"')
ODD_CELL = re.compile(  # one with an error, or with a formula whose value isn't stored
    rb'<(?:\w+:)?c\b(?=[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})")(?:'
    rb'(?=[^>]*?\bt="e")[^>]*>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]+)<'
    rb'|(?![^>]*?\bt="str")[^>]*><(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)'
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>)",
    re.DOTALL,
)
CHUNK = 1 << 24
MOST_EMPTY = 50  # times as many cells as are filled may a sheet span
ALWAYS_FINE = 5_000_000  # cells
FAMILIES = {
    str: "text",
    bool: "flag",
    int: "number",
    float: "number",
    date: "date",
    datetime: "date",
    time: "time of day",
    timedelta: "duration",
}
EXACT = 2**53  # whole numbers up to here are exact in a workbook


def read_workbook(study: Study, name: str, source: Source, path: Path) -> pa.Table:
    """Return a sheet as a table, with the headers of its first row after those that are skipped.

    Raises
    ------
    StudyError
        If the sheet can't be read or isn't the only one, a header is missing, formulas have no
        stored values, cells are merged over rows, or a column mixes kinds of values.
    """
    place = name_key(study, name)
    _require_options(place, source)
    _require_dense(place, path)
    sheet = _open_sheet(place, source, path)
    start = sheet.start or (0, 0)
    rows = sheet.to_python(skip_empty_area=True)
    skip = max(int(source.options.get("skip", 0)) - start[0], 0)
    headers = _read_headers(place, source, rows, skip, start)
    _require_single_cells(place, sheet, start[0] + skip, start)
    _show_errors(place, path, sheet.name, rows, start)
    body = [(start[0] + skip + 2 + i, row) for i, row in enumerate(rows[skip + 1 :])]
    filled = [(number, row) for number, row in body if any(cell != "" for cell in row)]
    numbers = [number for number, _ in filled]
    columns = zip_longest(*(row for _, row in filled), fillvalue="") if filled else [[]] * 0
    cells = dict(zip_longest(headers, columns, fillvalue=()))
    types = source.options.get("types", {})
    return pa.table(
        {
            header: _make_column(
                place, header, _name_column(start[1] + position), values, numbers, types
            )
            for position, (header, values) in enumerate(cells.items())
        }
    )


def _require_options(place: str, source: Source) -> None:
    if wrong := [key for key in source.options if key not in OPTIONS]:
        raise StudyError(
            f"{place}: expected the options {' or '.join(OPTIONS)} for a workbook, got"
            f" {', '.join(wrong)}; remove them"
        )


def _require_dense(place: str, path: Path) -> None:
    """Refuse a workbook with a lone cell far out, whose span wouldn't fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            sheets = [each for each in archive.namelist() if re.search(r"sheet.*\.xml$", each)]
            for sheet in sheets:
                _require_dense_sheet(place, path, archive, sheet)
    except (zipfile.BadZipFile, OSError) as error:
        raise StudyError(_describe_unreadable(place, path.name, error)) from None


def _require_dense_sheet(place: str, path: Path, archive: zipfile.ZipFile, sheet: str) -> None:
    letters, last, cells = set(), 0, 0
    for column, row in _list_cells(archive, sheet):
        letters.add(column)
        last, cells = max(last, row), cells + 1
    widest = max(letters, key=lambda each: (len(each), each), default="A")
    span = last * _number_column(widest)
    if span > max(ALWAYS_FINE, MOST_EMPTY * cells):
        raise StudyError(
            f"{place}: expected a sheet that is mostly filled, got {cells:,} cells in {path.name}"
            f" that span {last:,} rows up to column {widest}; delete the stray cells far to the"
            " right or far below"
        )


def _list_cells(archive: zipfile.ZipFile, sheet: str) -> Iterator[tuple[str, int]]:
    """Yield the column and row of each cell that a sheet's XML names."""
    with archive.open(sheet) as file:
        rest = b""
        while chunk := file.read(CHUNK):
            text = rest + chunk
            end = text.rfind(b"<") if len(chunk) == CHUNK else len(text)
            for match in CELL.finditer(text, 0, end):
                yield match[1].decode(), int(match[2])
            rest = text[end:]


def _number_column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _name_column(position: int) -> str:
    """Return the letters of the column at a position from 0."""
    letters, number = "", position + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _open_sheet(place: str, source: Source, path: Path) -> CalamineSheet:
    try:
        workbook = CalamineWorkbook.from_path(path)
    except (CalamineError, OSError, ValueError) as error:
        raise StudyError(_describe_unreadable(place, source.file, error)) from None
    try:
        if source.sheet is None:
            return workbook.get_sheet_by_name(_find_only_sheet(place, source, workbook))
        return workbook.get_sheet_by_name(source.sheet)
    except WorksheetNotFound:
        raise StudyError(
            f"{place}, key sheet: expected one of {', '.join(workbook.sheet_names)}, got"
            f" {source.sheet}; name a sheet of {source.file}"
        ) from None
    except (CalamineError, ValueError) as error:
        raise StudyError(_describe_unreadable(place, source.file, error)) from None


def _find_only_sheet(place: str, source: Source, workbook: CalamineWorkbook) -> str:
    """Return the sheet to read: the first where no other one is filled, else it must be named."""
    sheets = [each.name for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    if len(sheets) < 2:
        return workbook.sheet_names[0]
    filled = [name for name in sheets if workbook.get_sheet_by_name(name).height]
    if len(filled) > 1:
        raise StudyError(
            f"{place}: expected the key 'sheet' for a workbook of several sheets, got"
            f" {', '.join(filled)} in {source.file}; name the one to read"
        )
    return (filled or sheets)[0]


def _require_single_cells(
    place: str, sheet: CalamineSheet, header: int, start: tuple[int, int]
) -> None:
    """Refuse cells that are merged over rows: all but the first of them would be empty."""
    merged = [
        f"{_name_column(first[1])}{first[0] + 1}:{_name_column(last[1])}{last[0] + 1}"
        for first, last in sheet.merged_cell_ranges or []
        if last[0] > max(first[0], header) and first[1] >= start[1]
    ]
    if merged:
        raise StudyError(
            f"{place}: expected one cell for each value below the header, got {len(merged):,}"
            f" merged over several rows, such as {merged[0]}; unmerge and fill them"
        )


def _show_errors(
    place: str, path: Path, name: str, rows: list[list[Any]], start: tuple[int, int]
) -> None:
    """Put the text of each error (#N/A) into its cell, so that it isn't read as an empty one.

    Raises
    ------
    StudyError
        If formulas have no stored value, as in a workbook that a program wrote.
    """
    with zipfile.ZipFile(path) as archive:
        part = _find_part(archive, name)
        text = archive.read(part) if part in archive.namelist() else b""
    has_odd = b't="e"' in text or b"f>" in text or b"<f" in text
    odd = [each.groups() for each in ODD_CELL.finditer(text)] if has_odd else []
    without = [f"{column.decode()}{int(row)}" for column, row, error in odd if error is None]
    if without:
        raise StudyError(
            f"{place}: expected cells with values, got {len(without):,} formulas without a stored"
            f" value, the first in {without[0]}; open {path.name} in a spreadsheet program and save"
            " it"
        )
    for column, row, error in odd:
        line, position = int(row) - 1 - start[0], _number_column(column.decode()) - 1 - start[1]
        if 0 <= line < len(rows) and 0 <= position < len(rows[line]):
            rows[line][position] = error.decode()


def _find_part(archive: zipfile.ZipFile, name: str) -> str:
    """Return the part of a workbook that holds the sheet of a name."""
    sheets = ET.fromstring(archive.read("xl/workbook.xml")).iter()
    ids = [
        value
        for each in sheets
        if each.get("name") == name
        for key, value in each.items()
        if key.endswith("}id")
    ]
    links = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in links}
    target = targets.get(ids[0], "") if ids else ""
    return target[1:] if target.startswith("/") else f"xl/{target}"


def _describe_unreadable(place: str, file: str, error: Exception) -> str:
    return (
        f"{place}: expected a readable XLSX sheet in {file}, got this error: {error}; correct"
        " 'sheet' or the file"
    )


def _read_headers(
    place: str, source: Source, rows: list[list[Any]], skip: int, start: tuple[int, int]
) -> list[str]:
    """Return the headers, each once; none may be missing above values."""
    if len(rows) <= skip or not any(cell != "" for cell in rows[skip]):
        raise StudyError(
            f"{place}: expected a sheet with a header row in {source.file}, got an empty row;"
            " correct 'sheet', options.skip or the file"
        )
    missing = [
        position
        for position, header in enumerate(rows[skip])
        if header == "" and any(row[position] != "" for row in rows[skip + 1 :])
    ]
    if missing:
        raise StudyError(_describe_missing_header(place, source, rows, skip, start, missing))
    return _make_unique([str(header).strip() for header in rows[skip]])


def _describe_missing_header(
    place: str,
    source: Source,
    rows: list[list[Any]],
    skip: int,
    start: tuple[int, int],
    missing: list[int],
) -> str:
    """Name the columns without a header, and the row that looks like the header."""
    letters = ", ".join(_name_column(start[1] + position) for position in missing[:5])
    first = next(
        (
            number
            for number, row in enumerate(rows)
            if number > skip and all(isinstance(cell, str) and cell for cell in row)
        ),
        None,
    )
    remedy = "fill them in"
    if first is not None:
        remedy = f"if row {start[0] + first + 1} is the header, add options: {{skip: "
        remedy += f"{start[0] + first}}}"
    return (
        f"{place}: expected a header above every column in row {start[0] + skip + 1} of"
        f" {source.file}, got none in column{'s' if len(missing) > 1 else ''} {letters}; {remedy}"
    )


def _make_unique(headers: list[str]) -> list[str]:
    """Number headers that are there more than once, as DuckDB does in CSV files."""
    seen: dict[str, int] = {}
    unique = []
    for header in headers:
        seen[header] = seen.get(header, -1) + 1
        unique.append(f"{header}_{seen[header]}" if seen[header] else header)
    return unique


def _make_column(
    place: str,
    header: str,
    letters: str,
    values: tuple,
    numbers: list[int],
    types: dict[str, str],
) -> pa.Array:
    """Return a column's values with the one type that they have in the workbook."""
    cells = [None if cell == "" else cell for cell in values] or [None] * len(numbers)
    cells = [_write_text(cell) if isinstance(cell, timedelta) else cell for cell in cells]
    kinds = {FAMILIES[type(cell)] for cell in cells if cell is not None}
    if kinds == {"number", "text"} or types.get(header, "").upper() == "VARCHAR":
        return pa.array([None if cell is None else _write_text(cell) for cell in cells])
    if len(kinds) > 1:
        raise StudyError(_describe_mixture(place, header, letters, cells, numbers))
    return pa.array(cells, _choose_type(cells, kinds))


def _choose_type(cells: list, kinds: set[str]) -> pa.DataType:
    """Return the Arrow type of the cells of one kind; empty columns are texts."""
    filled = [cell for cell in cells if cell is not None]
    if kinds == {"number"}:
        whole = all(float(cell).is_integer() and abs(cell) <= EXACT for cell in filled)
        return pa.int64() if whole else pa.float64()
    if kinds == {"date"}:
        timed = any(isinstance(cell, datetime) for cell in filled)
        return pa.timestamp("us") if timed else pa.date32()
    simple = {"flag": pa.bool_(), "time of day": pa.time64("us")}
    return simple.get(next(iter(kinds), "text"), pa.string())


def _write_text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, dates as ISO writes them, lengths of
    time as hours, minutes and seconds.
    """
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, timedelta):  # as [h]:mm:ss shows it
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _describe_mixture(
    place: str, header: str, letters: str, cells: list, numbers: list[int]
) -> str:
    """Name the first cell of the rarest kind."""
    kinds = [None if cell is None else FAMILIES[type(cell)] for cell in cells]
    counts = {kind: kinds.count(kind) for kind in {*kinds} - {None}}
    rarest = min(counts, key=lambda kind: (counts[kind], kind))
    commonest = max(counts, key=lambda kind: (counts[kind], kind))
    where = kinds.index(rarest)
    return (
        f"{place}, column {header}: expected one kind of values, got the {rarest}"
        f" '{_write_text(cells[where])}' in cell {letters}{numbers[where]} among"
        f" {counts[commonest]:,} {commonest}s ({counts[rarest]:,} such"
        f" cell{'s' if counts[rarest] > 1 else ''}); correct the workbook, or read the column as"
        f" text by options: {{types: {{{header}: VARCHAR}}}}"
    )
