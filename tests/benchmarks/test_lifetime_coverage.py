"""Intervals of remaining lifetimes cover the truth; by resamples alone they do not."""

from pathlib import Path

import numpy as np


def test_with_halves_of_the_customers_the_intervals_cover_the_truth(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import lifetime_coverage as bench

    alone, held = np.mean([bench.measure_coverage(seed, 2500) for seed in range(3)], axis=0)
    assert alone[0] < 0.9
    assert held[0] > 0.92
    assert held[1] > 0.9  # of the fifth that is predicted to leave first
