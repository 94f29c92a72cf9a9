"""The planted traps that change finished tables.

Each draws from a stream of its own, so that without it the tables are as if it had never been. The
other two, ``price_rise`` and ``chosen_campaign``, are causal: they change what happens, see
``lives`` and ``campaigns``.
"""

import numpy as np

from research.simulate.company import (
    HOSTILE_NAMES,
    HOSTILE_TEXTS,
    LATE,
    LATE_DAYS,
    NO_INCOME_CHANNEL,
    NO_INCOME_MONTHS,
    OFFER_CODES,
    OFFERED,
    OUTAGE_DAYS,
    OUTAGE_REGION,
    TRAITS,
    TWICE,
)
from research.simulate.draws import SECONDS, Clock, Columns, Draws, choose
from research.simulate.phrases import FULL_NAMES, HOSTILE, PIECES

LATE_TABLES = ("orders", "contacts", "feedback")
TWICE_TABLES = ("orders", "usage")


def outage(clock: Clock) -> tuple[int, int]:
    """Return the first day of the outage and the first day after it.

    It lasts ten days from the 10th of a month, three fifths into the history.
    """
    first = int(clock.edges[clock.months * 3 // 5]) + 9
    return first, first + OUTAGE_DAYS


def plant_rows(
    draws: Draws, name: str, table: Columns, people: Columns, traps: tuple[str, ...], clock: Clock
) -> Columns:
    """Return an event table, in the order of customer and time, with the traps in its rows.

    Parameters
    ----------
    table : columns with ``customer`` (a position in ``people``) and ``at``

    Returns
    -------
    dict of arrays: with ``known_at`` where the table can have late rows; a row that would be known
    after the history isn't there yet
    """
    size, copies = len(table["at"]), np.ones(len(table["at"]), dtype=np.int64)
    if name in LATE_TABLES:
        late = draws(f"late {name}").random((size, 2))
        delay = np.where(
            late[:, 0] < LATE * ("late_rows" in traps),
            1 + (late[:, 1] * LATE_DAYS).astype(np.int64),
            0,
        )
        table = table | {"known_at": table["at"] + delay * SECONDS}
        copies *= table["known_at"] < clock.end * SECONDS
    if name in TWICE_TABLES and "duplicates" in traps:
        copies *= 1 + (draws(f"twice {name}").random(size) < TWICE)
    if name == "usage" and "missing_blocks" in traps:
        first, after = outage(clock)
        out = people["region"][table["customer"]] == list(TRAITS["region"]).index(OUTAGE_REGION)
        copies *= ~(out & (table["at"] >= first * SECONDS) & (table["at"] < after * SECONDS))
    if name == "feedback" and "hostile_text" in traps:
        hit = (draws("hostile texts").random(size) < HOSTILE_TEXTS) & (table["first"] >= 0)
        table = table | {
            "second": _hostile(draws("hostile pieces"), hit, table["second"], len(PIECES))
        }
    kept = np.repeat(np.arange(size), copies)
    return {column: values[kept] for column, values in table.items()}


def _hostile(
    draw: np.random.Generator, hit: np.ndarray, positions: np.ndarray, end: int
) -> np.ndarray:
    """Put hostile entries, the last ones of a list of names or phrases, where ``hit`` is true."""
    return np.where(hit, end - 1 - draw.integers(0, len(HOSTILE), len(hit)), positions)


def plant_attributes(
    draws: Draws, table: Columns, cancels: np.ndarray, traps: tuple[str, ...], clock: Clock
) -> Columns:
    """Return the table customers with the traps in its attributes.

    ``cancels`` is true for customers who leave of their own will, now or later.
    """
    size = len(cancels)
    if "hostile_text" in traps:
        hit = draws("hostile names").random(size) < HOSTILE_NAMES
        table = table | {
            "name": _hostile(draws("hostile name"), hit, table["name"], len(FULL_NAMES))
        }
    if "missing_blocks" in traps:
        first = clock.months // 4
        month = clock.month_of(table["joined_at"] // SECONDS)
        lost = table["acquisition_channel"] == list(TRAITS["acquisition_channel"]).index(
            NO_INCOME_CHANNEL
        )
        lost &= (month >= first) & (month < first + NO_INCOME_MONTHS)
        table = table | {"income_band": np.where(lost, -1, table["income_band"]).astype(np.int8)}
    if "knowing_attribute" in traps:
        offered = cancels & (draws("offered").random(size) < OFFERED)
        table = table | {
            "retention_offer_code": np.where(
                offered, choose(draws("offer code"), OFFER_CODES, size), -1
            )
        }
    return table
