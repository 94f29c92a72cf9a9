"""What the best budget of a profit curve would earn: chosen on some customers, judged on others.

The highest of many uncertain points is too high: its sampling error was chosen with it.
"""

import numpy as np
import pandas as pd

from research.store.keep import keep
from research.uplift.policy.case import Case
from research.uplift.policy.policies import NET_GAIN, Steps

PARTS = 10  # of the customers; each is judged at the budget that earns most on the others
COLUMNS = ["policy", "budget", "contacted", "highest", "band_low", "band_high", "profit"]


@keep
def judge_best_budget(
    case: Case, steps: Steps, curve: pd.DataFrame, seed: int, policy: str = NET_GAIN
) -> pd.DataFrame:
    """Return what a policy earns at the budget that its profit curve would make one choose.

    Parameters
    ----------
    steps : see ``policies.evaluate_budgets``
    curve : of them, see ``policies.trace_profit``

    Returns
    -------
    DataFrame with columns policy, budget, contacted, highest, band_low, band_high, profit
        One row. ``budget``, ``contacted`` and ``highest``: of the curve's highest point, the
        smallest budget of several, with the 95 % band there, which holds at all budgets together,
        whichever is picked; ``profit`` per cycle, estimated without the bias of the choice: each
        tenth of the customers at the budget that earns most on the other nine. Of simulated
        companies also ``true_profit``, at that budget.
    """
    profits = _stack(steps, policy, "profit")
    chosen = choose_on_others(profits, case.customers, seed)
    judged = profits[np.arange(len(chosen)), chosen].sum() / case.cycles
    best = int(profits.sum(axis=0).argmax())
    point = curve[curve.policy == policy].iloc[best]
    band = point.profit, point.band_low, point.band_high
    row = (policy, point.budget, point.contacted, *band, judged)
    table = pd.DataFrame([row], columns=COLUMNS)
    if case.true is None:
        return table
    true = steps[best][1][policy]["true_profit"].sum() / case.cycles
    return table.assign(true_profit=true)


def _stack(steps: Steps, policy: str, quantity: str) -> np.ndarray:
    return np.column_stack([contributions[policy][quantity] for _, contributions in steps])


def choose_on_others(profits: np.ndarray, customers: np.ndarray, seed: int) -> np.ndarray:
    """Return for each row the budget that earns most on the other parts of the customers: (rows,).

    Parameters
    ----------
    profits : (rows, budgets), what each row contributes
    customers : (rows,), whose rows are in one part
    """
    codes = pd.factorize(customers, sort=True)[0]
    part = (np.random.default_rng(seed).permutation(codes.max() + 1) % PARTS)[codes]
    inside = part == np.arange(PARTS)[:, None]
    return (~inside @ profits).argmax(axis=1)[part]
