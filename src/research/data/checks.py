"""The promises that contract tables keep, checked in their engine.

The checks are pandera schemas on Ibis tables, so they run where the data are; only counts and a few
example values come back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
import pandera.ibis as pa
from pandera.engines import ibis_engine
from pandera.errors import SchemaErrors

from research.data.contracts import CONTRACTS, KINDS, MOST, RESERVED, SUMMED, TIMELINE, Column
from research.errors import StudyError

EXAMPLES = 3
EARLIEST = datetime(
    1900, 1, 1
)  # an older date is a placeholder, and pandas can't hold the oldest of them


@dataclass(frozen=True)
class Promise:
    """A rule on the rows of one table: ``holds`` is true where a row keeps it; null counts as
    kept.
    """

    column: str
    required: str
    remedy: str
    holds: Callable[[ir.Table], ir.BooleanValue]


def _finite_promises(name: str, table: ir.Table) -> Iterator[Promise]:
    numbers = {column for column, spec in CONTRACTS[name].columns.items() if spec.kind == "number"}
    for column in table.columns:
        if column in numbers or (
            column not in CONTRACTS[name].columns and table[column].type().is_floating()
        ):
            yield Promise(
                column,
                "finite numbers",
                "make them null in the SQL",
                lambda t, c=column: ~(t[c].isnan() | t[c].isinf()),
            )


def _range_promises(name: str) -> Iterator[Promise]:
    for column, spec in CONTRACTS[name].columns.items():
        if spec.low is not None:
            yield Promise(
                column,
                f"values of at least {spec.low:g}",
                "correct them in the SQL",
                lambda t, c=column, low=spec.low: t[c] >= low,
            )
        if spec.high is not None:
            yield Promise(
                column,
                f"values of at most {spec.high:g}",
                "correct them in the SQL",
                lambda t, c=column, high=spec.high: t[c] <= high,
            )


def _score_promises(name: str, table: ir.Table) -> Iterator[Promise]:
    if name == "feedback" and "score_max" in table.columns and table.score_max.type().is_numeric():
        fits = "correct the score or the scale in the SQL"
        yield Promise(
            "score",
            "values of at most score_max",
            fits,
            lambda t: (t.score_max == 0) | (t.score.abs() <= t.score_max),
        )


def _time_promises(name: str, today: date) -> Iterator[Promise]:
    contract = CONTRACTS[name]
    tomorrow = pd.Timestamp(today + timedelta(days=1)).to_pydatetime()
    for column in (column for column, spec in contract.columns.items() if spec.kind == "time"):
        yield Promise(
            column,
            f"dates from {EARLIEST:%Y-%m-%d} on",
            "make a placeholder null, or drop these rows",
            lambda t, c=column: t[c] >= EARLIEST,
        )
        remedy = (
            "leave it empty until it happens"
            if column in ("ended_at", "resolved_at")
            else "drop or correct these rows"
        )
        yield Promise(
            column,
            f"dates up to today ({today})",
            remedy,
            lambda t, c=column: t[c] < ibis.literal(tomorrow),
        )
    for first, then in contract.ordered:
        yield Promise(
            then,
            f"dates on or after {first}",
            "drop or correct these rows",
            lambda t, a=first, b=then: t[b].truncate("D") >= t[a].truncate("D"),
        )


def _date_promises(name: str, table: ir.Table) -> Iterator[Promise]:
    latest = datetime(2200, 1, 1)
    for column in table.columns:
        if column not in CONTRACTS[name].columns and (
            table[column].type().is_date() or table[column].type().is_timestamp()
        ):
            yield Promise(
                column,
                "dates from 1900 to 2200",
                "make a placeholder null",
                lambda t, c=column: t[c].between(EARLIEST, latest),
            )


def _key_promises(name: str, customers: ir.Table | None) -> Iterator[Promise]:
    bare = "identifiers without blanks around them"
    yield Promise(
        "customer_id",
        bare,
        "trim them in the SQL",
        lambda t: (t.customer_id.strip() == t.customer_id) & (t.customer_id != ""),
    )
    if (
        name in TIMELINE
        and customers is not None
        and "customer_id" in customers.columns
        and customers.customer_id.type().is_string()
    ):
        known = customers.filter(customers.customer_id.notnull()).customer_id
        remedy = "add them there or drop these rows"
        yield Promise(
            "customer_id",
            "customers that the table customers holds",
            remedy,
            lambda t: t.customer_id.isnull() | t.customer_id.isin(known),
        )


def check(tables: dict[str, ir.Table], today: date | None = None) -> pd.DataFrame:
    """Check every promise of every contract table.

    Parameters
    ----------
    tables : dict of Ibis tables by contract name
    today : date, optional
        Events after this day are faults; the current day unless given.

    Returns
    -------
    DataFrame with columns table, column, required, rows_failing, examples, remedy
        One row per promise; ``rows_failing`` is 0 where it is kept. Missing columns and wrong types
        fail on every row.
    """
    rows = [
        row
        for name, table in tables.items()
        for row in _check_table(name, table, tables.get("customers"), today or date.today())
    ]
    return pd.DataFrame(
        rows, columns=["table", "column", "required", "rows_failing", "examples", "remedy"]
    )


def _check_table(
    name: str, table: ir.Table, customers: ir.Table | None, today: date
) -> Iterator[tuple]:
    rows = table.count().execute()
    yield (
        name,
        "",
        "at least one row",
        int(rows == 0),
        "an empty table" if rows == 0 else "",
        "check the SQL's filters and the raw files",
    )
    yield from _attribute_rows(name, table)
    shape_faults = _find_shape_faults(name, table)
    for column, spec in CONTRACTS[name].columns.items():
        if column in table.columns or spec.required:
            yield from _shape_rows(name, table, column, spec, shape_faults, rows)
    if CONTRACTS[name].unique and "customer_id" in table.columns:
        yield _unique_row(name, table)
    yield from (
        _total_row(name, table, column)
        for column in SUMMED.get(name, ())
        if column in table.columns and (column, "WRONG_DATATYPE") not in shape_faults
    )
    for promise in (
        *_finite_promises(name, table),
        *_date_promises(name, table),
        *_range_promises(name),
        *_score_promises(name, table),
        *_time_promises(name, today),
        *_key_promises(name, customers),
    ):
        if _usable(name, table, promise, shape_faults):
            yield _promise_row(name, table, promise)


def _attribute_rows(name: str, table: ir.Table) -> Iterator[tuple]:
    """No attribute may bear a name that a later step gives to a column of its own, nor hold lists
    or structs.
    """
    own, attributes = (
        sorted(RESERVED - {*CONTRACTS[name].columns}),
        [column for column in table.columns if column not in CONTRACTS[name].columns],
    )
    taken = [
        column
        for column in attributes
        if column.lower() in own or column.lower().endswith("_right")
    ]
    yield (
        name,
        "",
        f"no column named {', '.join(own)} or *_right",
        len(taken),
        ", ".join(taken),
        f"rename it in {name}.sql",
    )
    nested = [
        f"{column} ({table[column].type()})"
        for column in attributes
        if table[column].type().is_nested()
    ]
    yield (
        name,
        "",
        "columns of single values",
        len(nested),
        ", ".join(nested),
        f"take it apart in {name}.sql or leave it out",
    )


def _find_shape_faults(name: str, table: ir.Table) -> dict[tuple[str, str], str]:
    """Check names, types and nulls; a type that pandera has no word for, say a list, is wrong for
    every contract column.
    """
    alien = {
        column
        for column in CONTRACTS[name].columns
        if column in table.columns and not _is_known(table[column])
    }
    columns = {
        column: pa.Column(
            ibis.dtype(KINDS[spec.kind]), nullable=not spec.required, required=spec.required
        )
        for column, spec in CONTRACTS[name].columns.items()
        if column not in alien
    }
    return _validate(pa.DataFrameSchema(columns), table) | {
        (column, "WRONG_DATATYPE"): str(table[column].type()) for column in alien
    }


def _is_known(column: ir.Value) -> bool:
    try:
        ibis_engine.Engine.dtype(column.type())
    except TypeError:
        return False
    return True


def _validate(schema: pa.DataFrameSchema, table: ir.Table) -> dict[tuple[str, str], str]:
    """Return pandera's findings as {(column, reason): what arrived}."""
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        return {_finding(error): str(error.failure_cases) for error in errors.schema_errors}
    return {}


