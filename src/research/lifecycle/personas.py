"""Personas: clusters of similar customers, as many as are stable under resampling.

Numbers become normal scores of their ranks, each table's columns are one block of equal weight, and
k-means clusters the decorrelated coordinates; see ``clustering``. Where no number of clusters is
stable there is one persona, and that is a result. ``persona_profiles`` describes them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.features.build import list_features, load_features
from research.features.dictionary import Feature, find_stem, is_tenure, read_features
from research.features.leakage.binning import MAX_CATEGORIES
from research.features.leakage.identifiers import NAMING, identifies_customers
from research.lifecycle import clustering
from research.lifecycle.rfm import find_customers
from research.store.keep import keep
from research.study import Study
from research.study_schema import OWN_FEATURES

LEAST_CLUSTERED = 100  # with fewer customers, halves are no measure of stability
LEAST_WINDOW_DAYS = 60  # a shorter window is mostly noise
ATTRIBUTES = ("customers", OWN_FEATURES)  # sources of a study's own columns
# a column that is empty for more is not clustered by: customers would be alike because the same is
# unknown of them
MOST_EMPTY = 0.1
COMMONEST = 0.95  # a column of which one value, or no value, makes up more is nearly constant


@dataclass(frozen=True)
class Personas:
    """Clusters of customers, called A, B, C … by size.

    Attributes
    ----------
    members : DataFrame with columns customer_id, persona
    stability : by number of clusters, see ``clustering.compute_stability``; no rows where none was
        tried
    jaccard : stability of each persona, see ``clustering.compute_jaccard_stability``
    columns : features that describe the personas
    verdict : which number of clusters was chosen, or why none

    Where no number of clusters is stable everybody is in A, and ``jaccard`` is empty.
    """

    members: pd.DataFrame
    stability: pd.DataFrame
    jaccard: pd.Series
    columns: tuple[str, ...]
    verdict: str


def load_profile(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return the features of all customers at one snapshot, one row each, in their order."""
    return load_features(evidence, find_customers(evidence, study), study)


def choose_columns(frame: pd.DataFrame, study: Study, dictionary: pd.DataFrame) -> list[str]:
    """Return the columns that may describe a persona.

    Left out are keys, labels, sensitive columns, what study.yml drops for target leakage,
    identifiers and free text, columns of which one value or emptiness makes up 95 %, campaigns
    (whom the company wrote to is no trait of the customer) and trends (the stage describes change).
    Of what is measured over several windows two stay: the longest (what a customer is like) and the
    shortest of at least 60 days (what that customer is like now).

    Parameters
    ----------
    dictionary : see ``features.describe_features``
    """
    by_name = read_features(dictionary)
    columns = [name for name in list_features(frame, study) if name not in study.leaks.drop]
    features = [by_name[column] for column in columns]
    features = [
        feature
        for feature in features
        if feature.source != "campaigns" and not feature.name.startswith("trend_")
    ]
    allowed = [
        feature
        for feature in features
        if not _names_customers(frame[feature.name], feature)
        and not _is_constant(frame[feature.name])
    ]
    return [feature.name for feature in _choose_windows(allowed)]


def _choose_windows(features: list[Feature]) -> list[Feature]:
    """Return the features of the longest window and of the shortest that is not mostly noise."""
    windows: dict[str, list[int]] = {}
    for feature in features:
        windows.setdefault(find_stem(feature), []).append(feature.window_days or 0)
    kept = {}
    for stem, days in windows.items():
        long_enough = [day for day in days if day >= LEAST_WINDOW_DAYS]
        kept[stem] = {max(days), min(long_enough, default=max(days))}
    return [
        feature for feature in features if (feature.window_days or 0) in kept[find_stem(feature)]
    ]


def _names_customers(values: pd.Series, feature: Feature) -> bool:
    """Return whether an attribute identifies customers, by its name or its values."""
    if feature.source not in ATTRIBUTES or is_tenure(feature):
        return False
    many = not pd.api.types.is_numeric_dtype(values) and values.nunique() > MAX_CATEGORIES
    return bool(NAMING.search(feature.name)) or many or identifies_customers(values)


def _is_constant(values: pd.Series) -> bool:
    shares = values.value_counts(normalize=True, dropna=False)
    return shares.empty or shares.iloc[0] > COMMONEST


def name_block(feature: Feature) -> str:
    """Return the block of a feature: the table that it comes from.

    The days since the first row of any table measure tenure, so they are in "contracts".
    """
    return "contracts" if is_tenure(feature) else feature.source


