"""A study's SQL: one SELECT for each contract table, and attached databases."""

import duckdb
import pandas as pd
import pytest
import sqlglot
from raw_files import CSV, SNAPSHOT, faults_of, read

from research.data import engines, load
from research.errors import StudyError


@pytest.mark.parametrize("name", ["crm", "select"])
def test_an_attached_database_is_seen_under_its_key(write_study, name):
    study = write_study("flat", attach={name: "it's.duckdb"})
    with duckdb.connect(study.raw / "it's.duckdb") as database:
        database.execute("CREATE TABLE people AS SELECT 'a' AS customer_id, true AS churned")
    (study.folder / "snapshot.sql").write_text(f'SELECT * FROM "{name}".people')
    assert read(study).customer_id.tolist() == ["a"]


@pytest.mark.parametrize(
    ("content", "arrived"),
    [
        (None, "database does not exist"),
        (b"no database at all", "it is not a valid DuckDB database file!"),
    ],
)
def test_a_database_that_cannot_be_attached_is_one_sentence(write_study, content, arrived):
    study = write_study("flat", attach={"crm": "crm.duckdb"})
    (study.folder / "snapshot.sql").write_text("SELECT * FROM crm.people")
    if content:
        (study.raw / "crm.duckdb").write_bytes(content)
    (fault,) = faults_of(load.adapt, study)
    assert fault.startswith(
        "data/tiny/study.yml, key attach.crm: expected a database crm.duckdb that DuckDB can"
        " attach, got this error: IO Error"
    )
    assert fault.endswith(f"{arrived}; correct the address or the file")


@pytest.mark.parametrize("name", ["select", "order", "adapted_snapshot", "main"])
def test_a_source_may_bear_a_word_of_sql(write_study, name):
    study = write_study("flat", sources={name: {"file": "x.csv"}})
    (study.raw / "x.csv").write_text(CSV)
    (study.folder / "snapshot.sql").write_text(f'SELECT customer_id, true AS churned FROM "{name}"')
    assert len(read(study)) == 2


@pytest.mark.parametrize(
    "sql",
    [
        SNAPSHOT + ";",
        SNAPSHOT + "; -- done;",
        SNAPSHOT + "\n-- done\n;;\n",
        "/* first */ " + SNAPSHOT,
        b"\xef\xbb\xbf" + SNAPSHOT.encode(),
        SNAPSHOT.replace(" FROM", "\r\nFROM") + "\r\n",
        (
            "WITH people AS (SELECT * FROM raw_x) SELECT customer_id, true AS churned, '%s {0} :a'"
            " AS odd FROM people"
        ),
    ],
    ids=["semicolon", "comment", "lines", "block", "mark", "CRLF", "CTE"],
)
def test_one_select_is_read_whatever_surrounds_it(flat, sql):
    assert read(flat(sql=sql)).customer_id.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("", "expected exactly one SELECT, got nothing; write one SELECT"),
        ("-- nothing yet", "expected exactly one SELECT, got nothing; write one SELECT"),
        (
            "SELECT 1; SELECT 2",
            "expected exactly one SELECT, got SELECT, SELECT; write one SELECT",
        ),
        ("DROP TABLE raw_x", "expected exactly one SELECT, got DROP; write one SELECT"),
        ("COPY raw_x TO 'x.csv'", "expected exactly one SELECT, got COPY; write one SELECT"),
        (
            "SELEC 1",
            (
                "expected SQL that DuckDB can run, got this error: Parser Error: syntax error at or"
                ' near "SELEC"; correct the SQL'
            ),
        ),
        (
            "SELECT nope FROM raw_x",
            (
                "expected SQL that DuckDB can run, got this error: Binder Error: Referenced column"
                ' "nope" not found in FROM clause!'
            ),
        ),
        (
            "SELECT * FROM nothing",
            (
                "expected SQL that DuckDB can run, got this error: Catalog Error: Table with name"
                " nothing does not exist!"
            ),
        ),
        (
            "SELECT CAST(customer_id AS INT) AS x FROM raw_x",
            "expected SQL that DuckDB can run, got this error: Conversion Error",
        ),
        (
            "SELECT $1 AS x",
            (
                "expected SQL that DuckDB can run, got this error: Invalid Input Error: Values were"
                " not provided for the following parameters: 1"
            ),
        ),
        (
            b"SELECT 'Z\xfcrich' AS city",
            (
                "expected a readable UTF-8 file, but reading it failed: 'utf-8' codec can't decode"
                " byte 0xfc in position 9"
            ),
        ),
    ],
)
def test_sql_that_is_not_one_select_that_runs_is_one_sentence(flat, sql, sentence):
    (fault,) = faults_of(load.adapt, flat(sql=sql))
    assert fault.startswith("data/tiny/snapshot.sql: ")
    assert sentence in fault
    assert "CREATE" not in fault and "\n" not in fault


