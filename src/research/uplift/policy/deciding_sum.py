"""The deciding sum: what an offer costs per customer kept, what one is worth, and the cost at which
the offer would break even.
"""

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.uplift.average_effects import compute_standard_error
from research.uplift.policy.case import Case

COLUMNS = [
    "arm",
    "cost",
    "effect_points",
    "effect_low",
    "effect_high",
    "break_even_points",
    "cost_per_kept",
    "cost_per_kept_low",
    "cost_per_kept_high",
    "mean_worth",
    "break_even_cost",
    "break_even_low",
    "break_even_high",
]


def tabulate_deciding_sum(case: Case) -> pd.DataFrame:
    """Return the deciding sum of every offer, were it given to everybody in the trial.

    Returns
    -------
    DataFrame with columns arm, cost, effect_points, effect_low, effect_high, break_even_points,
    cost_per_kept, cost_per_kept_low, cost_per_kept_high, mean_worth, break_even_cost,
    break_even_low, break_even_high
        ``cost``: per customer, on average; ``effect_points``: on the outcome that money is counted
        by, in hundredths of its unit; ``mean_worth``: mean value of one unit of that outcome (of
        staying, the value of keeping a customer); ``break_even_points``: the effect at which the
        offer pays, cost over worth; ``cost_per_kept``: cost over effect, empty where the interval
        of the effect includes 0; ``break_even_cost``: effect times worth. With 95 % intervals of
        the effect, each offer by itself, errors clustered by customer; worth and cost are taken as
        known.
    """
    worth, rows = float(case.outcome_value.mean()), []
    change = case.kept if case.paid_effect is None else case.paid_effect
    for at, arm in enumerate(case.arms):
        effect, cost = change[:, at], float(case.cost[:, at].mean())
        mean = effect.mean()
        half = Z * compute_standard_error(effect - mean, case.customers)
        bounds = np.array([mean, mean - half, mean + half])
        per_kept = cost / bounds[[0, 2, 1]] if bounds[1] > 0 else np.full(3, np.nan)
        pays = 100 * cost / worth if worth > 0 else np.nan
        rows.append((arm, cost, *(100 * bounds), pays, *per_kept, worth, *(worth * bounds)))
    return pd.DataFrame(rows, columns=COLUMNS)
