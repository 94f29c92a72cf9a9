"""What an valuation of customers holds: their values with intervals, how they were found, and what
was held out.
"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.models.clv.max_likelihood import Fit
from research.reporting.format import write_quantity

FAMILY = "value"  # of models, beside the rules of the family "reference"
NOTES = {
    "contractual": (
        "Margin of a day: what remains of the fees that run, and of add-ons at the customer's own"
        " rate drawn towards that of all."
    ),
    "non_contractual": (
        "Alive: the chance of not having dropped out. Purchases are days with one within the span;"
        " amount is that of one."
    ),
    "flat": (
        "Margin of a day: what remains of the fee of a month. Only customers who are still there."
    ),
}


@dataclass(frozen=True)
class Holdout:
    """What was expected after the snapshot and what came: by outcome, then by model; ``families``
    as in ``holdout.score_holdout``.
    """

    expected: dict[str, dict[str, np.ndarray]]
    actual: dict[str, np.ndarray]
    families: dict[str, str]
    until: date


@dataclass(frozen=True)
class Valuation:
    """What customers are worth, and how that was found.

    Attributes
    ----------
    values : one row per customer, see ``value_customers``
    drawn : (refits, customers) values by models refitted on resampled customers, and ``kept`` the
        same of what they would be worth if none were lost;
        deviations from ``values`` are to be multiplied by ``scale``
    model : that values
    plain : of contracts, the values if all left by the same curve
    parameters, rhythms, histories : of buyers without a contract; see ``value.tabulate_parameters``
    leaks : what the leak gate kept out of the survival model
    holdout : nothing for a flat study
    """

    values: pd.DataFrame
    drawn: np.ndarray
    kept: np.ndarray
    scale: float
    model: str
    currency: str
    parameters: pd.DataFrame = field(default_factory=pd.DataFrame)
    rhythms: dict[str, Fit] = field(default_factory=dict)
    histories: pd.DataFrame = field(default_factory=pd.DataFrame)
    leaks: pd.DataFrame = field(default_factory=pd.DataFrame)
    holdout: Holdout | None = None
    plain: np.ndarray = field(default_factory=lambda: np.zeros(0))


def frame_values(
    customers: pd.Series, columns: dict[str, np.ndarray], drawn: np.ndarray, scale: float
) -> pd.DataFrame:
    """Return the values of customers with their intervals, and what follows from them; for the
    columns see ``value_customers``.
    """
    found = pd.DataFrame(
        {
            "customer_id": customers.to_numpy(),
            **dict.fromkeys(("alive", "purchases", "amount", "margin_per_day"), np.nan),
        }
        | columns
    )
    error = Z * scale * drawn.std(axis=0, ddof=1) if len(drawn) > 1 else np.full(len(found), np.nan)
    found["low"], found["high"] = np.maximum(found.value - error, 0), found.value + error
    found["cost_of_churn"], found["value_at_risk"] = (
        found.value_if_kept - found.value,
        found.risk * found.value,
    )
    order = (
        "customer_id alive purchases amount margin_per_day risk value low high value_if_kept"
        " cost_of_churn value_at_risk"
    )
    return found[order.split()]


def describe_valued(valuation: Valuation, snapshot: date | None) -> pd.DataFrame:
    """Return how many customers are valued, and the means of what they are valued by: columns what,
    value (text).
    """
    rows, unit = valuation.values, valuation.currency
    words = {
        "alive": ("chance of being alive", "share"),
        "purchases": ("purchases expected", ""),
        "amount": (f"amount of a purchase, {unit}", ""),
    }
    words |= {
        "margin_per_day": (f"margin of a day, {unit}", ""),
        "risk": ("risk", "share"),
        "value": (f"value, {unit}", ""),
    }
    told = [
        (f"mean {name}", write_quantity(rows[column].mean(), kind))
        for column, (name, kind) in words.items()
        if rows[column].notna().any()
    ]
    once = int((valuation.histories.n_repeat == 0).sum()) if len(valuation.histories) else 0
    first = [
        ("customers valued" + (f" at {snapshot}" if snapshot else ""), f"{len(rows):,}"),
        *([("bought on one day only", f"{once:,}")] if once else []),
    ]
    return pd.DataFrame(first + told, columns=["what", "value"])
