"""Engines: DuckDB in this process, Spark, or a warehouse.

All of them run the same Ibis expressions, and none leaves anything behind.
"""

import os
import re
import sys
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import sqlglot
from ibis.common.exceptions import IbisError
from sqlglot.errors import SqlglotError

from research.data import spark
from research.data.fetch import locate_database
from research.data.readers import (
    describe_reader,
    describe_unreadable,
    list_parquet,
    quote,
    shorten_error,
)
from research.errors import StudyError
from research.files import make_scratch_folder, sweep
from research.settings import read_share
from research.study import Study, show_path

TITLES = {
    "duckdb": "DuckDB",
    "spark": "Spark",
    "warehouse": "the warehouse",
}  # the engine's name in a sentence
MICROSECONDS, NANOSECONDS = "datetime64[us]", "datetime64[ns]"
VARIABLE = re.compile(r"\$\{(\w+)\}")
LONGEST_ERROR = 300
FOLDER = "research-duckdb-own-"  # in TMPDIR; earlier versions, which lock none, have other names
GRACE_SECONDS = 5  # for a query that was interrupted
LITERAL = re.compile(r"'((?:[^']|'')*)'")
SHUT = (
    "python_enable_replacements = false",
    "autoload_known_extensions = false",
    "allow_persistent_secrets = false",
    "enable_external_access = false",
    "lock_configuration = true",
)  # what DuckDB is told once it knows the study's files


def connect(study: Study) -> ibis.BaseBackend:
    """Return the study's engine.

    DuckDB and Spark see each raw file, and DuckDB each attached database, under its key in
    study.yml.

    Raises
    ------
    StudyError
        If the engine isn't installed or can't be reached, or can't read a file.
    """
    _silence_ibis()
    place = f"{show_path(study.folder / 'study.yml')}, key engine"
    if study.engine.kind == "spark":
        return _connect_spark(study, place)
    if study.engine.kind == "warehouse":
        return _connect_warehouse(study, place)
    return _connect_duckdb(study)


def _silence_ibis() -> None:
    """Keep to ibis what it calls by a name of DuckDB that is deprecated: nobody can act on it."""
    warnings.filterwarnings("ignore", r"fetch_arrow_table\(\) is deprecated", DeprecationWarning)


def _connect_duckdb(study: Study) -> ibis.BaseBackend:
    backend = _open_duckdb(study)
    for name, address in study.attach.items():
        _attach(backend, study, name, address)
    files: list[str] = []
    for name, source in study.sources.items():
        reader = describe_reader(study, name, source)
        files += [text.replace("''", "'") for text in LITERAL.findall(reader)]
        try:
            backend.raw_sql(f'CREATE VIEW "{name}" AS SELECT * FROM {reader}')
        except duckdb.Error as error:
            raise StudyError(describe_unreadable(study, name, source, error)) from None
    _shut(backend, study, [file for file in files if os.path.isfile(file)])
    return backend


def _shut(backend: ibis.BaseBackend, study: Study, files: list[str]) -> None:
    """Let the study's SQL read these files and its allowed folders, and nothing else for good.

    Attached databases and DuckDB's own files are open already.
    """
    folders = [str(_require_folder(study, folder)) for folder in study.allow]
    backend.raw_sql(f"SET allowed_paths = [{', '.join(map(quote, files))}]")
    backend.raw_sql(f"SET allowed_directories = [{', '.join(map(quote, folders))}]")
    for setting in SHUT:
        backend.raw_sql(f"SET {setting}")


def _require_folder(study: Study, folder: str) -> Path:
    path = study.raw / folder
    if not path.is_dir():
        raise StudyError(
            f"{show_path(study.folder / 'study.yml')}, key allow: expected a folder, got"
            f" '{folder}', which is none in {show_path(study.raw)}; correct it"
        )
    return path.resolve()


