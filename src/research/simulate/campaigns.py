"""Campaigns: assignment to arms, costs, shifts of the hazard, and true effects."""

import numpy as np

from research.simulate.company import (
    ARM_EFFECTS,
    ARMS,
    CALL_COST,
    CAMPAIGNS,
    CHOSEN,
    DISCOUNT_SHARE,
    EFFECT_MONTHS,
    PLANS,
)
from research.simulate.draws import SECONDS, Clock, Columns, Draws
from research.simulate.hazard import monthly_hazard

LABELS = {name: number for number, name in enumerate(CAMPAIGNS)}


def draw_assignments(draws: Draws, customers: int) -> np.ndarray:
    """Return one number between 0 and 1 per campaign and customer, which decides the arm."""
    return np.stack([draws(f"campaign {name}").random(customers) for name in CAMPAIGNS])


def assign_arms(
    assignments: np.ndarray, lives: Columns, drivers: Columns, clock: Clock, names: list[str]
) -> dict[str, Columns]:
    """Return the assignment of every life in each campaign of ``names``.

    Returns
    -------
    dict by campaign of columns ``arm`` (a position in ``ARMS``), ``propensity`` (empty: not known)
    and ``cost`` in EUR
    """
    assigned = {}
    for name in names:
        month, draw = clock.campaigns[name], assignments[LABELS[name]][lives["customer"]]
        shares = arm_shares(
            name,
            lives["plan"][month],
            {driver: path[month] for driver, path in drivers.items()} | {"quiet": lives["quiet"]},
        )
        arm = (draw >= np.cumsum(shares, axis=0)[:-1]).sum(axis=0).astype(np.int8)
        propensity = (
            np.full(len(arm), np.nan)
            if CAMPAIGNS[name] is None
            else shares[arm, np.arange(len(arm))]
        )
        cost = np.stack(
            [
                np.zeros(len(arm)),
                DISCOUNT_SHARE * 3 * lives["fee"][month],
                np.full(len(arm), CALL_COST),
            ]
        )[arm, np.arange(len(arm))]
        assigned[name] = {
            "arm": arm,
            "propensity": np.round(propensity, 6),
            "cost": np.round(cost, 2),
        }
    return assigned


def arm_shares(name: str, plan: np.ndarray, drivers: Columns) -> np.ndarray:
    """Return the probability of each arm, in the shape (arm, life).

    It is fixed by plan, or where agents chose, a multinomial logit of what they see.
    """
    if CAMPAIGNS[name] is not None:
        return np.array([CAMPAIGNS[name][label] for label in PLANS]).T[:, plan]
    weights = np.exp(
        np.stack([np.zeros(len(plan)), *(_weigh(CHOSEN[arm], drivers) for arm in ARMS[1:])])
    )
    return weights / weights.sum(axis=0)


def _weigh(coefficients: dict[str, float], drivers: Columns) -> np.ndarray:
    return sum(coefficient * drivers[name] for name, coefficient in coefficients.items())


def arm_shifts(lives: Columns, drivers: Columns, month: int) -> np.ndarray:
    """Return what each arm of a campaign adds to the voluntary logit, in the shape (arm, life).

    ``month`` is the one on whose first day the campaign starts.
    """
    drivers_then = {name: path[month] for name, path in drivers.items()} | {"quiet": lives["quiet"]}
    return np.stack(
        [
            np.zeros(len(lives["start"])),
            *(_weigh(ARM_EFFECTS[arm], drivers_then) for arm in ARMS[1:]),
        ]
    )


def build_shift(
    lives: Columns, drivers: Columns, assigned: dict[str, Columns], clock: Clock
) -> np.ndarray:
    """Return the path of what all campaigns add to the voluntary logit.

    An arm acts for three months on those whose contract runs on the campaign's day.
    """
    shift = np.zeros(lives["level"].shape)
    for name, campaign in assigned.items():
        month = clock.campaigns[name]
        step = arm_shifts(lives, drivers, month)[campaign["arm"], np.arange(len(campaign["arm"]))]
        shift[month : month + EFFECT_MONTHS] += step * (lives["start"] <= clock.edges[month])
    return shift


def find_eligible(lives: Columns, month: int, clock: Clock) -> np.ndarray:
    """Return the lives that run on the first day of a month."""
    return np.flatnonzero(
        (lives["start"] <= clock.edges[month]) & (lives["end"] > clock.edges[month])
    )


def list_campaigns(lives: Columns, assigned: dict[str, Columns], clock: Clock) -> Columns:
    """Return the table campaigns: one row per campaign and eligible life."""
    rows = []
    for name, campaign in assigned.items():
        eligible, month = find_eligible(lives, clock.campaigns[name], clock), clock.campaigns[name]
        at = np.full(len(eligible), clock.edges[month] * SECONDS)
        rows.append(
            {
                "life": eligible,
                "at": at,
                "campaign": np.full(len(eligible), LABELS[name], dtype=np.int8),
            }
            | {key: values[eligible] for key, values in campaign.items()}
        )
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def list_effects(
    lives: Columns, drivers: Columns, logits: np.ndarray, assigned: dict[str, Columns], clock: Clock
) -> Columns:
    """Return the true effect of every arm on every eligible life, whichever arm it was in.

    ``risk_control`` and ``risk_arm`` are the chances to leave within the three months from the
    campaign's day, with all other campaigns as they were.
    """
    rows = []
    for name in assigned:
        month, eligible = clock.campaigns[name], find_eligible(lives, clock.campaigns[name], clock)
        risks = arm_risks(lives, drivers, logits, assigned, clock, name)[:, eligible]
        for arm in range(1, len(ARMS)):
            ids = {
                "campaign": np.full(len(eligible), LABELS[name], dtype=np.int8),
                "arm": np.full(len(eligible), arm, dtype=np.int8),
            }
            risk = {
                "risk_control": risks[0],
                "risk_arm": risks[arm],
                "effect": risks[arm] - risks[0],
            }
            rows.append(
                {"life": eligible, "at": np.full(len(eligible), clock.edges[month] * SECONDS)}
                | ids
                | risk
            )
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def arm_risks(
    lives: Columns,
    drivers: Columns,
    logits: np.ndarray,
    assigned: dict[str, Columns],
    clock: Clock,
    name: str,
) -> np.ndarray:
    """Return the risk to leave within three months of a campaign's day, in the shape (arm, life).

    Each life is put into each arm in turn, with all other campaigns as they were.
    """
    month = clock.campaigns[name]
    window, shifts = slice(month, month + EFFECT_MONTHS), arm_shifts(lives, drivers, month)
    others = (
        build_shift(lives, drivers, assigned, clock)[window]
        - shifts[assigned[name]["arm"], np.arange(len(lives["start"]))]
    )
    return np.stack(
        [
            1 - (1 - monthly_hazard(logits[:, window], others + step).sum(axis=0)).prod(axis=0)
            for step in shifts
        ]
    )
