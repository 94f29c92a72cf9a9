"""Without a trial: by how much contact would have to raise a customer's chance to stay for it to
pay, and a first test, drawn by lot, that would tell.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.data.contracts import Tables
from research.errors import NotApplicable
from research.reporting.format import write_quantity
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.power import LEVEL, POWER
from research.value.customers import value_customers

GROUPS = 5
TEST = "in the test"
OUTSIDE = "not in the test"
BREAK_EVEN = [
    "group",
    "customers",
    "mean_risk_share",
    "mean_worth",
    "mean_value_at_risk",
    "break_even_points",
    "break_even_of_risk_share",
]


def load_stakes(tables: Tables, study: Study, seed: int, why: str) -> pd.DataFrame:
    """Return what customers are worth and their risk, see ``value_customers``, of a study that can
    be weighed without a trial.

    Raises
    ------
    NotApplicable
        If it names no costs or tells no amounts; ``why`` there is no trial is said first.
    """
    try:
        find_cost(study)
        return value_customers(
            tables, study, study.snapshots.last if study.snapshots else None, 0, 2, seed
        ).values
    except NotApplicable as missing:
        raise NotApplicable(f"{why}; without a trial, {missing}") from None


def tabulate_break_even(values: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return, in fifths by value at risk, the effect at which contact pays.

    Parameters
    ----------
    values : see ``value_customers``: customer_id, risk, value_if_kept

    Returns
    -------
    DataFrame with columns group, customers, mean_risk_share, mean_worth, mean_value_at_risk,
    break_even_points, break_even_of_risk_share
        Group 1 has most at stake. ``break_even_points``: cost of contact and offer over the mean
        worth of a customer kept, in percentage points of the chance to stay;
        ``break_even_of_risk_share``: the same as a share of the mean risk: above 1 contact can't
        pay whatever it does.

    Raises
    ------
    NotApplicable
        If the study names no costs.
    """
    cost = find_cost(study)
    stake = values.risk * values.value_if_kept
    group = np.ceil(stake.rank(method="first", ascending=False) / len(stake) * GROUPS).astype(int)
    rows = values.assign(group=group, stake=stake).groupby("group")
    table = rows.agg(
        customers=("risk", "size"),
        mean_risk_share=("risk", "mean"),
        mean_worth=("value_if_kept", "mean"),
        mean_value_at_risk=("stake", "mean"),
    )
    pays = cost / table.mean_worth.where(table.mean_worth > 0)
    return table.assign(
        break_even_points=100 * pays,
        break_even_of_risk_share=pays / table.mean_risk_share.where(table.mean_risk_share > 0),
    ).reset_index()[BREAK_EVEN]


def find_cost(study: Study) -> float:
    """Return what a contact with its offer costs."""
    economics = study.economics
    if economics.contact_cost is None:
        raise NotApplicable(
            f"the economics of the study {study.name} name no costs: there is nothing to weigh"
        )
    return economics.contact_cost + (economics.offer_cost or 0.0)


def draw_test(values: pd.DataFrame, study: Study, seed: int) -> pd.DataFrame:
    """Return a first test: the customers with most at stake, twice the capacity, half of them drawn
    by lot for contact.

    Returns
    -------
    DataFrame with columns customer_id, decision, arm, rank, risk, worth, value_at_risk
        One row per customer; ``arm`` is contact or control, empty outside the test.
    """
    table = values.assign(
        worth=values.value_if_kept, value_at_risk=values.risk * values.value_if_kept
    ).sort_values("value_at_risk", ascending=False, kind="stable")
    size = min(2 * study.economics.capacity, len(table))
    inside = np.arange(len(table)) < size
    arms = np.random.default_rng(seed).permutation(np.arange(size) % 2)
    arm = np.where(
        inside,
        np.r_[np.where(arms == 0, "contact", CONTROL), np.full(len(table) - size, "")].astype(
            object
        ),
        "",
    )
    table = table.assign(
        decision=np.where(inside, TEST, OUTSIDE), arm=arm, rank=np.arange(1, len(table) + 1)
    )
    return table[
        ["customer_id", "decision", "arm", "rank", "risk", "worth", "value_at_risk"]
    ].reset_index(drop=True)


def say_break_even(table: pd.DataFrame, values: pd.DataFrame, study: Study, why: str) -> str:
    """Say what contact must change to pay, and how small an effect the first test can show."""
    first, cost, currency = table.iloc[0], find_cost(study), study.economics.currency
    size = min(2 * study.economics.capacity, len(values)) // 2
    stake = values.risk * values.value_if_kept
    inside = stake.rank(method="first", ascending=False) <= 2 * size
    risk = values.risk[inside].mean()
    smallest = (norm.isf(LEVEL / 2) + norm.isf(1 - POWER)) * np.sqrt(
        2 * risk * (1 - risk) / max(size, 1)
    )
    pays = 100 * cost / values.value_if_kept[inside].mean()
    enough = (
        f"so contact is shown to pay where it raises staying by about {pays + 100 * smallest:.1f}"
        " points; smaller gains take several cycles"
    )
    return (
        f"**Whom contact keeps is not known here**: {why}. A contact with its offer costs"
        f" {write_quantity(cost, currency)} {currency}; among the fifth with most at stake it pays"
        f" if it raises the chance to stay by {first.break_even_points:.1f} percentage points, of a"
        f" mean risk of {first.mean_risk_share:.1%}. A test of {size:,} contacted and {size:,} left"
        f" alone shows an effect of {100 * smallest:.1f} points (power {POWER:.0%}, level"
        f" {LEVEL:.1%}): {enough}. The table `targets` draws it by lot. A high risk is no reason to"
        " think that contact helps."
    )
