"""Named random streams, the calendar of months, and moments within a life.

Every named part of every block has a stream of its own, so that nothing depends on how many blocks
are made at once, and a new part, or a trap switched off, leaves all other draws as they were.
Within a stream, draws go month by month: what happens late changes nothing early.
"""

from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np

from research.simulate.company import BEYOND, CAMPAIGNS, LAST_DAY, RISE_MONTHS

# arrays by name, of one entry per customer, life or event; a path has one row per month before that
Columns = dict[str, np.ndarray]

SECONDS = 86_400
NEVER = np.iinfo(np.int64).max // SECONDS  # the day on which a running contract ends


class Draws:
    """The streams of one block of customers: ``draws("part")`` opens one, once."""

    def __init__(self, seed: int, block: int, life: int = 0):
        self.block, self.life = block, life
        self._key, self._opened = (seed, block, life), set()

    def __call__(self, part: str) -> np.random.Generator:
        """Return the stream of a part.

        Raises
        ------
        ValueError
            If the part was opened before: two uses of one stream would be the same draws.
        """
        if part in self._opened:
            raise ValueError(
                f"expected a part that has not drawn yet, got '{part}' again; give the second"
                " one a name of its own"
            )
        self._opened.add(part)
        return np.random.default_rng([*self._key, crc32(part.encode())])


@dataclass(frozen=True)
class Clock:
    """The calendar of a history of ``months``, as days since 1970.

    Paths go on for ``BEYOND`` months after the history.
    """

    months: int

    @cached_property
    def edges(self) -> np.ndarray:
        """First days of all months, of those beyond the history, and of the month after."""
        after = np.datetime64(LAST_DAY[:7], "M") + 1
        return (
            (after + np.arange(-self.months, BEYOND + 1)).astype("datetime64[D]").astype(np.int64)
        )

    @property
    def first(self) -> int:
        """First day of the history."""
        return int(self.edges[0])

    @property
    def end(self) -> int:
        """The day after the history."""
        return int(self.edges[self.months])

    @property
    def rise(self) -> int:
        """Month, counted from 0, on whose first day prices rise where they do."""
        return self.months - RISE_MONTHS

    @cached_property
    def campaigns(self) -> dict[str, int]:
        """Month, counted from 0, on whose first day each campaign starts.

        The first starts after three eighths of the history, all four months before its end.
        """
        first = max(1, round(self.months * 3 / 8))
        step = max(1, (self.months - 6 - first) // (len(CAMPAIGNS) - 1))
        return {name: first + step * number for number, name in enumerate(CAMPAIGNS)}

    def month_of(self, day: np.ndarray) -> np.ndarray:
        """Return the month of each day, counted from 0; negative before the history."""
        return (
            day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) - self._first_month
        )

    @cached_property
    def _first_month(self) -> int:
        return int(np.datetime64(self.first, "D").astype("datetime64[M]").astype(np.int64))


def add_months(day: np.ndarray, months: np.ndarray | int) -> np.ndarray:
    """Return the same day of a later month, or the last day of a month that is too short for it."""
    month = day.astype("datetime64[D]").astype("datetime64[M]")
    offset = day - month.astype("datetime64[D]").astype(np.int64)
    opens, closes = (
        (month + months + more).astype("datetime64[D]").astype(np.int64) for more in (0, 1)
    )
    return np.minimum(opens + offset, closes - 1)


def choose(draw: np.random.Generator, table: dict, size: int) -> np.ndarray:
    """Draw positions in ``table``, whose first column is shares."""
    bounds = np.cumsum([row[0] for row in table.values()])[:-1]
    return np.searchsorted(bounds, draw.random(size), side="right").astype(np.int8)


def look_up(table: dict, codes: np.ndarray, column: int = 0) -> np.ndarray:
    """Return a column of ``table`` at the positions ``codes``."""
    return np.array([row[column] for row in table.values()])[codes]


def scatter(draws: Draws, part: str, counts: np.ndarray, lives: Columns, clock: Clock) -> Columns:
    """Turn counts per month and life into moments from the life's start on.

    Returns
    -------
    dict of arrays: ``life`` (its index), ``month``, ``at`` (seconds since 1970)
    """
    month, life = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    day = spread(draws(f"{part} day").random(len(life)), clock.edges[month], clock.edges[month + 1])
    second = (draws(f"{part} hour").normal(lives["hour"][life], 3.0) * 3600).astype(
        np.int64
    ) % SECONDS
    kept = day >= lives["start"][life]
    return {"life": life[kept], "month": month[kept], "at": (day * SECONDS + second)[kept]}


def spread(share: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return whole numbers from ``low`` to below ``high``, at a share of the way (0 to 1)."""
    return low + (share * (high - low)).astype(np.int64)


def count_by_month(events: Columns, shape: tuple[int, int]) -> np.ndarray:
    """Return the path of how many events a life has in each month."""
    return np.bincount(
        events["month"] * shape[1] + events["life"], minlength=shape[0] * shape[1]
    ).reshape(shape)


def fade(counts: np.ndarray, kept: float, most: float) -> np.ndarray:
    """Return the path of what is left of ``counts`` when a month begins.

    A share ``kept`` of the month before is left, at most ``most``.
    """
    path = np.zeros(counts.shape)
    for month in range(1, len(counts)):
        path[month] = np.minimum(kept * path[month - 1] + counts[month - 1], most)
    return path