def _finding(error) -> tuple[str, str]:
    missing = error.reason_code.name == "COLUMN_NOT_IN_DATAFRAME"
    return (str(error.failure_cases) if missing else str(error.schema.name), error.reason_code.name)


def _shape_rows(
    name: str, table: ir.Table, column: str, spec: Column, faults: dict, rows: int
) -> Iterator[tuple]:
    if (column, "COLUMN_NOT_IN_DATAFRAME") in faults:
        yield (
            name,
            column,
            f"a column of {spec.kind}s",
            rows,
            f"only {', '.join(table.columns)}",
            f"select it in {name}.sql",
        )
        return
    wrong_type = (column, "WRONG_DATATYPE") in faults
    yield (
        name,
        column,
        f"a column of {spec.kind}s",
        rows if wrong_type else 0,
        str(table[column].type()) if wrong_type else "",
        f"cast it in {name}.sql",
    )
    if spec.required:
        nulls = (
            table.filter(table[column].isnull()).count().execute()
            if (column, "SERIES_CONTAINS_NULLS") in faults
            else 0
        )
        yield (
            name,
            column,
            "no empty values",
            int(nulls),
            "null" if nulls else "",
            "drop these rows in the SQL or fill them from the source",
        )


def _unique_row(name: str, table: ir.Table) -> tuple:
    keys = (
        table.filter(table.customer_id.notnull())
        .group_by("customer_id")
        .agg(rows=lambda t: t.count())
        .filter(lambda t: t.rows > 1)
    )
    found = keys.order_by(ibis.desc("rows"), "customer_id").limit(EXAMPLES).execute()
    surplus = keys.agg(surplus=(keys.rows - 1).sum()).execute().surplus.iloc[0] if len(found) else 0
    return (
        name,
        "customer_id",
        "one row per customer",
        int(surplus),
        _examples(found.customer_id),
        "keep one row per customer in the SQL",
    )


