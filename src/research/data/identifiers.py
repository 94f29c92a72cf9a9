"""Identifiers as they look and as they are: blanks of Unicode, and other forms of equal letters."""

import unicodedata
from collections.abc import Iterator

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.study import Study

# what a reader takes for a blank, or doesn't see at all
BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
    "\xad\u061c\u180e\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069"
)
SURROUNDED = f"^[{BLANKS}]|[{BLANKS}]$"
NOT_ASCII = "[^\x01-\x7f]"
EXAMPLES = 3


def is_bare(identifiers: ir.StringColumn) -> ir.BooleanColumn:
    """Return whether identifiers are filled and without any blank of Unicode around them."""
    return ~identifiers.re_search(SURROUNDED) & (identifiers != "")


def show_blanks(identifier: str) -> str:
    """Return an identifier in quotes, with each blank that can't be seen by its code."""
    return "'" + "".join(_show_character(each) for each in identifier) + "'"


def _show_character(character: str) -> str:
    if character == " " or character not in BLANKS:
        return character
    return character.encode("unicode_escape").decode()


def find_equal_forms(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark on identifiers that look alike and are not, by another form of Unicode."""
    name = "snapshot" if "snapshot" in tables else "customers"
    identifiers = tables[name].customer_id
    special = tables[name].filter(identifiers.re_search(NOT_ASCII)).select("customer_id")
    found = special.distinct().execute().customer_id.dropna()
    forms = found.map(_normalise)
    plain = tables[name].filter(identifiers.isin(forms.unique().tolist())) if len(forms) else None
    others = plain.select("customer_id").distinct().execute().customer_id if len(forms) else found
    rows = pd.DataFrame({"form": [*forms, *others], "given": [*found, *others]}).drop_duplicates()
    groups = rows.groupby("form").given.nunique()
    alike = groups.index[groups > 1]
    if len(alike):
        examples = ", ".join(sorted(alike)[:EXAMPLES])
        yield Remark(
            f"table {name}, column customer_id",
            f"{len(alike):,} identifiers are there in several forms of Unicode that look alike, for"
            f" example {examples}, and count as different customers",
            f"bring them into one form {_suggest_form(rows[rows.form.isin(alike)])}",
        )


def _normalise(identifier: str) -> str:
    """Return an identifier as it looks: letters in one form, without what can't be seen."""
    return unicodedata.normalize("NFKC", _drop_unseen(identifier))


def _drop_unseen(identifier: str) -> str:
    return "".join(each for each in identifier if unicodedata.category(each) != "Cf")


def _suggest_form(rows: pd.DataFrame) -> str:
    """Return what unites identifiers that look alike, as far as DuckDB can."""
    if (rows.given.map(_drop_unseen) == rows.form).all():
        return r"in the SQL, such as regexp_replace(customer_id, '\p{Cf}', '', 'g')"
    if (rows.given.map(lambda each: unicodedata.normalize("NFC", each)) == rows.form).all():
        return "in the SQL, such as nfc_normalize(customer_id)"
    return "at the source, or by translate() in the SQL; nfc_normalize() doesn't unite them"
