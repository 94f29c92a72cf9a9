"""How often the intervals of remaining lifetimes cover the truth, on simulated Weibull lives.

    python benchmarks/lifetime_coverage.py --customers 16000 --draws 40

Prints, for each draw, the share of new customers whose true restricted mean lies in the interval:
of all, and by fifth of the prediction from the shortest on; first by resamples alone, then with
what halves of the customers show. Then the mean of all draws with its standard error.
"""

import argparse

import numpy as np
import pandas as pd

from research.models.survival_at_horizon import frame_outcome
from research.survival.half_fits import fit_halves
from research.survival.predict import list_models
from research.survival.remaining_lifetime import fit_resampled, predict_lifetimes

UNTIL, SHAPE, REFITS, JUDGED = 365.0, 1.2, 12, 3000
MODEL = "discrete hazard, boosted"


def draw_customers(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features and the scale of each customer's Weibull life, in days."""
    columns = pd.DataFrame(rng.normal(size=(n, 6)), columns=[f"x{place}" for place in range(6)])
    columns["plan"] = rng.choice(list("abc"), n)
    log_hazard = 0.8 * columns.x0 - 0.4 * columns.x1 + 0.6 * (columns.plan == "a")
    return columns, 400 * np.exp(-log_hazard.to_numpy())


def measure_coverage(seed: int, n: int) -> np.ndarray:
    """Return coverage of all and of each fifth, without and with halves: (2, 6)."""
    rng = np.random.default_rng(seed)
    columns, scale = draw_customers(rng, n)
    life, followed = np.ceil(scale * rng.weibull(SHAPE, n)), np.ceil(rng.uniform(200, 500, n))
    outcome, customers = frame_outcome(life <= followed, np.minimum(life, followed)), np.arange(n)
    model = list_models((91, 182, 274, 365), 0)[MODEL].estimator
    judged, true_scale = draw_customers(rng, JUDGED)
    days = np.linspace(0, UNTIL, 400)
    truth = np.trapezoid(np.exp(-((days / true_scale[:, None]) ** SHAPE)), days, axis=1)
    fitted = fit_resampled(model, columns, outcome, customers, REFITS, seed)
    halves = fit_halves(model, columns, outcome, customers, UNTIL, seed)
    shares = []
    for each in (None, halves):
        rows = predict_lifetimes(fitted, judged, UNTIL, halves=each)
        covered = ((rows.low_mean_days <= truth) & (truth <= rows.high_mean_days)).to_numpy()
        fifth = halves.find_fifths(rows.restricted_mean_days.to_numpy())
        shares.append([covered.mean(), *(covered[fifth == part].mean() for part in range(5))])
    return np.array(shares)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=16_000)
    parser.add_argument("--draws", type=int, default=40)
    options = parser.parse_args()
    shares = []
    for seed in range(options.draws):
        shares.append(measure_coverage(seed, options.customers))
        print(seed, *shares[-1].round(3).tolist(), flush=True)
    error = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
    print("mean", *np.mean(shares, axis=0).round(3).tolist())
    print("standard error", np.round(error, 3).tolist())


if __name__ == "__main__":
    main()
