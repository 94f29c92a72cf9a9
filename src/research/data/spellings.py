"""Spellings of one category: values that differ in case, blanks or punctuation alone."""

import re
import unicodedata
from collections.abc import Iterator

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.remark import Remark
from research.study import Study

MOST_VALUES = 500  # a column with more is no category
EXAMPLES = 3
MEANING = "+-<>=.,/%#&"  # characters that part values: 0-1 from 01
HYPHEN = re.compile(r"(?<=[^\W\d])[-_](?=[^\W\d])")  # between letters


def find_spellings(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark for each column of categories that spells one of them in several ways."""
    for name, table in tables.items():
        for column in _list_categories(name, table):
            values = table.filter(table[column].notnull()).select(column).distinct()
            read = values.limit(MOST_VALUES + 1).execute()[column]
            if len(read) <= MOST_VALUES and (variants := _find_variants(read)):
                yield _describe(name, column, variants)


def _list_categories(name: str, table: ir.Table) -> list[str]:
    """Return the attributes of customers and the contract columns that are texts."""
    spec = CONTRACTS[name].columns
    return [
        column
        for column in table.columns
        if table[column].type().is_string()
        and (spec[column].kind == "text" if column in spec else CONTRACTS[name].unique)
    ]


def _find_variants(values: pd.Series) -> list[list[str]]:
    """Return the groups of values that are one when case, blanks and punctuation don't count."""
    bare = values.map(_strip)
    groups = values[bare != ""].groupby(bare[bare != ""])
    return [sorted(group) for _, group in groups if len(group) > 1]


def _strip(value: str) -> str:
    plain = HYPHEN.sub("", unicodedata.normalize("NFKC", value).casefold())
    return "".join(each for each in plain if each.isalnum() or each in MEANING)


def _describe(name: str, column: str, variants: list[list[str]]) -> Remark:
    listed = "; ".join(
        " and ".join(f"'{value}'" for value in group) for group in variants[:EXAMPLES]
    )
    more = f" and {len(variants) - EXAMPLES} more" if len(variants) > EXAMPLES else ""
    return Remark(
        f"table {name}, column {column}",
        f"spellings of one value count as several: {listed}{more}",
        f"write one spelling in {name}.sql, such as lower(trim({column}))",
    )
