"""Out-of-fold scores of training customers, from which a second stage may learn."""

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 3
ENOUGH_ROWS = 4_000  # that a second stage learns from: it has a few parameters


def predict_out_of_fold(
    model: ClassifierMixin,
    columns: pd.DataFrame,
    churned: np.ndarray,
    groups: np.ndarray,
    seed: int,
    needs: dict[str, np.ndarray] | None = None,
    folds: int = FOLDS,
    enough: int = ENOUGH_ROWS,
) -> np.ndarray:
    """Return each row's probability of churn by a model fitted on other folds of customers.

    Once ``enough`` rows have one, no further fold is predicted; its rows stay empty.

    Parameters
    ----------
    columns, churned : rows to learn from
    groups : the customer of each row; a customer's rows stay in one fold
    seed : draws the folds
    needs : what else ``fit`` takes for each row, by name
    folds : number of folds, each of which costs one fit
    """
    scores = np.full(len(columns), np.nan)
    for learn, rest in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
        columns, churned, groups
    ):
        part = {name: values[learn] for name, values in (needs or {}).items()}
        scores[rest] = (
            clone(model)
            .fit(columns.iloc[learn], churned[learn], **part)
            .predict_proba(columns.iloc[rest])[:, 1]
        )
        if np.isfinite(scores).sum() >= enough:
            break
    return scores
