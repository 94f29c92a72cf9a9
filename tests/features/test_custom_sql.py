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
            "expected a column per feature besides customer_id, got none; add one",
        ),
        (
            "SELECT NULL::VARCHAR AS customer_id, 1 AS n FROM customers",
            "expected a customer_id in every row, got . rows without one; leave them out",
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
