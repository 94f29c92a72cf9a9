"""Tables of ``65_targeting`` as people read them, and its verdict in words; "contact nobody" and
"no better than by lot" are verdicts that it can reach.
"""

import numpy as np
import pandas as pd

from research.reporting.format import join_words, write_plain
from research.reporting.tables import stack
from research.uplift.policy.campaign import CONTACT, LEAVE_ALONE, UNSURE
from research.uplift.policy.policies import (
    AT_STAKE,
    EVERYBODY,
    LOT,
    MOVED,
    NOBODY,
    ORACLE,
    RISKIEST,
    WORTHWHILE,
)

REFERENCES = (NOBODY, LOT, RISKIEST, AT_STAKE, MOVED, EVERYBODY)
RIVALS = (LOT, RISKIEST, AT_STAKE)  # at the same budget


def write_money(value: float, low: float, high: float) -> str:
    """Return an amount with its interval, whole from 100 on."""
    if not np.isfinite(value):
        return "–"
    digits = 0 if max(abs(value), abs(low), abs(high)) >= 100 else 2
    told = [
        f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")
        for number in (value, low, high)
    ]
    return told[0] if low == high else f"{told[0]} ({told[1]} to {told[2]})"


def lay_out_policies(policies: pd.DataFrame, currency: str, kept: str) -> pd.DataFrame:
    """Return each policy with whom it contacts, what that costs, earns and keeps."""
    money = [stack(write_money(row.profit, row.low, row.high)) for row in policies.itertuples()]
    more = [
        stack(write_money(row.kept_extra, row.kept_low, row.kept_high))
        for row in policies.itertuples()
    ]
    table = pd.DataFrame(
        {
            "policy": policies.policy,
            "contacted": policies.contacted,
            f"cost, {currency}": policies.cost.round(0),
            f"profit, {currency}": money,
        }
    )
    table[f"more of “{kept}”"] = more
    table["cost of each"] = [
        f"{value:,.2f}" if np.isfinite(value) else "" for value in policies.cost_per_kept
    ]
    table["return on cost"] = [
        f"{value:.2f}".replace("-", "−") if np.isfinite(value) else ""
        for value in policies.return_on_cost
    ]
    if "true_profit" in policies:
        table[f"true profit, {currency}"] = policies.true_profit.round(0)
        table["of the oracle's, share"] = policies.share_of_oracle
    return table


def find_best_budget(curve: pd.DataFrame, policy: str = WORTHWHILE) -> pd.Series:
    """Return the row of a policy's profit curve with the largest profit; the smallest budget where
    several earn as much.
    """
    rows = curve[curve.policy == policy]
    return rows.loc[rows.profit.idxmax()]


def judge_policies(
    policies: pd.DataFrame,
    differences: pd.DataFrame,
    curve: pd.DataFrame,
    targets: pd.DataFrame,
    currency: str,
) -> str:
    """Say what the choice by effect earns, against nobody, lots and risk, at which budget most, and
    whom to leave alone.
    """
    row = policies[policies.policy == WORTHWHILE].iloc[0]
    against = differences[differences.policy == WORTHWHILE].set_index("reference")
    verdicts = {
        kind: [name for name in against.index if against.verdict[name] == kind and name != NOBODY]
        for kind in ("better", "worse")
    }
    level = [
        name
        for name in RIVALS
        if name in against.index and name not in (*verdicts["better"], *verdicts["worse"])
    ]
    profit = write_money(row.profit, row.low, row.high)
    if row.low <= 0:
        rivals = policies[~policies.policy.isin([WORTHWHILE, ORACLE, NOBODY])]
        sure = rivals[rivals.low > 0]
        other = (
            " Shown to earn, each on its own:"
            f" {join_words([f'{one.policy} ({write_money(one.profit, one.low, one.high)})' for one in sure.itertuples()])}."
            if len(sure)
            else ""
        )
        start = (
            "**Choosing by effect, value and cost is not shown to earn more than contacting"
            f" nobody**: {profit} {currency} a cycle.{other}"
        )
    else:
        spent = (
            f"at a budget of {row.budget:,.0f} {currency}, for {row.cost:,.0f} spent on"
            f" {row.contacted:,} contacts"
        )
        start = f"**Choosing by effect, value and cost earns {profit} {currency} a cycle** {spent}."
    words = [
        start,
        *(f"It is {kind} than {join_words(names)}." for kind, names in verdicts.items() if names),
    ]
    words += [f"It is not shown to be better than {join_words(level)}."] if level else []
    words.append(_say_budget(find_best_budget(curve), currency))
    return " ".join([*words, _say_targets(targets), _say_truth(policies)])


