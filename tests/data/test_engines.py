"""Spark in local mode, and a warehouse where there is one, return DuckDB's tables to the bit."""

import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import quote_plus

import duckdb
import ibis
import pandas as pd
import pytest
import yaml
from small_companies import company

from research.data import checks, engines, fetch, load, profile
from research.errors import StudyError
from research.features import build, context, events, stage
from research.panel import evidence, splits
from research.simulate import simulate
from research.study import load_study, project_root

ROOT = project_root()
FAST = {
    "spark.sql.shuffle.partitions": 1,
    "spark.sql.adaptive.enabled": False,
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}
SPARK = {
    "kind": "spark",
    "master": "local[2]",
    "options": FAST | {"spark.driver.memory": "2g"},
}  # planning is what takes time with few rows
SMALL = {
    "features": {"windows": [30, 90], "sentiment": False},
    "snapshots": {"last": "2025-09-25", "train": 1, "test": 1},
}
TODAY = pd.Timestamp("2026-01-01").date()
CUSTOMERS = pd.DataFrame(
    {
        "customer_id": ["1", "2"],
        "joined_at": pd.to_datetime(["2024-01-01", "2024-02-01"]),
        "loyal": [True, None],
    }
)
CONTRACTS = pd.DataFrame(
    {"customer_id": ["1", "2"], "started_at": pd.to_datetime(["2024-01-01", "2024-02-01"])}
)
TINY = {"customers": CUSTOMERS.astype({"loyal": "boolean"}), "contracts": CONTRACTS}
POSTGRES = "RESEARCH_TEST_POSTGRES"

needs_java = pytest.mark.skipif(
    not (shutil.which("java") or os.environ.get("CI")),
    reason="Spark needs a Java runtime, and there is none on the PATH",
)


def copy_study(name: str, to: str, project: Path, **changes) -> None:
    """Copy a study's files into the throwaway project under another name, with other keys; a key
    set to None goes.
    """
    folder = project / "data" / to
    folder.mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "data" / name).glob("*.sql"):
        (folder / path.name).write_bytes(path.read_bytes())
    definition = yaml.safe_load((ROOT / "data" / name / "study.yml").read_text()) | changes
    (folder / "study.yml").write_text(
        yaml.safe_dump(
            {key: value for key, value in definition.items() if value is not None}, sort_keys=False
        )
    )


def set_engine(study: str, project: Path, engine: dict | str, **changes) -> None:
    path = project / "data" / study / "study.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"engine": engine} | changes))


