"""SQL adapters: a study's raw files, or the tables of its warehouse, become contract tables in its
engine.
"""

from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir

from research.data import checks, contracts, engines
from research.data.readers import read_sql
from research.errors import StudyError
from research.study import Study, load_study, show_path
from research.study_schema import OWN_FEATURES, TABLES


def load_tables(study: Study | str) -> dict[str, ir.Table]:
    """Run a study's SQL adapters and return its contract tables, every promise checked.

    Returns
    -------
    dict of Ibis tables by contract name, in the canonical types of ``contracts.KINDS``

    Raises
    ------
    StudyError
        One sentence for every adapter that fails and every promise that a table breaks.
    """
    study = load_study(study) if isinstance(study, str) else study
    tables = adapt(study)
    checks.require(checks.check(tables))
    require_sensitive(study, tables)
    return tables


def require_sensitive(study: Study, tables: dict[str, ir.Table]) -> None:
    """Refuse a sensitive column that no table has: misspelt, it would enter the models."""
    columns = tables["snapshot" if study.kind == "flat" else "customers"].columns
    wrong = [name for name in study.sensitive if name not in columns]
    if wrong:
        place = show_path(study.folder / "study.yml")
        raise StudyError(
            f"{place}, key sensitive: expected columns among {', '.join(columns)}; got"
            f" {', '.join(wrong)}; correct the spelling"
        )


def adapt(study: Study) -> dict[str, ir.Table]:
    """Run a study's SQL adapters without checking what they return."""
    adapters = {
        path.stem: path for path in sorted(study.folder.glob("*.sql")) if path.name != OWN_FEATURES
    }
    _require_adapters(study, adapters)
    backend = engines.connect(study)
    tables, faults = {}, []
    for name in (name for name in TABLES if name in adapters):
        try:
            tables[name] = _adapt_one(study, backend, name, adapters[name])
        except StudyError as error:
            faults += error.faults
    if faults:
        raise StudyError(*faults)
    return tables


def _require_adapters(study: Study, adapters: dict[str, Path]) -> None:
    folder, needed = (
        show_path(study.folder),
        ["snapshot"] if study.kind == "flat" else ["customers"],
    )
    if study.kind == "contractual":
        needed.append("contracts")
    if study.kind == "non_contractual":
        needed.append("orders")
    faults = [
        f"{folder}: expected {name}.sql for a {study.kind} study, which is not there; write it"
        for name in needed
        if name not in adapters
    ]
    faults += [
        f"{folder}/{name}.sql: expected a name among {', '.join(TABLES)}; rename or remove it"
        for name in adapters
        if name not in TABLES
    ]
    if faults:
        raise StudyError(*faults)


def _adapt_one(study: Study, backend: ibis.BaseBackend, name: str, path: Path) -> ir.Table:
    place, query = show_path(path), read_sql(path)
    try:
        kinds = engines.list_statements(study, backend, query)
        if kinds != ["SELECT"]:
            raise StudyError(
                f"{place}: expected exactly one SELECT, got {', '.join(kinds) or 'nothing'};"
                " keep one SELECT"
            )
        found = engines.run_query(study, backend, name, query.strip().rstrip(";"))
        return engines.keep(contracts.conform(found, name), name, packed=True)
    except (StudyError, duckdb.OutOfMemoryException):
        raise
    except engines.catch(study) as error:
        required = f"SQL that {engines.TITLES[study.engine.kind]} can run"
        raise StudyError(
            f"{place}: expected {required}, got {engines.say(study, error)}; correct it"
        ) from None
