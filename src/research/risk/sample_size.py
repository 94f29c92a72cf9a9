"""How many customers a model of so many columns needs to learn from.

The least at which a regression without penalty is expected to be shrunk by a tenth at most, to
promise at most 0.05 too much of R², and to know the share of churners within 5 points. Riley et al.
(2020), doi:10.1136/bmj.m441; equations of Riley et al. (2019), doi:10.1002/sim.7992.
"""

import numpy as np
import pandas as pd

from research.evaluation.groups import is_measured
from research.evaluation.intervals import Z
from research.models.preprocessing import MAX_CATEGORIES

NAGELKERKE = 0.15  # expected share of the largest possible R², where nothing is known of it
LEAST_SHRINKAGE, MOST_OPTIMISM, PRECISION = 0.9, 0.05, 0.05
SHRINKAGE, OPTIMISM, INTERCEPT = "shrinkage", "optimism of R²", "share of churners"
COLUMNS = ["criterion", "needed", "churners_needed", "customers", "churners", "columns"]


def tabulate_sample_size(learned: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    """Return how many customers and churners are needed, and how many there are.

    A customer of several snapshots counts once, since what the rows say hardly differs.

    Parameters
    ----------
    learned : rows to learn from, with columns customer_id and churned
    features : columns that models may use; a text counts for each of its categories but one

    Returns
    -------
    DataFrame with columns criterion, needed, churners_needed, customers, churners, columns
    """
    churned = learned.groupby("customer_id").churned.max().astype(bool)
    columns = sum(count_parameters(learned[name]) for name in features)
    needed = compute_sample_size(columns, learned.churned.mean())
    table = pd.DataFrame({"criterion": needed.index, "needed": needed.to_numpy()})
    events = np.ceil(table.needed * learned.churned.mean()).astype(int)
    return table.assign(
        churners_needed=events, customers=len(churned), churners=int(churned.sum()), columns=columns
    )[COLUMNS]


def count_parameters(values: pd.Series) -> int:
    """Return how many columns a feature takes: one, or of a text its categories but one."""
    return 1 if is_measured(values) else max(min(values.nunique(), MAX_CATEGORIES) - 1, 1)


def compute_sample_size(parameters: int, rate: float, r2: float | None = None) -> pd.Series:
    """Return the least customers by criterion.

    Parameters
    ----------
    parameters : columns of the regression
    rate : the share of churners
    r2 : the R² of Cox and Snell that is expected; ``NAGELKERKE`` of the largest possible unless
        given
    """
    largest = 1 - (rate**rate * (1 - rate) ** (1 - rate)) ** 2
    r2 = NAGELKERKE * largest if r2 is None else r2
    shrinkages = LEAST_SHRINKAGE, r2 / (r2 + MOST_OPTIMISM * largest)
    first, second = (parameters / ((s - 1) * np.log(1 - r2 / s)) for s in shrinkages)
    third = (Z / PRECISION) ** 2 * rate * (1 - rate)
    sizes = {SHRINKAGE: first, OPTIMISM: second, INTERCEPT: third}
    return np.ceil(pd.Series(sizes)).astype(int)
