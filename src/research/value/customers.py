"""What each customer of a study is worth at a snapshot, whatever the kind of study: buyers by their
rhythm of purchases, contracts by their survival.
"""

from datetime import date

import pandas as pd

from research.data.contracts import Tables
from research.study import Study
from research.value.valuation import Valuation
from research.value.buyers import value_non_contractual
from research.value.subscribers import SAME, value_flat, value_contractual

WAYS = {"contractual": value_contractual, "non_contractual": value_non_contractual, "flat": value_flat}


def load_values(tables: Tables, study: Study, snapshot: date, seed: int) -> pd.DataFrame:
    """Return what each customer is worth at the end of a snapshot, by what was known then and
    nothing later.

    Parameters
    ----------
    tables : contract tables, uncut
    snapshot : day; a flat study has no days, and takes no notice of it
    seed : every draw derives from it

    Returns
    -------
    DataFrame with columns customer_id, value, value_if_kept
        One row per customer: contractual, those under contract; non-contractual, everybody who ever
        bought; flat, those who stayed. ``value`` is the discounted margin expected over the next
        ``economics.value_days`` days, in the study's currency.

    Raises
    ------
    NotApplicable
        If the study tells no amounts.
    """
    return value_customers(tables, study, snapshot, 0, 2, seed).values[
        ["customer_id", "value", "value_if_kept"]
    ]


def value_customers(
    tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int
) -> Valuation:
    """Value every customer of a study.

    Parameters
    ----------
    refits : models refitted on resampled customers behind the intervals; 0 leaves them out
    folds : parts of a flat study, each valued by models that were fitted without it

    Returns
    -------
    Valuation whose ``values`` has columns customer_id, alive, purchases, amount, margin_per_day,
    risk, value, low, high, value_if_kept, cost_of_churn, value_at_risk
        ``alive``, ``purchases`` (within the span) and ``amount`` (of one) of buyers,
        ``margin_per_day`` of contracts, empty otherwise. ``risk``: no purchase in the label window,
        or an end of the contract in it or the lead; in a flat study, within the span.
        ``value_if_kept``: what the customer would be worth if known to be alive (buyers), or not to
        leave by the end of the window. ``cost_of_churn``: ``value_if_kept`` less ``value``, what
        churn is expected to take. ``value_at_risk``: ``risk`` times ``value``. ``low`` and
        ``high``: 95 % interval of ``value``, the expectation, not of what a single customer will
        bring.
    """
    return WAYS[study.kind](tables, study, snapshot, refits, folds, seed)


def estimate_over_days(
    tables: Tables, study: Study, valuation: Valuation, snapshot: date, days: float, seed: int
) -> dict[str, pd.Series]:
    """Return the values over ``days`` by the model and by the same curve for all, by customer;
    valued anew where the study looks ahead otherwise.
    """
    if abs(study.economics.value_days - days) > 1:
        other = study.model_copy(
            update={"economics": study.economics.model_copy(update={"value_days": int(days)})}
        )
        other._folder = study.folder
        valuation = value_customers(tables, other, snapshot, 0, 2, seed)
    customers = valuation.values.customer_id
    both = {valuation.model: valuation.values.value.to_numpy(), SAME: valuation.plain}
    return {name: pd.Series(numbers, customers) for name, numbers in both.items()}
