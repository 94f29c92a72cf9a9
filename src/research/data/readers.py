"""Raw files as relations: DuckDB reads every format, and converts it once for other engines."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from research.data import csv_files, encodings, parquet_files, workbooks
from research.data.csv_files import quote, select_csv
from research.data.encodings import decode
from research.data.fetch import combine_hashes, hash_file, list_files, name_key, publish
from research.data.parquet_files import select_parquet
from research.data.workbooks import read_workbook
from research.errors import StudyError
from research.study import Study, show_path
from research.study_schema import Source

CONVERTED = {".xlsx", ".rda", ".rdata"}
TEXTS = {".csv", ".tsv", ".txt", ".gz"}
PLAIN_TYPES = {
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIME": "VARCHAR",
    "INTERVAL": "VARCHAR",
    "UUID": "VARCHAR",
}  # what Spark reads instead


def describe_reader(study: Study, name: str, source: Source) -> str:
    """Return the relation by which DuckDB reads a source's files with the study's options.

    Raises
    ------
    StudyError
        If a file can't be read, or not with certainty.
    """
    paths = list_files(study, name, source)
    suffix = Path(source.file).suffix.lower()
    try:
        if suffix in TEXTS:
            return select_csv(study, name, source, decode(study, name, source, paths))
        if suffix in CONVERTED:
            _require_one(study, name, source, paths)
            plain = source.model_copy(update={"options": {}})
            return select_parquet(study, name, plain, [_convert(study, name, source, paths[0])])
        if suffix == ".parquet":
            return select_parquet(study, name, source, paths)
    except (duckdb.Error, OSError, ValueError) as error:  # pyarrow's are of the last two kinds
        raise StudyError(describe_unreadable(study, name, source, error)) from None
    raise StudyError(
        f"{name_key(study, name)}: expected a CSV, Parquet, XLSX or RData file, got"
        f" '{source.file}'; convert it to one of these formats"
    )


def list_parquet(study: Study, name: str, source: Source) -> list[Path]:
    """Return a source's files as Parquet that Spark can read, or the copy that DuckDB makes once.

    Raises
    ------
    StudyError
        If DuckDB can't read the files.
    """
    paths = list_files(study, name, source)
    try:
        if (
            Path(source.file).suffix.lower() == ".parquet"
            and not source.options
            and all(_is_plain(path) for path in paths)
        ):
            return paths
        return [_copy_plain(study, name, source, paths)]
    except (duckdb.Error, OSError, ValueError) as error:  # pyarrow's are of the last two kinds
        raise StudyError(describe_unreadable(study, name, source, error)) from None


def _is_plain(path: Path) -> bool:
    """Return whether Spark reads all types of a Parquet file, so no nanoseconds or times of day."""
    return not any(
        str(field.type).startswith(("timestamp[ns", "time32", "time64", "duration"))
        for field in pq.read_schema(path)
    )


def _copy_plain(study: Study, name: str, source: Source, paths: list[Path]) -> Path:
    """Write all files of a source as one Parquet file named after their bytes and options."""
    files = combine_hashes({str(path): hash_file(path) for path in paths})
    version = _hash_text(f"{files} {source.model_dump_json()} {_hash_rules()}")
    # in a hidden folder, not a hidden file: Spark overlooks files that begin with a dot
    copy = study.raw / ".plain" / f"{name}-{version}.parquet"
    if copy.exists():
        return copy
    reader = describe_reader(study, name, source)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        types = engine.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
        query = f"SELECT {', '.join(_cast_plain(*each[:2]) for each in types)} FROM {reader}"
        publish(
            copy,
            lambda scratch: engine.execute(
                f"COPY ({query}) TO {quote(str(scratch))} (FORMAT parquet)"
            ),
        )
    return copy


def _cast_plain(name: str, kind: str) -> str:
    """Return a column as SQL selects it, in a type that Spark reads."""
    column = '"' + name.replace('"', '""') + '"'
    return f"CAST({column} AS {PLAIN_TYPES[kind]}) AS {column}" if kind in PLAIN_TYPES else column


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_one(study: Study, name: str, source: Source, paths: list[Path]) -> None:
    if len(paths) > 1:
        raise StudyError(
            f"{name_key(study, name)}: expected one XLSX or RData file per source, got"
            f" {len(paths)} for '{source.file}'; write a source for each"
        )


def _convert(study: Study, name: str, source: Source, path: Path) -> Path:
    """Convert an XLSX sheet or an RData object to Parquet once per version of the file."""
    version = _hash_text(f"{hash_file(path)} {source.model_dump_json()} {_hash_rules()}")
    copy = study.raw / f".{name}-{version}.parquet"
    if not copy.exists():
        if path.suffix.lower() == ".xlsx":
            table = read_workbook(study, name, source, path)
        else:
            frame = _read_rdata(study, name, source, path)
            table = pa.Table.from_pandas(frame, preserve_index=False)
        publish(copy, lambda scratch: pq.write_table(table, scratch))
    return copy


@lru_cache
def _hash_rules() -> str:
    """Return one hash of the modules that read files: other rules, other copies."""
    modules = (csv_files, encodings, parquet_files, workbooks)
    paths = [Path(__file__), *(Path(module.__file__) for module in modules)]
    return combine_hashes({path.name: hash_file(path) for path in paths})


def _read_rdata(study: Study, name: str, source: Source, path: Path) -> pd.DataFrame:
    import pyreadr  # under the AGPL, and needed only for RData files

    try:
        objects = pyreadr.read_r(path)
    except (
        pyreadr.custom_errors.PyreadrError,
        pyreadr.custom_errors.LibrdataError,
        ValueError,
        OSError,
    ) as error:
        raise StudyError(
            f"{name_key(study, name)}: expected a readable RData file {source.file}, got this"
            f" error: {error}; correct the file"
        ) from None
    if source.object is None and len(objects) == 1:
        return next(iter(objects.values()))
    if source.object not in objects:
        raise StudyError(
            f"{name_key(study, name)}: expected 'object' to be one of {', '.join(objects)}, got"
            f" {source.object or 'none'}; name one of them"
        )
    return objects[source.object]


def describe_unreadable(study: Study, name: str, source: Source, error: Exception) -> str:
    """Return the sentence on a file that DuckDB can't read, with DuckDB's own message."""
    return (
        f"{name_key(study, name)}: expected a file {source.file} that DuckDB can read with its"
        f" options, got this error: {shorten_error(error)}; correct the file or the options"
    )


def read_sql(path: Path) -> str:
    """Return the text of a study's SQL file.

    Raises
    ------
    StudyError
        If it can't be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StudyError(
            f"{show_path(path)}: expected a readable UTF-8 file, but reading it failed: {reason};"
            " restore it"
        ) from None


def shorten_error(error: Exception) -> str:
    """Return DuckDB's message in one line, without its quote of the query and of CSV settings."""
    return " ".join(re.split(r"LINE 1:|\n\s*file = ", str(error))[0].split())
