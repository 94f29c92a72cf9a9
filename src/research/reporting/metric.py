"""The record of a score: its heading, how it is computed, and which values are better.

A score is written once, as a ``Metric``, and registered: comparisons, verdicts, tables and plots
read what they need from its record.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

DIRECTIONS = ("more", "less", "ideal", "neither")
REGISTERED: dict[str, "Metric"] = {}  # by name, of all packages that are imported


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One score of a model.

    Attributes
    ----------
    name : str
        As result tables store it in the column ``metric``.
    words : str
        Heading of its column, in the field's words.
    better : str
        Which values are better, one of ``DIRECTIONS``: "more", "less", "ideal" (the nearer to
        ``ideal``), or "neither" for what only describes.
    function : callable, optional
        Computes it; what it takes is said where its package lists its scores.
    ideal : float, optional
        The best value, where better is "ideal": models are compared by their distance from it.
    digits : int
        Decimals in tables.
    judges : str
        What it judges, in one word (ranking, probabilities, calibration), by which tables choose.
    tolerated : pair of float, optional
        Values that make no difference to a decision, from and to.
    adjust_resamples : callable, optional
        Applied to the values of the sample and its resamples, where resampling biases the score.

    Raises
    ------
    ValueError
        If a part is missing or contradicts another one.
    """

    name: str
    words: str
    better: str
    function: Callable | None = None
    ideal: float | None = None
    digits: int = 3
    judges: str = ""
    tolerated: tuple[float, float] | None = None
    adjust_resamples: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self):
        if empty := [part for part in ("name", "words") if not getattr(self, part).strip()]:
            raise ValueError(
                f"score '{self.name}': expected {', '.join(empty)}, got an empty text; write it"
                " into its record"
            )
        if self.better not in DIRECTIONS:
            raise ValueError(
                f"score '{self.name}': expected better to be one of {', '.join(DIRECTIONS)}, got"
                f" '{self.better}'; correct its record"
            )
        if (self.better == "ideal") != (self.ideal is not None):
            raise ValueError(
                f"score '{self.name}': expected an ideal value where better is 'ideal', and only"
                f" there, got better '{self.better}' and ideal {self.ideal}; correct its record"
            )

    @property
    def more_is_better(self) -> bool:
        """Whether more is better of what ``compare`` returns."""
        return self.better == "more"

    def compare(self, values: np.ndarray) -> np.ndarray:
        """Return what is compared between models: the distances from the ideal, or the values."""
        return np.asarray(values) if self.ideal is None else np.abs(values - self.ideal)

    def find_best(self, values: pd.Series) -> object:
        """Return the index of the best value."""
        compared = pd.Series(self.compare(values), values.index)
        return compared.idxmax() if self.more_is_better else compared.idxmin()


def index_metrics(*metrics: Metric) -> dict[str, Metric]:
    """Return scores by name.

    Raises
    ------
    ValueError
        If two of them have one name.
    """
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in by_name:
            raise ValueError(
                f"expected one score of each name, got two called '{metric.name}'; rename one"
            )
        by_name[metric.name] = metric
    return by_name


def register_metrics(*metrics: Metric) -> dict[str, Metric]:
    """Return scores by name, and make their headings known to ``tables.show_scores``.

    Scores of different packages may have the same name, with the same heading.

    Raises
    ------
    ValueError
        If two of them have one name, or a registered one has another heading or other digits.
    """
    for metric in metrics:
        known = REGISTERED.get(metric.name, metric)
        if (known.words, known.digits) != (metric.words, metric.digits):
            raise ValueError(
                f"score '{metric.name}': expected the heading '{known.words}' with {known.digits}"
                f" digits, as registered before, got '{metric.words}' with {metric.digits}; use"
                " the same, or another name"
            )
    by_name = index_metrics(*metrics)
    for name, metric in by_name.items():
        REGISTERED.setdefault(name, metric)
    return by_name


def find_metric(name: str) -> Metric:
    """Return a registered score.

    Raises
    ------
    ValueError
        If no imported package registers it.
    """
    if name not in REGISTERED:
        raise ValueError(
            f"expected a score of {', '.join(REGISTERED)}, got '{name}'; write a Metric for it, and"
            " import the module that registers it"
        )
    return REGISTERED[name]


def select_metrics(metrics: dict[str, Metric], *names: str) -> tuple[str, ...]:
    """Return the names of some scores, for a table that shows these only.

    Raises
    ------
    ValueError
        If one is not among them; where the selection is a constant, at import.
    """
    if unknown := [name for name in names if name not in metrics]:
        raise ValueError(
            f"expected scores of {', '.join(metrics)}, got {', '.join(unknown)}; correct the"
            " selection"
        )
    return names
