"""A random part of those to be contacted is held out, so that what contact changes can be measured.

Each action is a randomised campaign of its own: its customers get the arm of the play or
``control``, with the probability of either written down. The rows are those of a ``campaigns``
table, so that ``60_uplift`` judges the list once its outcomes are known.
"""

from dataclasses import dataclass
from datetime import date
from math import ceil

import numpy as np
import pandas as pd

from research.study_schema import CONTROL
from research.uplift.power import POWER, compute_reach

ASSIGNMENTS = ["customer_id", "campaign", "assigned_at", "arm", "cost", "propensity"]


LEVEL = 0.05  # two-sided, of the test of one list


@dataclass(frozen=True)
class Share:
    """The share of those to be contacted that is held out, and why so many.

    Attributes
    ----------
    share : of each action
    lists : such lists that together detect the effect; 0 where no effect is expected
    effect : that is to be detected, a difference of shares that stay; 0 where none is expected
    """

    share: float
    lists: int = 0
    effect: float = 0.0


def choose_share(least: float, customers: int, risk: float, effect: float) -> Share:
    """Return the share to hold out: the least with which this list alone detects an effect.

    By the normal approximation of ``uplift.power``, 80 % power at the 5 % level: the effect is
    detected where s (1 - s) n is at least the variance of the outcome over the squared error that
    it needs. Where half of the list held out isn't enough, ``least`` stays, and lists add up.

    Parameters
    ----------
    least : share of the playbook; 0 holds nobody out
    customers : to be contacted or held out
    risk : mean risk of them
    effect : expected, a difference of shares that stay
    """
    if not (least and customers and effect > 0 and 0 < risk < 1):
        return Share(least)
    needed = risk * (1 - risk) * (compute_reach(LEVEL, POWER) / effect) ** 2
    part = needed / customers
    if part > 0.25:
        return Share(least, ceil(part / (least * (1 - least))), effect)
    share = max(least, (1 - np.sqrt(1 - 4 * part)) / 2)
    return Share(float(np.ceil(share * 100) / 100), 1, effect)


def name_campaign(arm: str, day: date) -> str:
    """Return the name of the campaign of one action on one list."""
    return f"watchlist {day.isoformat()} {arm}"


def draw_holdout(
    listed: pd.DataFrame, share: float, day: date, seed: int, unit: str = "customer_id"
) -> pd.DataFrame:
    """Return the assignment of each customer who would be contacted.

    Within an action a fixed number of units is held out, so many that each has the same
    probability: of 25 at 10 % two or three, either as probable as the other. The draw depends on
    the seed, the day and the units, and not on the order of the rows.

    Parameters
    ----------
    listed : one row per customer to be contacted, with columns customer_id, arm, cost, and the unit
    share : that is held out of each action
    unit : the column of what arms are drawn for; customers of one unit are held out together, and
        count for the action of the first of them

    Returns
    -------
    DataFrame with columns customer_id, campaign, assigned_at, arm, cost, propensity
        ``cost`` is 0 of those held out.
    """
    held = _draw_units(listed, share, day, seed, unit)
    out = listed[unit].isin(held).to_numpy()
    return pd.DataFrame(
        {
            "customer_id": listed.customer_id.to_numpy(),
            "campaign": [name_campaign(arm, day) for arm in listed.arm],
            "assigned_at": pd.Timestamp(day),
            "arm": np.where(out, CONTROL, listed.arm),
            "cost": np.where(out, 0.0, listed.cost),
            "propensity": np.where(out, share, 1 - share),
        },
        columns=ASSIGNMENTS,
    )


def _draw_units(listed: pd.DataFrame, share: float, day: date, seed: int, unit: str) -> set:
    first = listed.sort_values(["customer_id"], kind="stable").drop_duplicates(unit)
    rng, held = np.random.default_rng([seed, day.toordinal()]), []
    for _, units in first.groupby("arm", sort=True)[unit]:
        ordered = np.array(sorted(units), dtype=object)
        count = int(len(ordered) * share + rng.random())
        held += [*rng.permutation(ordered)[:count]]
    return {*held}


def count_holdout(assigned: pd.DataFrame) -> pd.DataFrame:
    """Return by action how many are contacted and held out, and what is spent.

    Returns
    -------
    DataFrame with columns campaign, contacted, held_out, cost
    """
    out = assigned.arm == CONTROL
    table = assigned.assign(contacted=~out, held_out=out).groupby("campaign", sort=True)
    return table[["contacted", "held_out", "cost"]].sum().reset_index()
