"""Without a trial: the effect at which contact pays, and a first randomised test to show it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import NotApplicable
from research.risk.window_risk import WindowRisk
from research.store.keep import keep
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.power import POWER, compute_reach
from research.uplift.significance import FAMILY_LEVEL
from research.value.customers import FOLDS, value_customers

RISK_GROUPS = 5
IN_TEST, NOT_IN_TEST = "in the test", "not in the test"
TREATED = "contact"
BREAK_EVEN = [
    "group",
    "customers",
    "mean_risk_share",
    "mean_worth",
    "mean_expected_loss",
    "break_even_points",
    "break_even_of_risk_share",
]
FIRST_TEST = ["customer_id", "decision", "arm", "rank", "risk", "worth", "expected_loss"]


@keep
def load_customers(
    tables: Tables, study: Study, seed: int, why: str, scored: WindowRisk | None = None
) -> pd.DataFrame:
    """Return the value of customers and their risk, see ``value_customers``, of a study without a
    trial.

    Those of the scored day are its customers; without one, everybody who is valued at the last
    snapshot.

    Parameters
    ----------
    why : reason why there is no trial
    scored : risks as of the scored day

    Raises
    ------
    NotApplicable
        If the study names no costs or no amounts; the sentence begins with ``why``.
    """
    try:
        find_cost(study)
        if scored:
            return _load_scored(tables, study, seed, scored)
        last = study.snapshots.last if study.snapshots else None
        return value_customers(tables, study, last, 0, FOLDS, seed).values
    except NotApplicable as missing:
        raise NotApplicable(f"{why}; without a trial, {missing}") from None


def _load_scored(tables: Tables, study: Study, seed: int, scored: WindowRisk) -> pd.DataFrame:
    """Return the value of everybody who is a customer on the scored day, with the risk of it."""
    values = value_customers(tables, study, scored.snapshot, 0, FOLDS, seed, scored).values
    present = values[values.customer_id.isin(scored.rows.customer_id)].reset_index(drop=True)
    return present.assign(risk=present.customer_id.map(scored.risk_by_end))


def find_cost(study: Study) -> float:
    """Return what a contact with its offer costs.

    Raises
    ------
    NotApplicable
        If the study names no costs.
    """
    economics = study.economics
    if economics.contact_cost is None:
        raise NotApplicable(
            f"the economics of the study {study.name} name no costs: there is nothing to weigh"
        )
    return economics.contact_cost + (economics.offer_cost or 0.0)


def tabulate_break_even(values: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return, in fifths by the expected loss, the effect at which contact pays.

    Parameters
    ----------
    values : see ``value_customers``: customer_id, risk, value_of_keeping

    Returns
    -------
    DataFrame with columns group, customers, mean_risk_share, mean_worth, mean_expected_loss,
    break_even_points, break_even_of_risk_share
        Group 1 has the largest expected loss. ``break_even_points``: cost of contact and offer over
        the mean value of keeping one, in percentage points of the probability to stay;
        ``break_even_of_risk_share``: the same as a share of the mean risk: above 1 contact can't
        pay, however large its effect.

    Raises
    ------
    NotApplicable
        If the study names no costs.
    """
    cost, loss = find_cost(study), compute_expected_loss(values)
    place = loss.rank(method="first", ascending=False) / len(loss)
    group = np.ceil(place * RISK_GROUPS).astype(int)
    table = (
        values.assign(group=group, loss=loss)
        .groupby("group")
        .agg(
            customers=("risk", "size"),
            mean_risk_share=("risk", "mean"),
            mean_worth=("value_of_keeping", "mean"),
            mean_expected_loss=("loss", "mean"),
        )
    )
    pays = cost / table.mean_worth.where(table.mean_worth > 0)
    return table.assign(
        break_even_points=100 * pays,
        break_even_of_risk_share=pays / table.mean_risk_share.where(table.mean_risk_share > 0),
    ).reset_index()[BREAK_EVEN]


def compute_expected_loss(values: pd.DataFrame) -> pd.Series:
    """Return what leaving is expected to cost, and contact could save at most: the risk times the
    value of keeping.
    """
    return values.risk * values.value_of_keeping


def draw_test(values: pd.DataFrame, study: Study, seed: int) -> pd.DataFrame:
    """Return a first test: the customers with the largest expected loss, twice the capacity, half
    of them randomised to contact.

    Returns
    -------
    DataFrame with columns customer_id, decision, arm, rank, risk, worth, expected_loss
        One row per customer; ``arm`` is contact or control, empty outside the test.
    """
    table = values.assign(
        worth=values.value_of_keeping, expected_loss=compute_expected_loss(values)
    ).sort_values("expected_loss", ascending=False, kind="stable")
    size = min(2 * study.economics.capacity, len(table))
    drawn = np.random.default_rng(seed).permutation(np.arange(size) % 2)
    arm = np.full(len(table), "", dtype=object)
    arm[:size] = np.where(drawn == 0, TREATED, CONTROL)
    inside = np.arange(len(table)) < size
    table = table.assign(
        decision=np.where(inside, IN_TEST, NOT_IN_TEST), arm=arm, rank=np.arange(1, len(table) + 1)
    )
    return table[FIRST_TEST].reset_index(drop=True)


@dataclass(frozen=True)
class FirstTest:
    """What the first test can detect.

    Attributes
    ----------
    per_arm : customers in each of the two arms
    risk : mean risk of the customers in the test
    smallest : smallest effect that is detected, in percentage points
    pays : effect at which contact pays, in percentage points
    """

    per_arm: int
    risk: float
    smallest: float
    pays: float


def plan_first_test(values: pd.DataFrame, study: Study) -> FirstTest:
    """Return how small an effect the first test detects, with 80 % power at the level of 2.5 %."""
    per_arm = min(2 * study.economics.capacity, len(values)) // 2
    inside = compute_expected_loss(values).rank(method="first", ascending=False) <= 2 * per_arm
    risk = values.risk[inside].mean()
    smallest = _find_smallest_effect(risk, per_arm)
    pays = 100 * find_cost(study) / values.value_of_keeping[inside].mean()
    return FirstTest(per_arm, risk, 100 * smallest, pays)


def _find_smallest_effect(risk: float, per_arm: int) -> float:
    """Return the smallest fall of the risk that a test detects, either arm with the variance of its
    own risk: the d at which d^2 = reach^2 (r (1 - r) + (r - d) (1 - r + d)) / n.
    """
    share = compute_reach(FAMILY_LEVEL, POWER) ** 2 / max(per_arm, 1)
    turn, ends = share * (2 * risk - 1), 2 * share * risk * (1 - risk)
    return (turn + np.sqrt(turn**2 + 4 * (1 + share) * ends)) / (2 * (1 + share))