def _total_row(name: str, table: ir.Table, column: str) -> tuple:
    """A customer's amounts must add up to what 64 bits hold in millionths; asked customer by
    customer only where the table's total exceeds it.
    """
    size = table[column].abs()
    found, failing = pd.DataFrame({"customer_id": []}), 0
    if float(table.agg(total=size.sum()).execute().total.iloc[0] or 0) > 9 * MOST:
        beyond = (
            table.group_by("customer_id").agg(total=size.sum()).filter(lambda t: t.total > 9 * MOST)
        )
        failing, found = (
            beyond.count().execute(),
            beyond.order_by("customer_id").limit(EXAMPLES).execute(),
        )
    return (
        name,
        column,
        f"at most {9 * MOST:g} in all for each customer",
        int(failing),
        _examples(found.customer_id),
        "correct them in the SQL",
    )


def _usable(name: str, table: ir.Table, promise: Promise, faults: dict) -> bool:
    """A promise can be checked where its columns exist with the right types."""
    first = {then: first for first, then in CONTRACTS[name].ordered}.get(promise.column)
    columns = [
        promise.column,
        *([first] if promise.required.startswith("dates on or after") else []),
    ]
    return all(
        column in table.columns and (column, "WRONG_DATATYPE") not in faults for column in columns
    )


def _promise_row(name: str, table: ir.Table, promise: Promise) -> tuple:
    check = pa.Check(
        lambda data: promise.holds(data.table).fill_null(True), n_failure_cases=EXAMPLES
    )
    failing, examples = 0, ""
    if _validate(pa.DataFrameSchema(checks=check), table):
        broken = table.filter(~promise.holds(table).fill_null(True))
        failing = broken.count().execute()
        examples = _examples(
            broken.select(promise.column)
            .distinct()
            .order_by(promise.column)
            .limit(EXAMPLES)
            .execute()[promise.column]
        )
    return name, promise.column, promise.required, int(failing), examples, promise.remedy


def _examples(values: pd.Series) -> str:
    return ", ".join(
        (
            repr(value)
            if isinstance(value, str) and value != value.strip() or value == ""
            else str(value)
        )
        for value in values
    )


def require(checks: pd.DataFrame) -> None:
    """Raise a ``StudyError`` with one sentence for every broken promise of ``checks``."""
    broken = checks[checks.rows_failing > 0]
    if len(broken):
        raise StudyError(*(_broken_sentence(row) for row in broken.itertuples()))


def _broken_sentence(row) -> str:
    place = f"table {row.table}, column {row.column}" if row.column else f"table {row.table}"
    count = (
        ""
        if not row.column
        else f" in {row.rows_failing:,} row{'s' if row.rows_failing > 1 else ''}"
    )
    return f"{place}: expected {row.required}, got {row.examples}{count}; {row.remedy}"
