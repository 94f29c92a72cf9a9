"""Which further product a customer is likely to buy, item to item, judged out of time.

Products that the same customers have bought count as similar; popularity is the baseline. This
predicts what is likely to be bought next, not whether an offer changes it.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from research.data.contracts import Tables
from research.errors import StudyError
from research.evaluation.bootstrap import (
    BETTER,
    draw_weights,
    judge_difference,
    percentile_interval,
    subtract,
)
from research.models.registry import BASELINE
from research.panel.periods import close_window
from research.store.keep import keep
from research.study import Study
from research.value.baskets import (
    Baskets,
    count_recent,
    explain_missing_products,
    find_new_products,
    load_baskets,
)
from research.value.holdout import SCORES

POPULARITY, RECENT_POPULARITY = "popularity", "recent popularity"
RANDOM, ITEM_TO_ITEM = "random", "item to item"
RECOMMENDERS = (POPULARITY, RECENT_POPULARITY, RANDOM, ITEM_TO_ITEM)
Similarity = tuple[str, float]  # measure, and how many buyers it is shrunk by
SIMILARITIES: tuple[Similarity, ...] = (
    ("cosine", 5.0),
    ("cosine", 50.0),
    ("conditional", 5.0),
    ("conditional", 50.0),
)
MIN_JUDGED = 50  # customers with a further product; fewer can't choose between similarities
CHUNK_ROWS = 2_000  # customers scored at once
LENGTHS = (1, 3, 10)  # of lists that are judged, as long as there are four times as many products
HIT_RATE = "hit_rate_at_"
RECIPROCAL_RANK = "mean_reciprocal_rank"


@dataclass(frozen=True)
class Evaluation:
    """Lists of products judged out of time, and what the offers are made from.

    Attributes
    ----------
    missing : why nothing can be offered; all else is empty then
    scores : see ``score_recommenders``
    length : of the lists by which recommenders are compared
    days : after the snapshot, in which further products count
    baskets, recent, similarity : see ``score_products``
    """

    missing: str = ""
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    length: int = 0
    days: int = 0
    baskets: Baskets | None = None
    recent: np.ndarray | None = None
    similarity: Similarity = SIMILARITIES[0]

    @property
    def metric(self) -> str:
        """Return the score by which recommenders are compared."""
        return f"{HIT_RATE}{self.length}"

    @property
    def judged(self) -> int:
        """Return how many customers bought a further product."""
        return 0 if self.missing else int(self.scores.n.iloc[0])

    @property
    def chosen(self) -> str:
        """Return the recommender that makes the offers: see ``choose_recommender``."""
        return choose_recommender(self.scores, self.length)


def compute_similarity(baskets: Baskets, measure: str, shrinkage: float) -> np.ndarray:
    """Return how much having bought one product (row) speaks for another (column).

    Shape (products, products), 0 on the diagonal. ``cosine``: customers of both over the root of
    the product of either's, times c / (c + shrinkage) with c customers of both (Sarwar et al. 2001,
    doi:10.1145/371920.372071, with the shrinkage of Bell and Koren 2007, doi:10.1109/ICDM.2007.90).
    ``conditional``: the share of the buyers of one who also bought the other, shrunk towards the
    other's share of all customers as if ``shrinkage`` more buyers had it (Deshpande and Karypis
    2004, doi:10.1145/963770.963776): the larger the shrinkage, the nearer to popularity.
    """
    both, buyers = (baskets.bought.T @ baskets.bought).toarray().astype("float32"), baskets.buyers
    if measure == "cosine":
        similarity = both / np.sqrt(np.outer(buyers, buyers)) * both / (both + shrinkage)
    else:
        prior = shrinkage * buyers / len(baskets.customers)
        similarity = (both + prior) / (buyers[:, None] + shrinkage)
    np.fill_diagonal(similarity, 0)
    return similarity.astype("float32")


def score_products(
    baskets: Baskets, recent: np.ndarray, similarity: Similarity, rows: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return the scores of all products for some customers, by recommender: (rows, products).

    Ties are broken by popularity.

    Parameters
    ----------
    recent : customers who bought each product recently, see ``baskets.count_recent``
    similarity : one of ``SIMILARITIES``
    rows : places of the customers
    """
    owned = baskets.bought[rows]
    tie = baskets.buyers / baskets.buyers.sum() * 1e-6
    owned_count = np.maximum(np.asarray(owned.sum(axis=1)), 1)
    similar = owned @ compute_similarity(baskets, *similarity) / owned_count
    for_all = (len(rows), 1)
    drawn = np.random.default_rng(seed).random((len(rows), len(baskets.products)))
    return {
        POPULARITY: np.tile(baskets.buyers, for_all),
        RECENT_POPULARITY: np.tile(recent + tie, for_all),
        RANDOM: drawn,
        ITEM_TO_ITEM: np.asarray(similar) + tie,
    }


