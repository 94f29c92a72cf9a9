"""Reliability bins."""

import numpy as np
import pandas as pd
import pytest

from research.evaluation import calibration_bins


def as_predictions(y, **models) -> pd.DataFrame:
    return pd.DataFrame({"repeat": 0, "customer_id": np.arange(len(y)), "churned": y, **models})


def test_reliability_bins_worked_by_hand():
    predictions = as_predictions(
        np.array([False, False, True, True]), m=np.array([0.1, 0.3, 0.5, 0.9])
    )
    table = calibration_bins.bin_reliability(predictions, ["m"], bins=2)
    assert table.predicted.tolist() == pytest.approx([0.2, 0.7])
    assert table.observed.tolist() == [0, 1]
    assert table.n.tolist() == [2, 2]