def run(name: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a study on its engine: checks, counts, labels, features and stages."""
    study = load_study(name)
    tables = load.adapt(study)
    split = splits.plan_split(study)
    stages = stage.assign_stages(evidence.evidence_as_of(tables, split.test), study)
    return {
        "checks": checks.check(tables, TODAY),
        "counts": profile.count_rows(tables),
        "missing": profile.count_missing(tables),
        "panel": build.load_panel(tables, study, [*split.train, *split.test]),
        "stages": stages.order_by(["snapshot", "customer_id"]).to_pandas(),
    }


def run_parts(name: str) -> dict[str, pd.DataFrame]:
    """Return checks, counts, stages and the features of orders, quicker than the whole panel."""
    study = load_study(name)
    tables = load.adapt(study)
    known = evidence.evidence_as_of(tables, splits.plan_split(study).test)
    features = events.build_events(context.BuildContext(known, study), "orders").table
    numbers = [name for name, kind in features.schema().items() if kind.is_numeric()]
    keys = ["snapshot", "customer_id"]
    return {
        "stages": stage.assign_stages(known, study).order_by(keys).to_pandas(),
        "features": features.order_by(keys).to_pandas().astype(dict.fromkeys(numbers, "float64")),
        "checks": checks.check(tables, TODAY),
        "counts": profile.count_rows(tables),
    }


def require_equal(name: str, project: Path, engine: dict, run=run) -> dict[str, pd.DataFrame]:
    """Run a study on DuckDB and on another engine, require the same tables to the bit, and return
    them.
    """
    fetch.fetch(load_study(name))
    expected = run(name)
    set_engine(name, project, engine)
    for table, found in run(name).items():
        pd.testing.assert_frame_equal(found, expected[table], check_exact=True, obj=table)
    return expected


def write_company(folder: Path) -> dict[str, pd.DataFrame]:
    """Write the tables of a small simulated company as Parquet, in microseconds as the simulator
    does, and return them.
    """
    tables = simulate(600, 24, seed=1)
    for name, table in tables.items():
        folder.mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / f"{name}.parquet", index=False, coerce_timestamps="us")
    return tables


def name_sources(folder: Path) -> dict[str, dict[str, str]]:
    return {f"raw_{path.stem}": {"file": str(path)} for path in sorted(folder.glob("*.parquet"))}


@needs_java
def test_spark_gives_the_tables_of_duckdb_for_a_small_company(write_study, project):
    write_study(tables=company(), features={"windows": [30]})
    found = require_equal("tiny", project, SPARK, run_parts)
    assert found["features"].n_orders_30d.sum() > 0
    assert (found["checks"].rows_failing == 0).all()


@needs_java
@pytest.mark.slow
def test_spark_gives_the_tables_of_duckdb_for_the_whole_demo(project, monkeypatch):
    copy_study("demo", "demo", project)
    monkeypatch.chdir(project)
    panel = require_equal("demo", project, SPARK)["panel"]
    assert len(panel) > 1000
    assert panel.churned.any()
    assert {path.name for path in project.iterdir()} == {
        "data",
        "notebooks",
        "reports",
    }, "Spark left something in the user's folder"


@needs_java
@pytest.mark.slow
def test_spark_gives_the_tables_of_duckdb_for_real_orders(project, mirror):
    copy_study("online_retail", "online_retail", project)
    assert len(require_equal("online_retail", project, SPARK)["panel"]) > 1000


@needs_java
def test_spark_reads_what_duckdb_reads_of_any_file(write_study, project):
    study = write_study(
        "flat",
        sources={
            "raw_x": {"file": "x.csv", "options": {"delim": ";", "nullstr": "-"}},
            "raw_y": {"file": "y.parquet"},
        },
    )
    (study.raw / "x.csv").write_text("id;left;fee;hour\n1;true;1,5;10:30:00\n2;false;-;23:00:00\n")
    pd.DataFrame(
        {"id": [1, 2], "seen": pd.to_datetime(["2024-01-01 10:00:00.000000001", None])}
    ).to_parquet(study.raw / "y.parquet")
    query = (
        "SELECT x.id AS customer_id, x.left AS churned, replace(fee, ',', '.')::DOUBLE AS fee,"
        " hour, y.seen FROM raw_x AS x JOIN raw_y AS y USING (id)"
    )
    (study.folder / "snapshot.sql").write_text(query)
    expected = load.load_tables("tiny")["snapshot"]
    set_engine("tiny", project, SPARK)
    found = load.load_tables("tiny")["snapshot"]
    assert found.schema() == expected.schema()
    pd.testing.assert_frame_equal(
        found.order_by("customer_id").to_pandas(), expected.order_by("customer_id").to_pandas()
    )
    before = sorted((study.raw / ".plain").iterdir())
    load.load_tables("tiny")
    assert sorted((study.raw / ".plain").iterdir()) == before
    assert len(before) == 2


@needs_java
@pytest.mark.parametrize(
    ("query", "arrived"),
    [
        (
            "SELECT 1; SELECT 2",
            "expected exactly one SELECT, got SELECT, SELECT; write one SELECT",
        ),
        ("DROP TABLE x", "expected exactly one SELECT, got DROP; write one SELECT"),
        (
            "SELECT nope FROM raw_customers",
            "expected SQL that Spark can run, got this error: [UNRESOLVED_COLUMN",
        ),
        (
            "SELECT CAST('a' AS INTEGER) AS customer_id FROM raw_customers",
            "expected SQL that Spark can run, got this error:",
        ),
    ],
)
def test_sql_that_spark_cannot_run_is_one_sentence(query, arrived, write_study):
    study = write_study(tables=TINY, engine=SPARK)
    (study.folder / "customers.sql").write_text(query)
    with pytest.raises(StudyError) as error:
        load.adapt(study)
    (fault,) = error.value.faults
    assert fault.startswith(f"data/tiny/customers.sql: {arrived}")
    assert "\n" not in fault


@needs_java
def test_spark_that_runs_already_refuses_another_master(write_study):
    engines.connect(write_study(tables=TINY, engine=SPARK))
    with pytest.raises(
        StudyError,
        match=(
            r"key engine: expected Spark with spark.master local\[1\], but this process already"
            r" runs Spark with local\[2\]"
        ),
    ):
        engines.connect(write_study(tables=TINY, engine={"kind": "spark", "master": "local[1]"}))


@needs_java
@pytest.mark.slow
def test_spark_is_silent_and_a_master_that_it_does_not_know_is_one_sentence(write_study, project):
    study = write_study(tables=TINY, engine=SPARK)
    code = (
        "from research.data.load import load_tables;"
        " print(load_tables('tiny')['customers'].count().execute())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=project)
    assert (ran.stdout, ran.stderr) == ("2\n", "")
    set_engine("tiny", project, {"kind": "spark", "master": "nowhere"})
    failed = subprocess.run(
        [sys.executable, "-m", "research.cli", "check", study.name],
        capture_output=True,
        text=True,
        cwd=project,
    )
    assert "expected Spark to start, got this error:" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        (
            "oracle",
            (
                "key engine.kind: expected 'duckdb', 'spark' or 'warehouse', got 'oracle';"
                " correct the value"
            ),
        ),
        (
            {"kind": "duckdb", "master": "local"},
            (
                "key engine: expected only memory_gb and threads for the engine duckdb, got master;"
                " remove it"
            ),
        ),
        (
            {"kind": "warehouse"},
            ("key engine: expected a url for the engine warehouse, got none; write for example"),
        ),
        (
            {"kind": "warehouse", "url": "duckdb://x.db"},
            (
                "key engine: expected a warehouse other than DuckDB, got a DuckDB file; use the"
                " engine duckdb"
            ),
        ),
        ({"kind": "spark", "cores": 2}, "key engine.cores: expected a known key, got 'cores'"),
    ],
)
def test_an_engine_that_study_yml_gets_wrong_is_one_sentence(engine, sentence, write_study):
    with pytest.raises(StudyError) as error:
        write_study("flat", engine=engine)
    (fault,) = error.value.faults
    assert fault.startswith(f"data/tiny/study.yml, {sentence}")


@pytest.mark.parametrize(
    ("engine", "key", "given", "remedy"),
    [
        (
            {"kind": "warehouse", "url": "postgres://host/crm"},
            {"sources": {"raw_x": {"file": "x.csv"}}},
            "raw_x",
            "load the files into the warehouse",
        ),
        (
            {"kind": "warehouse", "url": "postgres://host/crm"},
            {"simulate": {"customers": 100, "months": 12}},
            "customers, months",
            "load the simulated files into the warehouse",
        ),
        (
            "spark",
            {"attach": {"crm": "crm.duckdb"}},
            "crm",
            "name the tables of the engine itself in the SQL",
        ),
        ("spark", {"time_zone": "Europe/Berlin"}, "Europe/Berlin", "make local times in the SQL"),
    ],
)
def test_keys_that_an_engine_cannot_use_are_refused(engine, key, given, remedy, write_study):
    (name,) = key
    with pytest.raises(
        StudyError, match=rf"expected no key '{name}' with the engine \w+, got {given}; {remedy}"
    ):
        write_study("flat", engine=engine, **key)


def test_variables_in_an_address_come_from_the_environment_and_unset_ones_are_named(monkeypatch):
    monkeypatch.setenv("DB_HOST", "db.example")
    monkeypatch.setenv("DB_PASSWORD", "p@s/s w%")
    monkeypatch.delenv("DB_USER", raising=False)
    assert (
        engines.fill_variables("postgres://me:${DB_PASSWORD}@${DB_HOST}/crm", "x")
        == f"postgres://me:{quote_plus('p@s/s w%')}@db.example/crm"
    )
    with pytest.raises(
        StudyError,
        match=(
            "key engine.url: expected the environment variable DB_USER, which is not set; set it"
            " before the run"
        ),
    ):
        engines.fill_variables("postgres://${DB_USER}:${DB_PASSWORD}@host/crm", "key engine.url")


def test_a_warehouse_that_is_not_there_is_one_sentence_without_its_password(
    write_study, monkeypatch
):
    monkeypatch.setenv("DB_PASSWORD", "secret")
    for url in (
        "postgres://me:${DB_PASSWORD}@127.0.0.1:1/crm",
        "nosuch://me:${DB_PASSWORD}@host/crm",
    ):
        with pytest.raises(StudyError) as error:
            engines.connect(write_study("flat", engine={"kind": "warehouse", "url": url}))
        (fault,) = error.value.faults
        assert fault.startswith("data/tiny/study.yml, key engine.url: expected ")
        assert "secret" not in fault
        assert "\n" not in fault


def test_a_warehouse_that_refuses_says_why_and_a_fault_of_ours_is_no_fault_of_the_user(
    write_study, monkeypatch
):
    study = write_study(
        "flat", engine={"kind": "warehouse", "url": "postgres://me:secret@host/crm"}
    )
    for said, raised in (
        (sqlite3.OperationalError("no such role"), StudyError),
        (ConnectionRefusedError("refused"), StudyError),
        (TypeError("ours"), TypeError),
        (KeyError("x"), KeyError),
    ):
        monkeypatch.setattr(engines.ibis, "connect", Mock(side_effect=said))
        with pytest.raises(raised, match=str(said.args[0])):
            engines.connect(study)
    assert issubclass(
        sqlite3.OperationalError, engines.list_query_errors(study)
    )  # any driver that keeps to PEP 249 and is loaded
    assert not issubclass(TypeError, engines.list_query_errors(study))


def fill_warehouse(tables: dict[str, pd.DataFrame], url: str) -> None:
    backend = ibis.connect(url)
    for name, table in tables.items():
        backend.drop_table(f"raw_{name}", force=True)
        backend.create_table(f"raw_{name}", ibis.memtable(table).to_pyarrow())
    backend.disconnect()


def list_tables(url: str) -> set[str]:
    backend = ibis.connect(url)
    found = backend.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN"
        " ('information_schema', 'pg_catalog')"
    ).execute()
    backend.disconnect()
    return {*found.table_name}


@pytest.mark.skipif(POSTGRES not in os.environ, reason=f"{POSTGRES} names no database")
def test_a_warehouse_gives_the_tables_of_duckdb_and_keeps_none_of_ours(project):
    url = os.environ[POSTGRES]
    fill_warehouse(write_company(project / "files"), url)
    copy_study(
        "demo", "small", project, simulate=None, sources=name_sources(project / "files"), **SMALL
    )
    expected = run("small")
    copy_study(
        "demo",
        "small",
        project,
        simulate=None,
        sources=None,
        engine={"kind": "warehouse", "url": url},
        **SMALL,
    )
    for table, found in run("small").items():
        pd.testing.assert_frame_equal(found, expected[table], check_exact=True, obj=table)
    gc.collect()
    assert {name for name in list_tables(url) if not name.startswith("raw_")} == set()


def test_a_temporary_folder_that_is_not_there_is_one_sentence(write_study, monkeypatch, tmp_path):
    monkeypatch.setattr(engines.tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(
        StudyError,
        match=(
            r"expected a writable temporary folder for DuckDB, got .*none.* \(No such file or"
            r" directory\); set TMPDIR to another folder"
        ),
    ):
        engines.connect(write_study(tables=TINY))


def test_the_embedded_engine_keeps_within_its_memory_and_takes_its_folder_away(write_study):
    study = write_study(tables=TINY, engine={"kind": "duckdb", "memory_gb": 0.5, "threads": 1})
    backend = engines.connect(study)
    settings = backend.raw_sql(
        "SELECT current_setting('memory_limit'), current_setting('threads'),"
        " current_setting('temp_directory')"
    ).fetchone()
    assert settings[:2] == ("476.8 MiB", 1)
    assert Path(settings[2]).is_dir()
    assert not [
        path for path in Path(settings[2]).iterdir() if path.suffix == ".duckdb"
    ]  # open without a name: it goes however the process ends
    backend.disconnect()
    del backend
    assert not Path(settings[2]).exists()


def test_no_file_of_a_connection_has_a_name_that_would_outlive_the_process(
    write_study, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    joined = pd.Timestamp("2024-01-01")
    tables = {
        "customers": pd.DataFrame({"customer_id": ["a"], "joined_at": joined}),
        "contracts": pd.DataFrame({"customer_id": ["a"], "started_at": joined}),
    }
    loaded = load.load_tables(write_study("contractual", tables=tables))
    (folder,) = (tmp_path / "own").glob("research-duckdb-*")
    assert loaded["contracts"].count().execute() == 1 and [*folder.iterdir()] == []


ENDLESS = (
    "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x FROM t) SELECT count(*) AS n FROM t"
)


def test_an_endless_query_ends_with_ctrl_c(write_study):
    backend = engines.connect(write_study("flat"))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engines._run_interruptibly(backend, f"CREATE TABLE endless AS {ENDLESS}")
    assert time.monotonic() - began < engines.GRACE_SECONDS
    assert backend.raw_sql("SELECT 1").fetchone() == (1,)  # it is free again


def test_tables_are_kept_so_that_ctrl_c_ends_it(write_study, monkeypatch):
    backend = engines.connect(write_study("flat"))
    seen = []
    run = engines._run_interruptibly
    monkeypatch.setattr(engines, "_run_interruptibly", lambda *each: seen.append(1) or run(*each))
    backend.raw_sql("CREATE TABLE source AS SELECT 1 AS one")
    engines.keep(backend.table("source"), "one")
    assert seen == [1]


def test_a_fault_of_an_interruptible_query_is_raised_as_it_is(write_study):
    backend = engines.connect(write_study("flat"))
    with pytest.raises(duckdb.ConversionException):
        engines._run_interruptibly(backend, "CREATE TABLE x AS SELECT CAST('a' AS INTEGER)")


def test_what_a_killed_process_left_in_the_temporary_folder_is_swept(
    write_study, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{engines.FOLDER}dead").mkdir()
    backend = engines.connect(write_study("flat"))
    (mine,) = tmp_path.glob(f"{engines.FOLDER}*")
    assert mine.name != f"{engines.FOLDER}dead"
    other = engines.connect(write_study("flat"))
    assert mine.exists()
    del backend, other
