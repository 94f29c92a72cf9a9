"""A study's own features: one SQL file over the evidence, run for each snapshot apart, so that it can't see past any of them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import sqlglot
from sqlglot import exp

from research import engines
from research.dictionary import Block, Feature
from research.parts import OWN_FEATURES
from research.rolling import KEYS
from research.snapshots import Evidence
from research.studies import Study, StudyError, show_path

CLOCK = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now", "today", "get_current_time"}
CLOCK |= {"get_current_timestamp", "transaction_timestamp"}
CHANCE = {"random", "rand", "randn", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"}
OUTSIDE = {"getenv", "getvariable", "current_setting", "nextval", "currval"}  # what isn't evidence either
REFUSED = CLOCK | CHANCE | OUTSIDE


def build_own(evidence: Evidence, study: Study) -> Block | None:
    """Return the features of ``features.sql``; None where the study has no such file.

    The query reads the study's tables under their names, as they were known by the end of one snapshot, each with the column ``snapshot``.
    It returns ``customer_id``, one row per customer, and a column per feature.

    Raises
    ------
    StudyError
        If the file isn't one SELECT, reads anything but the evidence, asks the clock or chance, or returns other columns than features.
    """
    path = study.folder / OWN_FEATURES
    if not path.exists():
        return None
    try:
        found = engines.keep(_union(evidence, study, _parse(path, evidence, study)), "own")
    except StudyError:
        raise
    except (engines.catch(study), sqlglot.errors.SqlglotError) as error:
        raise _refuse(path, f"SQL that {engines.TITLES[study.engine.kind]} can run", engines.say(study, error), "correct it") from None
    _require_features(found, path)
    table = found.cast({name: "float64" for name in found.columns if found[name].type().is_decimal() or found[name].type().is_boolean()})
    names = [column for column in table.columns if column not in KEYS]
    words = [f"{name.replace('_', ' ')}, of the study's own making" for name in names]
    units = ["number" if table[name].type().is_numeric() else "text" for name in names]
    return Block(table, tuple(Feature(name, what, unit, OWN_FEATURES) for name, what, unit in zip(names, words, units, strict=True)))


def _refuse(path: Path, required: str, arrived: str, remedy: str) -> StudyError:
    return StudyError(f"{show_path(path)}: required {required}, arrived {arrived}; {remedy}")


def _parse(path: Path, evidence: Evidence, study: Study) -> exp.Query:
    """Return the query, sure to read the evidence alone."""
    dialect = evidence["customers"].get_backend().dialect if study.engine.kind == "warehouse" else "duckdb"
    parsed = [statement for statement in sqlglot.parse(path.read_text(encoding="utf-8"), read=dialect) if statement is not None]
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        kinds = ", ".join("SELECT" if isinstance(statement, exp.Query) else statement.key.upper() for statement in parsed)
        raise _refuse(path, "exactly one SELECT", kinds or "nothing", "keep one SELECT")
    faults = [*_list_alien_tables(parsed[0], evidence), *_list_alien_calls(parsed[0])]
    if faults:
        raise StudyError(*(f"{show_path(path)}: {fault}" for fault in faults))
    return parsed[0]


def _list_alien_tables(query: exp.Query, evidence: Evidence) -> Iterator[str]:
    steps = {step.alias_or_name.lower() for step in query.find_all(exp.CTE)}
    yield from (f"required names of its WITH parts unlike the tables, arrived '{name}'; rename it" for name in sorted(steps & {*evidence}))
    allowed = steps | {*evidence}
    for table in query.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.db and not table.catalog
        if not plain or table.name.lower() not in allowed:
            yield f"required tables of the evidence ({', '.join(evidence)}), arrived {table.sql()[:60]}; read those alone"


def _list_alien_calls(query: exp.Query) -> Iterator[str]:
    for call in query.find_all(exp.Func):
        name = (call.name if isinstance(call, exp.Anonymous) else call.sql_name()).lower()
        if name in REFUSED:
            yield f"required features of the evidence alone, arrived {name}(), which changes from run to run; count from the column snapshot instead"


def _union(evidence: Evidence, study: Study, query: exp.Query) -> ir.Table:
    """Run the query on the evidence of each snapshot apart, and put the results together."""
    tables = [_run(query.copy(), evidence.only(day), day, study) for day in evidence.snapshots]
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _run(query: exp.Query, evidence: Evidence, day: date, study: Study) -> ir.Table:
    """Point each name of a table at a view of its evidence at one snapshot."""
    backend = evidence["customers"].get_backend()
    used = {table.name.lower() for table in query.find_all(exp.Table)} & {*evidence}
    views = {name: backend.create_view(ibis.util.gen_name(f"seen_{name}"), evidence[name]).get_name() for name in sorted(used)}
    for table in [table for table in query.find_all(exp.Table) if table.name.lower() in views]:
        table.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("this", exp.to_identifier(views[table.name.lower()], quoted=True))
    found = engines.run_query(study, backend, ibis.util.gen_name("own"), query.sql(dialect="duckdb" if study.engine.kind != "warehouse" else backend.dialect))
    found = found.rename({"customer_id": next((name for name in found.columns if name.lower() == "customer_id"), "customer_id")})
    stamp = ibis.literal(pd.Timestamp(day).to_pydatetime())
    return found.mutate(snapshot=stamp, customer_id=found.customer_id.cast("string"))


def _require_features(found: ir.Table, path: Path) -> None:
    """Refuse columns that are no features, and customers with several rows."""
    wrong = [f"{name} ({found[name].type()})" for name in found.columns if name not in KEYS and not _is_feature(found[name])]
    if wrong:
        raise _refuse(path, "numbers, flags or texts as features", ", ".join(wrong), "count days, or cast them")
    twice = found.group_by(KEYS).agg(rows=found.count()).filter(lambda t: t.rows > 1).order_by(KEYS).limit(3).to_pandas()
    if len(twice):
        raise _refuse(path, "one row per customer", f"several of {', '.join(twice.customer_id)}", "group by customer_id")


def _is_feature(column: ir.Value) -> bool:
    kind = column.type()
    return kind.is_numeric() or kind.is_boolean() or kind.is_string()
