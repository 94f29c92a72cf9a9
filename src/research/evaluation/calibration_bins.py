"""Observed against predicted shares in tenths of the customers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.intervals import wilson_interval


def bin_reliability(
    predictions: pd.DataFrame, models: Sequence[str], bins: int = 10
) -> pd.DataFrame:
    """Return predicted against observed churn in bins of equally many rows, with Wilson intervals
    of the observed share.

    Only the first repeat is binned: one row per customer and snapshot. The intervals take the rows
    as independent.

    Returns
    -------
    DataFrame with columns model, bin, predicted, observed, low, high, n
    """
    first = predictions[predictions.repeat == predictions.repeat.min()]
    tables = [
        _bin_one(first.churned.to_numpy(bool), first[model].to_numpy(float), bins).assign(
            model=model
        )
        for model in models
    ]
    return pd.concat(tables, ignore_index=True)[
        ["model", "bin", "predicted", "observed", "low", "high", "n"]
    ]


def _bin_one(y: np.ndarray, p: np.ndarray, bins: int) -> pd.DataFrame:
    rank = pd.Series(p).rank(method="average")
    frame = pd.DataFrame({"p": p, "y": y, "bin": np.ceil(rank / len(p) * bins).astype(int)})
    table = (
        frame.groupby("bin")
        .agg(predicted=("p", "mean"), observed=("y", "mean"), n=("y", "size"))
        .reset_index()
    )
    low, high = wilson_interval(table.observed, table.n)
    return table.assign(low=low, high=high)
