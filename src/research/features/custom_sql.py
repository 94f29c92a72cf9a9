"""A study's own features: one SQL file over the evidence, run for each snapshot apart, so that it
can't see past any of them.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import sqlglot
from sqlglot import exp

from research.data import engines
from research.data.readers import read_sql
from research.errors import StudyError
from research.features.dictionary import Block, Feature
from research.panel.evidence import Evidence
from research.panel.windows import KEYS
from research.study import Study, show_path
from research.study_schema import OWN_FEATURES

CLOCK = {
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "today",
    "get_current_time",
}
CLOCK |= {"ago", "pg_conf_load_time", "pg_postmaster_start_time"}
CLOCK |= {
    "get_current_timestamp",
    "transaction_timestamp",
    "current_localtime",
    "current_localtimestamp",
    "statement_timestamp",
    "clock_timestamp",
}
CHANCE = {
    "random",
    "rand",
    "randn",
    "setseed",
    "uuid",
    "uuidv4",
    "uuidv7",
    "gen_random_uuid",
    "reservoir_quantile",
}
OUTSIDE = {
    "getenv",
    "getvariable",
    "current_setting",
    "nextval",
    "currval",
    "setval",
    "txid_current",
    "current_query",
    "current_query_id",
    "write_log",
}
OUTSIDE |= {
    "current_transaction_id",
    "current_connection_id",
    "current_user",
    "session_user",
    "current_database",
    "current_schema",
    "current_schemas",
}
OUTSIDE |= {"user", "pg_get_viewdef", "pg_get_constraintdef", "get_block_size"}
OUTSIDE |= {
    "current_catalog",
    "in_search_path",
    "sleep_ms",
    "stats",
    "vector_type",
    "query",
    "query_table",
    "version",
}  # what isn't evidence either
REFUSED = CLOCK | CHANCE | OUTSIDE
ORDERED = {
    "first",
    "last",
    "any_value",
    "arbitrary",
    "list",
    "array_agg",
    "group_concat",
    "string_agg",
    "listagg",
}  # aggregates that take the rows in turn
PLACED = {"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"}
ADDED = {
    "sum",
    "avg",
    "mean",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "variance_pop",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
}
ADDED |= {
    "fsum",
    "sumkahan",
    "kahan_sum",
    "favg",
    "product",
    "skewness",
    "kurtosis",
    "kurtosis_pop",
    "geomean",
    "geometric_mean",
    "sem",
}
ADDED |= {
    "mode",
    "arg_max",
    "arg_min",
    "max_by",
    "min_by",
    "approx_quantile",
    "entropy",
}  # of equals, the first would win
ADDED |= {
    f"regr_{name}" for name in ("slope", "intercept", "r2", "avgx", "avgy", "sxx", "sxy", "syy")
}
WHOLE = (exp.DataType.Type.DECIMAL, *exp.DataType.INTEGER_TYPES)


def build_own(
    evidence: Evidence, study: Study, keep: Callable[[ir.Table, str], ir.Table] = engines.keep
) -> Block | None:
    """Return the features of ``features.sql``; None where the study has no such file.

    The query reads the study's tables under their names, as they were known by the end of one
    snapshot, each with the column ``snapshot`` and without what the study calls sensitive. It
    returns ``customer_id``, one row per customer, and a column per feature. DuckDB adds numbers up
    in the order of their size, so that sums are the same to the bit however the rows lie; numbers
    cast to DECIMAL or INTEGER, whose order doesn't matter, are spared that sorting.

    Parameters
    ----------
    keep : lays down what the query returned

    Raises
    ------
    StudyError
        If the file isn't one SELECT, reads anything but the evidence, asks the clock or chance,
        takes whatever row comes first, or returns other columns than features.
    """
    path = study.folder / OWN_FEATURES
    if not path.exists():
        return None
    try:
        found = keep(_union(evidence, study, _parse(path, evidence, study)), "own")
    except (StudyError, duckdb.OutOfMemoryException):
        raise
    except (*engines.list_query_errors(study), sqlglot.errors.SqlglotError) as error:
        said = re.sub(r"ibis_(seen|step)_(\w+?)_[a-z0-9]{26}\b", r"\2", engines.describe_error(study, error))
        raise _refuse(
            path,
            f"SQL that {engines.TITLES[study.engine.kind]} can run on the evidence",
            said,
            "correct it",
        ) from None
    _require_features(found, evidence, path)
    table = found.cast(
        {
            name: "float64"
            for name in found.columns
            if found[name].type().is_decimal() or found[name].type().is_boolean()
        }
    )
    table = table.mutate(
        **{
            name: _drop_endless(table[name])
            for name in table.columns
            if table[name].type().is_floating()
        }
    )
    names = [column for column in table.columns if column not in KEYS]
    words = [f"{name.replace('_', ' ')}, of the study's own making" for name in names]
    units = ["number" if table[name].type().is_numeric() else "text" for name in names]
    return Block(
        table,
        tuple(
            Feature(name, what, unit, OWN_FEATURES)
            for name, what, unit in zip(names, words, units, strict=True)
        ),
    )


def _drop_endless(numbers: ir.FloatingColumn) -> ir.Column:
    """Leave numbers that aren't finite empty: no model knows what to make of them."""
    return ibis.ifelse(numbers.isinf() | numbers.isnan(), ibis.null("float64"), numbers)


