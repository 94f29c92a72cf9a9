"""Which further product a customer is likely to take, item to item: products that the same
customers have bought, judged out of time against popularity.

Nothing here says that an offer changes what is bought; it says what is likely to be bought next.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.data.contracts import Tables
from research.errors import StudyError
from research.evaluation.bootstrap import draw_weights, find_interval, judge
from research.panel.evidence import cut
from research.panel.spells import is_purchase
from research.study import Study

POPULAR, OF_LATE, LOT, ITEM = "popularity", "popularity of late", "by lot", "item to item"
WAYS = (
    ("cosine", 5.0),
    ("cosine", 50.0),
    ("conditional", 5.0),
    ("conditional", 50.0),
)  # similarity, and how many buyers it is shrunk by
LEAST_BUYERS = 5  # of a product that is offered
MOST_PRODUCTS = 4_000  # the most bought ones
LEAST_JUDGED = 50  # customers who took a further product; fewer can't choose between ways
PART = 2_000  # customers scored at once
LENGTHS = (1, 3, 10)  # of lists that are judged, as long as there are four times as many products
RANK = "mean_reciprocal_rank"


@dataclass(frozen=True)
class Baskets:
    """Who has bought what: ``bought`` is (customers, products) of 0 and 1; ``amounts`` what a line
    of each product usually brings.
    """

    customers: np.ndarray
    products: np.ndarray
    bought: csr_matrix
    amounts: np.ndarray

    @property
    def buyers(self) -> np.ndarray:
        """How many customers have bought each product."""
        return np.asarray(self.bought.sum(axis=0)).ravel()


@dataclass(frozen=True)
class Evaluation:
    """Lists judged out of time: their scores, the length that counts, and what offers are made
    from.
    """

    scores: pd.DataFrame
    length: int
    baskets: Baskets
    recent: np.ndarray
    way: tuple[str, float]


def say_missing(tables: Tables, study: Study) -> str:
    """Say why there is no next offer to be found, in a line; empty where the orders name at least
    two products.
    """
    if "orders" not in tables or "product" not in tables["orders"].columns:
        return f"Not applicable: the study {study.name} names no products in its orders."
    count = int(tables["orders"]["product"].nunique().execute())
    return (
        f"Not applicable: the orders of the study {study.name} name only {count}, so there is no"
        " further product to offer."
        if count < 2
        else ""
    )


def load_baskets(tables: Tables, snapshot: date, opens: date | None = None) -> Baskets:
    """Return who was known at a snapshot to have bought what, since the beginning or after
    ``opens``.

    Products bought by fewer than ``LEAST_BUYERS`` customers, and those beyond the ``MOST_PRODUCTS``
    most bought, are left out.

    Raises
    ------
    StudyError
        If fewer than two products are left.
    """
    rows = _load_lines(cut(tables["orders"], "orders", [snapshot]), opens, None)
    counts = rows.groupby("product").size().sort_values(ascending=False, kind="stable")
    kept = counts[counts >= LEAST_BUYERS].index[:MOST_PRODUCTS]
    if len(kept) < 2:
        raise StudyError(
            f"expected at least two products bought by {LEAST_BUYERS} customers each by {snapshot},"
            f" got {len(kept)}; use a later snapshot, or coarser products in orders.sql"
        )
    rows = rows[rows["product"].isin(kept)]
    amounts = rows.groupby("product").amount.median().reindex(np.sort(kept))
    who, customers = pd.factorize(rows.customer_id, sort=True)
    what = np.searchsorted(amounts.index.to_numpy(), rows["product"].to_numpy())
    bought = csr_matrix(
        (np.ones(len(rows), "float32"), (who, what)), (len(customers), len(amounts))
    )
    return Baskets(np.asarray(customers), amounts.index.to_numpy(), bought, amounts.to_numpy(float))


def _load_lines(orders: ir.Table, opens: date | None, closes: date | None) -> pd.DataFrame:
    """Return each customer and product once, of purchases in ``(opens, closes]``, with the mean
    amount of a line.
    """
    lines = orders.filter(is_purchase(orders), orders["product"].notnull())
    lines = lines.filter(lines.ordered_at >= _after(opens)) if opens else lines
    lines = lines.filter(lines.ordered_at < _after(closes)) if closes else lines
    found = (
        lines.group_by(["customer_id", "product"])
        .agg(amount=lines.amount.mean().cast("float64"))
        .to_pandas()
    )
    return found.astype({"customer_id": object, "product": str}).sort_values(
        ["customer_id", "product"], ignore_index=True
    )


def _after(day: date) -> ibis.Value:
    return ibis.literal(datetime(day.year, day.month, day.day) + timedelta(days=1))


def compute_similarity(baskets: Baskets, similarity: str, shrink: float) -> np.ndarray:
    """Return how much having bought one product (row) speaks for another (column): (products,
    products), 0 on the diagonal.

    ``cosine``: customers of both over the root of the product of either's, times c / (c + shrink)
    with c customers of both (Sarwar et al. 2001, doi:10.1145/371920.372071, with the shrinkage of
    Bell and Koren 2007, doi:10.1109/ICDM.2007.90). ``conditional``: the share of the buyers of one
    who also bought the other, drawn to the other's share of all customers as if ``shrink`` more
    buyers had it (Deshpande and Karypis 2004, doi:10.1145/963770.963776): the larger the shrinkage,
    the nearer to popularity.
    """
    both, buyers = (baskets.bought.T @ baskets.bought).toarray().astype("float32"), baskets.buyers
    if similarity == "cosine":
        found = both / np.sqrt(np.outer(buyers, buyers)) * both / (both + shrink)
    else:
        found = (both + shrink * buyers / len(baskets.customers)) / (buyers[:, None] + shrink)
    np.fill_diagonal(found, 0)
    return found.astype("float32")


def score_products(
    baskets: Baskets, recent: np.ndarray, way: tuple[str, float], rows: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return by model how likely each product is said to be for some customers: (rows, products);
    ties follow popularity.

    Parameters
    ----------
    recent : customers who bought each product of late
    way : out of ``WAYS``
    rows : places of the customers
    """
    owned = baskets.bought[rows]
    tie = baskets.buyers / baskets.buyers.sum() * 1e-6
    item = owned @ compute_similarity(baskets, *way) / np.maximum(np.asarray(owned.sum(axis=1)), 1)
    same = (len(rows), 1)
    lot = np.random.default_rng(seed).random((len(rows), len(baskets.products)))
    return {
        POPULAR: np.tile(baskets.buyers, same),
        OF_LATE: np.tile(recent + tie, same),
        LOT: lot,
        ITEM: np.asarray(item) + tie,
    }


