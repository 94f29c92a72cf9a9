"""Personas: groups of customers alike, as many as come back under resampling, each described in
words by what sets it apart.

Numbers become normal scores of their ranks, each table's columns are one block of equal weight, and
k-means groups what is left after decorrelation; see ``research.grouping``. Where no grouping is
stable there is one group, and that is a result.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.features.build import list_features, load_features
from research.features.dictionary import TENURE, Feature, find_stem, read
from research.features.leakage.binning import FEW
from research.features.leakage.identifiers import NAMING, names_customers
from research.lifecycle import clustering
from research.lifecycle.rfm import find_customers
from research.study import Study
from research.study_schema import OWN_FEATURES

LEAST_CUSTOMERS = 100  # halves of fewer say nothing about stability
LEAST_DAYS = 60  # a shorter window is mostly luck
ATTRIBUTES = ("customers", OWN_FEATURES)  # sources of a study's own columns
# a column that is empty for more doesn't group: customers would be alike because the same is
# unknown of them
MOST_EMPTY = 0.1
COMMONEST = 0.95  # a column of which one value, or no value, makes up more is nearly constant


@dataclass(frozen=True)
class Personas:
    """A grouping: ``members`` (customer_id, persona), ``stability``, ``firmness`` by persona, the
    columns that describe it, and a verdict.

    Personas are called A, B, C … by size. ``firmness`` says how much of a persona a half of the
    customers finds again, see ``grouping.measure_firmness``. Where no grouping is stable everybody
    is in A, and ``firmness`` is empty.
    """

    members: pd.DataFrame
    stability: pd.DataFrame
    firmness: pd.Series
    columns: tuple[str, ...]
    verdict: str


def load_profile(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return the features of everybody who is a customer at one snapshot, one row per customer, in
    the order of customers.
    """
    return load_features(evidence, find_customers(evidence, study), study)


def choose_columns(frame: pd.DataFrame, study: Study, dictionary: pd.DataFrame) -> list[str]:
    """Return the columns that may describe a persona.

    Left out are keys, labels, sensitive columns, what study.yml drops as a leak, identifiers and
    free text, columns of which one value or emptiness makes up 95 %, campaigns (whom the company
    wrote to is no trait of the customer) and trends (the stage tells of change). Of what is
    measured over several windows two stay: the longest (what a customer is like) and the shortest
    of at least 60 days (what that customer is like now).

    Parameters
    ----------
    dictionary : see ``features.describe_features``
    """
    known = read(dictionary)
    features = [
        known[column] for column in list_features(frame, study) if column not in study.leaks.drop
    ]
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
    """Return the features without those of windows that say little new."""
    windows: dict[str, list[int]] = {}
    for feature in features:
        windows.setdefault(find_stem(feature), []).append(feature.window_days or 0)
    kept = {
        stem: {max(days), min((day for day in days if day >= LEAST_DAYS), default=max(days))}
        for stem, days in windows.items()
    }
    return [
        feature for feature in features if (feature.window_days or 0) in kept[find_stem(feature)]
    ]


def _names_customers(values: pd.Series, feature: Feature) -> bool:
    """Say whether an attribute is called a name or a code, is text of many values, or names
    customers by its values.
    """
    if feature.source not in ATTRIBUTES or feature.name in TENURE:
        return False
    many = not pd.api.types.is_numeric_dtype(values) and values.nunique() > FEW
    return bool(NAMING.search(feature.name)) or many or names_customers(values)


def _is_constant(values: pd.Series) -> bool:
    shares = values.value_counts(normalize=True, dropna=False)
    return shares.empty or shares.iloc[0] > COMMONEST


def name_block(feature: Feature) -> str:
    """Return the table that a feature comes from.

    The days since the first row of any table tell how long somebody has been a customer, so they
    stand with tenure in "contracts".
    """
    return "contracts" if feature.name in TENURE else feature.source


