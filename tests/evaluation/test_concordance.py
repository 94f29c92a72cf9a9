"""Concordance and areas under the curve equal slow loops over all pairs."""

import numpy as np
import pytest

from research.evaluation import concordance
from research.models.survival_at_horizon import frame_outcome


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Durations in whole days, so that many are tied, and tied risks of some use."""
    rng = np.random.default_rng(seed)
    rate = rng.choice([0.01, 0.02, 0.05], n)
    days, censored = (np.ceil(rng.exponential(scale, n)) for scale in (1 / rate, 60))
    censored = np.minimum(censored, rng.choice([55, 60, 80], n))
    risk = 1 - np.exp(-50 * rate * rng.choice([0.8, 1, 1.3], n))
    return frame_outcome(days <= censored, np.minimum(days, censored)), risk


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 64, 65])
def test_sums_below_equal_a_loop_over_all_pairs(n):
    rng = np.random.default_rng(n)
    rank, weights = rng.integers(0, 4, n), rng.integers(0, 3, (n, 2)).astype(float)
    found = concordance.sum_below(rank, weights, np.arange(n))
    slow = [
        sum(
            weights[j] * ((rank[j] < rank[i]) + 0.5 * (rank[j] == rank[i])) for j in range(i + 1, n)
        )
        + np.zeros(2)
        for i in range(n)
    ]
    assert np.allclose(found, slow)


@pytest.mark.parametrize("seed", range(3))
def test_concordance_and_areas_equal_loops_over_all_pairs(seed):
    (rows, risk) = draw(70, seed)
    gain = 1 / rows["days"]
    pairs, areas = [], []
    for i in np.flatnonzero(rows["event"]):
        for j in range(70):
            wins = (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
            outlives = rows["days"][j] > rows["days"][i] or (
                rows["days"][j] == rows["days"][i] and not rows["event"][j]
            )
            pairs += [(gain[i], wins)] if outlives else []
            areas += [(gain[i], wins)] if rows["days"][i] <= 35 < rows["days"][j] else []
    counts, cases = (
        concordance.count_draws(np.ones((1, 70))),
        np.where(rows["event"] & (rows["days"] <= 35), gain, 0),
    )
    shares = [
        np.average([wins for _, wins in found], weights=[weight for weight, _ in found])
        for found in (pairs, areas)
    ]
    assert concordance.score_concordance(rows, risk, {"m": gain}, counts)[
        "m"
    ].item() == pytest.approx(shares[0])
    assert concordance.score_areas(risk, cases, rows["days"] > 35, counts).item() == pytest.approx(
        shares[1]
    )
