"""CSV files as DuckDB reads them: every value as text, each column cast once and strictly.

A column's type follows from all of its values, never from a sample: a first pass over all lines
finds the narrowest type that loses nothing of any value. Leading zeros, plus signs and more than 18
digits stay text. Dates in which day and month can't be distinguished, and numbers whose point may
part thousands, are refused with the option that settles them.
"""

import csv
import gzip
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from research.data.fetch import combine_hashes, hash_file, name_key, publish
from research.errors import StudyError
from research.study import Study
from research.study_schema import Source

SAMPLE_ROWS = 20_000  # propose a type, which all rows then confirm
DIALECT = {"Delimiter": "delim", "Quote": "quote", "Escape": "escape"}
DELIMITERS = ",;\t|"
SHOWN = 40  # characters of a row
EMPTY = "(empty)"  # how DuckDB shows an empty text
ALIASES = {"sep": "delim", "delimiter": "delim"}
OWN_OPTIONS = (  # which this module carries out itself
    "types",
    "dateformat",
    "timestampformat",
    "decimal_separator",
    "thousands",
    "encoding",
    "all_varchar",
    "sample_size",
)
CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
FULL_CLOCK = r"\d{1,2}:\d{2}:\d{2}(\.\d+)?"
DAY = r"\d{4}(-\d{1,2}-|/\d{1,2}/)\d{1,2}"
ZONE = r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"
LOCAL = r"\d{1,2}([/.-])\d{1,2}[/.-]\d{4}"  # day and month in either order
LOCAL_CLOCK = rf"( {CLOCK}( ?[AaPp][Mm])?)?"
CLOCK_FORMATS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
ORDERS = {"day": "%d{0}%m{0}%Y", "month": "%m{0}%d{0}%Y"}  # which of the two comes first


@dataclass(frozen=True)
class Kind:
    """One type that a column of texts may have.

    Attributes
    ----------
    fits : condition that a text of this type fulfils, with ``{v}`` for the text
    value : the text as this type
    """

    fits: str
    value: str


def select_csv(study: Study, name: str, source: Source, paths: list[Path]) -> str:
    """Return the query by which DuckDB reads a source's CSV files, in parentheses.

    Raises
    ------
    StudyError
        If a column can't be read with certainty, or an option names a column that isn't there.
    duckdb.Error
        If DuckDB can't read the files.
    """
    hashes = combine_hashes({str(path): hash_file(path) for path in [*paths, Path(__file__)]})
    version = hashlib.sha256(f"{hashes} {source.model_dump_json()}".encode()).hexdigest()[:16]
    kept = study.raw / f".{name}-{version}.sql"
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    with duckdb.connect() as engine:
        place = name_key(study, name)
        for path in paths:
            _require_equal_rows(engine, place, source, path)
        query = _plan(engine, place, source, paths)
    with suppress(OSError):  # it is found again next time
        publish(kept, lambda scratch: scratch.write_text(query, encoding="utf-8"))
    return query


def _plan(engine: duckdb.DuckDBPyConnection, place: str, source: Source, paths: list[Path]) -> str:
    """Return the query, with the types that all values of each column fit."""
    texts = _read_as_texts(engine, place, source, paths)
    if source.options.get("all_varchar"):
        return f"(SELECT * FROM {texts})"
    columns = [row[0] for row in engine.execute(f"DESCRIBE SELECT * FROM {texts}").fetchall()]
    _require_columns(place, source, columns)
    values = _find_kinds(engine, place, source, texts, columns)
    listed = (f"{values[column]} AS {_quote_name(column)}" for column in columns)
    return f"(SELECT {', '.join(listed)} FROM {texts})"


def _read_as_texts(
    engine: duckdb.DuckDBPyConnection, place: str, source: Source, paths: list[Path]
) -> str:
    """Return the call that reads all columns as texts, with the dialect of the first file."""
    given = {
        ALIASES.get(key, key): value
        for key, value in source.options.items()
        if key not in OWN_OPTIONS
    }
    given |= _sniff(engine, paths[0], given) | {"all_varchar": True}
    if len(paths) > 1 and not given.get("union_by_name"):
        _require_same_columns(engine, place, given, paths)
    files = quote([str(path) for path in paths])
    return f"read_csv({', '.join([files, *_list_options(given)])})"