def _refuse(path: Path, required: str, arrived: str, remedy: str) -> StudyError:
    return StudyError(f"{show_path(path)}: expected {required}, got {arrived}; {remedy}")


def _parse(path: Path, evidence: Evidence, study: Study) -> exp.Query:
    """Return the query, sure to read the evidence alone."""
    dialect = (
        evidence["customers"].get_backend().dialect
        if study.engine.kind == "warehouse"
        else "duckdb"
    )
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
        raise _refuse(path, "exactly one SELECT", kinds or "nothing", "keep one SELECT")
    faults = [
        *_list_name_faults(parsed[0]),
        *_list_alien_tables(parsed[0], evidence),
        *_list_alien_calls(parsed[0]),
        *_list_unordered(parsed[0]),
    ]
    if faults:
        raise StudyError(*(f"{show_path(path)}: {fault}" for fault in dict.fromkeys(faults)))
    return (
        _add_in_order(_rename_steps(parsed[0]))
        if study.engine.kind == "duckdb"
        else _rename_steps(parsed[0])
    )


def _list_name_faults(query: exp.Query) -> Iterator[str]:
    """A column is found by its name alone, and engines don't tell capitals from small letters."""
    names = [name.lower() for name in query.named_selects if name != "*"]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    yield from (
        f"expected each column once, got '{name}' more than once; rename it" for name in twice
    )
    if "customer_id" not in names and not query.is_star:
        yield f"expected the column customer_id, got {', '.join(names)}; add it"


def _list_alien_tables(query: exp.Query, evidence: Evidence) -> Iterator[str]:
    steps = {step.alias_or_name.lower() for step in query.find_all(exp.CTE)}
    yield from (
        f"expected names of its WITH parts unlike the tables, got '{name}'; rename it"
        for name in sorted(steps & {*evidence})
    )
    others = query.find_all(exp.DML, exp.DDL, exp.Command, exp.Describe, exp.Summarize)
    yield from (f"expected SELECTs alone, got {node.key.upper()}; remove it" for node in others)
    allowed, remedy = steps | {*evidence}, "read those alone"
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
                f"expected tables of the evidence ({', '.join(evidence)}), got"
                f" {table.sql()[:60]}; {remedy}"
            )
    for lateral in query.find_all(exp.Lateral):
        if not isinstance(lateral.this, exp.Subquery | exp.Explode | exp.Unnest):
            yield (
                f"expected tables of the evidence ({', '.join(evidence)}), got"
                f" {lateral.sql()[:60]}; {remedy}"
            )


def _name_call(call: exp.Func) -> str:
    return (
        call.name if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc) else call.sql_name()
    ).lower()


def _list_alien_calls(query: exp.Query) -> Iterator[str]:
    for call in query.find_all(exp.Func):
        name = _name_call(call)
        if name in REFUSED or (name == "age" and len(call.expressions) == 1):
            yield (
                f"expected features of the evidence alone, got {name}(), which changes from run"
                " to run; count from the column snapshot instead"
            )


def _list_unordered(query: exp.Query) -> Iterator[str]:
    """Say what takes whichever row comes first: its outcome would depend on how rows lie, and so on
    rows after the snapshot.
    """
    chance, remedy = "which takes whatever row comes first", "add an ORDER BY"
    for select in query.find_all(exp.Query):
        cut = [key.upper() for key in ("limit", "offset") if select.args.get(key)] + (
            ["DISTINCT ON"] if _is_distinct_on(select) else []
        )
        if cut and not select.args.get("order"):
            yield f"expected an order of rows, got {cut[0]} without one, {chance}; {remedy}"
    if query.find(exp.TableSample):
        yield "expected all rows, got a sample, which changes from run to run; remove it"
    if any(
        (join.args.get("method") or join.args.get("kind") or "").upper() == "POSITIONAL"
        for join in query.find_all(exp.Join)
    ):
        yield (
            "expected joins by columns, got POSITIONAL JOIN, which pairs rows by where they"
            " lie; join by customer_id"
        )
    for call in query.find_all(exp.Func):
        name, window = _name_call(call), _find_window(call)
        if (
            name in ORDERED
            and not call.find(exp.Order)
            and not (window and window.args.get("order"))
        ):
            yield (
                f"expected an order of rows, got {name}() without one, {chance}; write {name}(…"
                " ORDER BY …)"
            )
        if name in PLACED and window and not window.args.get("order"):
            yield (
                f"expected an order of rows, got {name}() OVER () without one, {chance}; {remedy}"
            )


