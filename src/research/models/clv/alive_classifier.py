"""BG/NBD, a buy-till-you-die model, as a classifier of churn."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from research.models.calibration import Sigmoid
from research.models.clv.beta_geo import fit_transactions, predict_alive, predict_inactivity


class AliveUntil(ClassifierMixin, BaseEstimator):
    """BG/NBD as a classifier: the probability of no purchase in the label window.

    Either that probability itself, or the probability of having dropped out by T, recalibrated on
    the labels of the training rows (see ``calibration.Sigmoid``): customers who dropped out will
    not buy, but not all who don't buy in the window have dropped out.

    Parameters
    ----------
    lead_days : from T to the beginning of the window
    horizon_days : length of the window
    histories : DataFrame, optional
        What is fitted on in place of the columns given to ``fit``: histories of all customers at
        one training snapshot, see ``purchase_history.summarise_orders``. Training rows usually are
        customers who bought lately; those who dropped out are missing among them.
    gone : whether to go by the probability of having dropped out by T
    """

    def __init__(
        self,
        lead_days: int,
        horizon_days: int,
        histories: pd.DataFrame | None = None,
        gone: bool = False,
    ):
        self.gone = gone
        self.lead_days = lead_days
        self.horizon_days = horizon_days
        self.histories = histories

    def fit(self, columns: pd.DataFrame, churned: np.ndarray | None = None) -> "AliveUntil":
        """Fit on histories, of several snapshots on the last, which contains the earlier ones.

        Labels enter only if ``gone``.
        """
        rows = columns if self.histories is None else self.histories
        rows = rows[rows.snapshot == rows.snapshot.max()] if "snapshot" in rows else rows
        self.btyd_ = fit_transactions(rows)
        if self.gone:
            self.map_ = Sigmoid().fit(
                1 - predict_alive(columns, self.btyd_), np.asarray(churned, bool)
            )
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a purchase and of none in the window: (rows, 2)."""
        check_is_fitted(self)
        if self.gone:
            inactive = self.map_.predict(1 - predict_alive(columns, self.btyd_))
        else:
            inactive = predict_inactivity(columns, self.btyd_, self.lead_days, self.horizon_days)
        return np.column_stack([1 - inactive, inactive])
