"""Texts that are numbers, dates or flags: what they are, and the cast that mends them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd
from ibis.common.exceptions import IbisError

from research.data.contracts import CONTRACTS, Tables
from research.data.remark import Remark
from research.study import Study

SHARE = 0.9  # of a column's texts that are numbers or dates, from which on all should be
YES_NO = ("y n", "yes no", "true false", "t f", "1 0", "ja nein", "j n", "oui non", "si no")
SYMBOLS = "$€£¥%'’"
NUMBER = rf"^\s*[-+]?[{SYMBOLS}]?\s*(\d+|\d{{1,3}}([.,' ]\d{{3}})+)([.,]\d+)?\s*[{SYMBOLS}]?\s*$"
DIGITS = r"^\d+$"
CODE = r"^\s*0\d"  # a leading zero: no number
DECIMAL_COMMA = r"^\s*[-+]?(\d+|\d{1,3}([.' ]\d{3})*),\d{1,2}\s*$"
DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T].*)?$"
ISO = r"^\s*\d{4}[-/]"
CASTS = {"time": "timestamp", "number": "float64"}  # of contract columns
WORDS = {"time": "dates or times", "number": "numbers"}


@dataclass(frozen=True)
class Texts:
    """How many texts of a column look like what.

    Attributes
    ----------
    filled : neither null nor blank
    blank : nothing but blanks
    numbers, digits, codes, commas, dates, iso : that match the patterns of this module
    kinds : number of different texts
    first : the first text in their order
    """

    filled: int
    blank: int
    numbers: int
    digits: int
    codes: int
    commas: int
    dates: int
    iso: int
    kinds: int
    first: str
    last: str
    shortest: int
    longest: int

    @property
    def numeric(self) -> bool:
        """Whether the texts are numbers; codes of one length, such as postcodes, are none."""
        coded = self.codes or (self.shortest == self.longest and self.digits == self.filled)
        return bool(self.filled) and self.numbers >= SHARE * self.filled and not coded

    @property
    def dated(self) -> bool:
        """Whether the texts are dates."""
        return bool(self.filled) and self.dates >= SHARE * self.filled

    @property
    def flagged(self) -> bool:
        """Whether there are two texts, which say yes and no."""
        pair = {self.first.strip().lower(), self.last.strip().lower()}
        return self.kinds == 2 and pair in [{*words.split()} for words in YES_NO]


def find_text_columns(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark for each attribute whose texts are numbers or dates, and one for flags."""
    for name, table in tables.items():
        attributes = [
            column
            for column in table.columns
            if column not in CONTRACTS[name].columns and table[column].type().is_string()
        ]
        if CONTRACTS[name].unique and attributes:
            found = _count_texts(table, attributes)
            yield from _describe_columns(name, found)


def _describe_columns(name: str, found: dict[str, Texts]) -> Iterator[Remark]:
    for column, texts in found.items():
        if texts.dated or texts.numeric:
            yield _describe_column(name, column, texts)
    flags = [column for column, texts in found.items() if texts.flagged]
    if flags:
        first = flags[0]
        yield Remark(
            f"table {name}, column{'s' if len(flags) > 1 else ''} {', '.join(flags)}",
            f"texts that say yes or no, such as '{found[first].last}', are read as categories",
            f"write flags as conditions in {name}.sql, such as {first} = '{found[first].last}'",
        )


def _describe_column(name: str, column: str, texts: Texts) -> Remark:
    what = "dates" if texts.dated else "numbers"
    others = texts.filled - (texts.dates if texts.dated else texts.numbers)
    beside = f", {others:,} others" if others else ""
    blank = f" and {texts.blank:,} blanks" if texts.blank else ""
    return Remark(
        f"table {name}, column {column}",
        f"{texts.filled - others:,} texts that are {what}, such as '{texts.first}'{beside}{blank}"
        " are read as categories",
        f"cast it in {name}.sql: {suggest_cast(column, texts)}",
    )


def suggest_cast(column: str, texts: Texts) -> str:
    """Return SQL of DuckDB that makes dates or numbers of a column's texts."""
    if texts.dated:
        if texts.iso == texts.dates:
            return f"TRY_CAST({column} AS TIMESTAMP)"
        return f"TRY_STRPTIME({column}, '%d/%m/%Y') with the format of your dates"
    bare = f"regexp_replace({column}, '[^0-9,.-]', '', 'g')"
    if texts.commas:
        bare = f"replace(replace({bare}, '.', ''), ',', '.')"
    else:
        bare = f"replace({bare}, ',', '')"
    return f"TRY_CAST({bare} AS DOUBLE)"


