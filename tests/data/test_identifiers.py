"""Identifiers that look alike: blanks of Unicode are blanks, other normal forms are named."""

import unicodedata

import ibis
import pandas as pd
import pytest
from contract_tables import register

from research.data import checks
from research.data.identifiers import find_equal_forms
from research.errors import StudyError

JOINED = pd.Timestamp("2023-01-01")


def tables(*identifiers: str) -> dict:
    rows = pd.DataFrame({"customer_id": identifiers, "joined_at": JOINED})
    return register(ibis.duckdb.connect(), customers=rows)


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("a\u00a0", "'a\\xa0'"),  # no-break space
        ("\u200ba", "'\\u200ba'"),  # zero width
        ("\ufeffa", "'\\ufeffa'"),  # a byte order mark
        ("a\t", "'a\\t'"),
        ("\u202aa", "'\\u202aa'"),  # the direction of writing
        ("a\u00ad", "'a\\xad'"),  # a hyphen where a line may break
        ("a ", "'a '"),
        ("\u3000", "'\\u3000'"),
        ("", "''"),
    ],
)
def test_any_blank_of_unicode_around_an_identifier_is_refused_and_shown(identifier, shown):
    with pytest.raises(StudyError) as caught:
        checks.require_passed(checks.check(tables("b", identifier)))
    assert caught.value.faults == (
        "table customers, column customer_id: expected non-empty identifiers without surrounding"
        f" spaces, got {shown} in 1 row; trim them in the SQL",
    )


def test_a_blank_within_an_identifier_is_part_of_it():
    checks.require_passed(checks.check(tables("a b", "a\u00a0b")))


def test_identifiers_that_look_alike_by_another_normal_form_are_named():
    composed, decomposed = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    (remark,) = find_equal_forms(tables(composed, decomposed, "Zoe", "Øre"), None)
    assert remark.found == (
        "1 identifiers are there in several forms of Unicode that look alike, for example Zoë, and"
        " count as different customers"
    )


def test_a_form_that_looks_like_plain_letters_is_named_too():
    (remark,) = find_equal_forms(tables("A7", "Ａ7"), None)
    assert "A7" in remark.found
    assert [*find_equal_forms(tables("a", "b"), None)] == []


@pytest.mark.parametrize(
    ("other", "remedy"),
    [
        ("A\u200b7", "regexp_replace(customer_id, '\\p{Cf}', '', 'g')"),
        ("A\u00ad7", "regexp_replace(customer_id, '\\p{Cf}', '', 'g')"),
        ("\uff217", "nfc_normalize() doesn't unite them"),
    ],
)
def test_what_cannot_be_seen_within_an_identifier_is_named_with_what_unites_it(other, remedy):
    (remark,) = find_equal_forms(tables("A7", other), None)
    assert remark.remedy.endswith(remedy)
