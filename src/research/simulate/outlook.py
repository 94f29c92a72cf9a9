"""True risks, values and effects of a generated company as of a day, over many possible futures.

``truth/hazards`` follows each customer along the one path that came, which nobody can know on the
day of a prediction. So the months from a given one on are drawn again, many times, with everything
before them as it was, and the risks, or the margins until churn, are averaged.
"""

from collections.abc import Callable, Sequence
from functools import partial
from zlib import crc32

import numpy as np
import pandas as pd
from joblib import delayed

from research.progress import run_parallel
from research.simulate import Company, name_customers, run_paths
from research.simulate.campaigns import arm_risks, draw_assignments, find_eligible
from research.simulate.company import ARMS, BEYOND, DISCOUNT_A_YEAR, WARM_UP
from research.simulate.draws import Clock, Columns, Draws
from research.simulate.hazard import draw_end
from research.simulate.people import draw_people, draw_return
from research.simulate.truth import expected_margin

FUTURES = 100  # averaged; they leave a risk uncertain by a point or two
EFFECT_FUTURES = 40  # the same of effects
BLOCKS = 2  # whose customers are followed: 10,000 of them at most
PARTS = 2  # of the futures; sums are the same however many processes add them up
# streams that draw month by month, and how often before the history begins
BY_MONTH = {"regime": WARM_UP + 1, "engagement": WARM_UP, "payments": 0}
AT_ONCE = ("orders", "contacts", "billing", "plan change")  # streams that draw all months at once


class Fork:
    """A stream that becomes another one from a month on.

    Streams that only follow from its draws, such as the days of orders, go on unchanged.
    """

    def __init__(
        self, before: np.random.Generator, after: np.random.Generator, month: int, earlier: int
    ):
        self.before, self.after, self.month, self.left = before, after, month, earlier + month

    def __getattr__(self, kind: str) -> Callable[..., np.ndarray]:
        """Return the method that draws of this kind: a path at once, or the next month of one."""

        def draw(*arguments: object) -> np.ndarray:
            old, new = (getattr(stream, kind)(*arguments) for stream in (self.before, self.after))
            if np.ndim(old) == 2:
                return np.vstack([old[: self.month], new[self.month :]])
            self.left -= 1
            return old if self.left >= 0 else new

        return draw


class Future(Draws):
    """The streams of a block with the months from ``month`` on drawn anew.

    ``number`` distinguishes one future from another.
    """

    def __init__(self, seed: int, block: int, life: int, month: int, number: int):
        super().__init__(seed, block, life)
        self.month, self.number = month, number

    def __call__(self, part: str) -> np.random.Generator | Fork:
        """Return the stream of a part."""
        stream = super().__call__(part)
        if part not in BY_MONTH and part not in AT_ONCE:
            return stream
        other = np.random.default_rng([*self._key, crc32(part.encode()), self.number])
        return Fork(stream, other, self.month, BY_MONTH.get(part, 0))


def expect_risks(company: Company, month: int, futures: int = FUTURES) -> pd.Series:
    """Return the risk to leave within three months, as of the start of ``month``.

    Parameters
    ----------
    company : see ``simulate.Company``
    month : counted from 0, within the history
    futures : how many are averaged

    Returns
    -------
    Series ``true_risk`` by customer_id, of all in the first ``BLOCKS`` blocks who are under
    contract at that start
    """
    return _average(company, month, futures, find_risk).rename("true_risk")


def expect_values(company: Company, month: int, months: int, futures: int = FUTURES) -> pd.Series:
    """Return the expected discounted margin of ``months`` months, as of the start of ``month``.

    It counts while the contract lasts.

    A month that begins under contract earns whole; see ``simulate.truth`` for the margin. Paths go
    on for a year after the history, and no further.

    Returns
    -------
    Series ``true_value`` by customer_id, in EUR; of the same customers as in ``expect_risks``
    """
    last = company.months + BEYOND
    if not 0 < months <= last - month:
        raise ValueError(
            f"expected 1 to {last - month} months from month {month} on, got {months}; paths"
            " end there"
        )
    return _average(company, month, futures, partial(find_value, months=months)).rename(
        "true_value"
    )


def find_risk(lives: Columns, month: int) -> np.ndarray:
    """Return the risk of each life to leave in the three months from ``month`` on, on its path."""
    return 1 - (1 - lives["hazard"][:, month : month + 3].sum(axis=0)).prod(axis=0)


def find_value(lives: Columns, month: int, months: int) -> np.ndarray:
    """Return the discounted margin of each life in the months from ``month`` on, on its path."""
    survival = 1 - lives["hazard"][:, month : month + months - 1].sum(axis=0)
    running = np.vstack([np.ones(survival.shape[1]), np.cumprod(survival, axis=0)])
    discounts = (1 + DISCOUNT_A_YEAR) ** (-np.arange(months) / 12)
    return discounts @ (running * expected_margin(lives)[month : month + months])


