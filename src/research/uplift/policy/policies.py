"""Policies at equal budget: whom to contact with which offer, and what that earns, judged by a
trial on customers whom no model saw.

Money is the outcome's worth less the cost of the arm that a customer got. Its doubly robust scores
say what any choice of arms would have earned on these customers (Athey & Wager 2021,
doi:10.3982/ECTA15732), so policies are compared on the same people, with the luck of the draw
accounted for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import draw_weights, find_interval, judge
from research.uplift.cross_fitting import Crossed
from research.uplift.doubly_robust import Sample, contrast, score_arms
from research.uplift.learners import AVERAGED, RISK, is_yes_or_no
from research.uplift.policy.knapsack import allocate, fill, pick

NOBODY, EVERYBODY, LOT, RISKIEST, AT_STAKE = (
    "nobody",
    "everybody",
    "by lot",
    "highest risk",
    "risk times value",
)
MOVED, WORTHWHILE, ORACLE = "largest effect", "effect times value less cost", "oracle"
BUDGETS = 21  # points of a profit curve
POLICY = [
    "policy",
    "budget",
    "contacted",
    "cost",
    "profit",
    "low",
    "high",
    "kept_extra",
    "kept_low",
    "kept_high",
    "cost_per_kept",
    "return_on_cost",
]


@dataclass(frozen=True)
class Case:
    """What policies may know of the customers of a trial, and what they are judged by.

    Attributes
    ----------
    cycle : (rows,), which trial a row belongs to; each is a cycle with a budget and a capacity of
        its own
    customers : (rows,)
    risk : (repeats, rows), the chance that the outcome fails to come, whatever the arm (of money:
        the amount expected, turned around): by models that
        never saw the customer
    worth : (rows,), money per unit of the outcome
    effect : (repeats, rows, arms), predicted effect on the outcome
    gain : (repeats, rows, arms), the same in money, cost not deducted
    cost : (rows, arms)
    net : (rows, arms), doubly robust: money earned more than in control, cost deducted
    kept : (rows, arms), the same of the outcome itself
    arms : names, without control
    true : (rows, arms), the true money, cost deducted; of simulated companies
    """

    cycle: np.ndarray
    customers: np.ndarray
    risk: np.ndarray
    worth: np.ndarray
    effect: np.ndarray
    gain: np.ndarray
    cost: np.ndarray
    net: np.ndarray
    kept: np.ndarray
    arms: tuple[str, ...]
    true: np.ndarray | None = None


def build_case(
    sample: Sample,
    said: Sequence[Crossed],
    gained: Sequence[Crossed] | None,
    worth: np.ndarray,
    money: np.ndarray,
    paid: np.ndarray,
    cost: np.ndarray,
    expected: tuple[np.ndarray, np.ndarray],
    cycle: np.ndarray,
    true: np.ndarray | None = None,
    model: str = AVERAGED,
) -> Case:
    """Return the case of a trial.

    Parameters
    ----------
    said : predictions for the outcome, see ``cross_fitting.cross_fit``
    gained : the same for money; the effect times its worth unless given
    worth : (rows,), money per unit of the outcome
    money : (rows,), what each row earned, cost not deducted
    paid : (rows,), what its own arm cost
    cost : (rows, arms), what each arm costs
    expected : (rows, arms with control) of the outcome and of money, by models that never saw the
        row
    true : see ``Case``
    """
    effect = np.array([one.effects[model] for one in said])
    gain = (
        np.array([one.effects[model] for one in gained])
        if gained
        else effect * worth[None, :, None]
    )
    costs = np.column_stack([np.zeros(sample.size), cost])
    net = contrast(score_arms(replace(sample, outcome=money - paid), expected[1] - costs))
    kept = contrast(score_arms(sample, expected[0]))
    risk = np.array([one.effects[RISK][:, 0] for one in said]) + is_yes_or_no(sample.outcome)
    return Case(
        cycle, sample.customers, risk, worth, effect, gain, cost, net, kept, sample.arms[1:], true
    )


Policy = Callable[
    [int, np.ndarray, float, float], np.ndarray
]  # repeat, rows of a cycle, budget, capacity -> offers


def list_policies(case: Case, seed: int) -> dict[str, Policy]:
    """Return the policies by name; those that don't choose between offers give the one that pays
    best on average.
    """
    lot, same = np.random.default_rng(seed).random(case.effect.shape[:2]), offer_usual(case)

    def rank_by(score: np.ndarray) -> Policy:
        return lambda repeat, rows, budget, capacity: fill(
            score[repeat, rows], same[rows], case.cost[rows], budget, capacity
        )

    found = {
        LOT: rank_by(lot),
        RISKIEST: rank_by(case.risk),
        AT_STAKE: rank_by(case.risk * case.worth),
    }
    found[MOVED] = lambda repeat, rows, budget, capacity: _list_moved(
        case.effect[repeat, rows], case.cost[rows], budget, capacity
    )
    found[WORTHWHILE] = lambda repeat, rows, budget, capacity: allocate(
        case.gain[repeat, rows], case.cost[rows], budget, capacity
    )
    if case.true is not None:
        found[ORACLE] = lambda repeat, rows, budget, capacity: allocate(
            case.true[rows] + case.cost[rows], case.cost[rows], budget, capacity
        )
    return found


def _list_moved(effect: np.ndarray, cost: np.ndarray, budget: float, capacity: float) -> np.ndarray:
    best = effect.argmax(axis=1)
    largest = effect[np.arange(len(effect)), best]
    return fill(np.where(largest > 0, largest, -np.inf), best + 1, cost, budget, capacity)


def choose(case: Case, policy: Policy, repeat: int, budget: float, capacity: float) -> np.ndarray:
    """Return the offer for each row: every cycle by itself."""
    chosen = np.zeros(len(case.cycle), dtype=int)
    for name in np.unique(case.cycle):
        rows = np.flatnonzero(case.cycle == name)
        chosen[rows] = policy(repeat, rows, budget, capacity)
    return chosen


def find_budget(case: Case, capacity: float) -> float:
    """Return what it costs to contact as many as the capacity allows with the offer that pays best
    on average, or everybody where they are fewer.
    """
    return float(
        min(capacity, len(case.cycle) / len(np.unique(case.cycle)))
        * pick(case.cost, offer_usual(case)).mean()
    )


def count_money(case: Case, chosen: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return what each row contributes to profit, outcome, cost, contacts and true profit: (rows,)
    each, a mean over the repeats.
    """
    parts = {
        "profit": case.net,
        "kept": case.kept,
        "cost": case.cost,
        "contacted": np.ones_like(case.cost),
    }
    if case.true is not None:
        parts["true_profit"] = case.true
    return {
        name: np.mean([pick(values, one) for one in chosen], axis=0)
        for name, values in parts.items()
    }


