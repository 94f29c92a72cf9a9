"""Contact lists: who stands on the list of one cycle, on the sample and on every resample of its customers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

Array = np.ndarray


def pick_cycle(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one cycle: the first repeat of a cross-validation, the last snapshot of a dated study; one row per customer."""
    rows = predictions[predictions.repeat == predictions.repeat.min()] if "repeat" in predictions else predictions
    return rows[rows.snapshot == rows.snapshot.max()] if "snapshot" in rows else rows


def fill_list(scores: Array, customers: Sequence, capacity: int, weights: Array | None = None) -> Array:
    """Return how often each row stands on a list of the ``capacity`` highest scores, once for each row of ``weights``.

    Ties at the border are broken at random by customer, the same way for every model, as in ``comparison.count_found``.

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
