"""Engines: DuckDB in this process, Spark, or a warehouse; each runs the same Ibis expressions, and
nothing is left behind by any.
"""

import os
import re
import shutil
import sys
import tempfile
import weakref
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
    list_parquet,
    quote,
    say_unreadable,
    shorten_error,
)
from research.errors import StudyError
from research.study import Study, show_path

TITLES = {
    "duckdb": "DuckDB",
    "spark": "Spark",
    "warehouse": "the warehouse",
}  # as a fault names the engine


def connect(study: Study) -> ibis.BaseBackend:
    """Return the study's engine; DuckDB and Spark see each raw file, and DuckDB each attached
    database, under its key in study.yml.

    Raises
    ------
    StudyError
        If the engine isn't installed or can't be reached, or can't read a file.
    """
    place = f"{show_path(study.folder / 'study.yml')}, key engine"
    if study.engine.kind == "spark":
        return _connect_spark(study, place)
    return (
        _connect_warehouse(study, place)
        if study.engine.kind == "warehouse"
        else _connect_duckdb(study)
    )


def _connect_duckdb(study: Study) -> ibis.BaseBackend:
    """The database is a file in a folder that goes with the connection, as does what is spilled
    there; checkpoints would cost seconds for nothing.

    The file and its log lose their names as soon as they are open: the system then frees them with
    the process, however that ends.
    """
    folder = _make_folder()
    own = {
        "memory_limit": study.engine.memory_gb and f"{study.engine.memory_gb}GB",
        "threads": study.engine.threads,
    }
    own |= {"temp_directory": folder, "checkpoint_threshold": "1000TB"}
    try:
        backend = ibis.duckdb.connect(
            f"{folder}/research-own.duckdb",
            **{key: value for key, value in own.items() if value is not None},
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(backend, _close, backend.con, folder)
    backend.raw_sql("PRAGMA disable_checkpoint_on_shutdown")
    backend.raw_sql("CREATE TABLE opened (log INTEGER)")  # the first write opens the log
    backend.raw_sql("DROP TABLE opened")
    for file in Path(folder).iterdir():
        file.unlink()
    for name, address in study.attach.items():
        attach, key = (
            f'ATTACH {quote(str(locate_database(study, address)))} AS "{name}" (READ_ONLY)',
            f"key attach.{name}",
        )
        _attach(
            backend,
            attach,
            f"{show_path(study.folder / 'study.yml')}, {key}: expected a database {address} that"
            " DuckDB can attach",
        )
    for name, source in study.sources.items():
        reader = describe_reader(study, name, source)
        try:
            backend.raw_sql(f'CREATE VIEW "{name}" AS SELECT * FROM {reader}')
        except duckdb.Error as error:
            raise StudyError(say_unreadable(study, name, source, error)) from None
    return backend


def _close(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Close before Python ends: DuckDB's threads may not outlive it."""
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> str:
    try:
        return tempfile.mkdtemp(prefix="research-duckdb-")
    except OSError as error:
        wanted = "expected a temporary folder that can be written to, for DuckDB's tables"
        raise StudyError(
            f"{wanted}, got {error.filename or tempfile.tempdir} ({error.strerror}); set TMPDIR"
            " to another"
        ) from None


def _attach(backend: ibis.BaseBackend, statement: str, required: str) -> None:
    try:
        backend.raw_sql(statement)
    except duckdb.Error as error:
        raise StudyError(f"{required}, got {shorten_error(error)}; correct it") from None


def _connect_spark(study: Study, place: str) -> ibis.BaseBackend:
    files = {name: list_parquet(study, name, source) for name, source in study.sources.items()}
    session = spark.open_session(study.engine, place)
    for name, paths in files.items():
        session.read.parquet(*map(spark.name_path, paths)).createOrReplaceTempView(name)
    return _in_microseconds(ibis.pyspark.connect(session))


def _connect_warehouse(study: Study, place: str) -> ibis.BaseBackend:
    url = fill_variables(study.engine.url, f"{place}.url")
    shown = f"{url.split('://')[0]}://{re.sub(r'^[^/]*@', '', url.split('://', 1)[1])}"
    try:
        backend = ibis.connect(url)
    except ImportError as error:
        driver = (
            f"expected the driver of {url.split('://')[0]}, got: {' '.join(str(error).split())}"
        )
        raise StudyError(
            f"{place}.url: {driver}; install it, for Postgres with 'pip install research[postgres]'"
        ) from None
    except (
        ValueError,
        *_list_driver_errors(),
    ) as error:  # an address that nothing fits; a server that can't be reached or refuses us
        arrived = " ".join(str(error).replace(url, shown).split())
        raise StudyError(
            f"{place}.url: expected a warehouse at {shown}, got {type(error).__name__}"
            f" ({arrived[:200]}); correct the url or start it"
        ) from None
    return _in_microseconds(backend)


def _in_microseconds(backend: ibis.BaseBackend) -> ibis.BaseBackend:
    """Let an engine give times to pandas as DuckDB does: in microseconds, but for columns with
    empty ones; most drivers give nanoseconds.
    """
    run = backend.execute

    def execute(expr: ir.Expr, /, **options) -> Any:
        found = run(expr, **options)
        if isinstance(found, pd.Series):
            return (
                found.astype("datetime64[us]")
                if found.dtype == "datetime64[ns]" and found.notna().all()
                else found
            )
        times = (
            found.select_dtypes("datetime64[ns]")
            if isinstance(found, pd.DataFrame)
            else pd.DataFrame()
        )
        return (
            found.astype(dict.fromkeys(times.columns[times.notna().all()], "datetime64[us]"))
            if len(times.columns)
            else found
        )

    backend.execute = execute
    return backend


def fill_variables(text: str, place: str) -> str:
    """Replace every ``${NAME}`` by the environment variable of that name.

    Raises
    ------
    StudyError
        One sentence for every variable that isn't set.
    """
    names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text))
    unset = [name for name in names if name not in os.environ]
    if unset:
        raise StudyError(
            *(
                f"{place}: expected the environment variable {name}, which is not set; set it"
                " before the run"
                for name in unset
            )
        )
    text = re.sub(
        r"(?<=:)\$\{(\w+)\}(?=@)", lambda found: quote_plus(os.environ[found[1]]), text
    )  # a password may hold any sign
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], text)


