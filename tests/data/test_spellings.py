"""Spellings of one category that count as several are named."""

import ibis
import pandas as pd
from contract_tables import register

from research.data.spellings import find_spellings


def remarks_on(*values: str) -> list[str]:
    rows = pd.DataFrame({"customer_id": [str(i) for i in range(len(values))], "city": values})
    tables = register(ibis.duckdb.connect(), snapshot=rows.assign(churned=False))
    return [str(remark) for remark in find_spellings(tables, None)]


def test_values_that_differ_in_case_blanks_or_punctuation_alone_are_named():
    assert remarks_on("Berlin", "berlin ", "BERLIN", "Two year", "Two-year", "Rome") == [
        "table snapshot, column city: spellings of one value count as several: 'BERLIN' and"
        " 'Berlin' and 'berlin '; 'Two year' and 'Two-year'; write one spelling in snapshot.sql,"
        " such as lower(trim(city))"
    ]


def test_different_values_are_left_alone():
    assert remarks_on("0-1", "0+1", "<1", ">1", "1.5", "15", "A", "B") == []


def test_a_column_with_many_values_is_no_category():
    assert remarks_on(*(f"{case}{i}" for i in range(300) for case in "aA")) == []
