"""A generated subscription company in discrete time, with every cause of churn written down.

Customers join, use the service, buy, complain, answer, refer others and leave; campaigns reach
them. A month's hazard depends only on what lies before that month and on engagement and fee in it;
the tables reflect both, never the outcome, but for the traps that are planted on purpose. The truth
has tables of its own. The numbers, and the papers that give the form, are in
``research.simulate.company``; ``data/demo/README.md`` describes tables, causes, traps and truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from research.simulate.assigned import add_assigned_shift, list_assigned
from research.simulate.campaigns import (
    assign_arms,
    build_shift,
    draw_assignments,
    list_campaigns,
    list_effects,
)
from research.simulate.company import (
    ARMS,
    CAMPAIGNS,
    CHANNELS,
    KINDS,
    LANGUAGES,
    OFFER_CODES,
    PLANS,
    PRODUCTS,
    TRAITS,
    USES,
)
from research.simulate.draws import NEVER, SECONDS, Clock, Columns, Draws
from research.simulate.events import (
    ROW_REASONS,
    list_contacts,
    list_contracts,
    list_feedback,
    list_orders,
    list_referrals,
    list_usage,
)
from research.simulate.hazard import (
    build_drivers,
    build_logits,
    draw_end,
    draw_reason,
    monthly_hazard,
)
from research.simulate.lives import TOPICS, simulate_lives
from research.simulate.people import draw_people, draw_return, list_customers, list_latent
from research.simulate.phrases import FULL_NAMES, TONES, compose
from research.simulate.traps import plant_attributes, plant_rows
from research.simulate.truth import (
    expected_margin,
    find_stages,
    list_hazards,
    quarter_risk,
    remaining_value,
)
from research.study_schema import STAGES, TRAPS

BLOCK = 5_000  # customers made at once from streams of their own; another size is another company

TABLES = {  # table: its columns, in order; "at" becomes the name after it
    "customers": (
        "joined_at",
        "name",
        "gender",
        "age",
        "income_band",
        "region",
        "acquisition_channel",
        "payment_method",
        "retention_offer_code",
    ),
    "contracts": (
        "at started_at",
        "ended_at",
        "plan",
        "monthly_fee",
        "term_months",
        "end_reason",
        "voluntary",
    ),
    "orders": ("at ordered_at", "amount", "product", "quantity", "returned", "known_at"),
    "usage": ("at used_at", "kind", "amount"),
    "contacts": ("at contacted_at", "channel", "topic", "complaint", "resolved_at", "known_at"),
    "feedback": ("at given_at", "kind", "score", "score_max", "text", "known_at"),
    "referrals": ("at referred_at",),
    "campaigns": ("campaign", "at assigned_at", "arm", "cost", "propensity"),
    "truth/hazards": (
        "at month",
        "voluntary",
        "involuntary",
        "risk_3_months",
        "stage",
        "remaining_value_eur",
    ),
    "truth/effects": ("campaign", "at assigned_at", "arm", "risk_control", "risk_arm", "effect"),
    "truth/people": (
        "home",
        "quiet",
        "loyalty",
        "trouble",
        "taste",
        "answers",
        "language",
        "true_age",
    ),
    "truth/tones": ("at given_at", "tone", "language", "second_language"),
}
EVENTS = ("orders", "usage", "contacts", "feedback", "referrals")
TRUTH = tuple(name for name in TABLES if name.startswith("truth/"))
NAMES = {name: tuple(table) for name, table in TRAITS.items()} | {
    "name": FULL_NAMES,
    "retention_offer_code": tuple(OFFER_CODES),
    "plan": tuple(PLANS),
    "end_reason": ROW_REASONS,
    "product": tuple(PRODUCTS),
    "channel": tuple(CHANNELS),
    "topic": TOPICS,
    "campaign": tuple(CAMPAIGNS),
    "arm": ARMS,
    "stage": STAGES,
    "language": tuple(LANGUAGES),
    "second_language": tuple(LANGUAGES),
    "tone": TONES,
}
KIND_NAMES = {"usage": tuple(USES), "feedback": tuple(KINDS)}


@dataclass(frozen=True)
class Company:
    """A request for a company: how many customers ever join, and how they are drawn.

    Parameters
    ----------
    customers : int
        Everyone who ever joins.
    months : int
        Calendar months of history.
    seed : int
        Every random draw comes from it.
    traps : names out of ``study_schema.TRAPS``
    block : int
        Customers drawn from one set of streams.
    assigned : DataFrame, optional
        Contacts from outside, under which the company lives on; see
        ``assigned.place_assignments``.
    """

    customers: int
    months: int
    seed: int
    traps: tuple[str, ...] = TRAPS
    block: int = BLOCK
    assigned: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    @property
    def blocks(self) -> range:
        """The numbers of the blocks."""
        return range(-(-self.customers // self.block))

    def count(self, block: int) -> int:
        """Return how many customers a block has."""
        return min(self.block, self.customers - block * self.block)


def simulate(
    customers: int, months: int, seed: int, traps: Sequence[str] = TRAPS
) -> dict[str, pd.DataFrame]:
    """Generate the contract tables of one subscription company whose history ends on ``LAST_DAY``.

    Parameters
    ----------
    customers : int
        Everyone who ever joins, at least 100; nearly half of them joined before the first month.
    months : int
        Calendar months of history, at least 12.
    seed : int
        Same seed, same tables, to the bit, and the same as ``research simulate`` writes.
    traps : names out of ``study_schema.TRAPS``

    Returns
    -------
    dict of DataFrames by contract table: customers, contracts, orders, usage, contacts, feedback,
    referrals, campaigns
        Sorted by customer and time. Contracts reach back before the history; all other events lie
        inside it.
    """
    tables = simulate_company(Company(customers, months, seed, tuple(traps)))
    return {name: table for name, table in tables.items() if name not in TRUTH}


def simulate_truth(
    customers: int, months: int, seed: int, traps: Sequence[str] = TRAPS
) -> dict[str, pd.DataFrame]:
    """Return what is true of the company that ``simulate`` generates from the same request.

    Returns
    -------
    dict of DataFrames: hazards, effects, people, tones
        See ``data/demo/README.md`` for their columns.
    """
    tables = simulate_company(Company(customers, months, seed, tuple(traps)))
    return {name.removeprefix("truth/"): tables[name] for name in TRUTH}


def simulate_company(company: Company) -> dict[str, pd.DataFrame]:
    """Return the tables of ``simulate``, and those of ``simulate_truth`` as ``truth/<table>``."""
    blocks = [simulate_block(company, block) for block in company.blocks]
    types = {
        pa.string(): pd.StringDtype("python"),
        pa.bool_(): pd.BooleanDtype(),
        pa.int64(): pd.Int64Dtype(),
    }
    return {
        name: pa.concat_tables([block[name] for block in blocks]).to_pandas(types_mapper=types.get)
        for name in blocks[0]
    }


def simulate_block(company: Company, block: int) -> dict[str, pa.Table]:
    """Return all tables of one block, the truth included, sorted by customer and time."""
    clock, size = Clock(company.months), company.count(block)
    draws = Draws(company.seed, block)
    people, assignments = draw_people(draws, size, clock), draw_assignments(draws, size)
    first = run_life(draws, company, people, assignments, np.arange(size), people["joined"], clock)
    second = run_life(
        Draws(company.seed, block, 1),
        company,
        people,
        assignments,
        *draw_return(draws, people, first["end"], clock),
        clock,
    )
    tables = {name: join_lives(name, first, second) for name in first["tables"]}
    for name in EVENTS:
        tables[name] = plant_rows(draws, name, tables[name], people, company.traps, clock)
    cancels = np.isin(
        np.arange(size),
        np.concatenate([life["customer"][life["voluntary"]] for life in (first, second)]),
    )
    tables["customers"] = plant_attributes(
        draws, list_customers(people), cancels, company.traps, clock
    )
    tables |= {
        "truth/hazards": list_hazards([first, second], size, clock),
        "truth/people": list_latent(people),
    }
    written = tables["feedback"]["first"] >= 0
    tables["truth/tones"] = {name: values[written] for name, values in tables["feedback"].items()}
    ids, before = name_customers(block * company.block, size), block * company.block
    written = {name: to_arrow(name, tables[name], ids) for name in TABLES}
    listed = list_assigned(company.assigned, (first, second), before, written["campaigns"])
    return written | {"campaigns": listed}


def run_life(
    draws: Draws,
    company: Company,
    people: Columns,
    assignments: np.ndarray,
    customer: np.ndarray,
    start: np.ndarray,
    clock: Clock,
) -> Columns:
    """Run one life for each customer in ``customer`` from the day ``start`` on.

    Returns
    -------
    dict of arrays: paths, hazard, end and truth; under ``tables`` the tables of these lives
    """
    lives, drivers, logits, assigned = run_paths(
        draws, company, people, assignments, customer, start, clock
    )
    lives |= draw_end(draws, lives["hazard"], lives, clock)
    lives |= {
        "reason": draw_reason(draws, drivers, lives),
        "stage": find_stages(lives, bool(draws.life), clock),
    }
    lives |= {
        "risk": quarter_risk(lives["hazard"], clock.months),
        "value": remaining_value(lives["hazard"], expected_margin(lives)),
    }
    lives["tables"] = {
        "contracts": list_contracts(lives, clock, "price_rise" in company.traps),
        "orders": list_orders(draws, lives, clock),
        "usage": list_usage(draws, lives, clock),
        "contacts": list_contacts(draws, lives, clock),
        "feedback": list_feedback(draws, lives, drivers, clock),
        "referrals": list_referrals(draws, lives, clock),
        "campaigns": list_campaigns(lives, assigned, clock),
        "truth/effects": list_effects(lives, drivers, logits, assigned, clock),
    }
    return lives


def run_paths(
    draws: Draws,
    company: Company,
    people: Columns,
    assignments: np.ndarray,
    customer: np.ndarray,
    start: np.ndarray,
    clock: Clock,
) -> tuple[Columns, Columns, np.ndarray, dict[str, Columns]]:
    """Return lives with their paths and ``hazard``, drivers, logits and campaigns.

    The logits are those without any campaign.
    """
    names = [
        name
        for name, shares in CAMPAIGNS.items()
        if shares is not None or "chosen_campaign" in company.traps
    ]
    lives = simulate_lives(draws, people, customer, start, clock, "price_rise" in company.traps)
    drivers = build_drivers(draws, lives, clock)
    before = draws.block * company.block
    logits = add_assigned_shift(
        build_logits(drivers), lives, drivers, company.assigned, before, clock
    )
    assigned = assign_arms(assignments, lives, drivers, clock, names)
    lives["hazard"] = monthly_hazard(logits, build_shift(lives, drivers, assigned, clock))
    return lives, drivers, logits, assigned


def join_lives(name: str, first: Columns, second: Columns) -> Columns:
    """Return one table of both lives, by ``customer`` instead of ``life``, sorted by time."""
    both = [
        life["tables"][name] | {"customer": life["customer"][life["tables"][name]["life"]]}
        for life in (first, second)
    ]
    table = {
        column: np.concatenate([life[column] for life in both])
        for column in both[0]
        if column not in ("life", "month")
    }
    order = np.lexsort((table["at"], table["customer"]))
    return {column: values[order] for column, values in table.items()}


def name_customers(before: int, size: int) -> pa.Array:
    """Return identifiers: ``C`` and at least six digits."""
    return pa.array(
        np.char.add(
            "C", np.char.zfill(np.arange(before + 1, before + size + 1).astype(str), 6)
        ).tolist()
    )


def to_arrow(name: str, table: Columns, ids: pa.Array) -> pa.Table:
    """Return a table in Arrow.

    Positions become names, seconds become moments, -1 and ``NEVER`` become empty.
    """
    columns = {
        "customer_id": ids.take(
            pa.array(table["customer"] if "customer" in table else table["life"])
        )
    }
    for column in TABLES[name]:
        source, _, label = column.rpartition(" ")
        if column == "text":
            columns[column] = compose(table)
        elif (source or label) in table:
            columns[label] = _to_column(
                KIND_NAMES.get(name) if label == "kind" else NAMES.get(label),
                label,
                table[source or label],
            )
    return pa.table(columns)


def _to_column(names: Sequence[str] | None, column: str, values: np.ndarray) -> pa.Array:
    if names is not None:
        names = names if isinstance(names, pa.Array) else pa.array(names)
        return names.take(pa.array(values.astype(np.int32), mask=values < 0))
    if column.endswith("_at") or column == "month":
        moments = pa.array(
            np.where(values < NEVER * SECONDS, values, 0) * 1_000_000,
            mask=values >= NEVER * SECONDS,
        )
        return moments.view(pa.timestamp("us"))
    if column == "age":
        return pa.array(values, mask=values < 0)
    if column == "voluntary" and values.dtype == np.int8:
        return pa.array(values == 1, mask=values < 0)
    return pa.array(values, from_pandas=values.dtype.kind == "f")
