"""A study's SQL: one SELECT for each contract table, and attached databases."""

import duckdb
import pytest
from raw_files import CSV, SNAPSHOT, faults_of, read

from research.data import load
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
