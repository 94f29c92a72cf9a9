"""Numbers, intervals and lists as readers see them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

MINUS = str.maketrans("-", "−")
MAX_NAME = 28  # letters of a name beside an axis
SHARES = {"share": "%", "points": "pp"}  # units that are written in hundredths


def write_interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """Return ``0.850 (0.841 to 0.859)``, or a dash where the value is not defined."""
    if not np.isfinite(value):
        return "–"
    return (
        f"{write_number(value, digits)} ({write_number(low, digits)} to"
        f" {write_number(high, digits)})"
    )


def write_number(number: float, digits: int) -> str:
    """Return a number with a true minus sign, and zero without any."""
    return f"{round(number, digits) + 0.0:.{digits}f}".translate(MINUS)


def write_quantity(value: float, unit: str) -> str:
    """Return a number with its unit: shares as percentages, others with about three digits.

    A dash where there is none.
    """
    if not np.isfinite(value):
        return "–"
    if unit in SHARES:
        return f"{round(100 * value, 1) + 0.0:.1f} {SHARES[unit]}".translate(MINUS)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{round(value, digits) + 0.0:,.{digits}f}".translate(MINUS)


def write_share(row: Any, column: str = "value") -> str:
    """Return a row's share with its ``low`` and ``high``: ``85.0 % (84.1 % to 85.9 %)``."""
    bounds = (getattr(row, name) for name in (column, "low", "high"))
    return "{} ({} to {})".format(*(write_quantity(bound, "share") for bound in bounds))


def write_name(name: object) -> str:
    """Return a name cut to what fits beside an axis."""
    text = str(name)
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


def write_plain(text: object, width: int = 30) -> str:
    """Return letters, digits and a few signs on one line of at most ``width`` letters.

    A value of the data can be markup, or a page of text.
    """
    line = " ".join(re.sub(r"[^\w .,+%&/'-]+|_", " ", str(text)).replace("&", "and").split())
    return (line if len(line) <= width else line[: width - 1].rstrip() + "…") or "no text"


def join_words(words: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def write_range(value: str, low: str, high: str) -> str:
    """Return a cell of two lines, the interval small below the value.

    Of an interval without width the value alone.
    """
    return value if low == high or not low else f"{value}<br><small>{low} to {high}</small>"