def list_statements(study: Study, backend: ibis.BaseBackend, query: str) -> list[str]:
    """Return the kinds of the statements in a text, ``SELECT`` for a query; DuckDB's dialect is
    also that of Spark studies.

    Raises
    ------
    the errors of ``catch``
        If the text can't be read.
    """
    if study.engine.kind != "warehouse":
        return [statement.type.name for statement in duckdb.extract_statements(query)]
    parsed = [
        statement
        for statement in sqlglot.parse(query, read=backend.dialect)
        if statement is not None
    ]
    return [
        "SELECT" if isinstance(statement, sqlglot.exp.Query) else statement.key.upper()
        for statement in parsed
    ]


def run_query(study: Study, backend: ibis.BaseBackend, name: str, query: str) -> ir.Table:
    """Return what a study's SELECT gives, as a table of the engine; Spark gets it translated from
    DuckDB's dialect.
    """
    if study.engine.kind == "duckdb":
        backend.raw_sql(f'CREATE VIEW "adapted {name}" AS {query}')
        return backend.table(f"adapted {name}")
    return backend.sql(query, dialect="duckdb" if study.engine.kind == "spark" else None)


def keep(table: ir.Table, name: str, packed: bool = False) -> ir.Table:
    """Compute a table once, in its engine, and return what came out: later expressions read it
    instead of computing it again.

    Spark holds it in memory and on its disks, the others in a temporary table; it is gone with the
    connection, if it isn't dropped before.

    Parameters
    ----------
    packed : whether DuckDB lays it down on disk, compressed, instead of in memory: for large tables
        that are read often
    """
    backend, own = table.get_backend(), ibis.util.gen_name(name)
    if backend.name == "duckdb":
        return _keep_in_duckdb(table, own, backend, "TABLE" if packed else "TEMP TABLE")
    if backend.name != "pyspark":
        return backend.create_table(own, table, temp=True)
    backend.create_view(own, table)
    backend.raw_sql(f"CACHE TABLE `{own}`")
    return backend.table(own).cast(table.schema())


def _keep_in_duckdb(table: ir.Table, own: str, backend: ibis.BaseBackend, kind: str) -> ir.Table:
    """One CREATE TABLE AS: Ibis would create the table empty and insert into it, which takes up to
    five times as long.

    Whole numbers are cast: DuckDB makes 128 bits of a sum, and Ibis takes it for 64.
    """
    backend._run_pre_execute_hooks(
        table
    )  # lets the query see tables in memory: Ibis has no public name for it but behind CREATE VIEW, which plans twice
    whole = [name.replace('"', '""') for name, dtype in table.schema().items() if dtype.is_int64()]
    casts = ", ".join(f'CAST("{name}" AS BIGINT) AS "{name}"' for name in whole)
    backend.raw_sql(
        f'CREATE {kind} "{own}" AS SELECT *{f" REPLACE ({casts})" if whole else ""} FROM'
        f" ({backend.compile(table)})"
    )
    return backend.table(own)


class Workbench:
    """Tables kept for a while: ``with Workbench() as bench: bench.keep(table, name)``; all are
    dropped at the end.
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
    """Return what the drivers loaded by now raise, whatever the reason: each that keeps to PEP 249
    has an ``apilevel`` and an ``Error``; and the system's.
    """
    drivers = [
        vars(module)
        for module in [*sys.modules.values()]
        if "apilevel" in getattr(module, "__dict__", {})
    ]
    return OSError, IbisError, *{driver["Error"] for driver in drivers if "Error" in driver}


def catch(study: Study) -> tuple[type[Exception], ...]:
    """Return the errors by which the study's engine, or the translation for it, says that it can't
    run something; to be asked after it was loaded.
    """
    if study.engine.kind == "duckdb":
        return (duckdb.Error,)
    return (
        SqlglotError,
        IbisError,
        *(spark.list_errors() if study.engine.kind == "spark" else _list_driver_errors()),
    )


def say(study: Study, error: Exception) -> str:
    """Return what an engine says, in one line."""
    if isinstance(error, duckdb.Error):
        return shorten_error(error)
    if isinstance(error, SqlglotError):
        return re.sub(r"\x1b\[\d*m", "", " ".join(str(error).split()))[:300]
    return (
        spark.say(error)
        if study.engine.kind == "spark"
        else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    )
