"""The next offer of each customer, with a reason, and which products go together: tables for
readers, from the baskets of ``research.offers``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.intervals import wilson
from research.value.recommender import ITEM, OF_LATE, PART, POPULAR, Baskets, score_products, compute_similarity

LEAST_BOTH = 5  # customers who bought both products of a pair that is told
COLUMNS = ["customer_id", "rank", "product", "score", "typical_amount", "model", "reason"]


def tabulate_pairs(baskets: Baskets, most: int = 15) -> pd.DataFrame:
    """Return the pairs of products that go together most clearly, by the similarity (cosine, shrunk
    by 5) of who bought them.

    Returns
    -------
    DataFrame with columns product, also_bought, customers_both, share, low_share, high_share,
    usual_share, lift
        ``share`` of the buyers of ``product`` who also bought the other, with its Wilson interval,
        beside ``usual_share`` of all customers; ``lift`` their ratio. The clearest of very many
        pairs look clearer than they are.
    """
    similar, buyers, people = (
        np.triu(compute_similarity(baskets, "cosine", 5.0)),
        baskets.buyers,
        len(baskets.customers),
    )
    both = (baskets.bought.T @ baskets.bought).toarray()
    similar[both < LEAST_BOTH] = 0
    order = np.argsort(-similar, axis=None, kind="stable")[: most * 2]
    one, other = np.unravel_index(order[similar.ravel()[order] > 0][:most], similar.shape)
    smaller = np.where(buyers[one] <= buyers[other], one, other)
    larger = np.where(buyers[one] <= buyers[other], other, one)
    share = both[smaller, larger] / buyers[smaller]
    low, high = wilson(share, buyers[smaller])
    usual = buyers[larger] / people
    columns = {
        "product": baskets.products[smaller],
        "also_bought": baskets.products[larger],
        "customers_both": both[smaller, larger].astype(int),
    }
    return pd.DataFrame(
        columns
        | {
            "share": share,
            "low_share": low,
            "high_share": high,
            "usual_share": usual,
            "lift": share / usual,
        }
    )


def recommend_products(
    baskets: Baskets,
    recent: np.ndarray,
    way: tuple[str, float],
    model: str,
    customers: Sequence,
    count: int,
) -> pd.DataFrame:
    """Return the products to offer to each customer next.

    Parameters
    ----------
    model : item to item, or a rule of popularity
    customers : whom to offer something; who has bought nothing yet is offered what is popular
    count : products offered to each, fewer where a customer has bought nearly all

    Returns
    -------
    DataFrame with columns customer_id, rank, product, score, typical_amount, model, reason
        One row per customer and offer. ``score`` is comparable between the offers of one customer;
        ``typical_amount`` the median of what a line of the product brings.
    """
    names = pd.Series(np.arange(len(baskets.customers)), index=baskets.customers)
    known = np.array([name for name in customers if name in names.index], dtype=object)
    new = [name for name in customers if name not in names.index]
    tables = [_offer_new(baskets, recent, model if model != ITEM else POPULAR, new, count)]
    similar = compute_similarity(baskets, *way)
    for at in range(0, len(known), PART):
        rows = names.loc[known[at : at + PART]].to_numpy()
        scores = score_products(baskets, recent, way, rows, 0)[model]
        scores = np.where(baskets.bought[rows].toarray() > 0, -np.inf, scores)
        tables.append(
            _pick(
                baskets,
                recent,
                scores,
                model,
                known[at : at + PART],
                count,
                similar if model == ITEM else None,
                rows,
            )
        )
    tables = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(tables, ignore_index=True).sort_values(
        ["customer_id", "rank"], ignore_index=True
    )[COLUMNS]


def _offer_new(
    baskets: Baskets, recent: np.ndarray, model: str, customers: list, count: int
) -> pd.DataFrame:
    scores = np.tile(recent if model == OF_LATE else baskets.buyers, (len(customers), 1)).astype(
        float
    )
    return _pick(
        baskets,
        recent,
        scores,
        model,
        np.array(customers, dtype=object),
        count,
        None,
        np.zeros(0, int),
    )


def _pick(
    baskets: Baskets,
    recent: np.ndarray,
    scores: np.ndarray,
    model: str,
    customers: np.ndarray,
    count: int,
    similar: np.ndarray | None,
    rows: np.ndarray,
) -> pd.DataFrame:
    count = min(count, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    who, place = (
        np.repeat(np.arange(len(customers)), count),
        np.tile(np.arange(count), len(customers)),
    )
    what, value = best.ravel(), np.take_along_axis(scores, best, axis=1).ravel()
    table = pd.DataFrame(
        {
            "customer_id": customers[who],
            "rank": place + 1,
            "product": baskets.products[what],
            "score": value,
            "model": model,
        }
    )
    table["typical_amount"] = baskets.amounts[what]
    table["reason"] = (
        _tell_popular(baskets, recent, model, what)
        if similar is None
        else _tell_partner(baskets, similar, rows[who], what)
    )
    return table[np.isfinite(value)]


def _tell_popular(baskets: Baskets, recent: np.ndarray, model: str, what: np.ndarray) -> list[str]:
    if model == OF_LATE:
        return [f"bought by {number:,.0f} customers of late" for number in recent[what]]
    return [
        f"bought by {share:.0%} of customers"
        for share in baskets.buyers[what] / len(baskets.customers)
    ]


def _tell_partner(
    baskets: Baskets, similar: np.ndarray, rows: np.ndarray, what: np.ndarray
) -> list[str]:
    """Name the product, of those the customer has bought, that speaks most for each offer."""
    found = []
    for at in range(0, len(rows), PART):
        owned = baskets.bought[rows[at : at + PART]].toarray()
        speaks = owned * similar[:, what[at : at + PART]].T
        best = speaks.argmax(axis=1)
        told = zip(best, speaks[np.arange(len(best)), best], what[at : at + PART], strict=True)
        share = baskets.buyers / len(baskets.customers)
        found += [
            (
                f"bought together with {baskets.products[one]}"
                if value > 0
                else f"bought by {share[other]:.0%} of customers"
            )
            for one, value, other in told
        ]
    return found
