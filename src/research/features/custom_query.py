"""The query of a study's own features: checked so that it reads evidence alone and gives the same
whatever the order of rows, and rewritten where DuckDB's sums would depend on that order.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import ibis
import sqlglot
from sqlglot import exp

from research.data.query_checks import (
    find_window,
    has_order,
    list_changing_calls,
    list_unordered,
    name_call,
)
from research.data.readers import read_sql
from research.errors import StudyError
from research.study import show_path


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# aggregates of floating-point numbers; and of equals, of which the first would win
ADDED = _names("""
    approx_quantile arg_max arg_min avg corr covar_pop covar_samp entropy favg fsum geomean
    geometric_mean kahan_sum kurtosis kurtosis_pop max_by mean min_by mode product regr_avgx
    regr_avgy regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev
    stddev_pop stddev_samp sum sumkahan var_pop var_samp variance variance_pop
""")
WHOLE = (exp.DataType.Type.DECIMAL, *exp.DataType.INTEGER_TYPES)


def parse_query(path: Path, tables: Collection[str], dialect: str) -> exp.Query:
    """Return the query of a file, sure to read the given tables alone.

    Parameters
    ----------
    path : the file of SQL
    tables : names of the tables of the evidence, which may be read
    dialect : of the SQL

    Raises
    ------
    StudyError
        If the file isn't one SELECT, reads other tables, asks the clock or a generator of random
        numbers, or takes whatever row comes first: one sentence for each fault.
    """
    parsed = [
        statement
        for statement in sqlglot.parse(read_sql(path), read=dialect)
        if statement is not None
    ]
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        kinds = ", ".join(
            "SELECT" if isinstance(statement, exp.Query) else statement.key.upper()
            for statement in parsed
        )
        raise StudyError(
            f"{show_path(path)}: expected exactly one SELECT, got {kinds or 'nothing'}; keep one"
            " SELECT"
        )
    faults = [
        *_list_name_faults(parsed[0]),
        *_list_other_tables(parsed[0], tables),
        *_list_refused_calls(parsed[0]),
        *list_unordered(parsed[0]),
    ]
    if faults:
        raise StudyError(*(f"{show_path(path)}: {fault}" for fault in dict.fromkeys(faults)))
    return _rename_steps(parsed[0])


def _list_name_faults(query: exp.Query) -> Iterator[str]:
    """Columns are named once, where engines ignore case, and customer_id is among them."""
    names = [name.lower() for name in query.named_selects if name != "*"]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    yield from (
        f"expected each column once, got '{name}' more than once; rename it" for name in twice
    )
    if "customer_id" not in names and not query.is_star:
        yield f"expected the column customer_id, got {', '.join(names)}; add it"


def _list_other_tables(query: exp.Query, tables: Collection[str]) -> Iterator[str]:
    steps = {step.alias_or_name.lower() for step in query.find_all(exp.CTE)}
    yield from (
        f"expected names of its WITH parts unlike the tables, got '{name}'; rename it"
        for name in sorted(steps & {*tables})
    )
    others = query.find_all(exp.DML, exp.DDL, exp.Command, exp.Describe, exp.Summarize)
    yield from (f"expected SELECTs alone, got {node.key.upper()}; remove it" for node in others)
    allowed, remedy = steps | {*tables}, "read those alone"
    for table in query.find_all(exp.Table):
        plain = (
            isinstance(table.this, exp.Identifier)
            and not table.db
            and not table.catalog
            and not table.args.get("version")
            and not table.args.get("when")
        )
        if not plain or table.name.lower() not in allowed:
            yield (
                f"expected tables of the evidence ({', '.join(tables)}), got"
                f" {table.sql()[:60]}; {remedy}"
            )
    for lateral in query.find_all(exp.Lateral):
        if not isinstance(lateral.this, exp.Subquery | exp.Explode | exp.Unnest):
            yield (
                f"expected tables of the evidence ({', '.join(tables)}), got"
                f" {lateral.sql()[:60]}; {remedy}"
            )


def _list_refused_calls(query: exp.Query) -> Iterator[str]:
    for name in list_changing_calls(query):
        yield (
            f"expected features of the evidence alone, got {name}(), which changes from run"
            " to run; count from the column snapshot instead"
        )


def _rename_steps(query: exp.Query) -> exp.Query:
    """Give the WITH parts names that nothing else has.

    Read outside the WITH that defines it, a part's old name could be another table's.
    """
    names = {
        step.alias_or_name.lower(): ibis.util.gen_name(f"step_{step.alias_or_name}")
        for step in query.find_all(exp.CTE)
    }
    for table in query.find_all(exp.Table):
        if table.name.lower() in names:
            table.set(
                "alias",
                table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name)),
            )
            table.set("this", exp.to_identifier(names[table.name.lower()], quoted=True))
    for step in query.find_all(exp.CTE):
        step.args["alias"].set(
            "this", exp.to_identifier(names[step.alias_or_name.lower()], quoted=True)
        )
    return query


def order_sums(query: exp.Query) -> exp.Query:
    """Let sums and means of DuckDB add numbers up in the order of their size.

    In floating point, another order is another last bit.
    """
    for call in [
        call
        for call in _keep_names(query).find_all(exp.Func)
        if name_call(call) in ADDED and not call.find(exp.Order, exp.Distinct)
    ]:
        window, values = (
            find_window(call),
            call.expressions
            or [value for value in (call.args.get("this"), call.args.get("expression")) if value],
        )
        if values and not has_order(window) and not all(map(_is_whole, values)):
            last, order = values[-1], [exp.Ordered(this=value.copy()) for value in values]
            last.replace(exp.Order(this=last.copy(), expressions=order))
    return query


def _keep_names(query: exp.Query) -> exp.Query:
    """Name columns without a name after what was written."""
    for column in [
        column
        for select in query.find_all(exp.Select)
        for column in select.expressions
        if isinstance(column, exp.Func | exp.Binary | exp.Window)
    ]:
        column.replace(exp.alias_(column.copy(), column.sql(dialect="duckdb").lower(), quoted=True))
    return query


def _is_whole(value: exp.Expression) -> bool:
    """Return whether a value is sure to be a whole or decimal number, whose sum doesn't depend on
    the order.
    """
    if isinstance(value, exp.Cast):
        return value.to.this in WHOLE
    return isinstance(value, exp.Count) or (isinstance(value, exp.Literal) and value.is_int)