def _is_distinct_on(select: exp.Query) -> bool:
    distinct = select.args.get("distinct")
    return isinstance(distinct, exp.Distinct) and bool(distinct.args.get("on"))


def _find_window(call: exp.Func) -> exp.Window | None:
    """Return the OVER clause of a call, which stands around it and around its FILTER."""
    parent = call.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return parent if isinstance(parent, exp.Window) else None


def _rename_steps(query: exp.Query) -> exp.Query:
    """Give the WITH parts names that nothing else has: read outside the WITH that defines it, a
    part's old name could be another table's.
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


def _add_in_order(query: exp.Query) -> exp.Query:
    """Let sums and means add numbers up in the order of their size: in floating point, another
    order is another last bit.
    """
    for call in [
        call
        for call in _keep_names(query).find_all(exp.Func)
        if _name_call(call) in ADDED and not call.find(exp.Order, exp.Distinct)
    ]:
        window, values = (
            _find_window(call),
            call.expressions
            or [value for value in (call.args.get("this"), call.args.get("expression")) if value],
        )
        if values and not (window and window.args.get("order")) and not all(map(_is_whole, values)):
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
    """Say whether a value is sure to be a whole or decimal number, whose sum doesn't depend on the
    order.
    """
    if isinstance(value, exp.Cast):
        return value.to.this in WHOLE
    return isinstance(value, exp.Count) or (isinstance(value, exp.Literal) and value.is_int)


def _union(evidence: Evidence, study: Study, query: exp.Query) -> ir.Table:
    """Run the query on the evidence of each snapshot apart, and put the results together."""
    tables = [_run(query.copy(), evidence.only(day), day, study) for day in evidence.snapshots]
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _run(query: exp.Query, evidence: Evidence, day: date, study: Study) -> ir.Table:
    """Point each name of a table at a view of its evidence at one snapshot."""
    backend = evidence["customers"].get_backend()
    used = {table.name.lower() for table in query.find_all(exp.Table)} & {*evidence}
    seen = {
        name: evidence[name].drop(
            *(column for column in study.sensitive if column in evidence[name].columns)
        )
        for name in sorted(used)
    }
    views = {
        name: backend.create_view(ibis.util.gen_name(f"seen_{name}"), table).get_name()
        for name, table in seen.items()
    }
    for table in [table for table in query.find_all(exp.Table) if table.name.lower() in views]:
        table.set(
            "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
        )
        table.set("this", exp.to_identifier(views[table.name.lower()], quoted=True))
    dialect = "duckdb" if study.engine.kind != "warehouse" else backend.dialect
    found = engines.run_query(
        study, backend, ibis.util.gen_name("own"), query.sql(dialect=dialect, comments=False)
    )
    found = found.rename(
        {
            "customer_id": next(
                (name for name in found.columns if name.lower() == "customer_id"), "customer_id"
            )
        }
    )
    stamp = ibis.literal(pd.Timestamp(day).to_pydatetime())
    return found.mutate(snapshot=stamp, customer_id=found.customer_id.cast("string"))


def _require_features(found: ir.Table, evidence: Evidence, path: Path) -> None:
    """Refuse columns that are no features, ids that aren't customers', and customers with several
    rows.
    """
    if len(found.columns) == len(KEYS):
        raise _refuse(path, "a column per feature beside customer_id", "none", "add one")
    wrong = [
        f"{name} ({found[name].type()})"
        for name in found.columns
        if name not in KEYS and not _is_feature(found[name])
    ]
    if wrong:
        raise _refuse(
            path,
            "numbers, flags or texts as features",
            ", ".join(wrong),
            "count days, or cast them",
        )
    nobody = found.filter(found.customer_id.isnull()).count().execute()
    if nobody:
        raise _refuse(
            path, "a customer_id in every row", f"{nobody} rows without", "leave them out"
        )
    strangers = found.anti_join(evidence["customers"], KEYS).order_by(KEYS).limit(3).to_pandas()
    if len(strangers) and found.semi_join(evidence["customers"], KEYS).count().execute() == 0:
        raise _refuse(
            path,
            "the ids of the table customers",
            f"none of them but {', '.join(strangers.customer_id)}",
            "return customer_id as it is there",
        )
    twice = (
        found.group_by(KEYS)
        .agg(rows=found.count())
        .filter(lambda t: t.rows > 1)
        .order_by(KEYS)
        .limit(3)
        .to_pandas()
    )
    if len(twice):
        raise _refuse(
            path,
            "one row per customer",
            f"several of {', '.join(twice.customer_id)}",
            "group by customer_id",
        )


def _is_feature(column: ir.Value) -> bool:
    kind = column.type()
    return kind.is_numeric() or kind.is_boolean() or kind.is_string()
