"""Whether a difference matters: its interval against the smallest one that does.

A significant difference can be too small to change a decision, and one that isn't significant can
hide one that would. The smallest difference that matters (smallest effect size of interest) parts
them: Lakens, Scheel & Isager (2018), doi:10.1177/2515245918770963.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from research.reporting.format import SHARES, write_number, write_quantity
from research.study_schema import ImportantDifference

REACHED, RULED_OUT, OPEN = "reached", "ruled out", "open"
SMALL = 0.01  # a score that needs a fourth digit
ENDINGS = {
    REACHED: "it is at least that",
    RULED_OUT: "it is smaller than that, significant or not",
    OPEN: "whether it reaches that is open",
}


class Difference(NamedTuple):
    """A difference that a verdict rests on, with the interval that decides it.

    ``key`` is its name in ``study_schema.ImportantDifference``; ``unit`` as in ``write_quantity``.
    """

    key: str
    words: str
    low: float
    high: float
    unit: str = ""


def judge_importance(low: float, high: float, smallest: float) -> str:
    """Return whether an interval shows a difference that matters, rules it out, or neither.

    ``REACHED`` where all of it lies beyond the smallest difference that matters, on either side,
    ``RULED_OUT`` where all of it is smaller, else ``OPEN``.
    """
    if low >= smallest or high <= -smallest:
        return REACHED
    return RULED_OUT if max(-low, high) < smallest else OPEN


def describe_importance(important: ImportantDifference, found: Sequence[Difference]) -> str:
    """Return a sentence for every difference of which the study says what would matter.

    Empty where it says nothing, or the difference isn't defined.
    """
    sentences = []
    for one in found:
        smallest = getattr(important, one.key)
        if smallest is None or not np.isfinite([one.low, one.high]).all():
            continue
        least, low, high = (_write(bound, one.unit) for bound in (smallest, one.low, one.high))
        ending = ENDINGS[judge_importance(one.low, one.high, smallest)]
        sentences.append(
            f"In {one.words} a difference of {least} would matter: {ending} ({low} to {high})."
        )
    return " ".join(sentences)


def _write(bound: float, unit: str) -> str:
    if not unit:
        return write_number(bound, 4 if abs(bound) < SMALL else 3)
    return f"{write_quantity(bound, unit)}{'' if unit in SHARES else f' {unit}'}"
