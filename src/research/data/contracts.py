"""Contract tables: one record each, with all that other packages need to know of a table, and the
conversion of what a study's SQL returns to the types of its columns.

A new table is one record in ``CONTRACTS``, whose name ``study_schema.TABLES`` lists. Checks, data
known at a snapshot, counts and recency features with their descriptions, and the tests of leakage
over time follow from the record. Features of its own need one builder, see
``features.event_details``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from research.study_schema import TABLES

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
    "time_to_event_days",
    "event_observed",
    "leaves_in_data",
    "tenure_days",
    "covered_until",
}  # what settled terms, evidence, labels and features add to a table
KINDS = {
    "key": "string",
    "time": "timestamp(6)",
    "number": "float64",
    "text": "string",
    "flag": "boolean",
}
UTC = "UTC"
ZONED = "timestamp('UTC', 6)"
GRAINS = {
    "customer": "one row per customer",
    "contract": "one row per contract term",
    "event": "one row per event, from which features are counted",
}

EVENT_PARTS = ("words", "timed", "by_company", "own_features")  # of a record with the grain event


@dataclass(frozen=True)
class Column:
    """One contract column: its kind, whether it must exist, and its range.

    A required column holds no nulls.
    """

    kind: str
    required: bool = True
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Resolution:
    """What a row says of a later day than its own, and so is empty until that day.

    ``at``: the column that holds the day. ``details``: columns that are written with it.
    ``derived``: columns that the package adds of it.
    """

    at: str
    details: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """What feature descriptions and reports call the rows of an event table.

    Attributes
    ----------
    rows : "order lines"; a study may use its own word, ``features.words`` in study.yml
    one : one of them as an event, "purchase"
    never : who has none, "never bought"
    active_days : days with one, "days with a purchase"; only where the days of a customer's rows
        have a rhythm, whose gaps then become features
    """

    rows: str = ""
    one: str = ""
    never: str = ""
    active_days: str = ""


@dataclass(frozen=True)
class ContractTable:
    """One contract table.

    Attributes
    ----------
    name : as in ``study_schema.TABLES``; a study gives the table as ``<name>.sql``
    grain : one of ``GRAINS``
    columns : by name
    dated : the column with a row's own day; none where rows have no date
    resolved : what a row says of a later day
    summed : amounts that are added up, so that each customer's total must fit into 64 bits
    at_most : pairs of a number and the column that bounds it, unless that is 0
    instead : sets of columns, each of which makes a required column needless, by that column; the
        empty set where a table may lack it, though it must be full where it is given
    words : of an event table
    timed : whether the time of day of a row means something, so that shares of times become
        features
    by_company : whether the company decides when a customer has a row, so that the first one says
        nothing about how long the customer has been there
    own_features : whether ``features.event_details`` has a builder of features for this table

    Raises
    ------
    ValueError
        If a part is missing or doesn't fit the others: one sentence with the table and the part.
    """

    name: str
    grain: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)
    dated: str | None = None
    resolved: Resolution | None = None
    summed: tuple[str, ...] = ()
    at_most: tuple[tuple[str, str], ...] = ()
    instead: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    words: Words | None = None
    timed: bool = False
    by_company: bool = False
    own_features: bool = False

    def __post_init__(self):
        if faults := [f"contract table {self.name}: {fault}" for fault in _list_faults(self)]:
            raise ValueError("\n".join(faults))

    def list_wanted(self, present: Iterable[str]) -> dict[str, Column]:
        """Return the columns that a table with these columns has to fit, without those that others
        make needless: an experiment with an outcome of its own needs no churn.
        """
        present = {*present}
        needless = {
            name
            for name, sets in self.instead.items()
            if name not in present and any(present.issuperset(one) for one in sets)
        }
        return {name: spec for name, spec in self.columns.items() if name not in needless}

    @property
    def unique(self) -> bool:
        """Whether a customer has one row at most."""
        return self.grain == "customer"

    @property
    def ordered(self) -> tuple[tuple[str, str], ...]:
        """Pairs of dates of which the second is never before the first."""
        later = [self.resolved.at] if self.resolved else []
        later += ["known_at"] if "known_at" in self.columns else []
        return tuple((self.dated, column) for column in later)

    @property
    def later(self) -> tuple[str, ...]:
        """Columns that are empty until a later day than the row's own."""
        if self.resolved is None:
            return ()
        return (self.resolved.at, *self.resolved.details, *self.resolved.derived)

    @property
    def rhythmic(self) -> bool:
        """Whether the days of a customer's rows have a rhythm, whose gaps become features."""
        return self.words is not None and bool(self.words.active_days)