def contribute(
    case: Case, budget: float, capacity: float, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return ``count_money`` of every policy at one budget; everybody gets the usual offer,
    whatever it costs.
    """
    repeats = range(len(case.effect))
    policies = list_policies(case, seed)
    found = {
        NOBODY: count_money(case, [np.zeros(len(case.cycle), int)]),
        EVERYBODY: count_money(case, [offer_usual(case)]),
    }
    return found | {
        name: count_money(
            case, [choose(case, policy, repeat, budget, capacity) for repeat in repeats]
        )
        for name, policy in policies.items()
    }


def offer_usual(case: Case) -> np.ndarray:
    """Return the offer that pays best on average, for everybody."""
    return np.full(
        len(case.cycle), 1 + int((case.gain.mean(axis=0) - case.cost).mean(axis=0).argmax())
    )


def resample_profit(
    case: Case, found: dict[str, dict[str, np.ndarray]], resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return profit and outcome of every policy per cycle, on the sample (first entry) and on each
    resample of customers.
    """
    cycles, names = len(np.unique(case.cycle)), [*found]
    columns = {
        what: np.column_stack([found[name][what] for name in names]) for what in ("profit", "kept")
    }
    pieces = [
        {what: weights @ values / cycles for what, values in columns.items()}
        for weights in draw_weights(case.customers, resamples, seed)
    ]
    return {
        name: {what: np.concatenate([piece[what][:, at] for piece in pieces]) for what in columns}
        for at, name in enumerate(names)
    }


def tabulate_policies(case: Case, found: dict, resampled: dict, budget: float) -> pd.DataFrame:
    """Return what every policy earns per cycle.

    Returns
    -------
    DataFrame with columns policy, budget, contacted, cost, profit, low, high, kept_extra, kept_low,
    kept_high, cost_per_kept, return_on_cost
        ``profit``: money more than by contacting nobody, cost deducted; ``kept_extra``: units of
        the outcome more (customers kept); ``return_on_cost``: profit per unit of cost;
        ``cost_per_kept`` only where more is shown to be kept. With 95 % intervals. Of simulated
        companies also ``true_profit`` and ``share_of_oracle``.
    """
    cycles, rows = len(np.unique(case.cycle)), []
    for name, parts in found.items():
        cost, contacted = (parts[what].sum() / cycles for what in ("cost", "contacted"))
        profit, kept = (find_interval(resampled[name][what]) for what in ("profit", "kept"))
        per_kept = cost / kept[0] if kept[1] > 0 and cost > 0 else np.nan
        rows.append(
            (
                name,
                budget,
                round(contacted),
                cost,
                *profit,
                *kept,
                per_kept,
                profit[0] / cost if cost > 0 else np.nan,
            )
        )
    table = pd.DataFrame(rows, columns=POLICY)
    if case.true is not None:
        table["true_profit"] = [parts["true_profit"].sum() / cycles for parts in found.values()]
        best = table.true_profit[table.policy == ORACLE].iloc[0]
        table["share_of_oracle"] = table.true_profit / best if best > 0 else np.nan
    return table


def tabulate_policy_differences(resampled: dict, references: Sequence[str]) -> pd.DataFrame:
    """Return paired differences of profit per cycle: policy, reference, value, low, high, verdict;
    see ``comparison.judge``.
    """
    rows = []
    for name in (one for one in resampled if one != ORACLE):
        for reference in (one for one in references if one != name):
            values = resampled[name]["profit"] - resampled[reference]["profit"]
            rows.append(
                (name, reference, *find_interval(values), judge(values, True, len(resampled) - 1))
            )
    return pd.DataFrame(rows, columns=["policy", "reference", "value", "low", "high", "verdict"])


def trace_profit(case: Case, resamples: int, seed: int, capacity: float = np.inf) -> pd.DataFrame:
    """Return the profit of every policy over the budget, from nothing to what contacting everybody
    costs.

    Returns
    -------
    DataFrame with columns policy, budget, contacted, cost, profit, low, high
        The policy by effect, value and cost comes first. Where no offer costs anything, the number
        of contacts is raised instead, and ``budget`` stays 0.
    """
    full, size = find_budget(case, np.inf), len(case.cycle) / len(np.unique(case.cycle))
    tables = []
    for share in np.linspace(0, 1, BUDGETS):
        room = min(capacity, share * size) if full == 0 else capacity
        found = contribute(case, share * full if full else np.inf, room, seed)
        found = {name: parts for name, parts in found.items() if name not in (NOBODY, EVERYBODY)}
        table = tabulate_policies(
            case, found, resample_profit(case, found, resamples, seed), share * full
        )
        tables.append(table[["policy", "budget", "contacted", "cost", "profit", "low", "high"]])
    curve = pd.concat(tables, ignore_index=True)
    order = [WORTHWHILE, *(name for name in curve.policy.unique() if name != WORTHWHILE)]
    return curve.sort_values(
        "policy", key=lambda names: names.map(order.index), kind="stable", ignore_index=True
    )
