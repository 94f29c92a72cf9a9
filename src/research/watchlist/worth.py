"""What is at risk with each customer: the margin of one who stays, times the risk of leaving.

A hazard that stays as it is in the label window gives both in closed form, for everybody at once.
``50_value`` estimates the same with curves of survival; the order of the customers is what a list
needs.
"""

from datetime import date

import numpy as np
import pandas as pd

from research.panel.periods import MEAN_MONTH_DAYS, MONTH_OF_30_DAYS
from research.study import Study

YEAR_DAYS = 365.25
MOST_DAYS_LEFT = 3_650


def add_worth(rows: pd.DataFrame, study: Study, day: date, closes: date) -> pd.DataFrame:
    """Return scores with what keeping each customer is worth.

    Parameters
    ----------
    rows : with columns risk_by_end and monthly_amount
    day, closes : the risk is that of leaving in (day, closes]

    Returns
    -------
    DataFrame as ``rows`` with worth_of_keeping, value_at_risk and days_left
        ``worth_of_keeping``: the discounted margin from ``closes`` to the end of
        ``economics.value_days`` of one who stays until ``closes``; of a customer without an
        amount, that of the median one. ``value_at_risk``: the risk times it. Both are empty where
        nobody's amount is known. ``days_left``: expected, at the same hazard, 3,650 at most.
    """
    span = (closes - day).days
    hazard = -np.log1p(-rows.risk_by_end.clip(upper=1 - 1e-9).to_numpy(float)) / span
    worth = find_daily_margin(rows.monthly_amount, study) * _discount(hazard, span, study)
    left = np.divide(1, hazard, out=np.full(len(hazard), np.inf), where=hazard > 0)
    return rows.assign(
        worth_of_keeping=worth,
        value_at_risk=rows.risk_by_end.to_numpy(float) * worth,
        days_left=np.minimum(left, MOST_DAYS_LEFT),
    )


def find_daily_margin(amount: pd.Series, study: Study) -> np.ndarray:
    """Return the margin of a day: a share of the fee, or of what is spent."""
    economics = study.economics
    usual = amount.median() if amount.notna().any() else np.nan
    known = amount.fillna(usual).clip(lower=0).to_numpy(float)
    if study.kind == "contractual":
        return known * economics.fee_margin / MEAN_MONTH_DAYS
    return known * economics.margin_share / MONTH_OF_30_DAYS


def _discount(hazard: np.ndarray, span: int, study: Study) -> np.ndarray:
    """Return the discounted days from the end of the window on, while the customer stays."""
    economics = study.economics
    rate = np.log1p(economics.discount_rate) / YEAR_DAYS
    days = max(economics.value_days - span, MONTH_OF_30_DAYS)
    both = np.maximum(hazard + rate, 1e-12)
    return np.exp(-rate * span) * -np.expm1(-both * days) / both
