"""The value of each customer of a study, whatever its kind.

Buyers are valued by their purchases, contracts by their survival.
"""

from datetime import date

import pandas as pd

from research.data.contracts import Tables
from research.risk.window_risk import WindowRisk
from research.store.keep import keep
from research.study import Study
from research.value.buyers import value_non_contractual
from research.value.flat import value_flat
from research.value.subscribers import SINGLE_CURVE, value_contractual
from research.value.valuation import Valuation

FOLDS = 5  # of a flat study; on every page, so that each customer has one value and risk
VALUE_BY_KIND = {
    "contractual": value_contractual,
    "non_contractual": value_non_contractual,
    "flat": value_flat,
}


def load_values(
    tables: Tables, study: Study, snapshot: date, seed: int, risk: WindowRisk | None = None
) -> pd.DataFrame:
    """Return the value of each customer at the end of a snapshot, by what was known then.

    Parameters
    ----------
    tables : contract tables, unfiltered
    snapshot : day; a flat study has no days, and ignores it
    seed : every random draw derives from it
    risk : see ``value_customers``

    Returns
    -------
    DataFrame with columns customer_id, risk, value, value_of_keeping
        One row per customer: contractual, those under contract; non-contractual, everybody who has
        bought; flat, those still there. ``value`` is the discounted margin expected over the next
        ``economics.value_days`` days, in the study's currency.

    Raises
    ------
    NotApplicable
        If the study has no amounts.
    """
    values = value_customers(tables, study, snapshot, 0, FOLDS, seed, risk).values
    return values[["customer_id", "risk", "value", "value_of_keeping"]]


@keep
def value_customers(
    tables: Tables,
    study: Study,
    snapshot: date | None,
    refits: int,
    folds: int,
    seed: int,
    risk: WindowRisk | None = None,
) -> Valuation:
    """Value every customer of a study.

    Parameters
    ----------
    refits : models refitted on resampled customers behind the intervals; 0 leaves them out
    folds : of a flat study, each valued by models that were fitted without it
    risk : of the population at the snapshot, where it is known by other means, as on the scored
        day; at the last snapshot of contracts it is that of ``30_risk`` unless given

    Returns
    -------
    Valuation whose ``values`` has columns customer_id, alive, purchases, amount, margin_per_day,
    risk, value, low, high, value_if_kept, value_of_keeping, cost_of_churn
        ``alive``, ``purchases`` (within the span) and ``amount`` (of one) of buyers,
        ``margin_per_day`` of contracts, empty otherwise. ``risk``: no purchase in the label window,
        or an end of the contract in it or the lead; in a flat study, within the span.
        ``value_if_kept``: the value of a customer known to be alive (buyers), or not to leave by
        the end of the window. ``value_of_keeping``: what it is worth to turn a leaver into one who
        stays: ``value_if_kept`` less the value of one who leaves in the window, who pays too until
        then; of buyers, the value given a purchase in the window of lead and horizon less that
        given none, by the posterior. ``cost_of_churn``: ``value_if_kept`` less ``value``, the
        expected loss by churn; under contract the risk times ``value_of_keeping``, of buyers that
        of having dropped out by the snapshot. ``low`` and ``high``: 95 %
        interval of ``value``, the expectation, not of what a single customer will bring. With a
        given risk of buyers also ``no_purchase``, their own chance of none; ``risk`` is then empty
        of those who aren't in the population.
    """
    given = () if risk is None else (risk,)
    return VALUE_BY_KIND[study.kind](tables, study, snapshot, refits, folds, seed, *given)


def value_over_days(
    tables: Tables, study: Study, valuation: Valuation, days: float, seed: int
) -> dict[str, pd.Series]:
    """Return the values over ``days`` by the model and by one curve for all, by customer.

    The customers are valued again where the study looks ahead for another span.
    """
    if abs(study.economics.value_days - days) > 1:
        economics = study.economics.model_copy(update={"value_days": int(days)})
        other = study.model_copy(update={"economics": economics})
        other._folder = study.folder
        valuation = value_customers(tables, other, valuation.snapshot, 0, FOLDS, seed)
    customers = valuation.values.customer_id
    both = {
        valuation.model: valuation.values.value.to_numpy(),
        SINGLE_CURVE: valuation.single_curve,
    }
    return {name: pd.Series(numbers, customers) for name, numbers in both.items()}
