"""The data contract of every table, checked in the table's engine.

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

from research.data.contracts import CONTRACTS, KINDS, MOST, RESERVED, Column
from research.data.identifiers import BLANKS, is_bare, show_blanks
from research.data.text_values import describe_wrong_texts
from research.errors import StudyError
from research.store.keep import keep

EXAMPLES = 3
EARLIEST, LATEST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # pandas has no date before 1677
CUSTOMER_TOTAL = 9 * MOST  # what 64 bits hold in millionths
MISSING, WRONG_TYPE, NULLS = (
    "COLUMN_NOT_IN_DATAFRAME",
    "WRONG_DATATYPE",
    "SERIES_CONTAINS_NULLS",
)  # pandera's reasons
KIND_WORDS = {
    "key": "identifiers",
    "time": "dates or times",
    "number": "numbers",
    "text": "texts",
    "flag": "flags (true or false)",
}
COLUMN_OF = "a column of"
ONE_ROW = "one row per customer"
TOTAL = f"a total of at most {CUSTOMER_TOTAL:g} per customer"
COLUMNS = ["table", "column", "required", "rows_failing", "examples", "remedy"]


@dataclass(frozen=True)
class Check:
    """A rule on the rows of one table.

    ``passes`` is true where a row satisfies the rule; null counts as satisfied. ``needs`` names the
    other column that the rule reads, if any; ``looks_up`` says that it reads another table.
    """

    column: str
    required: str
    remedy: str
    passes: Callable[[ir.Table], ir.BooleanValue]
    needs: str | None = None
    looks_up: bool = False


def check(tables: dict[str, ir.Table], today: date | None = None) -> pd.DataFrame:
    """Check every contract table against its data contract.

    Parameters
    ----------
    tables : dict of Ibis tables by contract name
    today : date, optional
        Events after this day are faults; the current day unless given.

    Returns
    -------
    DataFrame with columns table, column, required, rows_failing, examples, remedy
        One row per check; ``rows_failing`` is 0 where it passed. Missing columns and wrong types
        fail on every row.
    """
    return _check_on(tables, today or date.today())


@keep
def _check_on(tables: dict[str, ir.Table], today: date) -> pd.DataFrame:
    rows = [
        row
        for name, table in tables.items()
        for row in _check_table(name, table, tables.get("customers"), today)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def require_passed(checks: pd.DataFrame) -> None:
    """Raise a ``StudyError`` with one sentence for every check of ``checks`` that failed."""
    failed = checks[checks.rows_failing > 0]
    if len(failed):
        raise StudyError(*(_describe_failure(row) for row in failed.itertuples()))


def _describe_failure(row) -> str:
    place = f"table {row.table}, column {row.column}" if row.column else f"table {row.table}"
    return f"{place}: expected {row.required}, got {_describe_found(row)}; {row.remedy}"


def _describe_found(row) -> str:
    """Return the examples with what was counted: rows, repeated rows, customers, or nothing."""
    ending = "" if row.rows_failing == 1 else "s"
    if not row.column or row.required.startswith(COLUMN_OF):
        return row.examples
    if row.required == ONE_ROW:
        return f"{row.rows_failing:,} repeated row{ending}, for example of {row.examples}"
    if row.required == TOTAL:
        return f"more for {row.rows_failing:,} customer{ending}, for example {row.examples}"
    return f"{row.examples} in {row.rows_failing:,} row{ending}"


def _check_table(
    name: str, table: ir.Table, customers: ir.Table | None, today: date
) -> Iterator[tuple]:
    """Yield one row for each check: first on the table, then on its columns, then on its rows."""
    rows = table.count().execute()
    yield _check_filled(name, rows)
    yield _check_names(name, table)
    yield _check_nesting(name, table)
    faults = _find_column_faults(name, table)
    for column, spec in CONTRACTS[name].list_wanted(table.columns).items():
        if column in table.columns or spec.required:
            yield from _check_column(name, table, column, spec, faults, rows)
    if CONTRACTS[name].unique and "customer_id" in table.columns:
        yield _check_unique(name, table)
    for column in CONTRACTS[name].summed:
        if column in table.columns and (column, WRONG_TYPE) not in faults:
            yield _check_totals(name, table, column)
    rules = [
        rule
        for rule in _list_checks(name, table, customers, today)
        if _is_possible(table, rule, faults)
    ]
    yield from _check_rows(name, table, rules)


# Checks on a table and its columns


def _check_filled(name: str, rows: int) -> tuple:
    found = "an empty table" if rows == 0 else ""
    remedy = "check the SQL's filters and the raw files"
    return name, "", "at least one row", int(rows == 0), found, remedy


def _check_names(name: str, table: ir.Table) -> tuple:
    """Refuse attributes named like a column that a later step adds."""
    reserved = sorted(RESERVED - {*CONTRACTS[name].columns})
    taken = [
        column
        for column in _list_attributes(name, table)
        if column.lower() in reserved or column.lower().endswith("_right")
    ]
    required = f"no column named {', '.join(reserved)} or *_right"
    return name, "", required, len(taken), ", ".join(taken), f"rename it in {name}.sql"


def _check_nesting(name: str, table: ir.Table) -> tuple:
    """Refuse attributes of lists, structs or bytes."""
    nested = [
        f"{column} ({table[column].type()})"
        for column in _list_attributes(name, table)
        if table[column].type().is_nested() or table[column].type().is_binary()
    ]
    remedy = f"split it in {name}.sql or leave it out"
    return name, "", "columns of single values", len(nested), ", ".join(nested), remedy


def _list_attributes(name: str, table: ir.Table) -> list[str]:
    """Return the columns of a table that its contract doesn't name."""
    return [column for column in table.columns if column not in CONTRACTS[name].columns]


