"""CPU seconds and peak memory of ``60_uplift``'s steps on a generated experiment of many customers.

``python benchmarks/uplift_growth.py 300000`` draws a flat experiment of four arms (a visit within
two weeks, effects that differ by one feature), and times what the notebook does: average effects,
learners, tests, placebos. Nothing is written.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd

from research.uplift import heterogeneity
from research.uplift.average_effects import score_outcomes, tabulate_effects
from research.uplift.cross_fitting import cross_fit
from research.uplift.metrics import resample_uplift
from research.uplift.trials import RANDOMISED, Trial

ARMS = ("control", "letter", "call", "discount")
FOLDS, REPEATS, RESAMPLES, PLACEBOS = 3, 5, 300, 19  # the notebook's own
NUMBERS = ["recency", "history", "orders", "age", "visits"]


def make_experiment(customers: int, seed: int = 0) -> Trial:
    """Return a trial of customers with five numbers and two texts, and four equal arms."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rng.gamma(2, 1, (customers, len(NUMBERS))), columns=NUMBERS)
    rows = rows.assign(
        channel=rng.choice(["phone", "web", "both"], customers),
        region=rng.choice(["city", "town", "country"], customers),
    )
    code = rng.integers(0, len(ARMS), customers)
    log_odds = -2 + 0.2 * rows.visits - 0.1 * rows.recency + (code > 0) * (0.1 + 0.1 * rows.history)
    rows = rows.assign(
        customer_id=np.arange(customers),
        trial="growth",
        arm=np.array(ARMS)[code],
        propensity=1 / len(ARMS),
        outcome=(rng.random(customers) < 1 / (1 + np.exp(-log_odds))).astype(float),
    )
    features = [*NUMBERS, "channel", "region"]
    counts = pd.DataFrame({"trial": ["growth"]})
    return Trial(rows, features, {"outcome": "visits"}, RANDOMISED, counts)


class Clock:
    """Prints the CPU seconds of each step and the peak memory by its end."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.monotonic()

    def tell(self, step: str) -> None:
        """Print what has passed since the last step."""
        cpu, wall = time.process_time(), time.monotonic()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{step:20s} {cpu - self.cpu:7.1f} s CPU {wall - self.wall:7.1f} s {peak:6.2f} GB")
        sys.stdout.flush()
        self.cpu, self.wall = cpu, wall


def main() -> None:
    """Time every step."""
    clock, trial = Clock(), make_experiment(int(sys.argv[1]))
    clock.tell("drawing")
    scored = score_outcomes(trial, 0)
    tabulate_effects(trial, scored)
    clock.tell("average effects")
    sample, scores = scored[0].sample, scored[0].scores
    cross_fits = cross_fit(sample, FOLDS, REPEATS, 0)
    clock.tell("cross-fitting")
    resample_uplift(cross_fits, sample, scores, RESAMPLES, 0)
    clock.tell("scores")
    heterogeneity.run_test(sample, "outcome", REPEATS, 0)
    clock.tell("tests")
    heterogeneity.run_placebos(sample, "outcome", PLACEBOS, 0)
    clock.tell("placebos")


if __name__ == "__main__":
    main()
