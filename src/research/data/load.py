"""A study's SQL: it turns raw files, or the tables of a warehouse, into contract tables."""

import re
from contextlib import suppress
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp

from research.data import checks, contracts, engines, query_checks
from research.data.cancelled_orders import settle_orders
from research.data.fetch import hash_content
from research.data.readers import read_sql
from research.data.terms import settle_terms
from research.data.units import require_unit
from research.errors import StudyError
from research.store.keep import is_open
from research.store.keys import NoKeyError, hash_value, label
from research.study import Study, load_study, show_path
from research.study_schema import OWN_FEATURES

NEEDED = {
    "contractual": ["customers", "contracts"],
    "non_contractual": ["customers", "orders"],
    "flat": ["snapshot"],
}  # the tables without which there is no study of a kind


def load_tables(study: Study | str) -> contracts.Tables:
    """Run a study's SQL and return its contract tables, every check passed.

    Returns
    -------
    dict of Ibis tables by contract name, in the canonical types of ``contracts.KINDS``

    Raises
    ------
    StudyError
        One sentence for every query that fails and for every check that a table fails.
    """
    study = load_study(study) if isinstance(study, str) else study
    tables = adapt(study)
    content = _name_content(study)
    tables = label(tables, content and f"adapted {content}")
    checks.require_passed(checks.check(tables, study.today))
    return label(settle(study, tables), content and f"settled {content}")


def _name_content(study: Study) -> str | None:
    """Return a text that stands for a study's tables; None where nothing is kept by it."""
    files = hash_content(study) if is_open() else None
    with suppress(NoKeyError):
        return None if files is None else hash_value((load_tables, study, files))
    return None


def settle(study: Study, tables: contracts.Tables) -> contracts.Tables:
    """Return tables that passed every check in the form in which the other packages read them."""
    require_sensitive(study, tables)
    require_unit(tables, study)
    return settle_terms(settle_orders(tables, study), study)


def require_sensitive(study: Study, tables: contracts.Tables) -> None:
    """Refuse a sensitive column that doesn't exist: misspelt, it would enter the models."""
    name = "snapshot" if study.kind == "flat" else "customers"
    wrong = [column for column in study.sensitive if column not in tables[name].columns]
    if wrong:
        raise StudyError(
            f"{show_path(study.folder / 'study.yml')}, key sensitive: expected columns of the table"
            f" {name} ({', '.join(tables[name].columns)}), got {', '.join(wrong)}; correct the"
            " spelling"
        )


def adapt(study: Study) -> contracts.Tables:
    """Run a study's SQL without checking what it returns."""
    files = {
        path.stem: path for path in sorted(study.folder.glob("*.sql")) if path.name != OWN_FEATURES
    }
    _require_files(study, files)
    backend = engines.connect(study)
    tables, faults = {}, []
    for name in (name for name in contracts.CONTRACTS if name in files):
        try:
            tables[name] = _adapt_one(study, backend, name, files[name])
        except StudyError as error:
            faults += error.faults
    if faults:
        raise StudyError(*faults)
    return tables


def _require_files(study: Study, files: dict[str, Path]) -> None:
    folder = show_path(study.folder)
    faults = [
        f"{folder}: expected {name}.sql for a {study.kind} study, but it is missing; write it"
        for name in NEEDED[study.kind]
        if name not in files
    ]
    faults += [
        f"{folder}/{name}.sql: expected a file named after one of"
        f" {', '.join(contracts.CONTRACTS)}, got {name}.sql; rename or remove it"
        for name in files
        if name not in contracts.CONTRACTS
    ]
    if faults:
        raise StudyError(*faults)


def _adapt_one(study: Study, backend: ibis.BaseBackend, name: str, path: Path) -> ir.Table:
    query = read_sql(path)
    try:
        _require_select(study, backend, query, show_path(path))
        _require_repeatable(study, backend, query, show_path(path))
        table = engines.run_query(study, backend, name, query.strip().rstrip(";"))
        table = contracts.conform(table, name, study.time_zone or contracts.UTC)
        return engines.keep(table, name, packed=True)
    except (StudyError, duckdb.OutOfMemoryException):
        raise
    except duckdb.PermissionException as error:
        raise StudyError(_describe_closed(show_path(path), error)) from None
    except engines.list_query_errors(study) as error:
        raise StudyError(
            f"{show_path(path)}: expected SQL that {engines.TITLES[study.engine.kind]} can run, got"
            f" this error: {engines.describe_error(study, error)}; correct the SQL"
        ) from None


def _describe_closed(place: str, error: duckdb.PermissionException) -> str:
    named = re.search(r'"([^"]*)"', str(error))
    found = f"the file {named[1]}" if named else engines.shorten_error(error)
    return (
        f"{place}: expected SQL that reads the relations of study.yml alone, got {found}; name the"
        " file under 'sources', or its folder under 'allow'"
    )


def _require_select(study: Study, backend: ibis.BaseBackend, query: str, place: str) -> None:
    kinds = engines.list_statements(study, backend, query)
    if kinds != ["SELECT"]:
        raise StudyError(
            f"{place}: expected exactly one SELECT, got {', '.join(kinds) or 'nothing'}; write one"
            " SELECT"
        )


def _require_repeatable(study: Study, backend: ibis.BaseBackend, query: str, place: str) -> None:
    """Refuse a query whose result changes from run to run though the files don't."""
    warehouse = study.engine.kind == "warehouse"
    parsed = sqlglot.parse_one(query, read=backend.dialect if warehouse else "duckdb")
    faults = [
        f"expected tables made of the data alone, got {name}(), which changes from run to run;"
        " write the day or the value itself"
        for name in query_checks.list_changing_calls(parsed)
    ]
    faults += query_checks.list_unordered(parsed, file_order=study.engine.kind == "duckdb")
    faults += _list_other_relations(study, parsed) if study.engine.kind == "spark" else []
    if faults:
        raise StudyError(*(f"{place}: {fault}" for fault in dict.fromkeys(faults)))


def _list_other_relations(study: Study, query: exp.Query) -> list[str]:
    """Return a fault for each relation that isn't a source: Spark would read any file."""
    steps = {step.alias_or_name.lower() for step in query.find_all(exp.CTE)}
    known = steps | {name.lower() for name in study.sources}
    return [
        f"expected relations of 'sources' ({', '.join(study.sources)}), got {table.sql()[:60]};"
        " name the file there"
        for table in query.find_all(exp.Table)
        if table.db or table.catalog or table.name.lower() not in known
    ]
