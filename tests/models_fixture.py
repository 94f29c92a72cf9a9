"""Customers and a distorted model that the tests of recalibration and stacking share."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression


class Distorted(LogisticRegression):
    """A model whose log-odds are a third of what they should be."""

    def predict_proba(self, columns):
        p = expit(logit(super().predict_proba(columns)[:, 1]) / 3)
        return np.column_stack([1 - p, p])


def customers(n: int = 3000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    return columns, rng.random(n) < expit(1.5 * columns.a - 1), np.arange(n)


def mean_log_loss(churned: np.ndarray, p: np.ndarray) -> float:
    return -np.where(churned, np.log(p), np.log1p(-p)).mean()
