"""Small companies with two futures: the same rows known by the end of a snapshot, and whatever may
follow it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import ibis
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from research.data.contracts import CONTRACTS, KINDS

DAY = pd.Timedelta(days=1)
KNOWN = [f"c{i}" for i in range(14)]  # customers known by the snapshot
STRANGERS = [
    "f0",
    "f1",
]  # somebody with rows before the snapshot whom the company knows later, or never
INVENTED = ["i0", "i1", "i2"]  # nobody before the snapshot

AGES = st.sampled_from([0, 0, 1, 2, 6, 7, 8, 14, 15, 16, 29, 30, 31, 45, 60]) | st.integers(0, 400)
HOURS = st.sampled_from(["0h", "0h", "6h", "11:59:59.999999", "18h", "23:59:59.999999"])
DELAYS = st.sampled_from([0, 0, 0, 1, 5, 16, 40])
AMOUNTS = st.sampled_from([-20.0, 0.0, 0.01, 9.99, 10.0, 1234.5])
EXTREMES = st.sampled_from([-1e11, 1e11, 1e-9]) | AMOUNTS
TEXTS = ["lovely and quick", "great help", "awful, late again", "broken and slow"]
NEW = ["", "🚀 never seen before", "x" * 50]


def _few(*names: str) -> Callable[[list[str]], st.SearchStrategy]:
    """Return the draw of a few texts, of none, and of texts that no past has."""
    return lambda news: st.sampled_from([*names, None, *news])


SPECIAL = {
    ("contracts", "plan"): _few("basic", "gold"),
    ("contracts", "monthly_fee"): lambda news: st.sampled_from([0.0, 10.0, 12.5, None]),
    ("contracts", "term_months"): lambda news: st.sampled_from([0.0, 1, 12, None]),
    ("orders", "product"): _few("p", "q"),
    ("usage", "kind"): _few("web", "app"),
    ("feedback", "score"): lambda news: st.sampled_from([1.0, 3.0, 5.0, None]),
    ("feedback", "score_max"): lambda news: st.just(5.0),
    ("feedback", "text"): _few(*TEXTS),
    ("campaigns", "campaign"): lambda news: st.sampled_from(["spring", "summer", *news]),
    ("campaigns", "arm"): lambda news: st.sampled_from(["control", "mail", *news]),
    ("campaigns", "cost"): lambda news: st.sampled_from([0.0, 1.5, None]),
    ("campaigns", "propensity"): lambda news: st.sampled_from([0.5, None]),
}  # columns whose values mean something to features


def _values(future: bool) -> dict[str, dict[str, st.SearchStrategy]]:
    """Return what the columns of each table but keys, days and later resolutions hold; a future may
    hold what no past has.
    """
    values = {
        name: {
            column: _draw_column(name, column, future)
            for column, spec in table.columns.items()
            if spec.kind not in ("key", "time") and column not in table.later
        }
        for name, table in CONTRACTS.items()
        if table.dated
    }
    values["customers"] |= {
        "region": _few("north", "south")(NEW if future else []),
        "vip": st.sampled_from([0.0, 1.0, None]),
    }
    return values


def _draw_column(name: str, column: str, future: bool) -> st.SearchStrategy:
    news, spec = NEW if future else [], CONTRACTS[name].columns[column]
    if (name, column) in SPECIAL:
        return SPECIAL[name, column](news)
    if spec.kind == "number":
        numbers = EXTREMES if future else AMOUNTS
        return numbers if spec.required else numbers | st.none()
    return st.sampled_from([True, False, None]) if spec.kind == "flag" else _few("a", "b")(news)


PAST_VALUES, FUTURE_VALUES = _values(False), _values(True)
RESOLVED_VALUES = {"text": ["price", "moved"], "flag": [True, False]}


def _resolve(name: str, at: pd.Timestamp | None) -> dict[str, tuple]:
    """Return the columns that a resolution at a day fills, each with the values it may have."""
    table = CONTRACTS[name]
    details = {
        column: (RESOLVED_VALUES[table.columns[column].kind]) for column in table.resolved.details
    }
    return {table.resolved.at: [at]} | details


@dataclass(repr=False)
class Futures:
    """Two companies that nobody can tell apart at the end of ``day``."""

    day: date
    one: dict[str, pa.Table]
    other: dict[str, pa.Table]


@st.composite
def futures(draw, days: list[date]) -> Futures:
    """Draw a company's past up to one of the days, and two futures for it; the second's rows lie in
    another order.
    """
    day, order = draw(st.sampled_from(days)), random.Random(draw(st.integers(0, 9)))
    after, one, other = pd.Timestamp(day) + DAY, {}, {}
    for name in PAST_VALUES:
        past = [_past_row(draw, name, after, customer) for customer in _past_customers(draw, name)]
        for tables in (one, other):
            rows = [row | _later(draw, name, row, after) for row in past]
            new = [
                _future_row(draw, name, after, customer)
                for customer in _future_customers(draw, name)
            ]
            tables[name] = [
                *rows,
                *new,
                *(new[-1:] if name != "customers" else []),
                *_teach(name, min(days)),
            ]
        order.shuffle(other[name])
    return Futures(
        day,
        *(
            {name: _tabulate(name, rows) for name, rows in tables.items()}
            for tables in (one, other)
        ),
    )


def _past_customers(draw, name: str) -> list[str]:
    return (
        KNOWN
        if name == "customers"
        else draw(st.lists(st.sampled_from([*KNOWN, *STRANGERS]), min_size=8, max_size=20))
    )


def _future_customers(draw, name: str) -> list[str]:
    others = [*STRANGERS, *INVENTED]
    if name == "customers":
        return draw(st.lists(st.sampled_from(others), unique=True))
    return draw(st.lists(st.sampled_from([*KNOWN, *others]), min_size=2, max_size=8))


def _past_row(draw, name: str, after: pd.Timestamp, customer: str) -> dict:
    """Return a row dated and known by the end of the snapshot; a resolution by then belongs to
    it.
    """
    dated = after - DAY * (1 + draw(AGES)) + pd.Timedelta(draw(HOURS))
    row = {
        "customer_id": customer,
        CONTRACTS[name].dated: dated,
        "known_at": min(dated + DAY * draw(DELAYS), after - pd.Timedelta("1us")),
    }
    if CONTRACTS[name].resolved and draw(st.booleans()):
        at = min(dated + DAY * draw(AGES), after - pd.Timedelta("1us"))
        row |= {key: draw(st.sampled_from(values)) for key, values in _resolve(name, at).items()}
    return row | {column: draw(values) for column, values in PAST_VALUES[name].items()}


def _later(draw, name: str, row: dict, after: pd.Timestamp) -> dict:
    """Return what a past row says of the days after the snapshot."""
    if name == "customers":
        return (
            {"upgraded_on": after + DAY * draw(AGES)}
            if row["customer_id"] < "c5"
            else {"upgraded_on": row["joined_at"].normalize()}
        )
    resolved = CONTRACTS[name].resolved
    if not resolved or resolved.at in row:
        return {}
    at = draw(st.none() | AGES.map(lambda age: after + DAY * age))
    return {
        key: at if key == resolved.at else draw(st.sampled_from([*values, None]))
        for key, values in _resolve(name, at).items()
    }


def _future_row(draw, name: str, after: pd.Timestamp, customer: str) -> dict:
    """Return a row dated after the snapshot, or dated before it and known later or never."""
    known_later = draw(st.booleans())
    dated = (
        after - DAY * (1 + draw(AGES))
        if known_later
        else draw(st.just(pd.Timestamp("9999-12-31")) | AGES.map(lambda age: after + DAY * age))
    )
    late = max(after, dated) + DAY * draw(DELAYS) if dated.year < 9999 else dated
    row = {
        "customer_id": customer,
        CONTRACTS[name].dated: dated,
        "known_at": draw(st.none() | st.just(late)) if known_later else late,
    }
    return row | {column: draw(values) for column, values in FUTURE_VALUES[name].items()}


def _tabulate(name: str, rows: list[dict]) -> pa.Table:
    """Return rows with every column of the contract, in its types."""
    own = {column: KINDS[spec.kind] for column, spec in CONTRACTS[name].columns.items()}
    kinds = own | (
        {"region": "string", "vip": "float64", "upgraded_on": "timestamp(6)"}
        if name == "customers"
        else {}
    )
    return pa.Table.from_pylist(rows, schema=ibis.schema(kinds).to_pyarrow())


def _teach(name: str, day: date) -> list[dict]:
    """Return the texts that teach sentiment, known by the first snapshot, and the customer who
    wrote them.
    """
    when = pd.Timestamp(day) - DAY * 100
    row = {"customer_id": "teacher", CONTRACTS[name].dated: when, "known_at": when}
    if name == "customers":
        return [row]
    texts = [(f"{text} {i}", 1.0 + 4 * (text in TEXTS[:2])) for text in TEXTS for i in range(30)]
    return (
        [row | {"text": text, "score": score, "score_max": 5.0} for text, score in texts]
        if name == "feedback"
        else []
    )
