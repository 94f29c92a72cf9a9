"""A buy-till-you-die model as a classifier of churn."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from research.models.calibration import Sigmoid
from research.models.clv.beta_geo import fit_rhythm, predict_alive, predict_silence


class AliveUntil(ClassifierMixin, BaseEstimator):
    """BG/NBD as a classifier: the probability of no purchase in ``(T + lead_days, T + lead_days +
    horizon_days]``.

    By its own reckoning, or from the probability of having dropped out by T: who has will not buy,
    but who will not buy in the window need not have, so that probability says who, and the labels
    of the training rows how many (see ``calibration.Sigmoid``).

    Parameters
    ----------
    lead_days : from T to the beginning of the window
    horizon_days : length of the window
    histories : DataFrame, optional
        What is fitted on in place of the columns given to ``fit``: histories of all customers at
        one training snapshot, see ``summarise_orders``. Training rows usually are customers who
        bought lately; those who dropped out are missing among them.
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
        """Fit on histories; of several snapshots (column ``snapshot``) on the last: each holds the
        earlier ones. Labels enter only if ``gone``.
        """
        rows = columns if self.histories is None else self.histories
        rows = rows[rows.snapshot == rows.snapshot.max()] if "snapshot" in rows else rows
        self.rhythm_ = fit_rhythm(rows)
        if self.gone:
            self.map_ = Sigmoid().fit(
                1 - predict_alive(columns, self.rhythm_), np.asarray(churned, bool)
            )
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a purchase and of none in the window, one row per row of
        ``columns``.
        """
        check_is_fitted(self)
        if self.gone:
            silent = self.map_.predict(1 - predict_alive(columns, self.rhythm_))
        else:
            silent = predict_silence(columns, self.rhythm_, self.lead_days, self.horizon_days)
        return np.column_stack([1 - silent, silent])