def rank_first_hit(
    baskets: Baskets, scores: np.ndarray, rows: np.ndarray, taken: csr_matrix
) -> np.ndarray:
    """Return at which place of each list the first product stands that was taken; products already
    bought aren't on a list.
    """
    hidden = np.where(baskets.bought[rows].toarray() > 0, -np.inf, scores)
    best = np.where(taken.toarray() > 0, hidden, -np.inf).max(axis=1)
    return 1 + (hidden > best[:, None]).sum(axis=1)


def find_new_products(
    tables: Tables, baskets: Baskets, opens: date, closes: date, known_by: date | None = None
) -> csr_matrix:
    """Return which products each customer of the baskets bought in ``(opens, closes]`` without ever
    having bought them before: (customers, products).
    """
    orders = tables["orders"] if known_by is None else cut(tables["orders"], "orders", [known_by])
    rows = _load_lines(orders, opens, closes)
    rows = rows[rows.customer_id.isin(baskets.customers) & rows["product"].isin(baskets.products)]
    where = (
        np.searchsorted(baskets.customers, rows.customer_id.to_numpy()),
        np.searchsorted(baskets.products, rows["product"].to_numpy()),
    )
    found = csr_matrix((np.ones(len(rows), "float32"), where), baskets.bought.shape)
    return (found - found.multiply(baskets.bought)).tocsr()


def count_recent(tables: Tables, baskets: Baskets, snapshot: date, days: int) -> np.ndarray:
    """Return how many customers bought each product in the ``days`` up to the snapshot."""
    rows = _load_lines(
        cut(tables["orders"], "orders", [snapshot]), snapshot - timedelta(days=days), None
    )
    return rows.groupby("product").size().reindex(baskets.products).fillna(0).to_numpy(float)


