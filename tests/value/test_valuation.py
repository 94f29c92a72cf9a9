"""Values with their intervals, and what follows from them."""

import numpy as np
import pandas as pd
import pytest

from research.value.valuation import COLUMNS, frame_values


def test_intervals_and_costs_by_hand():
    columns = {
        "risk": np.array([0.5, 0.1]),
        "value": np.array([1.0, 20.0]),
        "value_if_kept": np.array([4.0, 25.0]),
        "value_of_keeping": np.array([3.0, 20.0]),
    }
    resampled = np.array([[0.0, 19], [2, 21]])  # standard deviations sqrt(2), times 2
    table = frame_values(pd.Series(["a", "b"]), columns, resampled, 2.0)
    assert list(table) == COLUMNS
    half = 1.959964 * 2 * np.sqrt(2)
    assert table.low.tolist() == pytest.approx([0, 20 - half])  # never below 0
    assert table.high.tolist() == pytest.approx([1 + half, 20 + half])
    assert table.cost_of_churn.tolist() == [3, 5]
    assert table.value_of_keeping.tolist() == [3, 20]
    assert table.alive.isna().all()
