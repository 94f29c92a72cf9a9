"""The risk that a generated company's customers truly have on a day: over all futures that may follow it, not along the one that came.

``truth/hazards`` follows each customer through the months of the window; whoever stands before the window can't. So the months from a given one on
are drawn again, many times, with everything before them as it was, and the chances to leave are averaged.
"""

from zlib import crc32

import numpy as np
import pandas as pd

from research.simulate import Company, name_customers, run_paths
from research.simulate.company import WARM_UP
from research.simulate.draws import Clock, Draws
from research.simulate.hazard import draw_end
from research.simulate.offers import draw_assignments
from research.simulate.people import draw_people, draw_return

FUTURES = 200  # as many draws leave a customer's risk uncertain by about one point
MONTHLY = {"regime": WARM_UP + 1, "engagement": WARM_UP, "payments": 0}  # streams that draw month by month, and how often before the history begins
TABLES = ("orders", "contacts", "billing", "plan change")  # streams that draw all months at once


class Fork:
    """A stream that is another one from a month on; what follows from its draws, such as the days of orders, goes on as it comes."""

    def __init__(self, before: np.random.Generator, after: np.random.Generator, month: int, calls: int):
        self.before, self.after, self.month, self.left = before, after, month, calls + month

    def __getattr__(self, kind: str):
        """Return the method that draws of this kind."""

        def draw(*given):
            old, new = (getattr(stream, kind)(*given) for stream in (self.before, self.after))
            if np.ndim(old) == 2:
                return np.vstack([old[: self.month], new[self.month :]])
            self.left -= 1
            return old if self.left >= 0 else new

        return draw


class Futures(Draws):
    """The streams of a block whose months from ``month`` on are drawn anew; ``number`` tells one future from another."""

    def __init__(self, seed: int, block: int, life: int, month: int, number: int):
        super().__init__(seed, block, life)
        self.month, self.number = month, number

    def __call__(self, part: str) -> np.random.Generator | Fork:
        """Return the stream of a part."""
        stream = super().__call__(part)
        if part not in MONTHLY and part not in TABLES:
            return stream
        other = np.random.default_rng([*self._key, crc32(part.encode()), self.number])
        return Fork(stream, other, self.month, MONTHLY.get(part, 0))


def expect_risks(company: Company, month: int, futures: int = FUTURES) -> pd.Series:
    """Return the chance to leave within the three months from the start of ``month`` on, as it is on that day.

    Parameters
    ----------
    company : see ``simulate.Company``
    month : counted from 0, at least three before the end of the history
    futures : how many are averaged

    Returns
    -------
    Series ``true_risk`` by customer_id, of all under contract on that day
    """
    clock = Clock(company.months)
    found = [_expect_block(company, block, month, futures, clock) for block in company.blocks]
    return pd.concat(found).rename("true_risk").rename_axis("customer_id")


def _expect_block(company: Company, block: int, month: int, futures: int, clock: Clock) -> pd.Series:
    draws, size = Draws(company.seed, block), company.count(block)
    people, assignments = draw_people(draws, size, clock), draw_assignments(draws, size)
    lives, risk = [(np.arange(size), people["joined"])], np.full(size, np.nan)
    for life in (0, 1):
        who, start = lives[life]
        own = run_paths(draws if not life else Draws(company.seed, block, 1), company, people, assignments, who, start, clock)[0]
        end = draw_end(Draws(company.seed, block, life), own["hazard"], own, clock)["end"]
        runs = (start <= clock.edges[month]) & (end > clock.edges[month])
        streams = (Futures(company.seed, block, life, month, number) for number in range(futures))
        drawn = [run_paths(stream, company, people, assignments, who, start, clock)[0]["hazard"][:, month : month + 3] for stream in streams]
        risk[who[runs]] = np.mean([1 - (1 - hazard.sum(axis=0)).prod(axis=0) for hazard in drawn], axis=0)[runs]
        lives.append(draw_return(draws, people, end, clock)) if not life else None
    ids = np.asarray(name_customers(block * company.block, size))
    return pd.Series(risk, ids).dropna()
