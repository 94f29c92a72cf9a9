"""A study's own features: SQL over the evidence, with no way around it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.features import custom_sql
from research.features.context import BuildContext
from research.panel.evidence import evidence_as_of
from research.study_schema import OWN_FEATURES

DAYS = [date(2024, 5, 31), date(2024, 6, 30)]
JOINED = pd.Timestamp("2024-01-01")


@pytest.fixture
def build(write_study):
    """Return a function that builds the features of a query on a company whose last order lies
    after the snapshots.
    """
    ordered = pd.to_datetime(["2024-05-01", "2024-06-01", "2024-07-01"])
    tables = {
        "customers": pd.DataFrame(
            {"customer_id": ["a", "b"], "joined_at": JOINED, "gender": ["f", "m"]}
        ),
        "contracts": pd.DataFrame({"customer_id": ["a", "b"], "started_at": JOINED}),
        "orders": pd.DataFrame(
            {"customer_id": "a", "ordered_at": ordered, "amount": [1.0, 20.0, 300.0]}
        ),
    }
    study = write_study("contractual", tables=tables, sensitive=["gender"])
    loaded = load.load_tables(study)

    def run(query: str, days: list[date] = DAYS) -> pd.DataFrame:
        (study.folder / OWN_FEATURES).write_text(query)
        return (
            custom_sql.build_custom_features(BuildContext(evidence_as_of(loaded, days), study))
            .table.order_by(["snapshot", "customer_id"])
            .to_pandas()
        )

    return run


def test_each_snapshot_sees_its_own_evidence(build):
    assert list(
        build("SELECT customer_id, sum(amount) AS spent FROM orders GROUP BY customer_id").spent
    ) == [1, 21]


def test_the_column_snapshot_is_the_clock(build):
    found = build(
        "SELECT customer_id, date_diff('day', max(ordered_at), max(snapshot)) AS silence FROM"
        " orders GROUP BY ALL"
    )
    assert list(found.silence) == [30, 29]


def test_a_number_that_is_not_finite_is_left_empty(build):
    found = build(
        "SELECT customer_id, sum(amount) / CAST('inf' AS DOUBLE) AS none, sum(amount) * CAST('inf'"
        " AS DOUBLE) AS endless FROM orders GROUP BY ALL"
    )
    assert list(found.none) == [0, 0]
    assert found.endless.isna().all()


def test_with_parts_joins_windows_and_subqueries_work(build):
    query = """
    WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3),
    last AS (
        SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY ordered_at DESC) AS place
        FROM orders AS o
    )
    SELECT c.customer_id, last.amount AS latest,
        (SELECT count(*) FROM orders WHERE orders.customer_id = c.customer_id) AS bought,
        (SELECT max(i) FROM n) AS three
    FROM customers AS c LEFT JOIN last ON last.customer_id = c.customer_id AND last.place = 1
    """
    found = build(query).set_index(["snapshot", "customer_id"])
    assert list(found.bought) == [1, 0, 2, 0]
    assert found.latest.iloc[2] == 20
    assert set(found.three) == {3}


@pytest.mark.parametrize(
    "source",
    [
        "raw_orders",
        '"RAW_ORDERS"',
        '"adapted orders"',
        "main.orders",
        "memory.main.raw_orders",
        "information_schema.tables",
        "duckdb_views()",
        "read_parquet('orders.parquet')",
        "'orders.parquet'",
        "query('SELECT 1 AS amount')",
        "query_table('raw_orders')",
        "(SELECT * FROM 'orders.parquet')",
        "(SELECT max(amount) AS amount FROM main.raw_orders)",
        "orders, LATERAL (SELECT * FROM raw_orders)",
        "orders CROSS JOIN LATERAL read_parquet('orders.parquet')",
        "orders AT (VERSION => 1)",
    ],
)
def test_nothing_but_the_evidence_is_read(build, source):
    with pytest.raises(
        StudyError,
        match=(
            r"features.sql: expected tables of the evidence \(customers, contracts, orders\),"
            r" got"
        ),
    ):
        build(f"SELECT 'a' AS customer_id, max(amount) AS spent FROM {source}")


def test_a_correlated_subquery_reads_nothing_else_either(build):
    with pytest.raises(StudyError, match="got raw_orders AS r; read those alone"):
        build(
            "SELECT customer_id, (SELECT max(amount) FROM raw_orders AS r WHERE r.customer_id ="
            " c.customer_id) AS spent FROM customers AS c"
        )


@pytest.mark.parametrize(
    "query",
    [
        (
            "WITH a AS (WITH raw_orders AS (SELECT 1 AS one) SELECT * FROM raw_orders) SELECT"
            " customer_id, amount FROM raw_orders"
        ),
        (
            "WITH raw_orders AS (SELECT * FROM raw_orders) SELECT customer_id, max(amount) AS spent"
            " FROM raw_orders GROUP BY ALL"
        ),
        (
            "WITH a AS (SELECT * FROM raw_orders), raw_orders AS (SELECT 1 AS one) SELECT"
            " customer_id, max(amount) AS spent FROM a GROUP BY ALL"
        ),
    ],
)
def test_a_with_part_named_like_a_source_opens_no_way_to_it(build, query):
    with pytest.raises(
        StudyError,
        match=("features.sql: expected SQL that DuckDB can run on the evidence, got .*raw_orders"),
    ):
        build(query)


def test_a_with_part_named_like_a_table_is_refused(build):
    with pytest.raises(
        StudyError,
        match="expected names of its WITH parts unlike the tables, got 'orders'; rename it",
    ):
        build("WITH Orders AS (SELECT * FROM customers) SELECT customer_id, 1 AS one FROM orders")


@pytest.mark.parametrize(
    ("query", "arrived"),
    [
        ("SELECT customer_id, 1 AS one FROM orders; SELECT 2", "SELECT, SELECT"),
        ("COPY orders TO 'orders.csv'", "COPY"),
        ("DROP TABLE raw_orders", "DROP"),
        ("ATTACH 'other.duckdb'", "ATTACH"),
        ("", "nothing"),
    ],
)
def test_exactly_one_select_is_taken(build, query, arrived):
    with pytest.raises(
        StudyError, match=f"expected exactly one SELECT, got {arrived}; keep one SELECT"
    ):
        build(query)


@pytest.mark.parametrize(
    "step",
    [
        "DELETE FROM orders RETURNING *",
        "INSERT INTO orders VALUES (1) RETURNING *",
        "UPDATE orders SET amount = 1 RETURNING *",
    ],
)
def test_a_with_part_changes_no_table(build, step):
    with pytest.raises(
        StudyError, match="expected SELECTs alone, got (DELETE|INSERT|UPDATE); remove it"
    ):
        build(f"WITH gone AS ({step}) SELECT customer_id, 1 AS one FROM gone")


CALLS = [
    "now()",
    "current_date",
    "current_timestamp",
    "localtime",
    "today()",
    "ago(INTERVAL 1 DAY)",
    "age(joined_at)",
    "get_current_timestamp()",
]
CALLS += [
    "current_localtimestamp()",
    "transaction_timestamp()",
    "random()",
    '"random"()',
    "system.main.random()",
    "(joined_at).now()",
    "uuid()",
    "gen_random_uuid()",
]
CALLS += [
    "list_transform([1], lambda x: random())",
    "getenv('HOME')",
    "getvariable('x')",
    "nextval('x')",
    "txid_current()",
    "current_setting('TimeZone')",
]


@pytest.mark.parametrize("call", CALLS)
def test_neither_clock_nor_chance_nor_surroundings_are_asked(build, call):
    with pytest.raises(
        StudyError,
        match="expected features of the evidence alone, got .*, which changes from run to run",
    ):
        build(f"SELECT customer_id, CAST({call} AS VARCHAR) AS x FROM customers")


@pytest.mark.parametrize(
    ("query", "arrived"),
    [
        ("SELECT customer_id, 1 AS one FROM orders LIMIT 1", "LIMIT without one"),
        (
            "SELECT DISTINCT ON (customer_id) customer_id, amount FROM orders",
            "DISTINCT ON without one",
        ),
        (
            "SELECT customer_id, first(amount) AS f FROM orders GROUP BY ALL",
            r"first\(\) without one",
        ),
        (
            "SELECT customer_id, any_value(amount) AS f FROM orders GROUP BY ALL",
            r"any_value\(\) without one",
        ),
        (
            (
                "SELECT customer_id, string_agg(CAST(amount AS VARCHAR), ',') AS f FROM orders"
                " GROUP BY ALL"
            ),
            r"group_concat\(\) without one",
        ),
        (
            "SELECT customer_id, row_number() OVER (PARTITION BY customer_id) AS f FROM orders",
            r"row_number\(\) OVER \(\) without one",
        ),
        (
            "SELECT customer_id, max(amount) AS f FROM orders TABLESAMPLE 50% GROUP BY ALL",
            "a sample",
        ),
        (
            "SELECT customer_id, max(amount) AS f FROM orders GROUP BY ALL USING SAMPLE 2",
            "a sample",
        ),
        (
            "SELECT c.customer_id, amount FROM customers AS c POSITIONAL JOIN orders",
            "POSITIONAL JOIN",
        ),
    ],
)
def test_what_takes_whichever_row_comes_first_is_refused(build, query, arrived):
    with pytest.raises(StudyError, match=f"features.sql: expected .*, got {arrived}"):
        build(query)


def test_a_sensitive_column_is_not_there_under_any_name(build):
    with pytest.raises(StudyError, match="gender"):
        build("SELECT customer_id, gender AS g FROM customers")


@pytest.mark.parametrize(
    "query",
    ["SELECT customer_id, ordered_at FROM orders", "SELECT customer_id, [amount] AS l FROM orders"],
)
def test_columns_that_are_no_features_are_refused(build, query):
    with pytest.raises(StudyError, match="expected numbers, flags or texts as features, got"):
        build(query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "SELECT COUNT(*) AS n FROM customers",
            "expected the column customer_id, got n; add it",
        ),
        (
            "SELECT customer_id, 1 AS n, 2 AS N FROM customers",
            "expected each column once, got 'n' more than once; rename it",
        ),
        (
            "SELECT customer_id FROM customers",
            "expected a column per feature beside customer_id, got none; add one",
        ),
        (
            "SELECT NULL::VARCHAR AS customer_id, 1 AS n FROM customers",
            "expected a customer_id in every row, got . rows without; leave them out",
        ),
        (
            "SELECT 'x' || customer_id AS customer_id, 1 AS n FROM customers",
            "expected the ids of the table customers, got none of them but x.*; return",
        ),
    ],
)
def test_rows_must_name_customers_and_columns_features(build, query, said):
    with pytest.raises(StudyError, match=f"features.sql: {said}"):
        build(query)


def test_several_rows_of_a_customer_are_refused(build):
    with pytest.raises(
        StudyError,
        match="expected one row per customer, got several of a; group by customer_id",
    ):
        build("SELECT customer_id, amount FROM orders")


def test_a_comment_hides_nothing(build):
    assert list(
        build("SELECT customer_id, 1 AS one -- */ FROM raw_orders /*\nFROM customers").one
    ) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "call",
    [
        "sum(x)",
        "avg(x)",
        "stddev(x)",
        "corr(x, y)",
        "arg_max(y, z)",
        "mode(z)",
        "sum(x) FILTER (x > 0)",
        "sum(x) / count(*)",
    ],
)
def test_sums_are_the_same_to_the_bit_in_any_order_of_rows(write_study, call):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "customer_id": "a",
            "ordered_at": JOINED,
            "amount": 1.0,
            "x": rng.normal(0, 1e6, 3000),
            "y": rng.normal(size=3000),
        }
    )
    rows["z"] = rng.integers(0, 5, 3000)
    found = []
    for name, frame in (("here", rows), ("there", rows.iloc[::-1])):
        people = pd.DataFrame({"customer_id": ["a"], "joined_at": JOINED})
        contracts = pd.DataFrame({"customer_id": ["a"], "started_at": JOINED})
        study = write_study(
            "contractual",
            name=name,
            tables={"customers": people, "contracts": contracts, "orders": frame},
        )
        (study.folder / OWN_FEATURES).write_text(
            f"SELECT customer_id, {call} FROM orders GROUP BY customer_id"
        )
        found.append(
            custom_sql.build_custom_features(
                BuildContext(evidence_as_of(load.adapt(study), DAYS[:1]), study)
            ).table.to_pandas()
        )
    pd.testing.assert_frame_equal(*found, check_exact=True)
