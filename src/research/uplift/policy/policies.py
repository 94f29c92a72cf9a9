"""Policies at equal budget: whom to contact with which offer, and what that earns.

They are judged on the customers of a trial, out of fold. Money is the value of the outcome less the
cost of the arm that a customer got. Its doubly robust scores estimate what any choice of arms would
have earned on these customers (Athey & Wager 2021, doi:10.3982/ECTA15732), so policies are compared
on the same people, with intervals for sampling error.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import (
    BETTER,
    NO_DIFFERENCE,
    WORSE,
    draw_weights,
    percentile_interval,
    subtract,
)
from research.evaluation.simultaneous import simultaneous_intervals
from research.store.keep import keep
from research.study_schema import Economics
from research.uplift.policy.case import Case
from research.uplift.policy.knapsack import allocate, fill, pick

NOBODY, EVERYBODY, ORACLE = "nobody", "everybody", "oracle"
RANDOM_SELECTION = "random selection"
HIGHEST_RISK, RISK_TIMES_VALUE = "highest risk", "risk times value"
LARGEST_EFFECT, NET_GAIN = "largest effect", "effect times value less cost"
SAME_BUDGET = (RANDOM_SELECTION, HIGHEST_RISK, RISK_TIMES_VALUE)  # baselines with the same budget
RIVALS = (*SAME_BUDGET, LARGEST_EFFECT, EVERYBODY)  # that a policy is compared with
ROUNDING = 1e-9  # of shares of a capacity that add up to whole contacts
RESAMPLED = ("profit", "kept")  # quantities that have intervals
BUDGET_STEPS = 21  # points of a profit curve
POLICY = [
    "policy",
    "budget",
    "contacted",
    "cost",
    "profit",
    "low",
    "high",
    "band_low",
    "band_high",
    "kept_extra",
    "kept_low",
    "kept_high",
    "cost_per_kept",
    "return_on_cost",
]
CURVE = ["policy", "budget", "contacted", "cost", "profit", "low", "high"]
# repeat, rows of a cycle, budget, capacity -> offers
Policy = Callable[[int, np.ndarray, float, float], np.ndarray]
Contributions = dict[str, dict[str, np.ndarray]]  # by policy and quantity: (rows,)
Steps = list[tuple[float, Contributions]]  # budgets of a profit curve


def list_policies(case: Case) -> dict[str, Policy]:
    """Return the policies that rank customers, by name; those that don't choose between offers give
    the usual one.
    """

    def rank_by(score: np.ndarray) -> Policy:
        return lambda repeat, rows, budget, capacity: fill(
            score[repeat, rows], case.usual[repeat, rows], case.cost[rows], budget, capacity
        )

    policies = {
        HIGHEST_RISK: rank_by(case.risk),
        RISK_TIMES_VALUE: rank_by(case.risk * case.outcome_value),
        LARGEST_EFFECT: lambda repeat, rows, budget, capacity: _list_largest_effect(
            case.effect[repeat, rows], case.cost[rows], budget, capacity
        ),
        NET_GAIN: lambda repeat, rows, budget, capacity: allocate(
            case.gain[repeat, rows], case.cost[rows], budget, capacity
        ),
    }
    if case.true is not None:
        policies[ORACLE] = lambda repeat, rows, budget, capacity: allocate(
            case.true[rows] + case.cost[rows], case.cost[rows], budget, capacity
        )
    return policies


def _list_largest_effect(
    effect: np.ndarray, cost: np.ndarray, budget: float, capacity: float
) -> np.ndarray:
    best = effect.argmax(axis=1)
    largest = effect[np.arange(len(effect)), best]
    return fill(np.where(largest > 0, largest, -np.inf), best + 1, cost, budget, capacity)


def choose(
    case: Case, policy: Policy, repeat: int, budget: float, capacity: float, whole: bool = False
) -> np.ndarray:
    """Return the offer for each row: every cycle by itself, and in it every part of the
    cross-fitting with its share of budget and capacity.

    The models of a part learned from the others. So what is chosen in it hangs on no outcome of its
    own, and its judged profit has no bias from the choice; in a list over all parts it would be:
    where the outcomes of a part show large effects by chance, the other parts' models predict large
    ones, and fill the list.

    Parameters
    ----------
    whole : whether a cycle is one part, for a policy without models
    """
    chosen = np.zeros(len(case.cycle), dtype=int)
    for rows, money, room in _divide(case, repeat, budget, capacity, whole):
        chosen[rows] = policy(repeat, rows, money, room)
    return chosen


def _divide(
    case: Case, repeat: int, budget: float, capacity: float, whole: bool = False
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield the rows of every part with their share of budget and capacity."""
    for parts in case.cycle_rows if whole else case.parts[repeat]:
        sizes = np.array([len(rows) for rows in parts])
        ends = sizes.cumsum() / sizes.sum() * capacity
        rooms = np.diff(np.floor(ends + ROUNDING), prepend=0) if np.isfinite(capacity) else ends
        for rows, size, room in zip(parts, sizes, rooms, strict=True):
            yield rows, budget * size / sizes.sum(), room


