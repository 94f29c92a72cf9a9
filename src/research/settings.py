"""The ranges of the parameters of notebooks and commands, one for each name, and how many cores one
notebook may use.
"""

import os
from typing import Any

from research.errors import ISO_DAY, UsageError

RANGES: dict[str, tuple[int, int]] = {
    "folds": (2, 100),
    "repeats": (1, 100),
    "origins": (0, 100),
    "periods": (1, 1000),
    "windows": (1, 1000),
    "resamples": (200, 100_000),  # fewer leave a handful of draws outside an interval
    "refits": (0, 1000),
    "offers": (1, 100),
    "tuning_trials": (0, 1000),
    "seed": (0, 2**32 - 1),
    "placebos": (1, 1000),
    "planned": (0, 1_000_000_000),
    "capacity": (0, 1_000_000_000),
    "budget": (-1, 1_000_000_000_000),
    "lead_days": (-1, 36_500),
    "horizon_days": (0, 36_500),
}
KINDS = {
    "seed": "a seed",
    "capacity": "a capacity",
    "budget": "a budget",
    "planned": "a number of planned customers",
}  # what a value is; of any other name it is a number of that name


DRAFT: dict[str, float] = {
    "folds": 3,
    "repeats": 1,
    "origins": 0,
    "windows": 4,
    "resamples": 200,
    "refits": 3,
    "placebos": 5,
    "tuning_trials": 0,
}  # the most that a draft takes of each
SHARE = "RESEARCH_CORES"  # environment variable: the cores that a batch leaves each notebook
MOST_WORKERS = 8  # each has the package in its memory
UNSHARED_WORKERS = 2  # of a notebook that runs by itself


def read_share() -> int | None:
    """Return how many cores a batch leaves this notebook; None outside a batch."""
    given = os.environ.get(SHARE, "")
    return max(1, int(given)) if given.isdigit() else None


def count_workers() -> int:
    """Return how many processes a notebook may use at a time."""
    share = read_share() or min(UNSHARED_WORKERS, os.cpu_count() or 1)
    return min(share, MOST_WORKERS)


def reduce_sizes(sizes: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes of a draft: those of ``DRAFT`` at most, all others as they are."""
    return {name: min(size, DRAFT.get(name, size)) for name, size in sizes.items()}


def require_settings(**values: Any) -> None:
    """Refuse values outside the range of their name; names without a range pass.

    Raises
    ------
    UsageError
        One sentence for every value out of range.
    """
    faults = [
        _sentence(name, value)
        for name, value in values.items()
        if name in RANGES and not RANGES[name][0] <= value <= RANGES[name][1]
    ]
    day = values.get("snapshot")
    if day and not ISO_DAY.fullmatch(str(day)):
        faults.append(
            f"expected a snapshot in the form 2025-06-30, got '{day}'; write year, month and day"
        )
    if faults:
        raise UsageError(*faults)


def _sentence(name: str, value: Any) -> str:
    low, high = RANGES[name]
    kind = KINDS.get(name, f"a number of {name}")
    return f"expected {kind} between {low} and {high}, got {value}; choose a value in that range"