def _list_faults(table: ContractTable) -> Iterator[str]:
    """Yield what a record lacks, or what doesn't fit, in sentences."""
    if table.grain not in GRAINS:
        yield f"expected a grain among {', '.join(GRAINS)}, got {table.grain!r}; name what a row is"
    yield from _list_column_faults(table)
    if table.grain == "event":
        yield from _list_event_faults(table)
        return
    given = [part for part in EVENT_PARTS if getattr(table, part)]
    if given and table.grain in GRAINS:
        yield (
            "expected parts of an event table with the grain event alone, got"
            f" {', '.join(given)}; remove it"
        )


def _list_column_faults(table: ContractTable) -> Iterator[str]:
    """Check that the columns exist, with the kinds that other parts of the record need."""
    kinds = {name: column.kind for name, column in table.columns.items()}
    for name, kind in kinds.items():
        if kind not in KINDS:
            yield f"expected a kind among {', '.join(KINDS)}, got {kind!r} for {name}; correct it"
    wanted = {"customer_id": "key"}
    if table.dated is not None:
        wanted |= {table.dated: "time", "known_at": "time"}
    if table.resolved:
        wanted |= {table.resolved.at: "time"}
        wanted |= dict.fromkeys(table.resolved.details, "")
    wanted |= dict.fromkeys(
        [*table.summed, *(name for pair in table.at_most for name in pair)], "number"
    )
    for name, kind in wanted.items():
        if name not in kinds or kind not in ("", kinds[name]):
            kind, given = f" of kind {kind}" if kind else "", kinds.get(name, "no such column")
            yield f"expected a column {name}{kind}, got {given}; add it to its columns"
    if table.resolved and table.dated is None:
        yield "expected the column that dates a row (dated), got none; what it resolves needs one"


def _list_event_faults(table: ContractTable) -> Iterator[str]:
    """Check what counts and recency features of an event table are made of."""
    if table.dated is None:
        yield "expected the column that dates a row (dated), got none; name it"
    missing = [part for part in ("rows", "one", "never") if not getattr(table.words, part, "")]
    if missing:
        yield (
            f"expected words for its rows (words), got none for {', '.join(missing)}; they stand in"
            " the description of every feature"
        )


def _optional(kind: str, low: float | None = None, high: float | None = None) -> Column:
    return Column(kind, False, low, high)


def _amount(required: bool = False, low: float = -MOST) -> Column:
    return Column("number", required, low, MOST)


def _columns(dated: str, **columns: Column) -> dict[str, Column]:
    """Return the columns of a table whose rows have a date and may carry ``known_at``."""
    known = {"known_at": _optional("time")}
    return {"customer_id": Column("key"), dated: Column("time"), **columns, **known}


RECORDS = (
    ContractTable("customers", grain="customer", columns=_columns("joined_at"), dated="joined_at"),
    ContractTable(
        "contracts",
        grain="contract",
        columns=_columns(
            "started_at",
            ended_at=_optional("time"),
            plan=_optional("text"),
            monthly_fee=_amount(low=0),
            term_months=_optional("number", low=0, high=LONGEST_TERM),
            end_reason=_optional("text"),
            voluntary=_optional("flag"),
        ),
        dated="started_at",
        resolved=Resolution(
            "ended_at", details=("end_reason", "voluntary"), derived=("covered_until",)
        ),
    ),
    ContractTable(
        "orders",
        grain="event",
        columns=_columns(
            "ordered_at",
            amount=_amount(required=True),
            product=_optional("text"),
            quantity=_optional("number"),
            returned=_optional("flag"),
        ),
        dated="ordered_at",
        summed=("amount",),
        instead={"amount": ((),)},
        words=Words("order lines", "purchase", "never bought", "days with a purchase"),
        timed=True,
        own_features=True,
    ),
    ContractTable(
        "usage",
        grain="event",
        columns=_columns("used_at", kind=_optional("text"), amount=_amount()),
        dated="used_at",
        summed=("amount",),
        words=Words("uses", "use", "never used it", "days with use"),
        timed=True,
        own_features=True,
    ),
    ContractTable(
        "contacts",
        grain="event",
        columns=_columns(
            "contacted_at",
            channel=_optional("text"),
            topic=_optional("text"),
            complaint=_optional("flag"),
            resolved_at=_optional("time"),
        ),
        dated="contacted_at",
        resolved=Resolution("resolved_at"),
        words=Words("contacts with service", "contact with service", "never contacted service"),
        timed=True,
        own_features=True,
    ),
    ContractTable(
        "feedback",
        grain="event",
        columns=_columns(
            "given_at",
            kind=_optional("text"),
            score=_amount(),
            score_max=_amount(low=0),
            text=_optional("text"),
        ),
        dated="given_at",
        at_most=(("score", "score_max"),),
        words=Words("answers", "answer", "never gave an answer"),
        own_features=True,
    ),
    ContractTable(
        "referrals",
        grain="event",
        columns=_columns("referred_at"),
        dated="referred_at",
        words=Words("referrals", "referral", "never referred anybody"),
    ),
    ContractTable(
        "campaigns",
        grain="event",
        columns=_columns(
            "assigned_at",
            campaign=Column("text"),
            arm=Column("text"),
            cost=_amount(low=0),
            propensity=_optional("number", low=0, high=1),
        ),
        dated="assigned_at",
        summed=("cost",),
        words=Words("campaigns", "campaign", "were in no campaign"),
        by_company=True,
        own_features=True,
    ),
    ContractTable(
        "snapshot",
        grain="customer",
        columns={
            "customer_id": Column("key"),
            "churned": Column("flag"),
            "duration": _optional("number", low=0),
            "event": _optional("flag"),
            "arm": _optional("text"),
            "outcome": _amount(),
            "value": _amount(),
        },
        instead={"churned": (("arm", "outcome"), ("arm", "value"))},
    ),
)