def _find_column_faults(name: str, table: ir.Table) -> dict[tuple[str, str], str]:
    """Return missing columns, wrong types and nulls as {(column, reason): what was found}.

    A type that pandera doesn't know, say a list, is wrong for every contract column.
    """
    unknown = {
        column
        for column in CONTRACTS[name].columns
        if column in table.columns and not _is_known(table[column])
    }
    columns = {
        column: pa.Column(
            ibis.dtype(KINDS[spec.kind]), nullable=not spec.required, required=spec.required
        )
        for column, spec in CONTRACTS[name].list_wanted(table.columns).items()
        if column not in unknown
    }
    return _validate(pa.DataFrameSchema(columns), table) | {
        (column, WRONG_TYPE): str(table[column].type()) for column in unknown
    }


def _is_known(column: ir.Value) -> bool:
    try:
        ibis_engine.Engine.dtype(column.type())
    except TypeError:
        return False
    return True


def _validate(schema: pa.DataFrameSchema, table: ir.Table) -> dict[tuple[str, str], str]:
    """Return what pandera finds as {(column, reason): what was found}."""
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        return {_locate(error): str(error.failure_cases) for error in errors.schema_errors}
    return {}


def _locate(error) -> tuple[str, str]:
    reason = error.reason_code.name
    return str(error.failure_cases) if reason == MISSING else str(error.schema.name), reason


def _check_column(
    name: str, table: ir.Table, column: str, spec: Column, faults: dict, rows: int
) -> Iterator[tuple]:
    required = f"{COLUMN_OF} {KIND_WORDS[spec.kind]}"
    if (column, MISSING) in faults:
        found = f"only the columns {', '.join(table.columns)}"
        yield name, column, required, rows, found, f"select it in {name}.sql"
        return
    if (column, WRONG_TYPE) in faults:
        found, remedy = describe_wrong_texts(name, table, column, spec.kind)
        yield name, column, required, rows, found, remedy
    else:
        yield name, column, required, 0, "", f"cast it in {name}.sql"
    if spec.required:
        yield _check_nulls(name, table, column, (column, NULLS) in faults)