def _require_same_columns(
    engine: duckdb.DuckDBPyConnection, place: str, given: dict[str, Any], paths: list[Path]
) -> None:
    """Refuse a file with other columns than the first: what only it has would not be read."""
    columns = {}
    for path in paths:
        call = f"read_csv({', '.join([quote(str(path)), *_list_options(given)])})"
        described = engine.execute(f"DESCRIBE SELECT * FROM {call}").fetchall()
        columns[path] = [row[0] for row in described]
    first = paths[0]
    for path in paths[1:]:
        lacking = [each for each in columns[first] if each not in columns[path]]
        beyond = [each for each in columns[path] if each not in columns[first]]
        if len(lacking) == len(columns[first]):
            raise StudyError(
                f"{place}: expected the header of {first.name} ({', '.join(lacking)}) in every"
                f" file, got {', '.join(beyond)[:SHOWN]} in {path.name}; give it the header and the"
                " delimiter of the others"
            )
        if lacking or beyond:
            found = f"no {', '.join(lacking)}" if lacking else f"{', '.join(beyond)} beyond them"
            raise StudyError(
                f"{place}: expected the columns of {first.name} in every file, got {found} in"
                f" {path.name}; correct the files, or read them as empty where they are missing by"
                " options: {union_by_name: true}"
            )


# A file whose rows differ in length, which DuckDB reads as one column or not at all


def _require_equal_rows(
    engine: duckdb.DuckDBPyConnection, place: str, source: Source, path: Path
) -> None:
    """Name the first row with more or fewer values than the header, where DuckDB finds no columns.

    Raises
    ------
    StudyError
        If there is such a row, or the file is empty or mixes the ends of its lines.
    """
    given = {key: value for key, value in source.options.items() if key not in OWN_OPTIONS}
    if {*given} & {"delim", "sep", "delimiter", "ignore_errors", "null_padding", "skip"}:
        return
    call = ", ".join([quote(str(path)), *_list_options(given)])
    try:
        columns = engine.execute(f"DESCRIBE SELECT * FROM read_csv({call})").fetchall()
    except duckdb.Error:
        columns = []
    if len(columns) > 1:
        return
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        text = file.read().decode("utf-8-sig", errors="replace")
    _explain_rows(place, path, text)


def _explain_rows(place: str, path: Path, text: str) -> None:
    if not text.strip():
        raise StudyError(f"{place}: expected rows in {path.name}, got an empty file; restore it")
    header = text.splitlines()[0]
    delimiter = max(DELIMITERS, key=header.count)
    if not header.count(delimiter):
        return  # one column it is
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    expected = len(next(rows))
    for row in rows:
        if row and len(row) != expected:
            shown = delimiter.join(row)[:SHOWN]
            raise StudyError(
                f"{place}: expected {expected} values in each row of {path.name}, as in its header,"
                f" got {len(row)} in line {rows.line_num:,} ('{shown}'); correct or delete that"
                " line"
            )
    if text.count("\r\n") not in (0, text.count("\n")):
        raise StudyError(
            f"{place}: expected one kind of line ends in {path.name}, got"
            f" {text.count(chr(13) + chr(10)):,} lines that end as in Windows and others that"
            " don't; save it with one kind"
        )


