"""The next products to offer to each customer, with a reason, and pairs that go together."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.intervals import wilson_interval
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population
from research.study import Study
from research.value.baskets import Baskets
from research.value.recommender import (
    CHUNK_ROWS,
    ITEM_TO_ITEM,
    POPULARITY,
    RECENT_POPULARITY,
    Evaluation,
    compute_similarity,
    score_products,
)

MIN_BOTH = 5  # customers who bought both products of a pair
PAIR_SIMILARITY = ("cosine", 5.0)
OFFERS = ["customer_id", "rank", "product", "score", "typical_amount", "model", "reason"]


def tabulate_pairs(evaluation: Evaluation, most: int = 15) -> pd.DataFrame:
    """Return the pairs of products with the highest similarity (cosine, shrunk by 5).

    Returns
    -------
    DataFrame with columns product, also_bought, customers_both, share, low_share, high_share,
    usual_share, lift
        ``share`` of the buyers of ``product`` who also bought the other, with its Wilson interval,
        against ``usual_share`` of all customers; ``lift`` their ratio. Selected as the highest of
        very many pairs, they look clearer than they are. Without columns where nothing can be
        offered.
    """
    if evaluation.missing:
        return pd.DataFrame()
    baskets = evaluation.baskets
    similarity = np.triu(compute_similarity(baskets, *PAIR_SIMILARITY))
    both = (baskets.bought.T @ baskets.bought).toarray()
    similarity[both < MIN_BOTH] = 0
    order = np.argsort(-similarity, axis=None, kind="stable")[: most * 2]
    one, other = np.unravel_index(order[similarity.ravel()[order] > 0][:most], similarity.shape)
    buyers = baskets.buyers
    smaller = np.where(buyers[one] <= buyers[other], one, other)
    larger = np.where(buyers[one] <= buyers[other], other, one)
    share = both[smaller, larger] / buyers[smaller]
    low, high = wilson_interval(share, buyers[smaller])
    usual = buyers[larger] / len(baskets.customers)
    columns = {
        "product": baskets.products[smaller],
        "also_bought": baskets.products[larger],
        "customers_both": both[smaller, larger].astype(int),
        "share": share,
        "low_share": low,
        "high_share": high,
        "usual_share": usual,
        "lift": share / usual,
    }
    return pd.DataFrame(columns)


def recommend_to_population(
    evaluation: Evaluation, tables: Tables, study: Study, snapshot: date | None, count: int
) -> pd.DataFrame:
    """Return the products to offer to everybody in the population at the snapshot.

    See ``recommend_products``; without columns where nothing can be offered.
    """
    if evaluation.missing:
        return pd.DataFrame()
    population = find_population(evidence_as_of(tables, [snapshot]), study)
    customers = population.customer_id.to_pandas().sort_values()
    return recommend_products(evaluation, evaluation.chosen, customers, count)


def recommend_products(
    evaluation: Evaluation, model: str, customers: Sequence, count: int
) -> pd.DataFrame:
    """Return the products to offer to each customer next.

    Parameters
    ----------
    model : item to item, or popularity
    customers : whom to offer something; who has bought nothing yet is offered what is popular
    count : products offered to each, fewer where a customer has bought nearly all

    Returns
    -------
    DataFrame with columns customer_id, rank, product, score, typical_amount, model, reason
        One row per customer and offer. ``score`` is comparable between the offers of one customer;
        ``typical_amount`` the median amount of a line of the product.
    """
    baskets, recent = evaluation.baskets, evaluation.recent
    places = pd.Series(np.arange(len(baskets.customers)), index=baskets.customers)
    buyers = np.array([name for name in customers if name in places.index], dtype=object)
    new = [name for name in customers if name not in places.index]
    popular = POPULARITY if model == ITEM_TO_ITEM else model
    tables = [_offer_popular(baskets, recent, popular, new, count)]
    similarity = compute_similarity(baskets, *evaluation.similarity)
    for at in range(0, len(buyers), CHUNK_ROWS):
        chunk = buyers[at : at + CHUNK_ROWS]
        rows = places.loc[chunk].to_numpy()
        scores = score_products(baskets, recent, evaluation.similarity, rows, 0)[model]
        scores = np.where(baskets.bought[rows].toarray() > 0, -np.inf, scores)
        best = _find_best(scores, count)
        reasons = (
            _name_partners(baskets, similarity, np.repeat(rows, best.shape[1]), best.ravel())
            if model == ITEM_TO_ITEM
            else _name_popularity(baskets, recent, model, best.ravel())
        )
        tables.append(_list_offers(baskets, scores, best, model, chunk, reasons))
    tables = [table for table in tables if len(table)] or tables[:1]
    offers = pd.concat(tables, ignore_index=True)
    return offers.sort_values(["customer_id", "rank"], ignore_index=True)[OFFERS]


def _offer_popular(
    baskets: Baskets, recent: np.ndarray, model: str, customers: list, count: int
) -> pd.DataFrame:
    """Return offers to customers who have bought nothing yet."""
    popularity = recent if model == RECENT_POPULARITY else baskets.buyers
    scores = np.tile(popularity, (len(customers), 1)).astype(float)
    best = _find_best(scores, count)
    reasons = _name_popularity(baskets, recent, model, best.ravel())
    return _list_offers(baskets, scores, best, model, np.array(customers, dtype=object), reasons)


def _find_best(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the products with the highest scores for each customer: (customers, count)."""
    return np.argsort(-scores, axis=1, kind="stable")[:, : min(count, scores.shape[1])]


def _list_offers(
    baskets: Baskets,
    scores: np.ndarray,
    best: np.ndarray,
    model: str,
    customers: np.ndarray,
    reasons: list[str],
) -> pd.DataFrame:
    """Return one row per customer and product, without products that the customer has bought."""
    count, values = best.shape[1], np.take_along_axis(scores, best, axis=1).ravel()
    columns = {
        "customer_id": np.repeat(customers, count),
        "rank": np.tile(np.arange(count), len(customers)) + 1,
        "product": baskets.products[best.ravel()],
        "score": values,
        "model": model,
        "typical_amount": baskets.amounts[best.ravel()],
        "reason": reasons,
    }
    return pd.DataFrame(columns)[np.isfinite(values)]


def _name_popularity(
    baskets: Baskets, recent: np.ndarray, model: str, products: np.ndarray
) -> list[str]:
    if model == RECENT_POPULARITY:
        return [f"bought by {number:,.0f} customers recently" for number in recent[products]]
    return [_name_share(share) for share in baskets.buyers[products] / len(baskets.customers)]


def _name_share(share: float) -> str:
    return f"bought by {share:.0%} of customers"


def _name_partners(
    baskets: Baskets, similarity: np.ndarray, rows: np.ndarray, products: np.ndarray
) -> list[str]:
    """Name the product bought by the customer that is most similar to each offer."""
    reasons, share = [], baskets.buyers / len(baskets.customers)
    for at in range(0, len(rows), CHUNK_ROWS):
        offered = products[at : at + CHUNK_ROWS]
        owned = baskets.bought[rows[at : at + CHUNK_ROWS]].toarray()
        weights = owned * similarity[:, offered].T
        best = weights.argmax(axis=1)
        highest = weights[np.arange(len(best)), best]
        reasons += [
            f"bought together with {baskets.products[partner]}"
            if weight > 0
            else _name_share(share[product])
            for partner, weight, product in zip(best, highest, offered, strict=True)
        ]
    return reasons
