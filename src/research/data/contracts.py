"""Contract tables: what columns they hold, and how what a study's SQL returns is brought to their
types; ``promises`` checks the rows.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

MOST = 1e12  # amounts are summed in whole millionths, of which 64 bits hold nine times as many
LONGEST_TERM = 1200  # months; a longer term is a placeholder
RESERVED = {
    "snapshot",
    "churned",
    "left_in_lead",
    "n_repeat",
    "recency_days",
    "age_days",
    "duration_days",
    "event",
    "wait_days",
    "waited",
    "leaves_in_data",
    "tenure_days",
}  # what evidence, labels and features add to a table
KINDS = {
    "key": "string",
    "time": "timestamp(6)",
    "number": "float64",
    "text": "string",
    "flag": "boolean",
}


@dataclass(frozen=True)
class Column:
    """One contract column: its kind, whether it must exist, and its range. A required column holds
    no nulls.
    """

    kind: str
    required: bool = True
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Contract:
    """One contract table: its columns, its key, the column that dates a row, and pairs of columns
    that must be in order.
    """

    columns: dict[str, Column]
    unique: bool = False
    dated: str | None = None
    ordered: tuple[tuple[str, str], ...] = ()


def _optional(kind: str, low: float | None = None, high: float | None = None) -> Column:
    return Column(kind, False, low, high)


def _amount(required: bool = False, low: float = -MOST) -> Column:
    return Column("number", required, low, MOST)


def _events(dated: str, later: tuple[str, ...] = (), **columns: Column) -> Contract:
    """Return the contract of an event table; its rows may carry ``known_at``, never before the
    event itself.
    """
    named = {
        "customer_id": Column("key"),
        dated: Column("time"),
        **columns,
        "known_at": _optional("time"),
    }
    return Contract(
        named, dated=dated, ordered=tuple((dated, column) for column in (*later, "known_at"))
    )


CONTRACTS: dict[str, Contract] = {
    "customers": Contract(
        {"customer_id": Column("key"), "joined_at": Column("time"), "known_at": _optional("time")},
        unique=True,
        dated="joined_at",
        ordered=(("joined_at", "known_at"),),
    ),
    "contracts": _events(
        "started_at",
        later=("ended_at",),
        ended_at=_optional("time"),
        plan=_optional("text"),
        monthly_fee=_amount(low=0),
        term_months=_optional("number", low=0, high=LONGEST_TERM),
        end_reason=_optional("text"),
        voluntary=_optional("flag"),
    ),
    "orders": _events(
        "ordered_at",
        amount=_amount(required=True),
        product=_optional("text"),
        quantity=_optional("number"),
        returned=_optional("flag"),
    ),
    "usage": _events("used_at", kind=_optional("text"), amount=_amount()),
    "contacts": _events(
        "contacted_at",
        later=("resolved_at",),
        channel=_optional("text"),
        topic=_optional("text"),
        complaint=_optional("flag"),
        resolved_at=_optional("time"),
    ),
    "feedback": _events(
        "given_at",
        kind=_optional("text"),
        score=_amount(),
        score_max=_amount(low=0),
        text=_optional("text"),
    ),
    "referrals": _events("referred_at"),
    "campaigns": _events(
        "assigned_at",
        campaign=Column("text"),
        arm=Column("text"),
        cost=_amount(low=0),
        propensity=_optional("number", low=0, high=1),
    ),
    "snapshot": Contract(
        {
            "customer_id": Column("key"),
            "churned": Column("flag"),
            "duration": _optional("number", low=0),
            "event": _optional("flag"),
            "arm": _optional("text"),
            "outcome": _amount(),
            "value": _amount(),
        },
        unique=True,
    ),
}
SUMMED = {"orders": ("amount",), "usage": ("amount",), "campaigns": ("cost",)}
TIMELINE = ("contracts", "orders", "usage", "contacts", "feedback", "referrals", "campaigns")


def conform(table: ir.Table, name: str) -> ir.Table:
    """Cast the contract columns of ``table`` to their canonical types where nothing can be lost.

    Identifiers become text, dates become timestamps (time zones are turned into UTC), numbers
    become 64-bit floats, 0/1 flags become booleans. A column that has the wrong nature, say text
    where a date is required, is left as it is for ``promises.check`` to name. Of the attributes,
    flags and decimals become 64-bit floats, times timestamps as above, times of day, intervals and
    JSON text.
    """
    columns = CONTRACTS[name].columns
    casts = {
        column: KINDS[spec.kind]
        for column, spec in columns.items()
        if column in table.columns and _castable(table[column], spec.kind)
    }
    attributes = {
        column: _plain_type(table[column].type())
        for column in table.columns
        if column not in columns
    }
    casts |= {column: plain for column, plain in attributes.items() if plain}
    return (
        table.mutate(**{column: _cast(table[column], to) for column, to in casts.items()})
        if casts
        else table
    )


def _cast(column: ir.Value, to: str) -> ir.Value:
    """Cast a column; not every engine turns flags into numbers, or numbers into flags, by a
    cast.
    """
    if column.type().is_boolean() and to == "float64":
        return ibis.cases((column, 1), (~column, 0)).cast(to)  # of 1.0 DuckDB makes a decimal
    if (
        column.type().is_unknown() and to == KINDS["time"]
    ):  # nanoseconds with a time zone, of which DuckDB makes no plain time in one step
        return column.cast("timestamp('UTC', 6)").cast(to)
    return column == 1 if column.type().is_integer() and to == "boolean" else column.cast(to)


def _plain_type(dtype: dt.DataType) -> str | None:
    """Return the type in which an attribute of this kind can become a feature, none where it stays
    as it is.
    """
    if dtype.is_decimal() or dtype.is_boolean():
        return "float64"
    if dtype.is_timestamp():
        return KINDS["time"]
    return (
        "string"
        if dtype.is_time() or dtype.is_interval() or dtype.is_uuid() or dtype.is_json()
        else None
    )


def _castable(column: ir.Value, kind: str) -> bool:
    dtype = column.type()
    if dtype.is_unknown():  # what ibis makes of a column that is NULL in every row
        return True
    if kind == "flag" and dtype.is_integer():
        return not column.notin([0, 1]).any().execute()
    return {
        "key": dtype.is_string() or dtype.is_integer() or dtype.is_uuid(),
        "time": dtype.is_timestamp() or dtype.is_date() or dtype.is_null(),
        "number": dtype.is_numeric() or dtype.is_null(),
        "text": not dtype.is_nested(),
        "flag": dtype.is_boolean() or dtype.is_null(),
    }[kind]


Tables = dict[str, ir.Table]