def _open_duckdb(study: Study) -> ibis.BaseBackend:
    """Open a database file in a folder that is removed with the connection, as are spilled data.

    The file and its log lose their names as soon as they are open: the system then frees them with
    the process, however that ends. Checkpoints would only cost time.
    """
    folder, release = _make_folder()
    memory = study.engine.memory_gb
    settings = {
        "memory_limit": f"{memory}GB" if memory else None,
        "threads": study.engine.threads or read_share(),
        "temp_directory": str(folder),
        "checkpoint_threshold": "1000TB",
        "autoinstall_known_extensions": False,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        backend = ibis.duckdb.connect(f"{folder}/research-own.duckdb", **given)
    except BaseException:
        release()
        raise
    weakref.finalize(backend, _close, backend.con, release)
    backend.raw_sql("PRAGMA disable_checkpoint_on_shutdown")
    backend.raw_sql("CREATE TABLE opened (log INTEGER)")  # the first write opens the log
    backend.raw_sql("DROP TABLE opened")
    for file in folder.iterdir():
        file.unlink()
    return backend


def _make_folder() -> tuple[Path, Callable[[], None]]:
    """Return a temporary folder and its removal; those of killed processes are removed now."""
    try:
        parent = Path(tempfile.gettempdir())
        sweep(parent, f"{FOLDER}*")
        return make_scratch_folder(parent, FOLDER)
    except OSError as error:
        folder = error.filename or tempfile.tempdir
        raise StudyError(
            f"expected a writable temporary folder for DuckDB, got {folder} ({error.strerror});"
            " set TMPDIR to another folder"
        ) from None


def _close(connection: duckdb.DuckDBPyConnection, release: Callable[[], None]) -> None:
    """Close before Python ends: DuckDB's threads may not outlive it."""
    connection.close()
    release()


def _attach(backend: ibis.BaseBackend, study: Study, name: str, address: str) -> None:
    file = quote(str(locate_database(study, address)))
    try:
        backend.raw_sql(f'ATTACH {file} AS "{name}" (READ_ONLY)')
    except duckdb.Error as error:
        raise StudyError(
            f"{show_path(study.folder / 'study.yml')}, key attach.{name}: expected a database"
            f" {address} that DuckDB can attach, got this error: {shorten_error(error)}; correct"
            " the address or the file"
        ) from None


def _connect_spark(study: Study, place: str) -> ibis.BaseBackend:
    files = {name: list_parquet(study, name, source) for name, source in study.sources.items()}
    session = spark.open_session(study.engine, place)
    for name, paths in files.items():
        session.read.parquet(*map(spark.name_path, paths)).createOrReplaceTempView(name)
    return _use_microseconds(ibis.pyspark.connect(session))


def _connect_warehouse(study: Study, place: str) -> ibis.BaseBackend:
    url = fill_variables(study.engine.url, f"{place}.url")
    try:
        backend = ibis.connect(url)
    except ImportError as error:
        raise StudyError(
            f"{place}.url: expected the Python driver of {url.split('://')[0]} to be installed, got"
            f" this error: {_join_lines(error)}; install it, for Postgres with 'pip install"
            " research[postgres]'"
        ) from None
    except (ValueError, *_list_driver_errors()) as error:  # an unknown address, or a refusal
        public = _hide_account(url)
        reason = _join_lines(str(error).replace(url, public))[:200]
        raise StudyError(
            f"{place}.url: expected a warehouse that answers at {public}, got"
            f" {type(error).__name__} ({reason}); correct the url or start the warehouse"
        ) from None
    return _use_microseconds(backend)


def _hide_account(url: str) -> str:
    """Return a url without user and password."""
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{re.sub(r'^[^/]*@', '', rest)}"


def _join_lines(error: object) -> str:
    return " ".join(str(error).split())


def _use_microseconds(backend: ibis.BaseBackend) -> ibis.BaseBackend:
    """Let an engine return times to pandas as DuckDB does.

    That is in microseconds, except in columns with empty values; most drivers return nanoseconds.
    """
    run = backend.execute

    def execute(expr: ir.Expr, /, **options) -> Any:
        return _cast_times(run(expr, **options))

    backend.execute = execute
    return backend


def _cast_times(result: Any) -> Any:
    if isinstance(result, pd.Series):
        full = result.dtype == NANOSECONDS and result.notna().all()
        return result.astype(MICROSECONDS) if full else result
    if not isinstance(result, pd.DataFrame):
        return result
    times = result.select_dtypes(NANOSECONDS)
    if not len(times.columns):
        return result
    return result.astype(dict.fromkeys(times.columns[times.notna().all()], MICROSECONDS))


def fill_variables(text: str, place: str) -> str:
    """Replace every ``${NAME}`` by the environment variable of that name.

    Raises
    ------
    StudyError
        One sentence for every variable that isn't set.
    """
    names = dict.fromkeys(VARIABLE.findall(text))
    unset = [name for name in names if name not in os.environ]
    if unset:
        raise StudyError(
            *(
                f"{place}: expected the environment variable {name}, which is not set; set it"
                " before the run"
                for name in unset
            )
        )
    text = re.sub(  # a password may contain any character
        rf"(?<=:){VARIABLE.pattern}(?=@)", lambda match: quote_plus(os.environ[match[1]]), text
    )
    return VARIABLE.sub(lambda match: os.environ[match[1]], text)


def list_statements(study: Study, backend: ibis.BaseBackend, query: str) -> list[str]:
    """Return the kinds of the statements in a text, ``SELECT`` for a query.

    Studies on Spark are written in DuckDB's dialect too.

    Raises
    ------
    the errors of ``list_query_errors``
        If the text can't be parsed.
    """
    if study.engine.kind != "warehouse":
        return [statement.type.name for statement in duckdb.extract_statements(query)]
    statements = [each for each in sqlglot.parse(query, read=backend.dialect) if each is not None]
    return [
        "SELECT" if isinstance(statement, sqlglot.exp.Query) else statement.key.upper()
        for statement in statements
    ]


def run_query(study: Study, backend: ibis.BaseBackend, name: str, query: str) -> ir.Table:
    """Return the result of a study's SELECT as a table of the engine.

    For Spark it is translated from DuckDB's dialect.
    """
    if study.engine.kind == "duckdb":
        backend.raw_sql(f'CREATE VIEW "adapted {name}" AS {query}')
        return backend.table(f"adapted {name}")
    return backend.sql(query, dialect="duckdb" if study.engine.kind == "spark" else None)


def keep(table: ir.Table, name: str, packed: bool = False) -> ir.Table:
    """Compute a table once, in its engine, and return the result, which later expressions read.

    Spark keeps it in memory and on its disks, the others in a temporary table; it is gone with the
    connection, if it isn't dropped before.

    Parameters
    ----------
    packed : whether DuckDB stores it on disk, compressed, instead of in memory: for large tables
        that are read often
    """
    backend, unique = table.get_backend(), ibis.util.gen_name(name)
    if backend.name == "duckdb":
        return _keep_in_duckdb(table, unique, backend, "TABLE" if packed else "TEMP TABLE")
    if backend.name != "pyspark":
        return backend.create_table(unique, table, temp=True)
    backend.create_view(unique, table)
    backend.raw_sql(f"CACHE TABLE `{unique}`")
    return backend.table(unique).cast(table.schema())


def _keep_in_duckdb(table: ir.Table, unique: str, backend: ibis.BaseBackend, kind: str) -> ir.Table:
    """Store a table with one CREATE TABLE AS.

    Ibis would create it empty and insert into it, which takes up to five times as long. Whole
    numbers are cast: DuckDB makes 128 bits of a sum, and Ibis takes it for 64.
    """
    # lets the query see tables in memory; Ibis's public way is CREATE VIEW, which plans twice
    backend._run_pre_execute_hooks(table)
    whole = [name.replace('"', '""') for name, dtype in table.schema().items() if dtype.is_int64()]
    casts = ", ".join(f'CAST("{name}" AS BIGINT) AS "{name}"' for name in whole)
    _run_interruptibly(
        backend,
        f'CREATE {kind} "{unique}" AS SELECT *{f" REPLACE ({casts})" if whole else ""} FROM'
        f" ({backend.compile(table)})",
    )
    return backend.table(unique)


def _run_interruptibly(backend: ibis.BaseBackend, statement: str) -> None:
    """Run a statement that Ctrl-C ends at once.

    DuckDB itself notices a signal between its steps only, and an endless query may be one step; so
    it runs in a thread, while this one waits for either.
    """
    faults: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            backend.raw_sql(statement)
        except BaseException as error:
            faults.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        backend.con.interrupt()
        ended.wait(GRACE_SECONDS)
        raise
    if faults:
        raise faults[0]


class Workbench:
    """Tables kept for a while: ``with Workbench() as bench: bench.keep(table, name)``.

    All are dropped at the end.
    """

    def __init__(self):
        self._kept: list[tuple[ibis.BaseBackend, str]] = []

    def __enter__(self):
        return self

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; see ``keep``."""
        kept = keep(table, name)
        self._kept.append((kept.get_backend(), _name_kept(kept)))
        return kept

    def __exit__(self, *_):
        for backend, name in self._kept:
            backend.drop_view(name) if backend.name == "pyspark" else backend.drop_table(name)


def _name_kept(table: ir.Table) -> str:
    return next(node.name for node in table.op().find(ibis.expr.operations.PhysicalTable))


def _list_driver_errors() -> tuple[type[Exception], ...]:
    """Return what the drivers loaded by now raise, and the errors of the system and of Ibis.

    A driver that keeps to PEP 249 has an ``apilevel`` and an ``Error``.
    """
    drivers = [
        vars(module)
        for module in [*sys.modules.values()]
        if "apilevel" in getattr(module, "__dict__", {})
    ]
    return OSError, IbisError, *{driver["Error"] for driver in drivers if "Error" in driver}


def list_query_errors(study: Study) -> tuple[type[Exception], ...]:
    """Return the errors that a query of the user may raise, in the study's engine or on the way.

    To be called after the engine was loaded.
    """
    if study.engine.kind == "duckdb":
        return duckdb.Error, SqlglotError
    own = spark.list_errors() if study.engine.kind == "spark" else _list_driver_errors()
    return SqlglotError, IbisError, *own


def describe_error(study: Study, error: Exception) -> str:
    """Return the message of an engine's error in one line."""
    if isinstance(error, duckdb.Error):
        return shorten_error(error)
    if isinstance(error, SqlglotError):
        return re.sub(r"\x1b\[\d*m", "", _join_lines(error))[:LONGEST_ERROR]
    if study.engine.kind == "spark":
        return spark.describe_error(error)
    return f"{type(error).__name__}: {_join_lines(error)[:LONGEST_ERROR]}"
