"""Who has bought what: customers by products, as known at a snapshot."""

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.data.contracts import Tables
from research.errors import StudyError
from research.panel.evidence import filter_as_of
from research.panel.spells import is_purchase
from research.study import Study
from research.value.purchases import start_after

MIN_BUYERS = 5  # of a product that is offered
MAX_PRODUCTS = 4_000  # the most bought ones
PAIR = ["customer_id", "product"]


@dataclass(frozen=True)
class Baskets:
    """Purchases of products.

    Attributes
    ----------
    customers, products : names of the rows and columns
    bought : (customers, products) of 0 and 1
    amounts : (products,), the median amount of a line
    """

    customers: np.ndarray
    products: np.ndarray
    bought: csr_matrix
    amounts: np.ndarray

    @property
    def buyers(self) -> np.ndarray:
        """Customers who have bought each product: (products,)."""
        return np.asarray(self.bought.sum(axis=0)).ravel()


def explain_missing_products(tables: Tables, study: Study) -> str:
    """Return why no further product can be offered; empty where the orders name at least two."""
    if study.kind == "flat":
        return "Not applicable: a flat study has no orders."
    if "orders" not in tables or "product" not in tables["orders"].columns:
        return f"Not applicable: the study {study.name} names no products in its orders."
    count = int(tables["orders"]["product"].nunique().execute())
    if count >= 2:
        return ""
    return (
        f"Not applicable: the orders of the study {study.name} name only {count}, so there is no"
        " further product to offer."
    )


def load_baskets(tables: Tables, snapshot: date) -> Baskets:
    """Return who was known at a snapshot to have bought what.

    Products bought by fewer than ``MIN_BUYERS`` customers, and those beyond the ``MAX_PRODUCTS``
    most bought, are left out.

    Raises
    ------
    StudyError
        If fewer than two products are left.
    """
    rows = _load_pairs(filter_as_of(tables["orders"], "orders", [snapshot]))
    counts = rows.groupby("product").size().sort_values(ascending=False, kind="stable")
    kept = counts[counts >= MIN_BUYERS].index[:MAX_PRODUCTS]
    if len(kept) < 2:
        raise StudyError(
            f"expected at least two products bought by {MIN_BUYERS} customers each by {snapshot},"
            f" got {len(kept)}; use a later snapshot, or coarser products in orders.sql"
        )
    rows = rows[rows["product"].isin(kept)]
    amounts = rows.groupby("product").amount.median().reindex(np.sort(kept))
    row, customers = pd.factorize(rows.customer_id, sort=True)
    column = np.searchsorted(amounts.index.to_numpy(), rows["product"].to_numpy())
    bought = csr_matrix(
        (np.ones(len(rows), "float32"), (row, column)), (len(customers), len(amounts))
    )
    return Baskets(np.asarray(customers), amounts.index.to_numpy(), bought, amounts.to_numpy(float))


def _load_pairs(
    orders: ir.Table, opens: date | None = None, closes: date | None = None
) -> pd.DataFrame:
    """Return each customer and product once, of purchases in ``(opens, closes]``.

    With the mean amount of a line, empty where amounts aren't recorded.
    """
    lines = orders.filter(is_purchase(orders), orders["product"].notnull())
    if opens:
        lines = lines.filter(lines.ordered_at >= ibis.literal(start_after(opens)))
    if closes:
        lines = lines.filter(lines.ordered_at < ibis.literal(start_after(closes)))
    amounts = lines.amount if "amount" in lines.columns else ibis.null("float64")
    lines = lines.mutate(paid=amounts)
    pairs = lines.group_by(PAIR).agg(amount=lines.paid.mean().cast("float64")).to_pandas()
    return pairs.astype({"customer_id": object, "product": str}).sort_values(
        PAIR, ignore_index=True
    )


def find_new_products(
    tables: Tables, baskets: Baskets, opens: date, closes: date, known_by: date | None = None
) -> csr_matrix:
    """Return the products that each customer bought in ``(opens, closes]`` for the first time.

    Shape (customers, products), as in the baskets.
    """
    orders = tables["orders"]
    if known_by is not None:
        orders = filter_as_of(orders, "orders", [known_by])
    rows = _load_pairs(orders, opens, closes)
    rows = rows[rows.customer_id.isin(baskets.customers) & rows["product"].isin(baskets.products)]
    places = (
        np.searchsorted(baskets.customers, rows.customer_id.to_numpy()),
        np.searchsorted(baskets.products, rows["product"].to_numpy()),
    )
    bought = csr_matrix((np.ones(len(rows), "float32"), places), baskets.bought.shape)
    return (bought - bought.multiply(baskets.bought)).tocsr()


def count_recent(tables: Tables, baskets: Baskets, snapshot: date, days: int) -> np.ndarray:
    """Return how many customers bought each product in the ``days`` up to the snapshot."""
    orders = filter_as_of(tables["orders"], "orders", [snapshot])
    rows = _load_pairs(orders, snapshot - timedelta(days=days))
    return rows.groupby("product").size().reindex(baskets.products).fillna(0).to_numpy(float)