def find_personas(
    frame: pd.DataFrame,
    columns: list[str],
    dictionary: pd.DataFrame,
    seed: int,
    groups=clustering.GROUPS,
    pairs: int = 50,
    references: int = 25,
) -> Personas:
    """Group customers, in as many groups as are stable under resampling.

    Only numbers with more than two values group; categories and flags describe the groups
    afterwards, since splitting customers by a flag is perfectly stable and tells nothing new; so do
    numbers that are empty for more than a tenth, but for the days since what may never have
    happened. The number of groups is chosen on at most 2,000 customers, the groups are fitted on at
    most 20,000, both drawn by seed, and everybody is assigned.

    Parameters
    ----------
    frame : DataFrame with customer_id and ``columns``
        One row per customer; the order of rows doesn't matter.
    columns : features to group and describe by, see ``choose_columns``
    dictionary : says which table each comes from; see ``features.describe_features``
    seed : every draw derives from it
    groups, pairs, references : see ``grouping.measure_stability``, which also states the rule
    """
    frame = frame.sort_values("customer_id", ignore_index=True)
    used = [column for column in columns if _can_group(frame[column])]
    if len(frame) < LEAST_CUSTOMERS:
        return _one_group(
            frame,
            columns,
            None,
            f"{len(frame):,} customers are too few to try, at least {LEAST_CUSTOMERS} are needed",
        )
    if len(used) < 2:
        return _one_group(
            frame, columns, None, "fewer than two columns of numbers vary between customers"
        )
    rng = np.random.default_rng(seed)
    scores, known = (
        np.column_stack([clustering.score_normal(frame[column]) for column in used]),
        read(dictionary),
    )
    blocks = [name_block(known[column]) for column in used]
    stability = clustering.measure_stability(
        scores[clustering.draw(rng, len(scores), clustering.DRAWN)],
        blocks,
        rng,
        groups,
        pairs,
        references,
    )
    if not stability.chosen.any():
        return _one_group(frame, columns, stability, _explain(stability))
    return _group(frame, columns, clustering.embed(scores, blocks), stability, rng)


def _can_group(values: pd.Series) -> bool:
    known = str(values.name).startswith("days_since") or values.isna().mean() <= MOST_EMPTY
    return (
        known
        and pd.api.types.is_numeric_dtype(values)
        and values.nunique() > 2
        and not _is_constant(values)
    )


def _one_group(
    frame: pd.DataFrame, columns: list[str], stability: pd.DataFrame | None, reason: str
) -> Personas:
    nothing = clustering.choose_groups(pd.DataFrame(columns=clustering.STABILITY, dtype=float))
    members = frame[["customer_id"]].assign(persona="A")
    table = nothing if stability is None else stability
    return Personas(
        members,
        table,
        pd.Series(dtype=float),
        tuple(columns),
        f"no stable grouping found: {reason}",
    )


def _explain(stability: pd.DataFrame) -> str:
    best = stability.loc[stability.stability.idxmax()]
    if best.stability < clustering.LEAST_STABILITY:
        return (
            f"halves of the customers agree at most at {best.stability:.2f} (with {best.k:.0f}"
            f" groups), and {clustering.LEAST_STABILITY:g} is required"
        )
    return (
        "where halves of the customers agree, halves of customers made up without groups do nearly"
        " as often"
    )


def _group(
    frame: pd.DataFrame,
    columns: list[str],
    points: np.ndarray,
    stability: pd.DataFrame,
    rng: np.random.Generator,
) -> Personas:
    row = stability[stability.chosen].iloc[0]
    k = int(row.k)
    found = clustering.assign(
        points,
        clustering.fit_centres(
            points[clustering.draw(rng, len(points), clustering.FITTED)], k, rng, starts=20
        ),
    )
    labels = np.argsort(np.argsort(-np.bincount(found, minlength=k), kind="stable"))[
        found
    ]  # by size
    letters = np.array([chr(ord("A") + number) for number in range(k)])
    members = frame[["customer_id"]].assign(persona=letters[labels])
    firmness = pd.Series(clustering.measure_firmness(points, labels, k, rng), index=letters)
    verdict = (
        f"{k} groups: halves of the customers agree at {row.stability:.2f}, halves of customers"
        f" made up without groups at {row.reference:.2f}"
    )
    return Personas(members, stability, firmness, tuple(columns), verdict)


def tabulate_stability(personas: Personas) -> pd.DataFrame:
    """Return how stable every number of groups is, see ``grouping.measure_stability``; no rows
    where none was tried.
    """
    return personas.stability