def _average(
    company: Company, month: int, futures: int, measure: Callable[[Columns, int], np.ndarray]
) -> pd.Series:
    tasks = [
        (block, part)
        for block in company.blocks[:BLOCKS]
        for part in np.array_split(np.arange(futures), PARTS)
    ]
    sums = run_parallel(
        [delayed(_add_up)(company, block, month, part, measure) for block, part in tasks],
        "parts of the futures simulated",
    )
    return (
        (pd.concat(sums).groupby(level=0).sum(min_count=PARTS) / futures)
        .dropna()
        .rename_axis("customer_id")
    )


def _add_up(
    company: Company,
    block: int,
    month: int,
    numbers: Sequence[int],
    measure: Callable[[Columns, int], np.ndarray],
) -> pd.Series:
    """Return the sum of a measure over some futures by customer, empty where no contract runs."""
    clock, size = Clock(company.months), company.count(block)
    draws, sums = Draws(company.seed, block), np.full(size, np.nan)
    people, assignments = draw_people(draws, size, clock), draw_assignments(draws, size)
    fixed = (company, people, assignments)
    customer, start = np.arange(size), people["joined"]
    for life in (0, 1):
        end = _find_ends(Draws(company.seed, block, life), fixed, customer, start, clock)
        runs = (start <= clock.edges[month]) & (end > clock.edges[month])
        paths = (
            run_paths(
                Future(company.seed, block, life, month, number), *fixed, customer, start, clock
            )[0]
            for number in numbers
        )
        sums[customer[runs]] = sum(measure(lives, month) for lives in paths)[runs]
        customer, start = draw_return(draws, people, end, clock) if not life else (customer, start)
    return pd.Series(sums, name_customers(block * company.block, size).to_pylist())


def _find_ends(
    draws: Draws,
    fixed: tuple[Company, Columns, np.ndarray],
    customer: np.ndarray,
    start: np.ndarray,
    clock: Clock,
) -> np.ndarray:
    lives = run_paths(draws, *fixed, customer, start, clock)[0]
    return draw_end(draws, lives["hazard"], lives, clock)["end"]


def expect_effects(
    company: Company, campaigns: Sequence[str], futures: int = EFFECT_FUTURES
) -> pd.DataFrame:
    """Return the true effect of each arm on the risk to leave, as of the campaign's day.

    The risk is that of three months. As ``truth/effects``, but over possible futures instead of
    the one path that came.

    Parameters
    ----------
    campaigns : names, all with randomised arms

    Returns
    -------
    DataFrame with columns campaign, customer_id, arm, effect
        One row per campaign, customer under contract on its day, and arm other than control.
    """
    tasks = [
        (name, block, part)
        for name in campaigns
        for block in company.blocks
        for part in np.array_split(np.arange(futures), PARTS)
    ]
    sums = run_parallel(
        [delayed(_add_up_effects)(company, *task) for task in tasks],
        "parts of the futures simulated",
    )
    keys = ["campaign", "customer_id", "arm"]
    return (pd.concat(sums).groupby(keys, sort=False).effect.sum() / futures).reset_index()


def _add_up_effects(
    company: Company, name: str, block: int, numbers: Sequence[int]
) -> pd.DataFrame:
    """Return the sum of every customer's effects over some futures of one campaign."""
    clock, size = Clock(company.months), company.count(block)
    draws, month = Draws(company.seed, block), clock.campaigns[name]
    people, assignments = draw_people(draws, size, clock), draw_assignments(draws, size)
    customer, start, effect_tables = np.arange(size), people["joined"], []
    for life in (0, 1):
        paths = run_paths(
            Draws(company.seed, block, life), company, people, assignments, customer, start, clock
        )
        lives = paths[0] | draw_end(
            Draws(company.seed, block, life), paths[0]["hazard"], paths[0], clock
        )
        eligible, effects = find_eligible(lives, month, clock), 0
        for number in numbers:
            future = run_paths(
                Future(company.seed, block, life, month, number),
                company,
                people,
                assignments,
                customer,
                start,
                clock,
            )
            risks = arm_risks(*future, clock, name)[:, eligible]
            effects = effects + risks[1:] - risks[:1]
        effect_tables += [
            pd.DataFrame({"life": customer[eligible], "arm": arm, "effect": effects[code]})
            for code, arm in enumerate(ARMS[1:])
        ]
        customer, start = (
            draw_return(draws, people, lives["end"], clock) if not life else (customer, start)
        )
    table = pd.concat(effect_tables, ignore_index=True)
    ids = np.array(name_customers(block * company.block, size).to_pylist())
    return table.assign(campaign=name, customer_id=ids[table.life])