def _check_nulls(name: str, table: ir.Table, column: str, any_null: bool) -> tuple:
    nulls = table.filter(table[column].isnull()).count().execute() if any_null else 0
    remedy = "drop these rows in the SQL or fill them from the source"
    return name, column, "no empty values", int(nulls), "null" if nulls else "", remedy


def _check_unique(name: str, table: ir.Table) -> tuple:
    counts = table.filter(table.customer_id.notnull()).group_by("customer_id")
    repeated = counts.agg(rows=lambda t: t.count()).filter(lambda t: t.rows > 1)
    first = repeated.order_by(ibis.desc("rows"), "customer_id").limit(EXAMPLES).execute()
    surplus = int((repeated.rows - 1).sum().execute()) if len(first) else 0
    remedy = "keep one row per customer in the SQL"
    return name, "customer_id", ONE_ROW, surplus, _list_examples(first.customer_id), remedy


def _check_totals(name: str, table: ir.Table, column: str) -> tuple:
    """Bound each customer's total, so that sums in whole millionths fit 64 bits.

    Customers are only summed one by one where the total of the table exceeds the bound.
    """
    size = table[column].abs()
    failing, examples = 0, ""
    if float(table.agg(total=size.sum()).execute().total.iloc[0] or 0) > CUSTOMER_TOTAL:
        totals = table.group_by("customer_id").agg(total=size.sum())
        beyond = totals.filter(lambda t: t.total > CUSTOMER_TOTAL)
        failing = beyond.count().execute()
        first = beyond.order_by("customer_id").limit(EXAMPLES).execute()
        examples = _list_examples(first.customer_id)
    return name, column, TOTAL, int(failing), examples, "correct the amounts in the SQL"


# Checks on rows


def _list_checks(
    name: str, table: ir.Table, customers: ir.Table | None, today: date
) -> Iterator[Check]:
    yield from _list_finite_checks(name, table)
    yield from _list_attribute_date_checks(name, table)
    yield from _list_range_checks(name)
    yield from _list_bound_checks(name)
    yield from _list_time_checks(name, today)
    yield from _list_key_checks(name, customers)


def _list_finite_checks(name: str, table: ir.Table) -> Iterator[Check]:
    contract = CONTRACTS[name].columns
    for column in table.columns:
        number = (
            contract[column].kind == "number"
            if column in contract
            else table[column].type().is_floating()
        )
        if number:
            yield Check(
                column,
                "finite numbers",
                "make them null in the SQL",
                lambda t, c=column: ~(t[c].isnan() | t[c].isinf()),
            )


def _list_attribute_date_checks(name: str, table: ir.Table) -> Iterator[Check]:
    for column in _list_attributes(name, table):
        if table[column].type().is_date() or table[column].type().is_timestamp():
            yield Check(
                column,
                f"dates from {EARLIEST.year} to {LATEST.year}",
                "make a placeholder null",
                lambda t, c=column: t[c].between(EARLIEST, LATEST),
            )


def _list_range_checks(name: str) -> Iterator[Check]:
    remedy = "correct them in the SQL"
    for column, spec in CONTRACTS[name].columns.items():
        if spec.low is not None:
            required = f"values of at least {spec.low:g}"
            yield Check(column, required, remedy, lambda t, c=column, low=spec.low: t[c] >= low)
        if spec.high is not None:
            required = f"values of at most {spec.high:g}"
            yield Check(column, required, remedy, lambda t, c=column, high=spec.high: t[c] <= high)


def _list_bound_checks(name: str) -> Iterator[Check]:
    for column, bound in CONTRACTS[name].at_most:
        yield Check(
            column,
            f"values of at most {bound}",
            f"correct the {column} or the scale in the SQL",
            lambda t, c=column, b=bound: (t[b] == 0) | (t[c].abs() <= t[b]),
            needs=bound,
        )