def test_a_folder_named_like_an_adapter_is_refused(flat):
    study = flat()
    (study.folder / "snapshot.sql").unlink()
    (study.folder / "snapshot.sql").mkdir()
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/snapshot.sql: expected a readable UTF-8 file, but reading it failed: Is a"
            " directory; restore it"
        ),
    )


def test_two_adapters_that_fail_are_both_named(write_study):
    study = write_study()
    for name in ("customers", "contracts"):
        (study.folder / f"{name}.sql").write_text("SELECT * FROM nothing")
    assert [fault.split(":")[0] for fault in faults_of(load.adapt, study)] == [
        "data/tiny/customers.sql",
        "data/tiny/contracts.sql",
    ]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("flat", ["snapshot"]),
        ("contractual", ["customers", "contracts"]),
        ("non_contractual", ["customers", "orders"]),
    ],
)
def test_adapters_that_a_kind_needs_and_unknown_ones_are_named(write_study, kind, needed):
    study = write_study(kind)
    (study.folder / "clients.sql").write_text("SELECT 1")
    missing = [
        f"data/tiny: expected {name}.sql for a {kind} study, but it is missing; write it"
        for name in needed
    ]
    found = faults_of(load.adapt, study)
    assert [*found[:-1]] == missing
    assert found[-1].startswith(
        "data/tiny/clients.sql: expected a file named after one of customers, contracts, orders"
    )
    assert found[-1].endswith(", got clients.sql; rename or remove it")


def test_a_sensitive_column_that_no_table_has_is_named_with_those_there_are(flat):
    study = flat()
    (study.folder / "study.yml").write_text(
        (study.folder / "study.yml").read_text() + "sensitive: [gendr]\n"
    )
    with pytest.raises(StudyError) as caught:
        load.load_tables("tiny")
    assert caught.value.faults == (
        "data/tiny/study.yml, key sensitive: expected columns of the table snapshot (customer_id,"
        " churned), got gendr; correct the spelling",
    )


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("random()", "got rand(), which changes from run to run"),
        ("now()", "which changes from run to run"),
        ("today()", "which changes from run to run"),
        ("row_number() OVER (PARTITION BY joined_at)", "got row_number() OVER () without one"),
        ("ARRAY(SELECT joined_at FROM raw_x)[1]", "got ARRAY(SELECT …) without one"),
        ("(SELECT first(joined_at) FROM raw_x)", "got first() without one"),
    ],
)
def test_an_adapter_that_changes_from_run_to_run_is_refused(flat, column, found):
    study = flat(sql=f"SELECT customer_id, true AS churned, {column} AS x FROM raw_x")
    (fault,) = faults_of(load.adapt, study)
    assert fault.startswith("data/tiny/snapshot.sql: expected ")
    assert found in fault


def test_rows_of_a_file_may_be_numbered_in_its_order(flat):
    study = flat(sql="SELECT row_number() OVER () AS customer_id, true AS churned FROM raw_x")
    assert load.adapt(study)["snapshot"].count().execute() == 2


def test_an_adapter_for_spark_reads_the_sources_alone():
    study = type("Study", (), {"sources": {"raw_x": None}})
    query = sqlglot.parse_one(
        'WITH a AS (SELECT * FROM raw_x) SELECT * FROM a JOIN csv."/etc/passwd" AS b USING (c)',
        read="duckdb",
    )
    (fault,) = load._list_other_relations(study, query)
    assert fault.startswith("expected relations of 'sources' (raw_x), got csv.")