@keep
def fit_personas(
    frame: pd.DataFrame,
    columns: list[str],
    dictionary: pd.DataFrame,
    seed: int,
    numbers=clustering.CLUSTER_NUMBERS,
    pairs: int = 50,
    references: int = 25,
) -> Personas:
    """Cluster customers, in as many clusters as are stable under resampling.

    Only numbers with more than two values are clustered by; categories and flags describe the
    clusters afterwards, since splitting customers by a flag is perfectly stable and no news; so do
    numbers that are empty for more than a tenth, but for the days since what may never have
    happened. The number of clusters is chosen on at most 2,000 customers, the clusters are fitted
    on at most 20,000, both drawn by seed, and everybody is assigned.

    Parameters
    ----------
    frame : DataFrame with customer_id and ``columns``
        One row per customer; the order of rows doesn't matter.
    columns : features to cluster and describe by, see ``choose_columns``
    dictionary : the table that each comes from, see ``features.describe_features``
    seed : every draw derives from it
    numbers, pairs, references : see ``clustering.compute_stability``, which also states the rule
    """
    frame = frame.sort_values("customer_id", ignore_index=True)
    used = [column for column in columns if _can_cluster(frame[column])]
    if reason := _explain_untried(frame, used):
        return _one_persona(frame, columns, None, reason)
    rng, by_name = np.random.default_rng(seed), read_features(dictionary)
    scores = np.column_stack([clustering.compute_normal_scores(frame[name]) for name in used])
    blocks = [name_block(by_name[column]) for column in used]
    sample = scores[clustering.draw_rows(rng, len(scores), clustering.STABILITY_SAMPLE)]
    stability = clustering.compute_stability(sample, blocks, rng, numbers, pairs, references)
    if not stability.chosen.any():
        return _one_persona(frame, columns, stability, _explain_unstable(stability))
    points = clustering.compute_coordinates(scores, blocks)
    return _fit_clusters(frame, columns, points, stability, rng)


def _explain_untried(frame: pd.DataFrame, used: list[str]) -> str:
    """Return why no number of clusters can be tried; empty where they can."""
    if len(frame) < LEAST_CLUSTERED:
        few = f"{len(frame):,} customers are too few to try"
        return f"{few}, at least {LEAST_CLUSTERED} are needed"
    return "fewer than two columns of numbers vary between customers" if len(used) < 2 else ""


def _can_cluster(values: pd.Series) -> bool:
    """Return whether customers can be clustered by a column."""
    filled = str(values.name).startswith("days_since") or values.isna().mean() <= MOST_EMPTY
    return (
        filled
        and pd.api.types.is_numeric_dtype(values)
        and values.nunique() > 2
        and not _is_constant(values)
    )


def _one_persona(
    frame: pd.DataFrame, columns: list[str], stability: pd.DataFrame | None, reason: str
) -> Personas:
    """Return everybody as one persona."""
    if stability is None:
        no_rows = pd.DataFrame(columns=clustering.STABILITY_COLUMNS, dtype=float)
        stability = clustering.choose_clusters(no_rows)
    members = frame[["customer_id"]].assign(persona="A")
    verdict = f"no stable clusters found: {reason}"
    return Personas(members, stability, pd.Series(dtype=float), tuple(columns), verdict)


def _explain_unstable(stability: pd.DataFrame) -> str:
    best = stability.loc[stability.stability.idxmax()]
    if best.stability < clustering.LEAST_STABILITY:
        return (
            f"random halves of the customers agree at most at {best.stability:.2f} (with"
            f" {best.k:.0f} clusters), and {clustering.LEAST_STABILITY:g} is required"
        )
    return (
        "where random halves of the customers agree, halves of reference data without clusters do"
        " nearly as often"
    )


def _fit_clusters(
    frame: pd.DataFrame,
    columns: list[str],
    points: np.ndarray,
    stability: pd.DataFrame,
    rng: np.random.Generator,
) -> Personas:
    """Return the chosen number of clusters as personas."""
    chosen = stability[stability.chosen].iloc[0]
    k = int(chosen.k)
    sample = points[clustering.draw_rows(rng, len(points), clustering.FIT_SAMPLE)]
    nearest = clustering.assign_clusters(points, clustering.fit_centres(sample, k, rng, starts=20))
    sizes = np.bincount(nearest, minlength=k)
    rank = np.argsort(np.argsort(-sizes, kind="stable"))  # the largest is 0
    labels, letters = rank[nearest], np.array([chr(ord("A") + number) for number in range(k)])
    members = frame[["customer_id"]].assign(persona=letters[labels])
    jaccard = clustering.compute_jaccard_stability(points, labels, k, rng)
    verdict = (
        f"{k} clusters: random halves of the customers agree at {chosen.stability:.2f}, halves of"
        f" reference data without clusters at {chosen.reference:.2f}"
    )
    return Personas(members, stability, pd.Series(jaccard, index=letters), tuple(columns), verdict)