def _list_time_checks(name: str, today: date) -> Iterator[Check]:
    tomorrow = pd.Timestamp(today + timedelta(days=1)).to_pydatetime()
    for column, spec in CONTRACTS[name].columns.items():
        if spec.kind == "time":
            yield Check(
                column,
                f"dates from {EARLIEST:%Y-%m-%d} on",
                "make a placeholder null, or drop these rows",
                lambda t, c=column: t[c] >= EARLIEST,
            )
            ends = column in CONTRACTS[name].later
            yield Check(
                column,
                f"dates up to today ({today})",
                "leave it empty until it happens" if ends else "drop or correct these rows",
                lambda t, c=column: t[c] < ibis.literal(tomorrow),
            )
    for first, then in CONTRACTS[name].ordered:
        yield Check(
            then,
            f"dates on or after {first}",
            "drop or correct these rows",
            lambda t, a=first, b=then: t[b].truncate("D") >= t[a].truncate("D"),
            needs=first,
        )


def _list_key_checks(name: str, customers: ir.Table | None) -> Iterator[Check]:
    yield Check(
        "customer_id",
        "non-empty identifiers without surrounding spaces",
        "trim them in the SQL",
        lambda t: is_bare(t.customer_id),
    )
    if not CONTRACTS[name].unique and customers is not None and _has_text_keys(customers):
        listed = customers.filter(customers.customer_id.notnull()).customer_id
        yield Check(
            "customer_id",
            "customers listed in the table customers",
            "add them there or drop these rows",
            lambda t: t.customer_id.isnull() | t.customer_id.isin(listed),
            looks_up=True,
        )


def _has_text_keys(customers: ir.Table) -> bool:
    return "customer_id" in customers.columns and customers.customer_id.type().is_string()


def _is_possible(table: ir.Table, rule: Check, faults: dict) -> bool:
    """Return whether the columns that a check reads exist with the right types."""
    return all(
        column in table.columns and (column, WRONG_TYPE) not in faults
        for column in (rule.column, rule.needs)
        if column is not None
    )


def _check_rows(name: str, table: ir.Table, rules: list[Check]) -> Iterator[tuple]:
    for rule, failing in zip(rules, _count_failing(table, rules), strict=True):
        examples = _find_examples(table, rule) if failing else ""
        yield name, rule.column, rule.required, failing, examples, rule.remedy


def _count_failing(table: ir.Table, rules: list[Check]) -> list[int]:
    """Return how many rows fail each rule.

    One query counts for all rules that read the table alone; a rule that looks other tables up has
    a query of its own, since Spark takes a lookup in a filter only.
    """
    alone = {str(i): rule for i, rule in enumerate(rules) if not rule.looks_up}
    fails = {i: (~_passes(table, rule)).sum().fill_null(0) for i, rule in alone.items()}
    counts = table.agg(**fails).execute().iloc[0] if fails else {}
    return [
        int(counts[str(i)] if str(i) in alone else _list_failed(table, rule).count().execute())
        for i, rule in enumerate(rules)
    ]


def _passes(table: ir.Table, rule: Check) -> ir.BooleanValue:
    return rule.passes(table).fill_null(True)


def _list_failed(table: ir.Table, rule: Check) -> ir.Table:
    return table.filter(~_passes(table, rule))


def _find_examples(table: ir.Table, rule: Check) -> str:
    distinct = _list_failed(table, rule).select(rule.column).distinct()
    return _list_examples(distinct.order_by(rule.column).limit(EXAMPLES).execute()[rule.column])


def _list_examples(values: pd.Series) -> str:
    return ", ".join(_show_example(value) for value in values)


def _show_example(value: object) -> str:
    """Return a value as a sentence shows it: in quotes where its spaces would not be seen."""
    blank = isinstance(value, str) and (value == "" or value.strip(BLANKS) != value)
    return show_blanks(value) if blank else str(value)
