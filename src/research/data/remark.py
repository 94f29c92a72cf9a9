"""A remark: what passes every check and may mislead all the same, in one sentence."""

from typing import NamedTuple


class Remark(NamedTuple):
    """What was found where, and what settles it.

    Attributes
    ----------
    place : a table, a column or a key of study.yml
    found : with counts, so that a reader can judge it
    remedy : what to do, or what to look at first
    """

    place: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.found}; {self.remedy}"
