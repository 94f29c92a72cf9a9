"""Clusters: k-means on blocks of equal weight, and the stability of clusters under resampling.

Compared with simulated reference data without clusters. Works on arrays of numbers; ``personas``
decides which columns of which customers enter, and what the clusters are called.
"""

import numpy as np
import pandas as pd
from scipy.cluster.vq import ClusterError, kmeans2, vq
from scipy.special import ndtri
from sklearn.metrics import adjusted_rand_score

from research.evaluation.intervals import Z

CLUSTER_NUMBERS = range(2, 9)
LEAST_STABILITY = 0.8
KEPT_VARIANCE = 0.9  # share of the variance that the decorrelated coordinates keep
STABILITY_SAMPLE = 2_000  # customers in one estimate of stability
FIT_SAMPLE = 20_000  # customers in the final fit
STABILITY_COLUMNS = ["k", "stability", "low", "high", "reference", "required"]


def draw_rows(rng: np.random.Generator, size: int, most: int) -> np.ndarray:
    """Return at most ``most`` row numbers below ``size``, drawn without replacement."""
    return rng.permutation(size)[:most]


def compute_normal_scores(values: pd.Series) -> np.ndarray:
    """Return normal scores of the mean ranks: ties stay ties, outliers have no leverage.

    An empty "days since" (it never happened) ranks as the longest time since; any other empty
    number scores 0, the middle.
    """
    values = values.astype(float)
    values = values.fillna(np.inf) if str(values.name).startswith("days_since") else values
    ranks = values.rank(method="average").to_numpy()
    return np.nan_to_num(ndtri((ranks - 0.5) / max(values.notna().sum(), 1)))


def compute_coordinates(scores: np.ndarray, blocks: list[str]) -> np.ndarray:
    """Return decorrelated coordinates in which every block of columns has the same weight.

    Each block is divided by the standard deviation of its first principal component (multiple
    factor analysis), however many columns it has; of the components of all blocks together the
    first are kept, up to 90 % of the variance.

    References
    ----------
    Abdi, H., Williams, L. J. and Valentin, D. (2013). doi:10.1002/wics.1246
    """
    names = np.array(blocks)
    parts = []
    for block in sorted(set(blocks)):
        components, variances = _rotate_to_components(scores[:, names == block])
        parts.append(components / np.sqrt(max(variances[0], 1e-12)))
    components, variances = _rotate_to_components(np.hstack(parts))
    kept = int(np.searchsorted(np.cumsum(variances) / variances.sum(), KEPT_VARIANCE)) + 1
    return np.ascontiguousarray(components[:, :kept])


