"""Grouping: k-means on blocks of equal weight, and its stability under resampling beside customers
made up without groups.

Works on arrays of numbers; ``research.personas`` decides which columns of whom enter, and what the
groups are called.
"""

import numpy as np
import pandas as pd
from scipy.cluster.vq import ClusterError, kmeans2, vq
from scipy.special import ndtri
from sklearn.metrics import adjusted_rand_score

from research.evaluation.intervals import Z

GROUPS = range(2, 9)
LEAST_STABILITY = 0.8
VARIANCE = 0.9  # share of the variance that the decorrelated coordinates keep
DRAWN = 2_000  # customers in one measurement of stability
FITTED = 20_000  # customers in the last fit
STABILITY = ["k", "stability", "low", "high", "reference", "required"]


def draw(rng: np.random.Generator, size: int, most: int) -> np.ndarray:
    """Return at most ``most`` row numbers below ``size``, drawn without replacement."""
    return rng.permutation(size)[:most]


def score_normal(values: pd.Series) -> np.ndarray:
    """Return normal scores of the mean ranks: ties stay ties, no outlier counts.

    An empty "days since" (it never happened) ranks as the longest time since; any other empty
    number scores 0, the middle.
    """
    values = values.astype(float)
    values = values.fillna(np.inf) if str(values.name).startswith("days_since") else values
    ranks = values.rank(method="average").to_numpy()
    return np.nan_to_num(ndtri((ranks - 0.5) / max(values.notna().sum(), 1)))


def embed(scores: np.ndarray, blocks: list[str]) -> np.ndarray:
    """Return decorrelated coordinates in which every block of columns weighs the same, however many
    columns it has.

    Each block is divided by the spread of its first principal component (multiple factor analysis);
    of the components of all blocks together those are kept that hold 90 % of the variance.

    References
    ----------
    Abdi, H., Williams, L. J. and Valentin, D. (2013). doi:10.1002/wics.1246
    """
    names = np.array(blocks)
    parts = []
    for block in sorted(set(blocks)):
        turned, variances = _rotate(scores[:, names == block])
        parts.append(turned / np.sqrt(max(variances[0], 1e-12)))
    turned, variances = _rotate(np.hstack(parts))
    kept = int(np.searchsorted(np.cumsum(variances) / variances.sum(), VARIANCE)) + 1
    return np.ascontiguousarray(turned[:, :kept])


