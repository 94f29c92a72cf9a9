"""The value of each customer with its interval, and what stood behind it."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.models.clv.max_likelihood import Fit
from research.risk.window_risk import WindowRisk

FAMILY = "value"  # of models, next to the baselines
COLUMNS = [
    "customer_id",
    "alive",
    "purchases",
    "amount",
    "margin_per_day",
    "risk",
    "value",
    "low",
    "high",
    "value_if_kept",
    "value_of_keeping",
    "cost_of_churn",
]


@dataclass(frozen=True)
class Holdout:
    """What was predicted for the days after the snapshot, and what happened.

    Attributes
    ----------
    predicted : by outcome (purchases, amount or margin), then by model, (customers,)
    actual : by outcome, (customers,)
    families : by model, ``FAMILY`` or that of baselines
    until : last day of the holdout
    """

    predicted: dict[str, dict[str, np.ndarray]]
    actual: dict[str, np.ndarray]
    families: dict[str, str]
    until: date


@dataclass(frozen=True)
class Valuation:
    """The value of each customer of a study at a snapshot.

    Attributes
    ----------
    values : one row per customer, see ``customers.value_customers``
    resampled : (refits, customers) values by models refitted on resampled customers
    resampled_if_kept : the same of the values if none were lost
    scale : by which deviations of both from ``values`` are multiplied
    model : name of the model behind the values
    currency : of all money
    snapshot : day; none in a flat study
    parameters, purchase_fits, histories : of buyers without a contract, see ``purchase_models``
    leaks : findings of the leakage checks on the features of the survival model
    holdout : none where nothing comes after the snapshot, and in a flat study
    single_curve : of dated contracts, the values if all left by the same curve
    window_risk : of dated contracts, the risk that survival curves agree with; none where nothing
        could be learned; of buyers, the risk that was given
    """

    values: pd.DataFrame
    resampled: np.ndarray
    resampled_if_kept: np.ndarray
    scale: float
    model: str
    currency: str
    snapshot: date | None = None
    parameters: pd.DataFrame = field(default_factory=pd.DataFrame)
    purchase_fits: dict[str, Fit] = field(default_factory=dict)
    histories: pd.DataFrame = field(default_factory=pd.DataFrame)
    leaks: pd.DataFrame = field(default_factory=pd.DataFrame)
    holdout: Holdout | None = None
    single_curve: np.ndarray = field(default_factory=lambda: np.zeros(0))
    window_risk: WindowRisk | None = None

    @property
    def other_risks(self) -> dict[str, pd.Series]:
        """Return by model the chance of no purchase in the label window, of buyers, by customer.

        Empty where curves agree with the risk of the window.
        """
        if self.histories.empty:
            return {}
        own = "no_purchase" if "no_purchase" in self.values else "risk"
        return {self.model: self.values.set_index("customer_id")[own]}

    @property
    def holdout_days(self) -> int:
        """Return the days between the snapshot and the end of the holdout; 0 without one."""
        return (self.holdout.until - self.snapshot).days if self.holdout else 0


def frame_values(
    customers: pd.Series, columns: dict[str, np.ndarray], resampled: np.ndarray, scale: float
) -> pd.DataFrame:
    """Return values with their 95 % intervals, and what follows from them.

    Parameters
    ----------
    columns : value, value_if_kept, value_of_keeping, risk, and those of the kind of study; see
        ``customers.value_customers``
    resampled, scale : see ``Valuation``
    """
    kind_of_study = dict.fromkeys(("alive", "purchases", "amount", "margin_per_day"), np.nan)
    table = pd.DataFrame({"customer_id": customers.to_numpy(), **kind_of_study} | columns)
    error = (
        Z * scale * resampled.std(axis=0, ddof=1)
        if len(resampled) > 1
        else np.full(len(table), np.nan)
    )
    table["low"], table["high"] = np.maximum(table.value - error, 0), table.value + error
    table["cost_of_churn"] = table.value_if_kept - table.value
    return table[COLUMNS]