def _say_budget(best: pd.Series, currency: str) -> str:
    if best.budget == 0 and best.contacted == 0:
        return "No budget above 0 is estimated to earn anything."
    spent = (
        f"at a budget of {best.budget:,.0f} {currency}"
        if best.budget
        else f"with {best.contacted:,} contacts"
    )
    most = (
        f"whatever the capacity, {write_money(best.profit, best.low, best.high)} {currency}; the"
        " best of many points looks a little better than it is"
    )
    start = (
        "No budget is shown to earn anything: the largest estimate is"
        if best.low <= 0
        else "Over all budgets it earns most"
    )
    return f"{start} {spent}, {most}."


def _say_targets(targets: pd.DataFrame) -> str:
    counts = targets.decision.value_counts()
    alone = counts.get(LEAVE_ALONE, 0)
    none = "Nobody is estimated to be harmed by every offer."
    if unsure := counts.get(UNSURE, 0):
        told = (
            f"Likewise not shown, but a reason to leave {alone:,} alone: every offer is estimated"
            " to do them harm."
            if alone
            else none
        )
        return (
            f"This cycle's list is empty: the customers who would be on it ({unsure:,}) are marked"
            f" as not shown to pay, for a further test. {told}"
        )
    told = (
        f"**Leave {alone:,} alone**: every offer is estimated to do them harm." if alone else none
    )
    return (
        f"This cycle's list: {counts.get(CONTACT, 0):,} of {len(targets):,} customers to contact."
        f" {told}"
    )


def _say_truth(policies: pd.DataFrame) -> str:
    if "true_profit" not in policies:
        return ""
    row = policies[policies.policy == WORTHWHILE].iloc[0]
    if not np.isfinite(row.share_of_oracle):
        return ""
    inside = "inside" if row.low <= row.true_profit <= row.high else "outside"
    return (
        f"The true profit of this choice is {row.true_profit:,.0f}, {inside} the interval, and"
        f" {row.share_of_oracle:.0%} of what an oracle would earn."
    )


def count_decisions(targets: pd.DataFrame) -> pd.DataFrame:
    """Return how many customers each decision and arm has, with the mean of what is expected.

    Returns
    -------
    DataFrame with columns decision, arm, customers, mean_effect_points, mean_worth, mean_cost,
    mean_net_gain
    """
    table = targets.groupby(["decision", "arm"], sort=False).agg(
        customers=("rank", "size"),
        mean_effect_points=("effect_points", "mean"),
        mean_worth=("worth", "mean"),
        mean_cost=("cost", "mean"),
        mean_net_gain=("net_gain", "mean"),
    )
    return table.reset_index().round(2).assign(arm=lambda rows: rows.arm.map(write_plain))


def say_costs(
    case_costs: np.ndarray, arms: tuple[str, ...], worth: np.ndarray, currency: str, outcome: str
) -> str:
    """Say what the arms cost on average, and what a unit of the outcome that is paid for, told in
    words, is worth.
    """
    costs = "; ".join(
        f"{arm}: {cost:,.2f}"
        for arm, cost in zip(map(write_plain, arms), case_costs.mean(axis=0), strict=True)
    )
    low, high = np.quantile(worth, (0.1, 0.9))
    spread = (
        f", {low:,.2f} to {high:,.2f} in the middle 80 % of the customers" if high > low else ""
    )
    return (
        f"Cost per customer assigned, {currency}: {costs}. One more of “{outcome}” is worth"
        f" {worth.mean():,.2f} on average{spread}."
    )
