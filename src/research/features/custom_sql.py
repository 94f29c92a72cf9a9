"""A study's own features: one SQL file over the evidence, run for each snapshot apart, so that it
can't see past any of them.
"""

import re
from datetime import date
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp

from research.data import engines
from research.errors import StudyError
from research.features.context import BuildContext
from research.features.custom_query import order_sums, parse_query
from research.features.dictionary import Block, Feature
from research.panel.evidence import Evidence, as_timestamp
from research.panel.windows import KEYS
from research.study import Study, show_path
from research.study_schema import OWN_FEATURES


def build_custom_features(context: BuildContext) -> Block | None:
    """Return the features of ``features.sql``; None where the study has no such file.

    The query reads the study's tables under their names, as they were known by the end of one
    snapshot, each with the column ``snapshot`` and without what the study calls sensitive. It
    returns ``customer_id``, one row per customer, and a column per feature. DuckDB adds numbers up
    in the order of their size, so that sums are the same to the bit whatever the order of rows;
    numbers cast to DECIMAL or INTEGER, whose order doesn't matter, are spared that sorting.

    Customers have their own ids.

    Raises
    ------
    StudyError
        If the query is refused (see ``parse_query``), fails, or returns other columns than
        features.
    """
    study, evidence = context.study, context.given
    path = study.folder / OWN_FEATURES
    if not path.exists():
        return None
    keep = context.keep or engines.keep
    try:
        rows = keep(_run_at_each(_parse(path, evidence, study), evidence, study), "own")
    except (StudyError, duckdb.OutOfMemoryException):
        raise
    except (*engines.list_query_errors(study), sqlglot.errors.SqlglotError) as error:
        raise _explain_failure(path, study, error) from None
    _require_features(rows, evidence, path)
    table = _clean_numbers(rows)
    features = [
        Feature(
            name,
            f"{name.replace('_', ' ')}, of the study's own making",
            "number" if table[name].type().is_numeric() else "text",
            OWN_FEATURES,
        )
        for name in table.columns
        if name not in KEYS
    ]
    return Block(table, tuple(features))


def _parse(path: Path, evidence: Evidence, study: Study) -> exp.Query:
    query = parse_query(path, evidence, _find_dialect(evidence, study))
    return order_sums(query) if study.engine.kind == "duckdb" else query


def _find_dialect(evidence: Evidence, study: Study) -> str:
    warehouse = study.engine.kind == "warehouse"
    return evidence["customers"].get_backend().dialect if warehouse else "duckdb"


def _explain_failure(path: Path, study: Study, error: Exception) -> StudyError:
    """Return the engine's error under the names that the file has for tables and WITH parts."""
    message = engines.describe_error(study, error)
    message = re.sub(r"ibis_(seen|step)_(\w+?)_[a-z0-9]{26}\b", r"\2", message)
    title = engines.TITLES[study.engine.kind]
    return _refuse(path, f"SQL that {title} can run on the evidence", message, "correct it")


def _clean_numbers(table: ir.Table) -> ir.Table:
    """Turn decimals and flags into floats, and leave numbers that aren't finite empty: no model
    knows what to make of them.
    """
    kinds = table.schema().items()
    table = table.cast(
        {name: "float64" for name, kind in kinds if kind.is_decimal() or kind.is_boolean()}
    )
    floats = [name for name, kind in table.schema().items() if kind.is_floating()]
    return table.mutate(**{name: _drop_infinite(table[name]) for name in floats})


def _drop_infinite(numbers: ir.FloatingColumn) -> ir.Column:
    return ibis.ifelse(numbers.isinf() | numbers.isnan(), ibis.null("float64"), numbers)


def _refuse(path: Path, expected: str, found: str, remedy: str) -> StudyError:
    return StudyError(f"{show_path(path)}: expected {expected}, got {found}; {remedy}")


def _run_at_each(query: exp.Query, evidence: Evidence, study: Study) -> ir.Table:
    """Run the query on the evidence of each snapshot apart, and put the results together."""
    tables = [_run(query.copy(), evidence.at(day), day, study) for day in evidence.snapshots]
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _run(query: exp.Query, evidence: Evidence, day: date, study: Study) -> ir.Table:
    """Point each name of a table at a view of its evidence at one snapshot."""
    backend = evidence["customers"].get_backend()
    used = {table.name.lower() for table in query.find_all(exp.Table)} & {*evidence}
    views = {}
    for name in sorted(used):
        hidden = [column for column in study.sensitive if column in evidence[name].columns]
        view = backend.create_view(ibis.util.gen_name(f"seen_{name}"), evidence[name].drop(*hidden))
        views[name] = view.get_name()
    for table in [table for table in query.find_all(exp.Table) if table.name.lower() in views]:
        table.set(
            "alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
        )
        table.set("this", exp.to_identifier(views[table.name.lower()], quoted=True))
    text = query.sql(dialect=_find_dialect(evidence, study), comments=False)
    rows = engines.run_query(study, backend, ibis.util.gen_name("own"), text)
    ids = [name for name in rows.columns if name.lower() == "customer_id"]
    rows = rows.rename(customer_id=ids[0] if ids else "customer_id")
    return rows.mutate(snapshot=as_timestamp(day), customer_id=rows.customer_id.cast("string"))


def _require_features(rows: ir.Table, evidence: Evidence, path: Path) -> None:
    """Refuse columns that are no features, ids that aren't customers', and customers with several
    rows.
    """
    if len(rows.columns) == len(KEYS):
        raise _refuse(path, "a column per feature besides customer_id", "none", "add one")
    wrong = [
        f"{name} ({rows[name].type()})"
        for name in rows.columns
        if name not in KEYS and not _is_feature(rows[name])
    ]
    if wrong:
        required, remedy = "numbers, flags or texts as features", "count days, or cast them"
        raise _refuse(path, required, ", ".join(wrong), remedy)
    empty = rows.filter(rows.customer_id.isnull()).count().execute()
    if empty:
        found = f"{empty} rows without one"
        raise _refuse(path, "a customer_id in every row", found, "leave them out")
    _require_customers(rows, evidence, path)
    counts = rows.group_by(KEYS).agg(rows=rows.count())
    several = counts.filter(counts.rows > 1).order_by(KEYS).limit(3).to_pandas()
    if len(several):
        found = f"several of {', '.join(several.customer_id)}"
        raise _refuse(path, "one row per customer", found, "group by customer_id")


def _require_customers(rows: ir.Table, evidence: Evidence, path: Path) -> None:
    people = evidence["customers"]
    strangers = rows.anti_join(people, KEYS).order_by(KEYS).limit(3).to_pandas()
    if len(strangers) and rows.semi_join(people, KEYS).count().execute() == 0:
        found = f"none of them but {', '.join(strangers.customer_id)}"
        remedy = "return customer_id as it is there"
        raise _refuse(path, "the ids of the table customers", found, remedy)


def _is_feature(column: ir.Value) -> bool:
    kind = column.type()
    return kind.is_numeric() or kind.is_boolean() or kind.is_string()
