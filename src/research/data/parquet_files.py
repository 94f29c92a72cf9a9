"""Parquet files as DuckDB reads them: other types in parts are unified without loss or refused."""

from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from research.data.csv_files import quote
from research.data.fetch import name_key
from research.errors import StudyError
from research.study import Study
from research.study_schema import Source

EXACT = 2**53  # whole numbers up to here are exact as floating-point numbers


def select_parquet(study: Study, name: str, source: Source, paths: list[Path]) -> str:
    """Return the call by which DuckDB reads a source's Parquet files.

    Raises
    ------
    StudyError
        If a column holds lengths of time, which DuckDB reads as numbers without a unit, or types in
        two files that can't be unified without loss, or if it is missing in one and the options
        don't say ``union_by_name: true``.
    """
    options = {**source.options}
    types = _list_types(paths)
    place = name_key(study, name)
    _require_no_durations(place, types)
    if not options.get("union_by_name"):
        _require_same_columns(place, types, paths)
    differing = {column: parts for column, parts in types.items() if len({*parts.values()}) > 1}
    for column, parts in differing.items():
        _require_common_type(place, column, parts)
    if differing:
        options["union_by_name"] = True
    listed = [f"{key} = {quote(value)}" for key, value in options.items()]
    return f"read_parquet({', '.join([quote([str(path) for path in paths]), *listed])})"


def _list_types(paths: list[Path]) -> dict[str, dict[Path, pa.DataType]]:
    """Return by column the type in each file that has it."""
    types = defaultdict(dict)
    for path in paths:
        for field in pq.read_schema(path):
            types[field.name][path] = field.type
    return types


def _require_same_columns(place: str, types: dict, paths: list[Path]) -> None:
    for column, parts in types.items():
        if missing := [path.name for path in paths if path not in parts]:
            raise StudyError(
                f"{place}: expected the column {column} in every file, got none in {missing[0]}"
                + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
                + "; correct the files, or read it as empty there by options: {union_by_name: true}"
            )


def _require_no_durations(place: str, types: dict) -> None:
    for column, parts in types.items():
        for path, kind in parts.items():
            if pa.types.is_duration(kind):
                raise StudyError(
                    f"{place}, column {column}: expected numbers, texts, flags, dates or times, got"
                    f" lengths of time ({kind}) in {path.name}; write them as numbers of one unit"
                )


def _require_common_type(place: str, column: str, parts: dict[Path, pa.DataType]) -> None:
    kinds = {*map(_name_family, parts.values())} - {"empty"}
    exact = kinds <= {"whole", "decimal"} and ("decimal" not in kinds or _are_exact(column, parts))
    if len(kinds) <= 1 or exact or kinds == {"date", "time without a zone"}:
        return
    first, *_ = parts
    other = next(path for path in parts if parts[path] != parts[first])
    raise StudyError(
        f"{place}, column {column}: expected one type in all files, got {parts[first]} in"
        f" {first.name} and {parts[other]} in {other.name}, which can't be unified without loss;"
        " write the files with one type, or give each type a source of its own and cast them in"
        " the SQL"
    )


def _name_family(kind: pa.DataType) -> str:
    """Return the family within which types are unified without loss."""
    families = {
        "empty": pa.types.is_null,
        "whole": pa.types.is_integer,
        "decimal": pa.types.is_floating,
        "text": lambda each: pa.types.is_string(each) or pa.types.is_large_string(each),
        "date": pa.types.is_date,
        "time without a zone": lambda each: pa.types.is_timestamp(each) and each.tz is None,
        "time with a zone": lambda each: pa.types.is_timestamp(each) and each.tz is not None,
    }
    return next((name for name, fits in families.items() if fits(kind)), str(kind))


def _are_exact(column: str, parts: dict[Path, pa.DataType]) -> bool:
    """Return whether all whole numbers of the files stay what they are as floating point."""
    whole = [str(path) for path, kind in parts.items() if pa.types.is_int64(kind)]
    cell = '"' + column.replace('"', '""') + '"'
    query = f"SELECT max(abs(CAST({cell} AS HUGEINT))) FROM read_parquet({quote(whole)})"
    return not whole or (duckdb.sql(query).fetchall()[0][0] or 0) <= EXACT