def _rotate_to_components(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return principal components and their variances, largest first."""
    centred = part - part.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    return centred @ axes[:, ::-1], np.maximum(variances[::-1], 0)


def fit_centres(
    points: np.ndarray, k: int, rng: np.random.Generator, starts: int = 6
) -> np.ndarray:
    """Return the centres of k-means: the start that is best after a few steps is run to the end.

    SciPy's k-means runs in one thread: sums are added in one order on every machine, and threads of
    a busy one don't wait for each other.
    """
    tried = (_step(points, k, 4, "++", rng) for _ in range(starts))
    early = [centres for centres in tried if centres is not None]
    if not early:  # fewer different points than clusters: any of them will do as centres
        return points[rng.choice(len(points), k, replace=len(points) < k)]
    best = min(early, key=lambda centres: (vq(points, centres, check_finite=False)[1] ** 2).sum())
    last = _step(points, best, 20, "matrix", rng)
    return best if last is None else last


def _step(
    points: np.ndarray, start: int | np.ndarray, steps: int, begin: str, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the centres after some steps of k-means, or None where a cluster ran empty."""
    try:
        return kmeans2(
            points, start, iter=steps, minit=begin, missing="raise", rng=rng, check_finite=False
        )[0]
    except ClusterError:
        return None


def assign_clusters(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the number of the nearest centre of every point."""
    return vq(points, centres)[0]


def compute_stability(
    scores: np.ndarray,
    blocks: list[str],
    rng: np.random.Generator,
    numbers=CLUSTER_NUMBERS,
    pairs: int = 50,
    references: int = 25,
) -> pd.DataFrame:
    """Return how stable every number of clusters is, compared with reference data without clusters.

    Two disjoint random halves of the customers are clustered on their own, everybody is assigned by
    either clustering, and the adjusted Rand index measures how far they agree: 1 on everybody, 0 as
    by chance. The reference does the same with customers simulated by Iman and Conover's method:
    each column's own values, the same correlations, no clusters. So neither an elongated cloud nor
    tied values are taken for clusters.

    Parameters
    ----------
    scores : array of customers by columns
    blocks : name of each column's block, see ``compute_coordinates``
    numbers : numbers of clusters to try
    pairs : pairs of halves per number of clusters
    references : simulated sets of customers

    Returns
    -------
    DataFrame with columns k, stability, low, high, reference, reference_high, chosen
        ``stability``: mean agreement over the pairs; ``low`` and ``high``: its 95 % interval over
        the pairs (sampling error of the halves, not of the customers); ``reference``: the mean over
        the simulated sets; ``required``: at least .8, at least half way from the reference to full
        agreement, and 2 standard deviations above the reference. Chosen is the largest k that is as
        stable as required; no row where none is.

    References
    ----------
    Ben-Hur, A., Elisseeff, A. and Guyon, I. (2002), Pacific Symposium on Biocomputing 7, 6-17.
    Lange, T. et al. (2004), doi:10.1162/089976604773717621. Hubert, L. and Arabie, P. (1985),
    doi:10.1007/BF01908075: adjusted Rand index. Iman, R. L. and Conover, W. J. (1982),
    doi:10.1080/03610918208812265.
    """
    points = compute_coordinates(scores, blocks)
    simulated = [
        compute_coordinates(simulate_reference(scores, rng), blocks) for _ in range(references)
    ]
    rows = [_compare_with_reference(points, simulated, k, rng, pairs) for k in numbers]
    return choose_clusters(pd.DataFrame(rows, columns=STABILITY_COLUMNS))


def _compare_with_reference(
    points: np.ndarray, simulated: list[np.ndarray], k: int, rng: np.random.Generator, pairs: int
) -> tuple:
    """Return one row of ``compute_stability``."""
    agreement = [_compute_agreement(points, k, rng) for _ in range(pairs)]
    mean, margin = float(np.mean(agreement)), Z * np.std(agreement, ddof=1) / np.sqrt(pairs)
    # where the reference decides, it is estimated more closely
    repeats = 4 if mean >= LEAST_STABILITY else 2
    reference = np.array(
        [[_compute_agreement(other, k, rng) for _ in range(repeats)] for other in simulated]
    )
    bounds = mean - margin, min(mean + margin, 1.0)
    return k, mean, *bounds, reference.mean(), _find_required(reference, pairs)


def _find_required(reference: np.ndarray, pairs: int) -> float:
    """Return the agreement that is required of a number of clusters.

    .8, half way from the reference to full agreement, and more than a set without clusters has by
    chance: 2 standard deviations of what ``pairs`` pairs would give in one simulated set, which
    vary between sets and between pairs.
    """
    between_pairs = reference.var(axis=1, ddof=1).mean()
    variance_of_means = reference.mean(axis=1).var(ddof=1)
    between_sets = max(variance_of_means - between_pairs / reference.shape[1], 0)
    by_chance = 2 * np.sqrt(between_sets + between_pairs / pairs)
    mean = reference.mean()
    return min(max(LEAST_STABILITY, (1 + mean) / 2, mean + by_chance), 1.0)


def _compute_agreement(points: np.ndarray, k: int, rng: np.random.Generator) -> float:
    """Return the adjusted Rand index of two random halves of the customers."""
    order, half = rng.permutation(len(points)), len(points) // 2
    labels = [
        assign_clusters(points, fit_centres(points[part], k, rng))
        for part in (order[:half], order[half : 2 * half])
    ]
    return adjusted_rand_score(*labels)


def choose_clusters(stability: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column ``chosen``, true for at most one row.

    ``compute_stability`` states the rule.
    """
    fits = (stability.stability >= stability.required) & (stability.stability > stability.reference)
    return stability.assign(chosen=fits & (stability.k == stability.k[fits].max()))


def simulate_reference(scores: np.ndarray, rng: np.random.Generator, rounds: int = 6) -> np.ndarray:
    """Return customers without clusters, with the same values and correlations.

    Each column's values in the order of correlated normal draws, corrected until the correlations
    fit.
    """
    wanted, ordered = np.corrcoef(scores, rowvar=False), np.sort(scores, axis=0)
    draws, variances = _rotate_to_components(rng.normal(size=scores.shape))
    draws /= np.sqrt(np.maximum(variances, 1e-12))
    target = wanted.copy()
    for _ in range(rounds):
        variances, axes = np.linalg.eigh(target)
        correlated = draws @ (axes * np.sqrt(np.maximum(variances, 0))).T
        ranks = correlated.argsort(axis=0).argsort(axis=0)
        simulated = np.take_along_axis(ordered, ranks, axis=0)
        target += wanted - np.corrcoef(simulated, rowvar=False)
    return simulated


def compute_jaccard_stability(
    points: np.ndarray, labels: np.ndarray, k: int, rng: np.random.Generator, resamples: int = 20
) -> np.ndarray:
    """Return each cluster's stability: the mean of its largest Jaccard overlaps.

    Overlaps are with the clusters of random halves of the customers.

    References
    ----------
    Hennig, C. (2007). doi:10.1016/j.csda.2006.11.025: a cluster below .6 dissolves, one from .75 on
    is a valid pattern.
    """
    sample = draw_rows(rng, len(points), STABILITY_SAMPLE)
    points, labels = points[sample], labels[sample]
    largest = []
    for _ in range(resamples):
        half = points[draw_rows(rng, len(points), len(points) // 2)]
        others = assign_clusters(points, fit_centres(half, k, rng))
        both = np.bincount(labels * k + others, minlength=k * k).reshape(k, k)
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
        largest.append((both / np.maximum(either, 1)).max(axis=1))
    return np.mean(largest, axis=0)