def find_chances(case: Case, repeat: int, budget: float, capacity: float) -> np.ndarray:
    """Return each row's chance to be on a random list of the usual offer: (rows,)."""
    chances = np.zeros(len(case.cycle))
    for rows, money, room in _divide(case, repeat, budget, capacity):
        cost = pick(case.cost[rows], case.usual[repeat, rows]).sum()
        affordable = money / cost if cost > 0 else 1.0
        chances[rows] = min(1.0, room / len(rows), affordable)
    return chances


def find_budget(case: Case, capacity: float) -> float:
    """Return what it costs to contact as many as the capacity allows with the usual offer, or
    everybody where they are fewer.
    """
    cost = np.mean([pick(case.cost, offers).mean() for offers in case.usual])
    return float(min(capacity, case.cycle_size) * cost)


def choose_budget(case: Case, economics: Economics, budget: float = -1.0) -> float:
    """Return the budget of one cycle: as asked for, else the study's own, else what contacting as
    many as the capacity allows costs.

    Parameters
    ----------
    budget : below 0 takes the study's own
    """
    if budget >= 0:
        return budget
    own = economics.budget
    return find_budget(case, economics.capacity) if own is None else own


def is_profitable(policies: pd.DataFrame, policy: str = NET_GAIN) -> bool:
    """Return whether a policy earns significantly more than contacting nobody, all policies
    together.

    Parameters
    ----------
    policies : see ``tabulate_policies``
    """
    return bool(policies.set_index("policy").band_low[policy] > 0)


def sum_offers(
    case: Case, chosen: Sequence[np.ndarray], chances: Sequence[np.ndarray | float] | None = None
) -> dict[str, np.ndarray]:
    """Return what each row contributes to profit, outcome, cost, contacts and true profit: (rows,)
    each, a mean over the repeats.

    Parameters
    ----------
    chosen : the offer for each row, one array per repeat
    chances : how probable it is that the row gets it; certain unless given
    """
    chances = [1.0] * len(chosen) if chances is None else chances
    quantities = {
        "profit": case.net,
        "kept": case.kept,
        "cost": case.cost,
        "contacted": np.ones_like(case.cost),
    }
    if case.true is not None:
        quantities["true_profit"] = case.true
    return {
        name: np.mean(
            [chance * pick(values, offers) for offers, chance in zip(chosen, chances, strict=True)],
            axis=0,
        )
        for name, values in quantities.items()
    }


def evaluate_policies(case: Case, budget: float, capacity: float) -> Contributions:
    """Return ``sum_offers`` of every policy at one budget; everybody gets the usual offer, whatever
    it costs. Random selection is the mean of all random lists, not one draw.
    """
    repeats = range(len(case.effect))
    chances = [find_chances(case, repeat, budget, capacity) for repeat in repeats]
    contributions = {
        NOBODY: sum_offers(case, [np.zeros(len(case.cycle), int)]),
        EVERYBODY: sum_offers(case, case.usual),
        RANDOM_SELECTION: sum_offers(case, case.usual, chances),
    }
    for name, policy in list_policies(case).items():
        chosen = [
            choose(case, policy, repeat, budget, capacity, whole=name == ORACLE)
            for repeat in repeats
        ]
        contributions[name] = sum_offers(case, chosen)
    return contributions