def index_records(
    records: Iterable[ContractTable], names: Iterable[str] = TABLES
) -> dict[str, ContractTable]:
    """Return records by their names, which must be those that a study may use.

    Raises
    ------
    ValueError
        If a record is missing, or a name that studies know nothing of is given, in one sentence.
    """
    records, names = {table.name: table for table in records}, [*names]
    if [*records] != names:
        raise ValueError(
            "study_schema.TABLES: expected the names of the records in data/contracts.py, in their"
            f" order ({', '.join(records)}), got {', '.join(names)}; write both alike"
        )
    return records


CONTRACTS = index_records(RECORDS)


def list_event_tables() -> list[str]:
    """Return the tables of events, from whose rows features are counted, in their order."""
    return [name for name, table in CONTRACTS.items() if table.grain == "event"]


def conform(table: ir.Table, name: str, time_zone: str = UTC) -> ir.Table:
    """Cast the contract columns of ``table`` to their canonical types where nothing can be lost.

    Identifiers become text, dates become timestamps, numbers become 64-bit floats, 0/1 flags become
    booleans. A column of another type, say text where a date is required, is left as it is for
    ``checks.check`` to name. Of the attributes, flags and decimals become 64-bit floats, times
    timestamps as above, times of day, intervals and JSON text.

    Parameters
    ----------
    table : contract table ``name``
    time_zone : IANA name; times with a zone become local times of it, others stay as they are
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
    values = {column: _cast(table[column], to, time_zone) for column, to in casts.items()}
    return table.mutate(**values) if values else table


def _cast(column: ir.Value, to: str, time_zone: str) -> ir.Value:
    """Cast a column; not every engine casts flags to numbers, or numbers to flags."""
    if column.type().is_boolean() and to == "float64":
        return ibis.cases((column, 1), (~column, 0)).cast(to)  # of 1.0 DuckDB makes a decimal
    if to == KINDS["time"] and _has_zone(column):
        # in two steps: of nanoseconds with a zone DuckDB makes no plain time in one
        return _as_local(column.cast(ZONED), time_zone)
    return column == 1 if column.type().is_integer() and to == "boolean" else column.cast(to)


def _has_zone(column: ir.Value) -> bool:
    """Return whether a column holds times with a zone; nanoseconds have a type unknown to Ibis."""
    dtype = column.type()
    return dtype.is_unknown() or (dtype.is_timestamp() and dtype.timezone is not None)


def _as_local(moment: ir.Value, time_zone: str) -> ir.Value:
    """Return the local time of a zone at a moment, as the engine computes it."""
    return moment.cast(KINDS["time"]) if time_zone == UTC else _timezone(time_zone, moment)


@ibis.udf.scalar.builtin(name="timezone", signature=(("string", ZONED), KINDS["time"]))
def _timezone(time_zone, moment):
    """Return the local time of a zone; a function of DuckDB and of Postgres."""


def _plain_type(dtype: dt.DataType) -> str | None:
    """Return the type in which an attribute can become a feature; none where it stays as it is."""
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
