"""Survival curves brought into agreement with a risk of leaving that is known by other means.

Until the day of the risk the cumulative hazard of each customer is multiplied by one number, so
that the curve ends there at one minus the risk; after it the hazard is that of the curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

LEAST_HAZARD = 1e-9  # until the day; a curve that sees none is given it evenly
LEAST_SURVIVAL = 1e-12


@dataclass(frozen=True)
class Anchor:
    """The risk of leaving by a day that curves are to agree with.

    Attributes
    ----------
    risk : by customer_id, of leaving by the end of ``day``
    day : counted from the snapshot, above 0
    """

    risk: pd.Series
    day: float

    def find_powers(
        self, model: BaseEstimator, columns: pd.DataFrame, customers: Sequence
    ) -> pd.Series:
        """Return by what the cumulative hazard of each customer is multiplied.

        In the index of ``columns``; 1 for customers without a risk.
        """
        at_day = _bound(model.predict_survival(columns, [self.day]), np.array([self.day]), self.day)
        risk = self.risk.reindex(pd.Index(customers)).to_numpy(float)
        powers = np.log1p(-np.clip(risk, 0, 1 - LEAST_SURVIVAL)) / np.log(at_day[:, 0])
        return pd.Series(np.where(np.isfinite(powers), powers, 1.0), columns.index)

    def predict_survival(
        self,
        model: BaseEstimator,
        columns: pd.DataFrame,
        days: Sequence[float],
        powers: pd.Series,
    ) -> np.ndarray:
        """Return the curves of a fitted model with the hazard multiplied until the day.

        Parameters
        ----------
        model : the one that ``powers`` are of, or a refit of it
        powers : see ``find_powers``

        Returns
        -------
        array (rows, days)
        """
        every = np.r_[np.asarray(days, float), self.day]
        curves = _bound(model.predict_survival(columns, every), every, self.day)
        curves, at_day = curves[:, :-1], curves[:, -1:]
        power = powers[columns.index].to_numpy()[:, None]
        return np.where(every[:-1] <= self.day, curves**power, curves * at_day ** (power - 1))


def _bound(curves: np.ndarray, days: np.ndarray, day: float) -> np.ndarray:
    """Return curves that fall until the day and don't reach 0, so that their logarithms exist."""
    falls = np.exp(-LEAST_HAZARD * np.minimum(days, day) / day)
    return np.clip(curves, LEAST_SURVIVAL, 1) * falls


@dataclass(frozen=True)
class Anchored:
    """A fitted survival model of certain rows, whose curves agree with an anchor.

    Attributes
    ----------
    model : fitted
    anchor, powers : see ``Anchor``; without an anchor the curves are the model's own
    """

    model: BaseEstimator
    anchor: Anchor | None = None
    powers: pd.Series | None = None

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the survival of rows whose index ``powers`` has: (rows, days)."""
        if self.anchor is None:
            return self.model.predict_survival(columns, days)
        return self.anchor.predict_survival(self.model, columns, days, self.powers)


def anchor_models(
    models: Sequence[BaseEstimator],
    anchor: Anchor | None,
    columns: pd.DataFrame,
    customers: Sequence,
) -> list[Anchored]:
    """Return fitted models whose curves for some rows agree with an anchor.

    The hazards of all are multiplied by what brings those of the first into agreement, so that the
    others, its refits on resampled customers, go on differing by the sampling error.
    """
    powers = anchor.find_powers(models[0], columns, customers) if anchor else None
    return [Anchored(model, anchor, powers) for model in models]
