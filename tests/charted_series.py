"""Series of an indicator for control charts: noise with a shift."""

import numpy as np
import pandas as pd

MONTHS = pd.date_range("2023-01-31", periods=36, freq="ME")


def as_series(
    values, se=1.0, indicator="churn rate", segment_by="", segment="all", worse=1
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "indicator": indicator,
            "segment_by": segment_by,
            "segment": segment,
            "snapshot": MONTHS[: len(values)],
            "value": values,
            "se": se,
            "worse": worse,
        }
    )


def draw(seed=0, periods=24, shift=0.0, at=14, size=1.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(0, size, periods)
    values[at:] += shift
    return values