def _rotate(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return principal components and their variances, largest first."""
    centred = part - part.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    return centred @ axes[:, ::-1], np.maximum(variances[::-1], 0)


def fit_centres(
    points: np.ndarray, k: int, rng: np.random.Generator, starts: int = 6
) -> np.ndarray:
    """Return the centres of k-means: of some starts, the one that is best after a few steps is
    followed to the end.

    SciPy's k-means runs in one thread: sums are added in one order on every machine, and threads of
    a busy one don't wait for each other.
    """
    early = [found for _ in range(starts) if (found := _step(points, k, 4, "++", rng)) is not None]
    if not early:  # fewer different points than groups: any of them will do as centres
        return points[rng.choice(len(points), k, replace=len(points) < k)]
    best = min(early, key=lambda centres: (vq(points, centres, check_finite=False)[1] ** 2).sum())
    last = _step(points, best, 20, "matrix", rng)
    return best if last is None else last


def _step(
    points: np.ndarray, start: int | np.ndarray, steps: int, begin: str, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the centres after some steps of k-means, or None where a group ran empty on the
    way.
    """
    try:
        return kmeans2(
            points, start, iter=steps, minit=begin, missing="raise", rng=rng, check_finite=False
        )[0]
    except ClusterError:
        return None


def assign(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the number of the nearest centre of every point."""
    return vq(points, centres)[0]


def measure_stability(
    scores: np.ndarray,
    blocks: list[str],
    rng: np.random.Generator,
    groups=GROUPS,
    pairs: int = 50,
    references: int = 25,
) -> pd.DataFrame:
    """Return how stable every number of groups is, beside a reference without groups.

    Two disjoint halves of the customers are grouped on their own, everybody is assigned by either
    grouping, and the adjusted Rand index says how far they agree: 1 on everybody, 0 as by chance.
    The reference does the same with customers made up by Iman and Conover's method: each column's
    own values, the same correlations, no groups. So neither an elongated cloud nor tied values are
    taken for groups.

    Parameters
    ----------
    scores : array of customers by columns
    blocks : name of each column's block, see ``embed``
    groups : numbers of groups to try
    pairs : pairs of halves per number of groups
    references : made-up sets of customers

    Returns
    -------
    DataFrame with columns k, stability, low, high, reference, reference_high, chosen
        ``stability``: mean agreement over the pairs; ``low`` and ``high``: its 95 % interval over
        the pairs (the luck of the halves, not of the customers); ``reference``: the mean over the
        made-up sets; ``required``: at least .8, at least half way from the reference to full
        agreement, and 2 standard deviations above the reference. Chosen is the largest k that is as
        stable as required; no row where none is.

    References
    ----------
    Ben-Hur, A., Elisseeff, A. and Guyon, I. (2002), Pacific Symposium on Biocomputing 7, 6-17.
    Lange, T. et al. (2004), doi:10.1162/089976604773717621. Hubert, L. and Arabie, P. (1985),
    doi:10.1007/BF01908075: adjusted Rand index. Iman, R. L. and Conover, W. J. (1982),
    doi:10.1080/03610918208812265.
    """
    points, made_up = (
        embed(scores, blocks),
        [embed(make_up(scores, rng), blocks) for _ in range(references)],
    )
    rows = [_measure_one(points, made_up, k, rng, pairs) for k in groups]
    return choose_groups(pd.DataFrame(rows, columns=STABILITY))


def _measure_one(
    points: np.ndarray, made_up: list[np.ndarray], k: int, rng: np.random.Generator, pairs: int
) -> tuple:
    agreement = [_agree(points, k, rng) for _ in range(pairs)]
    mean, margin = float(np.mean(agreement)), Z * np.std(agreement, ddof=1) / np.sqrt(pairs)
    repeats = (
        4 if mean >= LEAST_STABILITY else 2
    )  # where the reference decides, it is measured more closely
    without = np.array([[_agree(other, k, rng) for _ in range(repeats)] for other in made_up])
    return k, mean, mean - margin, min(mean + margin, 1.0), without.mean(), _bound(without, pairs)


def _bound(without: np.ndarray, pairs: int) -> float:
    """Return the agreement that is required: .8, half way from the reference to full agreement, and
    more than a set without groups has by luck.

    The last is 2 standard deviations of what ``pairs`` pairs would give in one made-up set: the
    sets' own spread and the pairs' luck.
    """
    luck = without.var(axis=1, ddof=1).mean()
    sets = max(without.mean(axis=1).var(ddof=1) - luck / without.shape[1], 0)
    reference = without.mean()
    return min(
        max(LEAST_STABILITY, (1 + reference) / 2, reference + 2 * np.sqrt(sets + luck / pairs)), 1.0
    )


def _agree(points: np.ndarray, k: int, rng: np.random.Generator) -> float:
    order, half = rng.permutation(len(points)), len(points) // 2
    labels = [
        assign(points, fit_centres(points[part], k, rng))
        for part in (order[:half], order[half : 2 * half])
    ]
    return adjusted_rand_score(*labels)


def choose_groups(stability: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column ``chosen``, true for at most one row; see
    ``measure_stability`` for the rule.
    """
    fits = (stability.stability >= stability.required) & (stability.stability > stability.reference)
    return stability.assign(chosen=fits & (stability.k == stability.k[fits].max()))


def make_up(scores: np.ndarray, rng: np.random.Generator, rounds: int = 6) -> np.ndarray:
    """Return customers without groups: each column's values in the order of correlated normal
    draws, corrected until the correlations fit.
    """
    wanted, ordered = np.corrcoef(scores, rowvar=False), np.sort(scores, axis=0)
    draws, variances = _rotate(rng.normal(size=scores.shape))
    draws /= np.sqrt(np.maximum(variances, 1e-12))
    target = wanted.copy()
    for _ in range(rounds):
        variances, axes = np.linalg.eigh(target)
        correlated = draws @ (axes * np.sqrt(np.maximum(variances, 0))).T
        made = np.take_along_axis(ordered, correlated.argsort(axis=0).argsort(axis=0), axis=0)
        target += wanted - np.corrcoef(made, rowvar=False)
    return made


def measure_firmness(
    points: np.ndarray, labels: np.ndarray, k: int, rng: np.random.Generator, resamples: int = 20
) -> np.ndarray:
    """Return for each group how much of it a half of the customers finds again: the mean of the
    largest Jaccard overlaps.

    References
    ----------
    Hennig, C. (2007). doi:10.1016/j.csda.2006.11.025: a group below .6 dissolves, one from .75 on
    is a valid pattern.
    """
    drawn = draw(rng, len(points), DRAWN)
    points, labels = points[drawn], labels[drawn]
    found = []
    for _ in range(resamples):
        again = assign(
            points, fit_centres(points[draw(rng, len(points), len(points) // 2)], k, rng)
        )
        both = np.bincount(labels * k + again, minlength=k * k).reshape(k, k)
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
        found.append((both / np.maximum(either, 1)).max(axis=1))
    return np.mean(found, axis=0)