def _sniff(engine: duckdb.DuckDBPyConnection, path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return what the options leave open: delimiter, quote, escape and whether there is a header.

    Where the first lines have no quote, a later one may.
    """
    call = ", ".join([quote(str(path)), *_list_options(given)])
    query = engine.execute(f"SELECT * FROM sniff_csv({call})")
    found = dict(zip([each[0] for each in query.description], query.fetchone(), strict=True))
    dialect = {key: found[column] for column, key in DIALECT.items()}
    if dialect["quote"] == EMPTY:
        dialect["quote"] = '"'
    if dialect["escape"] == EMPTY:
        dialect["escape"] = dialect["quote"]
    dialect |= {"header": found["HasHeader"], "skip": found["SkipRows"]}
    return {key: value for key, value in dialect.items() if key not in given}


def _list_options(options: dict[str, Any]) -> list[str]:
    return [f"{key} = {quote(value)}" for key, value in options.items()]


def quote(value: bool | int | str | list[str] | dict[str, str]) -> str:
    """Return a value as SQL writes it."""
    if isinstance(value, list):
        return "[" + ", ".join(quote(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(key)}: {quote(item)}" for key, item in value.items()) + "}"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()


def _quote_name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _require_columns(place: str, source: Source, columns: list[str]) -> None:
    wrong = [column for column in source.options.get("types", {}) if column not in columns]
    if wrong:
        raise StudyError(
            f"{place}, options.types: expected columns of {source.file} ({', '.join(columns)}), got"
            f" {', '.join(wrong)}; correct the spelling"
        )


# Types, from all values of a column


def _find_kinds(
    engine: duckdb.DuckDBPyConnection, place: str, source: Source, texts: str, columns: list[str]
) -> dict[str, str]:
    """Return the expression of each column's value, in the type that all of its texts fit."""
    given = source.options.get("types", {})
    values = {column: f"CAST({_quote_name(column)} AS {given[column]})" for column in given}
    open_columns = [column for column in columns if column not in values]
    kinds = _list_kinds(source)
    sample = f"(FROM {texts} LIMIT {SAMPLE_ROWS})"
    proposed = _fit(engine, sample, {column: [*kinds] for column in open_columns}, kinds)
    candidates = {column: [kind] if kind else [*kinds] for column, kind in proposed.items()}
    confirmed = _fit(engine, texts, candidates, kinds)
    wider = [column for column in open_columns if proposed[column] and not confirmed[column]]
    confirmed |= _fit(engine, texts, {column: [*kinds] for column in wider}, kinds)
    for column in open_columns:
        kind = confirmed[column] or "text"
        if kind == "decimal" and not {"decimal_separator", "thousands"} & {*source.options}:
            _require_certain_point(engine, place, texts, column)
        values[column] = (
            _read_local(engine, place, texts, column)
            if kind == "local"
            else kinds[kind].value.format(v=_quote_name(column))
        )
    return values


def _list_kinds(source: Source) -> dict[str, Kind]:
    """Return the types that a column may have, the narrowest first; text fits everything."""
    options = source.options
    point, thousands = options.get("decimal_separator", "."), options.get("thousands")
    whole = r"-?(0|[1-9]\d{0,17})"
    bare = "{v}"
    if thousands:
        whole = rf"-?([1-9]\d{{0,2}}({_escape(thousands)}\d{{3}})*|0|[1-9]\d{{0,17}})"
        bare = f"replace({bare}, {quote(thousands)}, '')"
    number = bare if point == "." else f"replace({bare}, {quote(point)}, '.')"
    point = _escape(point)  # an exponent has a sign, as programs write it: 1E5 may be a code
    decimal = rf"({whole}({point}\d*)?|-?{point}\d+)([eE][+-]\d{{2,}})?"
    return {
        "whole": Kind(_match(whole), f"CAST({bare} AS BIGINT)"),
        "decimal": Kind(_match(decimal), f"CAST({number} AS DOUBLE)"),
        "flag": Kind("lower({v}) IN ('true', 'false')", "lower({v}) = 'true'"),
        **_list_given_kinds(source),
        "day": Kind(f"{_match(DAY)} AND {_try('DATE')}", "CAST({v} AS DATE)"),
        "moment": Kind(
            f"{_match(f'{DAY}([ T]{CLOCK})?')} AND {_try('TIMESTAMP')}", "CAST({v} AS TIMESTAMP)"
        ),
        "zoned": Kind(
            f"{_match(f'{DAY}[ T]{CLOCK}{ZONE}')} AND {_try('TIMESTAMPTZ')}",
            "CAST({v} AS TIMESTAMPTZ)",
        ),
        "clock": Kind(f"{_match(FULL_CLOCK)} AND {_try('TIME')}", "CAST({v} AS TIME)"),
        "local": Kind(_match(LOCAL + LOCAL_CLOCK), ""),
        "text": Kind("true", "{v}"),
    }


def _list_given_kinds(source: Source) -> dict[str, Kind]:
    """Return the types whose format an option gives."""
    formats = {
        key: quote(source.options[key]).replace("{", "{{").replace("}", "}}")
        for key in ("dateformat", "timestampformat")
        if key in source.options
    }
    casts = {"dateformat": "DATE", "timestampformat": "TIMESTAMP"}
    return {
        key: Kind(
            f"try_strptime({{v}}, {form}) IS NOT NULL",
            f"CAST(strptime({{v}}, {form}) AS {casts[key]})",
        )
        for key, form in formats.items()
    }


def _match(pattern: str) -> str:
    braces = pattern.replace("{", "{{").replace("}", "}}").replace("'", "''")
    return f"regexp_full_match({{v}}, '{braces}')"


def _try(kind: str) -> str:
    return f"TRY_CAST({{v}} AS {kind}) IS NOT NULL"


def _escape(character: str) -> str:
    return "".join(f"[{each}]" for each in character)


def _fit(
    engine: duckdb.DuckDBPyConnection,
    rows: str,
    candidates: dict[str, list[str]],
    kinds: dict[str, Kind],
) -> dict[str, str | None]:
    """Return the first candidate that all texts of a column fit; none where none does.

    A column without a value fits none.
    """
    asked = [(column, name) for column, names in candidates.items() for name in names]
    counts = [f"count({_quote_name(column)})" for column in candidates]
    counts += [
        f"count(*) FILTER (WHERE {kinds[name].fits.format(v=_quote_name(column))})"
        for column, name in asked
    ]
    found = engine.execute(f"SELECT {', '.join(['count(*)', *counts])} FROM {rows}").fetchone()[1:]
    filled = dict(zip(candidates, found, strict=False))
    fitting = dict(zip(asked, found[len(filled) :], strict=True))
    return {
        column: next((name for name in names if 0 < filled[column] == fitting[column, name]), None)
        for column, names in candidates.items()
    }


# What can't be read with certainty


def _read_local(engine: duckdb.DuckDBPyConnection, place: str, texts: str, column: str) -> str:
    """Return the expression of dates such as 31/12/2024, whose order the values themselves show.

    Raises
    ------
    StudyError
        If no value has a day above 12, so that day and month can't be distinguished.
    """
    cell = _quote_name(column)
    parts = rf"regexp_extract({cell}, '^(\d+)[/.-](\d+)', {{}})"
    query = (
        f"SELECT max(CAST({parts.format(1)} AS INT)), max(CAST({parts.format(2)} AS INT)),"
        f" min({cell}), list(DISTINCT regexp_extract({cell}, '[/.-]')),"
        f" bool_or(contains({cell}, ':')) FROM {texts} WHERE {cell} IS NOT NULL"
    )
    first, second, example, separators, timed = engine.execute(query).fetchone()
    if first <= 12 and second <= 12:
        raise StudyError(_describe_ambiguous_date(place, column, example, separators[0]))
    order = ORDERS["day" if first > 12 else "month"]
    formats = [
        order.format(separator) + clock for separator in separators for clock in CLOCK_FORMATS
    ]
    parsed = f"try_strptime({cell}, {quote(formats)})"
    failing = f"SELECT count(*) FROM {texts} WHERE {cell} IS NOT NULL AND {parsed} IS NULL"
    if engine.execute(failing).fetchone()[0]:
        return cell  # some values are no dates: the check of the table names them
    return f"CAST({parsed} AS {'TIMESTAMP' if timed else 'DATE'})"


def _describe_ambiguous_date(place: str, column: str, example: str, separator: str) -> str:
    day, month = (ORDERS[first].format(separator) for first in ORDERS)
    return (
        f"{place}, column {column}: expected dates that show which number is the day, got no day"
        f" above 12, for example {example}; add options: {{dateformat: '{day}'}} or"
        f" {{dateformat: '{month}'}}, or read it as text by options: {{types: {{{column}:"
        " VARCHAR}}"
    )


def _require_certain_point(
    engine: duckdb.DuckDBPyConnection, place: str, texts: str, column: str
) -> None:
    """Refuse numbers such as 1.234 alone, whose point may part thousands.

    A number that has other than three digits behind the point, or more than three before it, shows
    that the point is that of decimals.
    """
    cell = _quote_name(column)
    grouped = _match(r"-?[1-9]\d{0,2}\.\d{3}").format(v=cell)
    either = _match(r"-?([1-9]\d{0,2}|0)(\.\d{3})?").format(v=cell)
    query = (
        f"SELECT count(*) FILTER (WHERE NOT ({either})), count(*) FILTER (WHERE {grouped}),"
        f" min({cell}) FILTER (WHERE {grouped}) FROM {texts} WHERE {cell} IS NOT NULL"
    )
    certain, doubtful, example = engine.execute(query).fetchone()
    if certain or not doubtful:
        return
    raise StudyError(
        f"{place}, column {column}: expected numbers whose point is that of decimals or of"
        f" thousands beyond doubt, got only numbers such as {example}; add options:"
        " {decimal_separator: '.'} or {decimal_separator: ',', thousands: '.'}"
    )
