"""Customer lifetime value over a stated span: the discounted margin that is expected.

Buyers without a contract: a model of purchases times one of their amounts (Gamma-Gamma). Contracts:
a survival curve times the margin of a day. Both look ahead for the stated span, and no further.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.models.clv.gamma_gamma import predict_spend
from research.models.clv.max_likelihood import Fit
from research.models.registry import Model
from research.panel.periods import MEAN_YEAR_DAYS

STEPS = 24  # parts of the span within which money is discounted alike
CHUNK_ROWS = 20_000  # customers valued at once
VALUES = ["alive", "purchases", "amount", "value"]
MAX_RATE = 10  # of discount a year


def value_buyers(
    histories: pd.DataFrame,
    model: Model,
    fit: Fit,
    spend: Fit,
    span: float,
    margin: float,
    rate: float,
) -> pd.DataFrame:
    """Return the value of each buyer over the span after T.

    Parameters
    ----------
    histories : DataFrame with the columns of ``purchases.summarise_spending``, in days
    model : one of ``purchase_models.MODELS``, and its ``fit``
    spend : fit of ``gamma_gamma.fit_spend``
    span : days looked ahead
    margin : share of an amount that remains, 0 to 1
    rate : yearly rate of discount

    Returns
    -------
    DataFrame with columns alive, purchases, amount, value, in the order of ``histories``
        ``purchases`` are those expected within the span, undiscounted; ``value`` is in the currency
        of the amounts, and 0 where the amount is.

    Raises
    ------
    StudyError
        If span, margin or rate are out of their range, or the amounts have no mean.
    """
    _require_terms(span, margin, rate)
    amount = predict_spend(histories, spend)
    if np.isinf(amount).any():
        raise StudyError(
            "expected amounts whose mean is finite, got a Gamma-Gamma fit whose q is 1 or less; use"
            " a later snapshot, or leave out the largest orders"
        )
    edges = np.linspace(0, span, STEPS + 1)
    counts, discounted = _count_purchases(histories, model, fit, edges, rate)
    alive = model.estimator.predict_alive(histories, fit)
    columns = (alive, counts, amount, margin * amount * discounted)
    return pd.DataFrame(dict(zip(VALUES, columns, strict=True)), index=histories.index)


def value_purchase_in_window(
    histories: pd.DataFrame, model: Model, fit: Fit, span: float, window: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of no purchase in the window after T, and what a purchase in it tells.

    Parameters
    ----------
    histories, model, fit, span, rate : see ``value_buyers``
    window : days; as many as ``span`` at most are looked at

    Returns
    -------
    two arrays (rows,)
        The chance; and by how many the discounted purchases expected within the span are more given
        a purchase in the window than given none, by the posterior: with V = r V(none) + (1 - r)
        V(purchase), V(purchase) - V(none) is (V - V(none)) / (1 - r).
    """
    window = min(window, span)
    edges = np.unique([*np.linspace(0, span, STEPS + 1), window])
    later = edges[edges >= window]
    expected = _count_purchases(histories, model, fit, edges, rate)[1]
    idle = histories.assign(age_days=histories.age_days + window)
    without = _count_purchases(idle, model, fit, later, rate)[1] if len(later) > 1 else 0.0
    none = model.estimator.predict_inactivity(histories, fit, 0, window)
    return none, (expected - without) / np.maximum(1 - none, 1e-12)


def _count_purchases(
    histories: pd.DataFrame, model: Model, fit: Fit, edges: np.ndarray, rate: float
) -> np.ndarray:
    """Return the purchases expected between the first and the last of ``edges``, days after the
    snapshot, as they come and discounted to it: (2, rows). T is the first of them.
    """
    weights = discount((edges[1:] + edges[:-1]) / 2, rate)
    ahead, parts = (edges[1:] - edges[0])[:, None], []
    for at in range(0, len(histories), CHUNK_ROWS):
        chunk = histories.iloc[at : at + CHUNK_ROWS]
        counts = model.estimator.predict_purchases(chunk, fit, ahead)
        parts.append([counts[-1], weights @ np.diff(counts, axis=0, prepend=0)])
    return np.hstack([np.stack(part) for part in parts])


def value_contracts(
    curves: np.ndarray, days: Sequence[float], margin_per_day: np.ndarray, rate: float
) -> np.ndarray:
    """Return the discounted margin of each contract up to the last of ``days``: (rows,).

    Parameters
    ----------
    curves : (rows, days), the probability that the contract still runs
    days : rising from 0 on, fine enough that the curve is straight between two
    margin_per_day : (rows,), what remains of the fee of a day
    rate : yearly rate of discount
    """
    days = np.asarray(days, float)
    _require_terms(days[-1], 1.0, rate)
    if days[0] != 0 or (np.diff(days) <= 0).any():
        raise StudyError(
            f"expected days that rise from 0, got {', '.join(f'{day:g}' for day in days[:5])};"
            " begin with 0"
        )
    return np.asarray(margin_per_day) * np.trapezoid(curves * discount(days, rate), days, axis=1)


def discount(days: np.ndarray, rate: float) -> np.ndarray:
    """Return the present value of a unit of money in so many days."""
    return (1 + rate) ** (-np.asarray(days) / MEAN_YEAR_DAYS)


def _require_terms(span: float, margin: float, rate: float) -> None:
    faults = []
    if not (span > 0 and np.isfinite(span)):
        faults.append(f"expected a span above 0 days, got {span:g}; look ahead")
    if not 0 <= margin <= 1:
        faults.append(
            f"expected a margin from 0 to 1, got {margin:g}; give the share of an amount that"
            " remains"
        )
    if not 0 <= rate < MAX_RATE:
        faults.append(
            f"expected a yearly rate of discount of 0 or more, got {rate:g}; 0.1 is ten percent"
        )
    if faults:
        raise StudyError(*faults)
