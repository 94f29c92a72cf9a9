"""Survival curves turned into risk and value: what contracts and flat studies share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from research.study import Study
from research.survival.anchoring import Anchor, anchor_models
from research.survival.predict import list_models
from research.survival.remaining_lifetime import Refits, predict_from
from research.value.expected_value import value_contracts

BOOSTED = "discrete hazard, boosted"
HAZARD_STEPS = 6  # of the span; the hazard may change between them, besides the quantiles of events
GRID_STEPS = 73  # of the span on which curves are predicted: every fifth day of a year


@dataclass(frozen=True)
class CurveValues:
    """Values by survival curves.

    Attributes
    ----------
    columns : margin_per_day, risk, value, value_if_kept and value_of_keeping, (rows,) each
    resampled, resampled_if_kept : (refits, rows), see ``valuation.Valuation``
    """

    columns: dict[str, np.ndarray]
    resampled: np.ndarray
    resampled_if_kept: np.ndarray


def make_survival_model(span: float, window: float, seed: int) -> BaseEstimator:
    """Return the boosted hazard in discrete time.

    Its intervals end on even parts of the span, and on the last day of the label window.
    """
    even = np.linspace(0, span, HAZARD_STEPS + 1)[1:]
    days = np.unique(np.ceil([*even, min(window, span)])).astype(int).tolist()
    return list_models(tuple(days), seed)[BOOSTED].estimator


def value_by_curves(
    fitted: Refits,
    columns: pd.DataFrame,
    span: float,
    lasted: np.ndarray,
    margins: np.ndarray,
    window: float,
    study: Study,
    unit_days: float = 1.0,
    anchor: Anchor | None = None,
    customers: pd.Series | None = None,
) -> CurveValues:
    """Return risk and values by a model, and the values by its refits.

    Parameters
    ----------
    columns : features of the customers, one row each
    span, window, lasted : to the end of the value, to the end of the label window, and what has
        lasted already, in units of ``unit_days`` days
    margins : (rows,), of a day
    anchor, customers : the risk that curves agree with, and whose the rows are
    """
    days = lay_grid(span, window)
    models = anchor_models((fitted.model, *fitted.resampled), anchor, columns, customers)
    risk, value, if_kept, if_left = zip(
        *(
            weigh_survival(
                predict_from(model, columns, days, lasted),
                days * unit_days,
                margins,
                window * unit_days,
                study,
            )
            for model in models
        ),
        strict=True,
    )
    resampled, resampled_if_kept = (
        np.array(numbers[1:]).reshape(len(numbers) - 1, len(columns))
        for numbers in (value, if_kept)
    )
    numbers = {"margin_per_day": margins, "risk": risk[0], "value": value[0]}
    numbers |= {"value_if_kept": if_kept[0], "value_of_keeping": if_kept[0] - if_left[0]}
    return CurveValues(numbers, resampled, resampled_if_kept)


def lay_grid(span: float, window: float) -> np.ndarray:
    """Return the days on which curves are predicted: the end of the window is one of them."""
    even = np.linspace(0, span, GRID_STEPS + 1)
    return np.union1d(even, [window]) if window < span else even


def weigh_survival(
    curves: np.ndarray, days: np.ndarray, margins: np.ndarray, window: float, study: Study
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the risk by the window's end, the value, and the value if kept and if left by then.

    The value is the mean of the latter two, weighted by the risk. A leaver pays until the day of
    leaving; of customers without any risk it is spread evenly over the window.

    Parameters
    ----------
    curves : (rows, days), the survival on ``days``
    margins : (rows,), of a day
    window : day on which the label window ends
    """
    curves = np.clip(np.asarray(curves, float), 0, 1)
    end = min(window, days[-1])
    staying = (
        np.array([np.interp(end, days, curve) for curve in curves]) if len(curves) else np.zeros(0)
    )
    if_staying = np.divide(
        curves, staying[:, None], out=np.zeros_like(curves), where=staying[:, None] > 0
    )
    if_kept = np.where(days <= end, 1.0, if_staying)
    risk, ahead = 1 - staying[:, None], np.clip(1 - days / max(end, 1e-12), 0, 1)
    if_left = np.divide(
        np.where(days < end, curves - staying[:, None], 0),
        risk,
        out=np.broadcast_to(ahead, curves.shape).copy(),
        where=risk > 0,
    )
    rate = study.economics.discount_rate
    value, value_if_kept, value_if_left = (
        value_contracts(survival, days, margins, rate) for survival in (curves, if_kept, if_left)
    )
    return 1 - staying, value, value_if_kept, value_if_left
