"""Repeat purchases over time, and the error that even a true model would have."""

from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.models.clv.max_likelihood import Fit
from research.models.registry import Model
from research.panel.purchase_history import HISTORY
from research.store.keep import keep
from research.value.purchase_models import MODELS
from research.value.purchases import count_repeats
from research.value.valuation import Valuation

WEEK_DAYS = 7
FLOOR_METRICS = ("rmse", "mae", "total_error_share")
WEEKS = [
    "model",
    "week_ends",
    "expected",
    "actual",
    "expected_total",
    "actual_total",
    "holdout",
]


@keep
def track_valuation(tables: Tables, valuation: Valuation) -> pd.DataFrame:
    """Return expected against actual repeat purchases by week; see ``track_purchases``.

    Without columns where no buyers were valued, or there is no holdout.
    """
    if valuation.holdout is None or not valuation.purchase_fits:
        return pd.DataFrame()
    days = (valuation.snapshot, valuation.holdout.until)
    repeats = count_repeats(tables, valuation.histories, *days)
    return track_purchases(valuation.histories, valuation.purchase_fits, repeats, *days)


def track_purchases(
    histories: pd.DataFrame,
    fits: dict[str, Fit],
    repeats: pd.Series,
    snapshot: date,
    until: date,
) -> pd.DataFrame:
    """Return expected against actual repeat purchases of all customers with a history, by week.

    Parameters
    ----------
    fits : by name, of ``purchase_models.MODELS``; expected is what a new customer would buy from
        the first purchase on, whatever came since
    repeats : see ``purchases.count_repeats``

    Returns
    -------
    DataFrame with columns model, week_ends, expected, actual, expected_total, actual_total, holdout
        One row per model and week; a week ends on the snapshot, ``holdout`` are the weeks after it,
        the last of which may be short.
    """
    day = pd.Timestamp(snapshot)
    oldest, ahead = int(histories.age_days.max()), (until - snapshot).days
    ends = [*range(-(oldest // WEEK_DAYS) * WEEK_DAYS, ahead + 1, WEEK_DAYS)]
    ends += [ahead] if ends[-1] < ahead else []
    by_day = pd.Series(repeats.to_numpy(), (repeats.index - day).days)
    actual = [by_day[by_day.index <= end].sum() for end in ends]
    customers = _count_new_customers(histories)
    tables = []
    for name, fit in fits.items():
        expected = np.array([_expect_repeats(customers, MODELS[name], fit, end) for end in ends])
        columns = {
            "model": name,
            "week_ends": day + pd.to_timedelta(ends, unit="D"),
            "expected": np.diff(expected, prepend=0),
            "actual": np.diff(actual, prepend=0),
            "expected_total": expected,
            "actual_total": actual,
            "holdout": np.array(ends) > 0,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)[WEEKS]


def _count_new_customers(histories: pd.DataFrame) -> pd.DataFrame:
    """Return customers as on the day of their first purchase, counted by age and first amount."""
    known = [name for name in ("age_days", "first_amount") if name in histories]
    counts = histories[known].value_counts(dropna=False).reset_index(name="rows")
    return counts.assign(age=counts.age_days, **dict.fromkeys(HISTORY, 0.0))


def _expect_repeats(customers: pd.DataFrame, model: Model, fit: Fit, end: float) -> float:
    """Return the repeat purchases expected by a day, counted from T."""
    lived = np.maximum(customers.age.to_numpy(float) + end, 0)
    expected = model.estimator.predict_purchases(customers, fit, lived)
    return float(customers.rows.to_numpy(float) @ expected)


@keep
def simulate_valuation_floor(valuation: Valuation, draws: int, seed: int) -> pd.DataFrame:
    """Return the error floor of the chosen purchase model; see ``simulate_error_floor``.

    Without columns where no buyers were valued, or there is no holdout.
    """
    if valuation.holdout is None or not valuation.purchase_fits:
        return pd.DataFrame()
    model, fit = MODELS[valuation.model], valuation.purchase_fits[valuation.model]
    days = valuation.holdout_days
    return simulate_error_floor(valuation.histories, model, fit, days, draws, seed)


def simulate_error_floor(
    histories: pd.DataFrame, model: Model, fit: Fit, span: float, draws: int, seed: int
) -> pd.DataFrame:
    """Return the errors that a model would have if it were true: the irreducible error.

    It is what chance leaves to whoever knows the histories and nothing else.

    Parameters
    ----------
    model, fit : draw histories of the same ages, and later purchases; then the fit predicts them
    span : days after the snapshot
    draws : simulated companies

    Returns
    -------
    DataFrame with columns metric, value, low, high
        Median, and 2.5 % and 97.5 % quantiles, over the draws. The parameters are taken as known.
    """
    rows = []
    for number in range(draws):
        drawn, actual = model.estimator.simulate_purchases(histories, fit, span, seed + number)
        predicted = model.estimator.predict_purchases(drawn, fit, span)
        rows.append(
            (
                np.sqrt(((predicted - actual) ** 2).mean()),
                np.abs(predicted - actual).mean(),
                predicted.sum() / max(actual.sum(), 1) - 1,
            )
        )
    low, value, high = np.percentile(rows, (2.5, 50, 97.5), axis=0)
    return pd.DataFrame({"metric": FLOOR_METRICS, "value": value, "low": low, "high": high})