def resample_profit(
    case: Case, contributions: Contributions, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return profit and outcome of every policy per cycle, on the sample (first entry) and on each
    resample of customers, or of the units of randomisation.
    """
    return _resample_each(case, [contributions], resamples, seed)[0]


def _resample_each(
    case: Case, several: Sequence[Contributions], resamples: int, seed: int
) -> list[dict[str, dict[str, np.ndarray]]]:
    """Return ``resample_profit`` of several contributions, all on the same resamples."""
    pieces: list[list[dict[str, np.ndarray]]] = [[] for _ in several]
    for weights in draw_weights(case.clusters, resamples, seed):
        for piece, contributions in zip(pieces, several, strict=True):
            piece.append(_weigh(contributions, weights / case.cycles))
    return [
        {
            name: {
                quantity: np.concatenate([one[quantity][:, at] for one in piece])
                for quantity in RESAMPLED
            }
            for at, name in enumerate(contributions)
        }
        for piece, contributions in zip(pieces, several, strict=True)
    ]


def _weigh(contributions: Contributions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weighted sums of what each row contributes: (weights, policies) by quantity."""
    return {
        quantity: weights @ np.column_stack([parts[quantity] for parts in contributions.values()])
        for quantity in RESAMPLED
    }


def tabulate_policies(
    case: Case, contributions: Contributions, resampled: dict, budget: float
) -> pd.DataFrame:
    """Return what every policy earns per cycle.

    Returns
    -------
    DataFrame with columns policy, budget, contacted, cost, profit, low, high, band_low, band_high,
    kept_extra, kept_low, kept_high, cost_per_kept, return_on_cost
        ``profit``: money more than by contacting nobody, cost deducted; ``kept_extra``: units of
        the outcome more (customers kept); ``return_on_cost``: profit per unit of cost;
        ``cost_per_kept`` only where significantly more are kept. With 95 % intervals of each
        policy alone; ``band_low`` and ``band_high`` of the profits of all policies together, by
        which one is shown to earn. Of simulated companies also ``true_profit`` and
        ``share_of_oracle``.
    """
    rows, bands = [], _widen_profits(resampled, [one for one in contributions if one != ORACLE])
    for name, parts in contributions.items():
        cost, contacted = (parts[one].sum() / case.cycles for one in ("cost", "contacted"))
        profit, kept = (percentile_interval(resampled[name][one]) for one in ("profit", "kept"))
        per_kept = cost / kept[0] if kept[1] > 0 and cost > 0 else np.nan
        return_on_cost = profit[0] / cost if cost > 0 else np.nan
        counts, band = (budget, round(contacted), cost), bands.get(name, (np.nan, np.nan))
        rows.append((name, *counts, *profit, *band, *kept, per_kept, return_on_cost))
    table = pd.DataFrame(rows, columns=POLICY)
    if case.true is None:
        return table
    true = [parts["true_profit"].sum() / case.cycles for parts in contributions.values()]
    table = table.assign(true_profit=true)
    best = table.true_profit[table.policy == ORACLE].iloc[0]
    return table.assign(share_of_oracle=table.true_profit / best if best > 0 else np.nan)


def _widen_profits(resampled: dict, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the intervals of the profits of some policies that hold together."""
    profits = np.column_stack([resampled[name]["profit"] for name in names])
    return dict(zip(names, simultaneous_intervals(profits), strict=True))


def tabulate_policy_differences(
    resampled: dict, references: Sequence[str] = RIVALS
) -> pd.DataFrame:
    """Return paired differences of profit per cycle.

    Parameters
    ----------
    resampled : see ``resample_profit``
    references : the policies that each is compared with

    Returns
    -------
    DataFrame with columns policy, reference, value, low, high, verdict
        ``low`` and ``high``: 95 % intervals that hold for all references of a policy together;
        ``verdict``: better or worse where they leave out 0.
    """
    rows = []
    for name in (one for one in resampled if one != ORACLE):
        others = [one for one in references if one != name]
        values = np.column_stack(
            [subtract(resampled[name]["profit"], resampled[other]["profit"]) for other in others]
        )
        for at, (low, high) in enumerate(simultaneous_intervals(values)):
            verdict = BETTER if low > 0 else WORSE if high < 0 else NO_DIFFERENCE
            rows.append((name, others[at], values[0, at], low, high, verdict))
    return pd.DataFrame(rows, columns=["policy", "reference", "value", "low", "high", "verdict"])


@keep
def evaluate_budgets(case: Case, capacity: float = np.inf) -> Steps:
    """Return ``evaluate_policies`` at every budget of the profit curve, from nothing to what
    contacting everybody costs.

    Where no offer costs anything, the number of contacts is raised instead, and the budget stays 0.
    """
    full, steps = find_budget(case, np.inf), []
    for share in np.linspace(0, 1, BUDGET_STEPS):
        budget = share * full if full else np.inf
        room = capacity if full else min(capacity, share * case.cycle_size)
        contributions = evaluate_policies(case, budget, room)
        kept = {
            name: parts for name, parts in contributions.items() if name not in (NOBODY, EVERYBODY)
        }
        steps.append((share * full, kept))
    return steps


@keep
def trace_profit(case: Case, steps: Steps, resamples: int, seed: int) -> pd.DataFrame:
    """Return the profit of every policy over the budget.

    Parameters
    ----------
    steps : see ``evaluate_budgets``

    Returns
    -------
    DataFrame with columns policy, budget, contacted, cost, profit, low, high, band_low, band_high
        The policy by effect, value and cost comes first. ``low`` and ``high``: the 95 % interval
        at one budget; ``band_low`` and ``band_high``: the band that holds at all budgets together.
    """
    tables, profits = [], {name: [] for name in steps[0][1]}
    drawn = _resample_each(case, [contributions for _, contributions in steps], resamples, seed)
    for (budget, contributions), resampled in zip(steps, drawn, strict=True):
        tables.append(tabulate_policies(case, contributions, resampled, budget)[CURVE])
        for name, values in profits.items():
            values.append(resampled[name]["profit"])
    curve = pd.concat(tables, ignore_index=True)
    order = [NET_GAIN, *(name for name in curve.policy.unique() if name != NET_GAIN)]
    curve = curve.sort_values(
        "policy", key=lambda names: names.map(order.index), kind="stable", ignore_index=True
    )
    bands = [simultaneous_intervals(np.column_stack(profits[name])) for name in order]
    low, high = np.concatenate(bands).T
    return curve.assign(band_low=low, band_high=high)
