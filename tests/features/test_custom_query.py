"""The query of a study's own features: what it may read and ask, and what it may not."""

import pytest
from sqlglot import exp, parse_one

from research.errors import StudyError
from research.features import custom_query
from research.study_schema import OWN_FEATURES

TABLES = ("customers", "contracts", "orders")


@pytest.fixture
def parse(tmp_path):
    """Return a function that parses the text of a file of features."""

    def run(query: str) -> exp.Query:
        (tmp_path / OWN_FEATURES).write_text(query)
        return custom_query.parse_query(tmp_path / OWN_FEATURES, TABLES, "duckdb")

    return run


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
def test_nothing_but_the_evidence_is_read(parse, source):
    with pytest.raises(
        StudyError,
        match=(
            r"features.sql: expected tables of the evidence \(customers, contracts, orders\),"
            r" got"
        ),
    ):
        parse(f"SELECT 'a' AS customer_id, max(amount) AS spent FROM {source}")


def test_a_correlated_subquery_reads_nothing_else_either(parse):
    with pytest.raises(StudyError, match="got raw_orders AS r; read those alone"):
        parse(
            "SELECT customer_id, (SELECT max(amount) FROM raw_orders AS r WHERE r.customer_id ="
            " c.customer_id) AS spent FROM customers AS c"
        )


def test_a_with_part_named_like_a_table_is_refused(parse):
    with pytest.raises(
        StudyError,
        match="expected names of its WITH parts unlike the tables, got 'orders'; rename it",
    ):
        parse("WITH Orders AS (SELECT * FROM customers) SELECT customer_id, 1 AS one FROM orders")


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
def test_exactly_one_select_is_taken(parse, query, arrived):
    with pytest.raises(
        StudyError, match=f"expected exactly one SELECT, got {arrived}; keep one SELECT"
    ):
        parse(query)


@pytest.mark.parametrize(
    "step",
    [
        "DELETE FROM orders RETURNING *",
        "INSERT INTO orders VALUES (1) RETURNING *",
        "UPDATE orders SET amount = 1 RETURNING *",
    ],
)
def test_a_with_part_changes_no_table(parse, step):
    with pytest.raises(
        StudyError, match="expected SELECTs alone, got (DELETE|INSERT|UPDATE); remove it"
    ):
        parse(f"WITH gone AS ({step}) SELECT customer_id, 1 AS one FROM gone")


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
def test_neither_clock_nor_chance_nor_surroundings_are_asked(parse, call):
    with pytest.raises(
        StudyError,
        match="expected features of the evidence alone, got .*, which changes from run to run",
    ):
        parse(f"SELECT customer_id, CAST({call} AS VARCHAR) AS x FROM customers")


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
            (
                "SELECT customer_id, sum(amount) OVER (PARTITION BY customer_id ROWS 1 PRECEDING)"
                " AS f FROM orders"
            ),
            r"sum\(\) OVER \(\) without one",
        ),
        (
            "SELECT customer_id, ARRAY(SELECT amount FROM orders)[1] AS f FROM customers",
            r"ARRAY\(SELECT …\) without one",
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
def test_what_takes_whichever_row_comes_first_is_refused(parse, query, arrived):
    with pytest.raises(StudyError, match=f"features.sql: expected .*, got {arrived}"):
        parse(query)


def test_all_faults_are_named_at_once(parse):
    with pytest.raises(StudyError) as refusal:
        parse("SELECT now() AS at, first(amount) AS f FROM raw_orders LIMIT 1")
    assert [fault.partition(": ")[2].split(",")[0] for fault in refusal.value.faults] == [
        "expected the column customer_id",
        "expected tables of the evidence (customers",
        "expected features of the evidence alone",
        "expected an order of rows",
        "expected an order of rows",
    ]


def test_with_parts_get_names_that_nothing_else_has(parse):
    query = parse("WITH sums AS (SELECT customer_id FROM orders) SELECT customer_id FROM sums")
    names = {step.alias_or_name for step in query.find_all(exp.CTE)}
    assert not names & {"sums", *TABLES}
    assert {table.name for table in query.find_all(exp.Table)} == names | {"orders"}


@pytest.mark.parametrize(
    ("value", "ordered"),
    [
        ("sum(x)", "SUM(x ORDER BY x)"),
        ("avg(x + y)", "AVG(x + y ORDER BY x + y)"),
        ("sum(x ORDER BY y)", "SUM(x ORDER BY y)"),
        ("sum(1)", "SUM(1)"),
        ("sum(CAST(x AS DECIMAL(9, 2)))", "SUM(CAST(x AS DECIMAL(9, 2)))"),
        ("max(x)", "MAX(x)"),
    ],
)
def test_sums_of_floats_are_added_up_in_the_order_of_their_size(value, ordered):
    query = custom_query.order_sums(parse_one(f"SELECT {value} AS v FROM orders", read="duckdb"))
    assert query.sql(dialect="duckdb") == f"SELECT {ordered} AS v FROM orders"
