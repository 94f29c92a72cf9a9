"""Remarks on rows that no customer caused: exports that overlap, a row of totals, and a customer
who stands for many.
"""

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from research.data.contracts import CONTRACTS, Tables
from research.data.remark import Remark
from research.study import Study

REPEATED_SHARE = 0.05  # of the order lines equal another: more than two of one article
LEAST_ROWS = 20  # besides the one that may be their total
EXACT = 1e-6  # of a total
COPIES = ibis.util.gen_name("copies")  # as no company names a column
GUEST_SHARE, GUEST_TIMES = 0.05, 100  # of all order lines, and as many as the median customer


def find_repeated_orders(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield how many order lines equal another in all columns, where they are many."""
    if "orders" not in tables:
        return
    orders = tables["orders"]
    lines = orders.group_by(orders.columns).agg(**{COPIES: lambda t: t.count()})
    row = lines.agg(rows=lines[COPIES].sum(), different=lines.count()).to_pandas().iloc[0]
    repeated = int(row.rows) - int(row.different)
    if repeated >= max(LEAST_ROWS, REPEATED_SHARE * row.rows):
        yield Remark(
            "table orders",
            f"{repeated:,} of {int(row.rows):,} rows repeat another one in all columns, and each"
            " counts",
            "if files overlap or an export repeats rows, write SELECT DISTINCT in orders.sql",
        )


def find_totals(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield each column of numbers whose largest value is the sum of all others."""
    for name, table in tables.items():
        for column in _list_amounts(name, table):
            yield from _find_total(name, table, column)


def _list_amounts(name: str, table: ir.Table) -> list[str]:
    """Return the columns that a total may end: numbers of one row per customer, and amounts."""
    return [
        column
        for column in table.columns
        if table[column].type().is_numeric()
        and (CONTRACTS[name].unique or (name, column) == ("orders", "amount"))
    ]


def _find_total(name: str, table: ir.Table, column: str) -> Iterator[Remark]:
    value = table[column].cast("float64")
    row = table.agg(
        rows=(value != 0).sum(),
        most=value.max(),
        total=value.sum(),
        customer=table.customer_id.argmax(value),
    ).to_pandas()
    rows, most, total, customer = row.iloc[0]
    if rows > LEAST_ROWS and most > 0 and abs(total - 2 * most) <= EXACT * most:
        yield Remark(
            f"table {name}, column {column}",
            f"the {most:,.2f} of customer {customer} is the sum of all other rows",
            f"if it is a row of totals, leave it out in {name}.sql",
        )


def find_guests(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield when one customer has so many order lines that it may stand for all without account."""
    if "orders" not in tables:
        return
    lines = tables["orders"].group_by("customer_id").agg(rows=lambda t: t.count())
    row = lines.agg(total=lines.rows.sum(), middle=lines.rows.median(), most=lines.rows.max())
    total, middle, most = row.to_pandas().iloc[0]
    if most >= max(GUEST_SHARE * total, GUEST_TIMES * middle):
        first = lines.order_by(ibis.desc("rows"), "customer_id").limit(1).to_pandas()
        yield Remark(
            "table orders, column customer_id",
            f"customer {first.customer_id[0]} has {most:,.0f} of {total:,.0f} rows, the median"
            f" customer {middle:,.0f}",
            "if it stands for guests or for sales without a customer, leave it out in customers.sql"
            " and orders.sql",
        )
