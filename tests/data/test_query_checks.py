"""Queries that give the same whenever they are run, and those that don't."""

import pytest
from sqlglot import parse_one

from research.data import query_checks


def unordered(query: str, file_order: bool = False) -> list[str]:
    return [*query_checks.list_unordered(parse_one(query, read="duckdb"), file_order)]


@pytest.mark.parametrize(
    "call",
    [
        "random()",
        "now()",
        "uuid()",
        "current_date",
        "age(day)",
        "approx_quantile(day, 0.5)",
        "(SELECT count(*) FROM duckdb_settings())",
    ],
)
def test_clock_and_chance_are_found(call):
    query = parse_one(f"SELECT {call} AS x FROM t", read="duckdb")
    assert len([*query_checks.list_changing_calls(query)]) == 1


def test_a_fixed_age_is_no_clock():
    query = parse_one("SELECT age(ended, started) AS x FROM t", read="duckdb")
    assert [*query_checks.list_changing_calls(query)] == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT row_number() OVER (PARTITION BY a) FROM t",
        "SELECT row_number() OVER w FROM t WINDOW w AS (PARTITION BY a)",
        "SELECT sum(x) OVER (PARTITION BY a ROWS 1 PRECEDING) FROM t",
        "SELECT sum(x) OVER w FROM t WINDOW w AS (ROWS UNBOUNDED PRECEDING)",
        "SELECT * FROM t QUALIFY row_number() OVER (PARTITION BY a) = 1",
        "SELECT ARRAY(SELECT x FROM t)[1]",
        "SELECT list(x)[1] FROM t",
    ],
)
def test_windows_and_lists_without_an_order_are_found(query):
    assert [fault.partition(",")[0] for fault in unordered(query)] == ["expected an order of rows"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT row_number() OVER w FROM t WINDOW w AS (PARTITION BY a ORDER BY b)",
        "SELECT row_number() OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY a)",
        "SELECT sum(x) OVER (PARTITION BY a) FROM t",
        "SELECT sum(x) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM t",
        "SELECT ARRAY(SELECT x FROM t ORDER BY x)[1]",
        "SELECT list(x ORDER BY x)[1] FROM t",
    ],
)
def test_what_has_an_order_or_needs_none_passes(query):
    assert unordered(query) == []


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("SELECT row_number() OVER () FROM t", 0),
        ("SELECT row_number() OVER () FROM t WHERE x > 1", 0),
        ("SELECT row_number() OVER () FROM t JOIN u USING (a)", 1),
        ("SELECT row_number() OVER () FROM t GROUP BY ALL", 1),
        ("WITH j AS (SELECT * FROM t JOIN u USING (a)) SELECT row_number() OVER () FROM j", 1),
        ("SELECT row_number() OVER (PARTITION BY a) FROM t", 1),
        ("SELECT lag(x) OVER () FROM t", 1),
    ],
)
def test_only_the_rows_of_one_file_may_be_numbered_as_they_stand(query, faults):
    assert len(unordered(query, file_order=True)) == faults
    assert len(unordered(query)) == 1
