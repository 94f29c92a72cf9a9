"""Trials whose arms were drawn by household, for tests of the unit of randomisation."""

import numpy as np
import pandas as pd

from research.uplift.trials import RANDOMISED, Trial

SIZES = (1, 2, 3, 4)  # equally many households of each
# of an outcome within a household: 1 + (E[m^2] / E[m] - 1) rho = 1 + (7.5 / 2.5 - 1) 0.28 = 1.56
# times the variance of as many customers drawn one by one, so intervals are 1.25 times as wide
CORRELATION, WIDER = 0.28, 1.56**0.5


def make_households(n: int, seed: int, effect: float = 0.0) -> Trial:
    """Return a trial of n households, half of them in control; the outcome has a variance of 1, and
    all of its correlation within a household is that of a common part.
    """
    rng = np.random.default_rng(seed)
    size = rng.permutation(np.resize(SIZES, n))
    household = np.repeat(np.arange(n), size)
    treated = rng.permutation(np.arange(n) % 2)[household] == 1
    common = rng.normal(0, CORRELATION**0.5, n)[household]
    own = rng.normal(0, (1 - CORRELATION) ** 0.5, len(household))
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(len(household))],
            "household": household.astype(str),
            "trial": "test",
            "arm": np.where(treated, "mail", "control"),
            "propensity": np.where(treated, treated.mean(), 1 - treated.mean()),
            "cost": 0.0,
            "outcome": common + own + effect * treated,
            "size": size[household].astype(float),
            "age": rng.normal(50, 15, len(household)),
        }
    )
    rows = rows.assign(kept=1.0, planned=0.5, varies=False)
    counts = rows.groupby(["trial", "arm"]).size().rename("assigned").reset_index()
    counts = counts.assign(next_campaign=0, analysed=counts.assigned)
    words = {"outcome": "spends"}
    return Trial(rows, ["size", "age"], words, RANDOMISED, counts, "household")