def _count_texts(table: ir.Table, columns: list[str]) -> dict[str, Texts]:
    """Return what the texts of some columns look like, counted by the engine in one pass."""
    counts = {
        f"{number}_{key}": value
        for number, column in enumerate(columns)
        for key, value in _list_counts(table[column]).items()
    }
    row = table.agg(**counts).execute().iloc[0]
    parts = [
        {key: row[f"{number}_{key}"] for key in Texts.__dataclass_fields__}
        for number in range(len(columns))
    ]
    return dict(zip(columns, map(_make_texts, parts), strict=True))


def _list_counts(column: ir.StringColumn) -> dict[str, ir.Value]:
    filled = column.strip() != ""
    patterns = {
        "numbers": NUMBER,
        "digits": DIGITS,
        "codes": CODE,
        "commas": DECIMAL_COMMA,
        "dates": DATE,
        "iso": ISO,
    }
    counts = {key: column.re_search(pattern).sum() for key, pattern in patterns.items()}
    return counts | {
        "filled": filled.sum(),
        "blank": (column.strip() == "").sum(),
        "kinds": column.nunique(),
        "first": column.min(where=filled),
        "last": column.max(where=filled),
        "shortest": column.length().min(where=filled),
        "longest": column.length().max(where=filled),
    }


def _make_texts(values: dict) -> Texts:
    words = {key: "" if pd.isna(values[key]) else str(values[key]) for key in ("first", "last")}
    numbers = {
        key: 0 if pd.isna(value) else int(value)
        for key, value in values.items()
        if key not in words
    }
    return Texts(**numbers, **words)


# Contract columns that arrived as texts


def describe_wrong_texts(name: str, table: ir.Table, column: str, kind: str) -> tuple[str, str]:
    """Return what a contract column of texts contains, and the cast that mends it.

    Values that can't be read as what the contract wants are counted, and the first is named with
    its customer.
    """
    plain = str(table[column].type()), f"cast it in {name}.sql"
    if not table[column].type().is_string():
        return plain
    if kind == "flag":
        return _describe_wrong_flags(name, table, column)
    if kind not in CASTS:
        return plain
    try:
        return _describe_unreadable_texts(name, table, column, kind)
    except IbisError:  # an engine without a cast that may fail
        return plain


def _describe_wrong_flags(name: str, table: ir.Table, column: str) -> tuple[str, str]:
    values = table.select(column).distinct().order_by(column).limit(4).execute()[column].dropna()
    listed = ", ".join(f"'{value}'" for value in values[:3]) + (", …" if len(values) > 3 else "")
    yes = values.iloc[-1] if len(values) else "yes"
    return f"texts ({listed})", f"write a condition in {name}.sql, such as {column} = '{yes}'"


def _describe_unreadable_texts(
    name: str, table: ir.Table, column: str, kind: str
) -> tuple[str, str]:
    cast, texts = CASTS[kind], table[column]
    filled = table.filter(texts.notnull())
    wrong = filled.filter(filled[column].try_cast(cast).isnull())
    counts = filled.agg(rows=filled.count()).execute().rows[0], wrong.count().execute()
    sql = "TIMESTAMP" if kind == "time" else "DOUBLE"
    if not counts[1]:
        return "texts", f"cast it in {name}.sql: CAST({column} AS {sql})"
    first = wrong.order_by(column, "customer_id").limit(1).execute().iloc[0]
    value = re.sub(r"\s+", " ", str(first[column]))
    found = (
        f"texts of which {counts[1]:,} of {counts[0]:,} are no {WORDS[kind]}, such as '{value}' of"
        f" customer {first.customer_id}"
    )
    return found, _suggest_reading(name, wrong, column, sql, first[column])


def _suggest_reading(name: str, wrong: ir.Table, column: str, sql: str, value: str) -> str:
    """Return what to write: a placeholder made null where it is the only one, or a format."""
    quoted = value.replace("'", "''")
    if wrong[column].nunique().execute() == 1:
        return (
            f"make it null and cast the rest in {name}.sql: CAST(NULLIF({column}, '{quoted}') AS"
            f" {sql})"
        )
    texts = _count_texts(wrong, [column])[column]
    if texts.dated or texts.numeric:
        return f"cast it in {name}.sql: {suggest_cast(column, texts)}"
    return f"correct them, or make them null in {name}.sql: TRY_CAST({column} AS {sql})"