# what an adapter may read of the machine


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder outside the project with a CSV file."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "x.csv").write_text(CSV)
    return folder


@pytest.mark.parametrize(
    "relation",
    ["read_csv('{}/x.csv')", "'{}/x.csv'", "read_text('{}/x.csv')", "glob('{}/*')"],
)
def test_an_adapter_reads_no_file_that_study_yml_does_not_name(flat, elsewhere, relation):
    query = f"SELECT 'a' AS customer_id, true AS churned FROM {relation.format(elsewhere)}"
    (fault,) = faults_of(load.adapt, flat(sql=query))
    assert fault.startswith(
        "data/tiny/snapshot.sql: expected SQL that reads the relations of study.yml alone, got the"
        f" file {elsewhere}/"
    )
    assert fault.endswith("; name the file under 'sources', or its folder under 'allow'")


def test_an_adapter_does_not_read_other_files_in_raw(flat):
    study = flat(sql="SELECT * FROM raw_x")
    (study.raw / "other.csv").write_text(CSV)
    query = f"SELECT customer_id, true AS churned FROM '{study.raw}/other.csv'"
    (study.folder / "snapshot.sql").write_text(query)
    assert "got the file" in faults_of(load.adapt, study)[0]


def test_an_allowed_folder_is_read_and_what_is_beside_it_is_not(write_study, elsewhere):
    study = write_study("flat", allow=[str(elsewhere)])
    query = "SELECT customer_id, true AS churned FROM '{}/x.csv'"
    (study.folder / "snapshot.sql").write_text(query.format(elsewhere))
    assert load.adapt(study)["snapshot"].count().execute() == 2
    (elsewhere.parent / "x.csv").write_text(CSV)
    (study.folder / "snapshot.sql").write_text(query.format(f"{elsewhere}/.."))
    assert "got the file" in faults_of(load.adapt, study)[0]


def test_an_allowed_folder_that_is_missing_is_named(write_study):
    study = write_study("flat", allow=["nowhere"])
    (study.folder / "snapshot.sql").write_text("SELECT 'a' AS customer_id, true AS churned")
    assert faults_of(load.adapt, study) == (
        "data/tiny/study.yml, key allow: expected a folder, got 'nowhere', which is none in"
        " data/tiny/raw; correct it",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{}/out.csv'",
        "ATTACH '{}/other.duckdb' AS other",
        "INSTALL sqlite",
        "LOAD sqlite",
        "SET enable_external_access = true",
        "SET autoload_known_extensions = true",
    ],
)
def test_once_open_the_engine_writes_attaches_and_loads_nothing(flat, elsewhere, statement):
    backend = engines.connect(flat())
    with pytest.raises(duckdb.Error):
        backend.raw_sql(statement.format(elsewhere))
    assert [path.name for path in elsewhere.iterdir()] == ["x.csv"]


def test_no_extension_is_installed_on_the_way(flat):
    backend = engines.connect(flat())
    settings = backend.raw_sql(
        "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%extensions'"
    )
    assert {value for _, value in settings.fetchall()} == {"false"}


def test_a_variable_of_this_program_is_no_relation(flat):
    raw_secret = pd.DataFrame({"customer_id": ["a"], "churned": [True]})
    assert "raw_secret" in faults_of(load.adapt, flat(sql="SELECT * FROM raw_secret"))[0]
    assert len(raw_secret) == 1


def test_tables_too_large_for_the_memory_are_still_spilled(flat):
    study = flat()
    engine = study.engine.model_copy(update={"memory_gb": 0.1, "threads": 1})
    backend = engines.connect(study.model_copy(update={"engine": engine}))
    backend.raw_sql("CREATE TABLE big AS SELECT range AS r, hash(range) AS h FROM range(9000000)")
    backend.raw_sql("CREATE TABLE sorted AS SELECT * FROM big ORDER BY h")
    assert backend.table("sorted").count().execute() == 9_000_000