def rank_hits(
    baskets: Baskets, recent: np.ndarray, way: tuple[str, float], taken: csr_matrix, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the places of the customers who took a further product, and at which place of each
    model's list the first one stood.
    """
    judged = np.flatnonzero(np.asarray(taken.sum(axis=1)).ravel() > 0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in (POPULAR, OF_LATE, LOT, ITEM)}
    for at in range(0, len(judged), PART):
        rows = judged[at : at + PART]
        for name, scores in score_products(baskets, recent, way, rows, seed + at).items():
            found[name].append(rank_first_hit(baskets, scores, rows, taken[rows]))
    return judged, {
        name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in found.items()
    }


def choose_similarity(tables: Tables, snapshot: date, days: int) -> tuple[str, float]:
    """Return the similarity with the best mean reciprocal rank in the ``days`` up to the snapshot,
    learned from what was known before them.

    The first of ``WAYS`` where too few customers took a further product to tell.
    """
    inner = snapshot - timedelta(days=days)
    try:
        baskets = load_baskets(tables, inner)
    except StudyError:
        return WAYS[0]
    taken = find_new_products(tables, baskets, inner, snapshot, snapshot)
    if (np.asarray(taken.sum(axis=1)).ravel() > 0).sum() < LEAST_JUDGED:
        return WAYS[0]
    recent = count_recent(tables, baskets, inner, days)
    return max(
        WAYS, key=lambda way: (1 / rank_hits(baskets, recent, way, taken, 0)[1][ITEM]).mean()
    )


def list_lengths(products: int) -> list[int]:
    """Return the lengths of lists that are judged: 1, and up to a quarter of the products."""
    return [length for length in LENGTHS if length == 1 or 4 * length <= products]


def score_recommenders(
    baskets: Baskets,
    ranks: dict[str, np.ndarray],
    customers: np.ndarray,
    length: int,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return how often a list holds a further product that the customer went on to buy, with
    intervals and paired differences to the best rule.

    Parameters
    ----------
    ranks : see ``rank_hits``
    customers : who took a further product; they are resampled
    length : of the lists by which the best rule is found

    Returns
    -------
    DataFrame with columns model, family, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict, n
        ``hit_rate_at_3``: the share of the customers who took a further product with one of theirs
        among the first three; ``mean_reciprocal_rank``: the mean of 1 / place of the first one.
    """
    gains = {
        name: {
            f"hit_rate_at_{k}": (rank <= k).astype(float)
            for k in list_lengths(len(baskets.products))
        }
        for name, rank in ranks.items()
    }
    gains = {name: found | {RANK: 1 / np.maximum(ranks[name], 1)} for name, found in gains.items()}
    weights = np.vstack([*draw_weights(customers, resamples, seed)])
    shares = weights / weights.sum(axis=1, keepdims=True)
    means = {
        name: {metric: shares @ values for metric, values in found.items()}
        for name, found in gains.items()
    }
    best = max((POPULAR, OF_LATE), key=lambda name: means[name][f"hit_rate_at_{length}"][0])
    rows = []
    for name, found in means.items():
        for metric, values in found.items():
            gain = values - means[best][metric]
            told = (
                (best, *find_interval(gain), judge(gain, True, len(means) - 1))
                if name != best
                else ("", np.nan, np.nan, np.nan, "")
            )
            rows.append(
                (
                    name,
                    "item to item" if name == ITEM else "reference",
                    metric,
                    *find_interval(values),
                    *told,
                    len(customers),
                )
            )
    return pd.DataFrame(
        rows,
        columns=[
            "model",
            "family",
            "metric",
            "value",
            "low",
            "high",
            "reference",
            "difference",
            "difference_low",
            "difference_high",
            "verdict",
            "n",
        ],
    )


def evaluate_recommender(
    tables: Tables, snapshot: date, days: int, offers: int, resamples: int, seed: int
) -> Evaluation:
    """Judge lists of further products on the ``days`` after the snapshot; see ``score_recommenders``.

    Parameters
    ----------
    offers : products offered to a customer; the longest judged list of at most so many counts

    Raises
    ------
    StudyError
        If nobody took a further product in that time.
    """
    way, found = choose_similarity(tables, snapshot, days), load_baskets(tables, snapshot)
    recent = count_recent(tables, found, snapshot, days)
    taken = find_new_products(tables, found, snapshot, snapshot + timedelta(days=days))
    who, ranks = rank_hits(found, recent, way, taken, seed)
    if not len(who):
        raise StudyError(
            f"expected customers who bought a product for the first time in the {days} days after"
            f" {snapshot}, got none of {len(found.customers)}; use an earlier snapshot or a"
            " longer horizon"
        )
    length = max(k for k in list_lengths(len(found.products)) if k <= offers)
    return Evaluation(
        score_recommenders(found, ranks, found.customers[who], length, resamples, seed),
        length,
        found,
        recent,
        way,
    )
