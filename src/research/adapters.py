"""SQL adapters: a study's raw files become contract tables in an embedded DuckDB."""

import hashlib
import re
from pathlib import Path
from zipfile import BadZipFile

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
from python_calamine import CalamineError

from research import contracts
from research.parts import TABLES, Source
from research.sources import hash_file, list_files, locate_database, name_key, publish
from research.studies import Study, StudyError, load_study, show_path

PARQUET_READERS = {".xlsx", ".rda", ".rdata"}


def connect(study: Study) -> ibis.BaseBackend:
    """Return an embedded DuckDB that sees each raw file as a view, and each attached database, under its key in study.yml."""
    backend = ibis.duckdb.connect()
    for name, address in study.attach.items():
        attach = f'ATTACH {_quote(str(locate_database(study, address)))} AS "{name}" (READ_ONLY)'
        _run(backend, attach, f"{show_path(study.folder / 'study.yml')}, key attach.{name}", f"a database {address} that DuckDB can attach")
    for name, source in study.sources.items():
        view = f'CREATE VIEW "{name}" AS SELECT * FROM {_reader(study, name, source)}'
        _run(backend, view, name_key(study, name), f"a file {source.file} that DuckDB can read with these options")
    return backend


def _reader(study: Study, name: str, source: Source) -> str:
    paths = list_files(study, name, source)
    suffix = Path(source.file).suffix.lower()
    if suffix in PARQUET_READERS:
        _require_one(study, name, source, paths)
        paths, suffix = [_as_parquet(study, name, source, paths[0])], ".parquet"
    reader = {".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".gz": "read_csv", ".parquet": "read_parquet"}.get(suffix)
    if reader is None:
        raise StudyError(f"{name_key(study, name)}: required a file in CSV, Parquet, XLSX or RData, arrived '{source.file}'; convert it to one of them")
    listed = "[" + ", ".join(_quote(str(path)) for path in paths) + "]"
    return f"{reader}({', '.join([listed, *(f'{key} = {_literal(value)}' for key, value in source.options.items())])})"


def _require_one(study: Study, name: str, source: Source, paths: list[Path]) -> None:
    if len(paths) > 1:
        raise StudyError(
            f"{name_key(study, name)}: required one XLSX or RData file per source, arrived {len(paths)} for '{source.file}'; write a source for each"
        )


def _as_parquet(study: Study, name: str, source: Source, path: Path) -> Path:
    """Convert an XLSX sheet or an RData object to Parquet once; the copy is named after the bytes it was made from."""
    wanted = hashlib.sha256(f"{hash_file(path)} {source.sheet} {source.object}".encode()).hexdigest()[:16]
    copy = study.raw / f".{name}-{wanted}.parquet"
    if not copy.exists():
        frame = _read_xlsx(study, name, source, path) if path.suffix.lower() == ".xlsx" else _read_rdata(study, name, source, path)
        publish(copy, lambda scratch: frame.to_parquet(scratch, index=False))
    return copy


def _read_xlsx(study: Study, name: str, source: Source, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_excel(path, sheet_name=source.sheet or 0, engine="calamine")
    except (CalamineError, BadZipFile, ValueError, OSError) as error:
        raise StudyError(f"{name_key(study, name)}: required a readable XLSX sheet in {source.file}, arrived {error}; correct 'sheet' or the file") from None
    if frame.columns.empty:
        raise StudyError(f"{name_key(study, name)}: required a sheet with a header row in {source.file}, arrived an empty one; correct 'sheet' or the file")
    mixed = [column for column in frame if pd.api.types.infer_dtype(frame[column], skipna=True).startswith("mixed")]
    return frame.astype(dict.fromkeys(mixed, "string"))


def _read_rdata(study: Study, name: str, source: Source, path: Path) -> pd.DataFrame:
    import pyreadr  # under the AGPL: only who reads RData files needs it

    try:
        objects = pyreadr.read_r(path)
    except (pyreadr.custom_errors.PyreadrError, pyreadr.custom_errors.LibrdataError, ValueError, OSError) as error:
        raise StudyError(f"{name_key(study, name)}: required a readable RData file {source.file}, arrived {error}; correct the file") from None
    if source.object is None and len(objects) == 1:
        return next(iter(objects.values()))
    if source.object not in objects:
        raise StudyError(f"{name_key(study, name)}: required 'object' to be one of {', '.join(objects)}, arrived {source.object}; name one of them")
    return objects[source.object]


def load_tables(study: Study | str) -> dict[str, ir.Table]:
    """Run a study's SQL adapters and return its contract tables, every promise checked.

    Returns
    -------
    dict of Ibis tables by contract name, in the canonical types of ``contracts.KINDS``

    Raises
    ------
    StudyError
        One sentence for every adapter that fails and every promise that a table breaks.
    """
    study = load_study(study) if isinstance(study, str) else study
    tables = adapt(study)
    contracts.require(contracts.check(tables))
    require_sensitive(study, tables)
    return tables


def require_sensitive(study: Study, tables: dict[str, ir.Table]) -> None:
    """Refuse a sensitive column that no table has: misspelt, it would enter the models."""
    columns = tables["snapshot" if study.kind == "flat" else "customers"].columns
    wrong = [name for name in study.sensitive if name not in columns]
    if wrong:
        place = show_path(study.folder / "study.yml")
        raise StudyError(f"{place}, key sensitive: required columns among {', '.join(columns)}; arrived {', '.join(wrong)}; correct the spelling")


def adapt(study: Study) -> dict[str, ir.Table]:
    """Run a study's SQL adapters without checking what they return."""
    adapters = {path.stem: path for path in sorted(study.folder.glob("*.sql"))}
    _require_adapters(study, adapters)
    backend = connect(study)
    tables, faults = {}, []
    for name in (name for name in TABLES if name in adapters):
        try:
            tables[name] = _adapt_one(backend, name, adapters[name])
        except StudyError as error:
            faults += error.faults
    if faults:
        raise StudyError(*faults)
    return tables


def _require_adapters(study: Study, adapters: dict[str, Path]) -> None:
    folder, needed = show_path(study.folder), ["snapshot"] if study.kind == "flat" else ["customers"]
    if study.kind == "contractual":
        needed.append("contracts")
    if study.kind == "non_contractual":
        needed.append("orders")
    faults = [f"{folder}: required {name}.sql for a {study.kind} study, which is not there; write it" for name in needed if name not in adapters]
    faults += [f"{folder}/{name}.sql: required a name among {', '.join(TABLES)}; rename or remove it" for name in adapters if name not in TABLES]
    if faults:
        raise StudyError(*faults)


def _adapt_one(backend: ibis.BaseBackend, name: str, path: Path) -> ir.Table:
    place, query = show_path(path), _read_sql(path)
    try:
        kinds = [statement.type for statement in duckdb.extract_statements(query)]
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error)) from None
    if kinds != [duckdb.StatementType.SELECT]:
        raise StudyError(f"{place}: required exactly one SELECT, arrived {', '.join(kind.name for kind in kinds) or 'nothing'}; keep one SELECT")
    _run(backend, f'CREATE VIEW "adapted {name}" AS {query.strip().rstrip(";")}', place)
    try:
        return backend.create_table(name, contracts.conform(backend.table(f"adapted {name}"), name))
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error)) from None


def _read_sql(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{show_path(path)}: required a readable UTF-8 file, arrived {getattr(error, 'strerror', error)}; restore the file") from None


def _run(backend: ibis.BaseBackend, statement: str, place: str, required: str = "SQL that DuckDB can run") -> None:
    try:
        backend.raw_sql(statement)
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error, required)) from None


def _sql_sentence(place: str, error: duckdb.Error, required: str = "SQL that DuckDB can run") -> str:
    """Say what DuckDB says, without the statement that this module wrote around the user's and without the list of CSV settings."""
    arrived = re.split(r"LINE 1:|\n\s*file = ", str(error))[0]
    return f"{place}: required {required}, arrived {' '.join(arrived.split())}; correct it"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: bool | int | str | list[str]) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_quote(item) for item in value) + "]"
    return _quote(value) if isinstance(value, str) else str(value).lower()
