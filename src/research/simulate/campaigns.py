"""Campaigns: who is assigned to which arm, what it costs, how it shifts the hazard, and what its
true effect is.
"""

import numpy as np

from research.simulate.company import (
    ARMS,
    CALL_COST,
    CAMPAIGNS,
    CHOSEN,
    DISCOUNT_SHARE,
    OFFER_MONTHS,
    OFFERS,
    PLANS,
)
from research.simulate.draws import SECONDS, Clock, Columns, Draws
from research.simulate.hazard import monthly_hazard

LABELS = {name: number for number, name in enumerate(CAMPAIGNS)}


def draw_assignments(draws: Draws, customers: int) -> np.ndarray:
    """Return one number between 0 and 1 for every campaign and customer: it decides the arm of
    whoever turns out to be eligible.
    """
    return np.stack([draws(f"campaign {name}").random(customers) for name in CAMPAIGNS])


def assign(
    assignments: np.ndarray, own: Columns, drivers: Columns, clock: Clock, names: list[str]
) -> dict[str, Columns]:
    """Return for each campaign in ``names`` the ``arm`` (a position in ``ARMS``), its
    ``propensity`` (empty: not known) and its ``cost``.
    """
    found = {}
    for name in names:
        month, number = clock.campaigns[name], assignments[LABELS[name]][own["who"]]
        shares = arm_shares(
            name,
            own["plan"][month],
            {driver: path[month] for driver, path in drivers.items()} | {"quiet": own["quiet"]},
        )
        arm = (number >= np.cumsum(shares, axis=0)[:-1]).sum(axis=0).astype(np.int8)
        known = (
            np.full(len(arm), np.nan)
            if CAMPAIGNS[name] is None
            else shares[arm, np.arange(len(arm))]
        )
        cost = np.stack(
            [
                np.zeros(len(arm)),
                DISCOUNT_SHARE * 3 * own["fee"][month],
                np.full(len(arm), CALL_COST),
            ]
        )[arm, np.arange(len(arm))]
        found[name] = {"arm": arm, "propensity": np.round(known, 6), "cost": np.round(cost, 2)}
    return found


def arm_shares(name: str, plan: np.ndarray, drivers: Columns) -> np.ndarray:
    """Return the chance of each arm, in the shape (arm, life): written down by plan, or chosen by
    agents who see the trouble.
    """
    if CAMPAIGNS[name] is not None:
        return np.array([CAMPAIGNS[name][label] for label in PLANS]).T[:, plan]
    weights = np.exp(
        np.stack([np.zeros(len(plan)), *(_weigh(CHOSEN[offer], drivers) for offer in ARMS[1:])])
    )
    return weights / weights.sum(axis=0)


def _weigh(coefficients: dict[str, float], drivers: Columns) -> np.ndarray:
    return sum(coefficient * drivers[name] for name, coefficient in coefficients.items())


def offer_shifts(own: Columns, drivers: Columns, month: int) -> np.ndarray:
    """Return what each arm of a campaign that starts in ``month`` adds to the voluntary logit, in
    the shape (arm, life).
    """
    now = {name: path[month] for name, path in drivers.items()} | {"quiet": own["quiet"]}
    return np.stack(
        [np.zeros(len(own["start"])), *(_weigh(OFFERS[offer], now) for offer in ARMS[1:])]
    )


def build_shift(
    own: Columns, drivers: Columns, assigned: dict[str, Columns], clock: Clock
) -> np.ndarray:
    """Return the path of what all campaigns add to the voluntary logit; an offer lasts three months
    and reaches whose contract runs on its day.
    """
    shift = np.zeros(own["level"].shape)
    for name, campaign in assigned.items():
        month = clock.campaigns[name]
        step = offer_shifts(own, drivers, month)[campaign["arm"], np.arange(len(campaign["arm"]))]
        shift[month : month + OFFER_MONTHS] += step * (own["start"] <= clock.edges[month])
    return shift


def find_eligible(own: Columns, month: int, clock: Clock) -> np.ndarray:
    """Return the lives that run on the first day of a month."""
    return np.flatnonzero((own["start"] <= clock.edges[month]) & (own["end"] > clock.edges[month]))


def list_campaigns(own: Columns, assigned: dict[str, Columns], clock: Clock) -> Columns:
    """Return the table campaigns: one row per campaign and eligible life."""
    rows = []
    for name, campaign in assigned.items():
        who, month = find_eligible(own, clock.campaigns[name], clock), clock.campaigns[name]
        at = np.full(len(who), clock.edges[month] * SECONDS)
        rows.append(
            {"life": who, "at": at, "campaign": np.full(len(who), LABELS[name], dtype=np.int8)}
            | {key: values[who] for key, values in campaign.items()}
        )
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def list_effects(
    own: Columns, drivers: Columns, logits: np.ndarray, assigned: dict[str, Columns], clock: Clock
) -> Columns:
    """Return the true effect of every offer on every eligible life, whichever arm it was in.

    ``risk_control`` and ``risk_arm`` are the chances to leave within the three months from the
    campaign's day, with all other campaigns as they were.
    """
    rows = []
    for name in assigned:
        month, who = clock.campaigns[name], find_eligible(own, clock.campaigns[name], clock)
        risks = weigh_offers(own, drivers, logits, assigned, clock, name)[:, who]
        for arm in range(1, len(ARMS)):
            ids = {
                "campaign": np.full(len(who), LABELS[name], dtype=np.int8),
                "arm": np.full(len(who), arm, dtype=np.int8),
            }
            risk = {
                "risk_control": risks[0],
                "risk_arm": risks[arm],
                "effect": risks[arm] - risks[0],
            }
            rows.append(
                {"life": who, "at": np.full(len(who), clock.edges[month] * SECONDS)} | ids | risk
            )
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def weigh_offers(
    own: Columns,
    drivers: Columns,
    logits: np.ndarray,
    assigned: dict[str, Columns],
    clock: Clock,
    name: str,
) -> np.ndarray:
    """Return every life's chance to leave within three months of a campaign's day in each of its
    arms, (arm, life), all other campaigns as they were.
    """
    month = clock.campaigns[name]
    window, shifts = slice(month, month + OFFER_MONTHS), offer_shifts(own, drivers, month)
    others = (
        build_shift(own, drivers, assigned, clock)[window]
        - shifts[assigned[name]["arm"], np.arange(len(own["start"]))]
    )
    return np.stack(
        [
            1 - (1 - monthly_hazard(logits[:, window], others + step).sum(axis=0)).prod(axis=0)
            for step in shifts
        ]
    )