def rank_first_hit(
    baskets: Baskets, scores: np.ndarray, rows: np.ndarray, new: csr_matrix
) -> np.ndarray:
    """Return the rank of the first product on each list that the customer went on to buy.

    Products already bought aren't on a list.
    """
    listed = np.where(baskets.bought[rows].toarray() > 0, -np.inf, scores)
    best = np.where(new.toarray() > 0, listed, -np.inf).max(axis=1)
    return 1 + (listed > best[:, None]).sum(axis=1)


def rank_hits(
    baskets: Baskets, recent: np.ndarray, similarity: Similarity, new: csr_matrix, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the customers who bought a further product, and the rank of the first by recommender.

    Parameters
    ----------
    new : see ``baskets.find_new_products``
    """
    judged = np.flatnonzero(np.asarray(new.sum(axis=1)).ravel() > 0)
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in RECOMMENDERS}
    for at in range(0, len(judged), CHUNK_ROWS):
        rows = judged[at : at + CHUNK_ROWS]
        for name, scores in score_products(baskets, recent, similarity, rows, seed + at).items():
            ranks[name].append(rank_first_hit(baskets, scores, rows, new[rows]))
    return judged, {
        name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in ranks.items()
    }


def choose_similarity(tables: Tables, snapshot: date, days: int) -> Similarity:
    """Return the similarity with the best mean reciprocal rank in the ``days`` up to the snapshot.

    It sees what was known before these days. The first of ``SIMILARITIES`` where too few customers
    bought a further product to choose.
    """
    inner = snapshot - timedelta(days=days)
    try:
        baskets = load_baskets(tables, inner)
    except StudyError:
        return SIMILARITIES[0]
    new = find_new_products(tables, baskets, inner, snapshot, snapshot)
    if (np.asarray(new.sum(axis=1)).ravel() > 0).sum() < MIN_JUDGED:
        return SIMILARITIES[0]
    recent = count_recent(tables, baskets, inner, days)

    def mean_reciprocal_rank(similarity: Similarity) -> float:
        return (1 / rank_hits(baskets, recent, similarity, new, 0)[1][ITEM_TO_ITEM]).mean()

    return max(SIMILARITIES, key=mean_reciprocal_rank)


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
    """Return how often a list contains a further product that the customer went on to buy.

    Parameters
    ----------
    ranks : see ``rank_hits``
    customers : who bought a further product; they are resampled
    length : of the lists by which the best baseline is found

    Returns
    -------
    DataFrame with columns model, family, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict, n
        ``hit_rate_at_3``: the share of the customers with one of their further products among the
        first three; ``mean_reciprocal_rank``: the mean of 1 / rank of the first one. 95 % intervals
        by bootstrap; differences are paired, to the best baseline.
    """
    lengths = list_lengths(len(baskets.products))
    gains = {
        name: {f"{HIT_RATE}{k}": (rank <= k).astype(float) for k in lengths}
        | {RECIPROCAL_RANK: 1 / np.maximum(rank, 1)}
        for name, rank in ranks.items()
    }
    weights = np.vstack([*draw_weights(customers, resamples, seed)])
    shares = weights / weights.sum(axis=1, keepdims=True)
    means = {
        name: {metric: shares @ values for metric, values in by_metric.items()}
        for name, by_metric in gains.items()
    }
    best = max(
        (POPULARITY, RECENT_POPULARITY), key=lambda name: means[name][f"{HIT_RATE}{length}"][0]
    )
    rows = [
        (
            name,
            ITEM_TO_ITEM if name == ITEM_TO_ITEM else BASELINE,
            metric,
            *percentile_interval(values),
            *_compare(means, name, best, metric),
            len(customers),
        )
        for name, by_metric in means.items()
        for metric, values in by_metric.items()
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _compare(means: dict[str, dict[str, np.ndarray]], name: str, best: str, metric: str) -> tuple:
    """Return reference, difference, its interval and the verdict; empty for the best baseline."""
    if name == best:
        return ("", np.nan, np.nan, np.nan, "")
    gain = subtract(means[name][metric], means[best][metric])
    return best, *judge_difference(gain, True, len(means) - 1)


def choose_recommender(scores: pd.DataFrame, length: int) -> str:
    """Return item to item where it is significantly better than the best baseline, else that one.

    Parameters
    ----------
    scores : see ``score_recommenders``
    length : of the lists that are compared
    """
    row = find_item_to_item(scores, f"{HIT_RATE}{length}")
    return row.model if row.verdict == BETTER else row.reference


def find_item_to_item(scores: pd.DataFrame, metric: str) -> pd.Series:
    """Return the row of item to item with one score."""
    return scores[(scores.model == ITEM_TO_ITEM) & (scores.metric == metric)].iloc[0]


@keep
def evaluate_study(
    tables: Tables, study: Study, snapshot: date | None, offers: int, resamples: int, seed: int
) -> Evaluation:
    """Judge lists of further products on lead and label window; see ``evaluate_recommender``.

    Where the study's orders don't name products, the evaluation says so and is empty.
    """
    if missing := explain_missing_products(tables, study):
        return Evaluation(missing)
    days = (close_window(study.churn, snapshot) - snapshot).days
    return evaluate_recommender(tables, snapshot, days, offers, resamples, seed)


def move_baskets(evaluation: Evaluation, tables: Tables, day: date | None) -> Evaluation:
    """Return an evaluation whose offers are made from what was bought by another day.

    Which recommender and similarity make them stays as it was judged.
    """
    if evaluation.missing:
        return evaluation
    baskets = load_baskets(tables, day)
    recent = count_recent(tables, baskets, day, evaluation.days)
    return replace(evaluation, baskets=baskets, recent=recent)


def evaluate_recommender(
    tables: Tables, snapshot: date, days: int, offers: int, resamples: int, seed: int
) -> Evaluation:
    """Judge lists of further products on the ``days`` after the snapshot.

    Parameters
    ----------
    offers : products offered to a customer; lists are compared at the longest judged length of at
        most so many

    Raises
    ------
    StudyError
        If nobody bought a further product in that time.
    """
    similarity, baskets = choose_similarity(tables, snapshot, days), load_baskets(tables, snapshot)
    recent = count_recent(tables, baskets, snapshot, days)
    new = find_new_products(tables, baskets, snapshot, snapshot + timedelta(days=days))
    judged, ranks = rank_hits(baskets, recent, similarity, new, seed)
    if not len(judged):
        raise StudyError(
            f"expected customers who bought a product for the first time in the {days} days after"
            f" {snapshot}, got none of {len(baskets.customers)}; use an earlier snapshot or a"
            " longer horizon"
        )
    length = max(k for k in list_lengths(len(baskets.products)) if k <= offers)
    customers = baskets.customers[judged]
    scores = score_recommenders(baskets, ranks, customers, length, resamples, seed)
    return Evaluation("", scores, length, days, baskets, recent, similarity)
