"""Contact lists: who stands on the list of one cycle, on the sample and on every resample of its
customers.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.intervals import wilson_interval
from research.evaluation.predictions import KEYS


def count_listed(predictions: pd.DataFrame, capacity: int) -> pd.DataFrame:
    """Count the churners among the ``capacity`` customers that each model ranks highest.

    Only the first repeat and the last snapshot count: the list of one cycle. Customers who go on to
    leave within the lead stand on it too, since nobody knows of them at the snapshot; they are not
    found in time. Ties at the border are broken at random by customer, the same way for every
    model.

    Returns
    -------
    DataFrame with columns model, active, listed, churners_found, found_share, low_share,
    high_share, random_churners
        ``active`` is how many there are to choose from, ``found_share`` comes with its Wilson
        interval, ``random_churners`` is what a random list finds on average.
    """
    rows = select_cycle(predictions)
    listed, churned = min(capacity, len(rows)), rows.churned.to_numpy(float)
    found = {
        model: (fill_list(rows[model], rows.customer_id, listed) @ churned).item()
        for model in predictions
        if model not in KEYS
    }
    counts = pd.Series(found.values(), dtype="int64")
    table = pd.DataFrame(
        {"model": found.keys(), "active": len(rows), "listed": listed, "churners_found": counts}
    )
    table["found_share"] = table.churners_found / listed
    table["low_share"], table["high_share"] = wilson_interval(table.found_share, listed)
    return table.assign(random_churners=listed * churned.mean())


def select_cycle(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one cycle: the first repeat of a cross-validation, the last snapshot of a
    dated study; one row per customer.
    """
    rows = (
        predictions[predictions.repeat == predictions.repeat.min()]
        if "repeat" in predictions
        else predictions
    )
    return rows[rows.snapshot == rows.snapshot.max()] if "snapshot" in rows else rows


def fill_list(
    scores: np.ndarray, customers: Sequence, capacity: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return how often each row stands on a list of the ``capacity`` highest scores, once for each
    row of ``weights``.

    Ties at the border are broken at random by customer, the same way for every model, as in
    ``count_listed``.

    Parameters
    ----------
    scores : (rows,)
    customers : (rows,)
    capacity : places on the list
    weights : (resamples, rows), optional
        How often each row is drawn; once unless given.

    Returns
    -------
    (resamples, rows), between 0 and the weight
    """
    weights = np.ones((1, len(scores))) if weights is None else weights
    lot = pd.util.hash_array(np.asarray(customers).astype(str).astype(object))
    order = np.lexsort((lot, -np.asarray(scores, float)))
    drawn, taken = weights[:, order], np.empty(weights.shape)
    taken[:, order] = np.clip(capacity - (np.cumsum(drawn, axis=1) - drawn), 0, drawn)
    return taken
