"""Remarks on rows that no customer caused: repeated exports, totals, guests."""

import ibis
import numpy as np
import pandas as pd
from contract_tables import register

from research.data.odd_rows import find_guests, find_repeated_orders, find_totals


def orders(customers: int = 40, lines: int = 5) -> pd.DataFrame:
    ids = np.repeat([f"c{i}" for i in range(customers)], lines)
    times = pd.date_range("2024-01-01", periods=len(ids), freq="h")
    amounts = np.arange(len(ids)) % 17 + 1.1
    return pd.DataFrame({"customer_id": ids, "ordered_at": times, "amount": amounts})


def remarks_on(find, **tables: pd.DataFrame) -> list[str]:
    return [str(each) for each in find(register(ibis.duckdb.connect(), **tables), None)]


def test_exports_that_overlap_are_counted():
    rows = orders()
    (sentence,) = remarks_on(find_repeated_orders, orders=pd.concat([rows, rows.head(50)]))
    assert sentence.startswith("table orders: 50 of 250 rows repeat another one in all columns")
    few = pd.concat([rows, rows.head(5)])
    assert remarks_on(find_repeated_orders, orders=few) == []


def test_a_row_of_totals_is_named_with_its_customer():
    rows = orders()
    total = pd.DataFrame({"customer_id": ["Total"], "amount": [rows.amount.sum()]})
    (sentence,) = remarks_on(find_totals, orders=pd.concat([rows, total]))
    assert sentence == (
        f"table orders, column amount: the {rows.amount.sum():,.2f} of customer Total is the sum of"
        " all other rows; if it is a row of totals, leave it out in orders.sql"
    )
    assert remarks_on(find_totals, orders=rows) == []
    flat = pd.DataFrame({"customer_id": rows.customer_id, "churned": False, "fee": rows.amount})
    flat = pd.concat([flat, total.rename(columns={"amount": "fee"}).assign(churned=False)])
    assert "table snapshot, column fee: " in remarks_on(find_totals, snapshot=flat)[0]


def test_a_customer_who_stands_for_many_is_named():
    rows = orders()
    guest = pd.concat([rows] * 3).assign(customer_id="0")
    (sentence,) = remarks_on(find_guests, orders=pd.concat([rows, guest]))
    assert "customer 0 has 600 of 800 rows, the median customer 5; " in sentence
    assert remarks_on(find_guests, orders=rows) == []
