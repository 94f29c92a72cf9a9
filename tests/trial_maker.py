"""Trials whose true effects are known, for tests of effects, scores and policies."""

import numpy as np
import pandas as pd

from research.uplift.trials import BY_LOT, Trial


def make_trial(
    n: int, seed: int, effect=lambda x: 0.1 + 0 * x, shares=(0.5, 0.5), outcome: str = "kept"
) -> tuple[Trial, np.ndarray]:
    """Return a trial and the true effect of every arm: (rows, arms).

    The chance of a good outcome is 0.5 + 0.2 x1 without contact, x1 and x2 even between -1 and 1;
    ``effect`` of x2 adds to it, half of it in a second arm.
    """
    rng = np.random.default_rng(seed)
    columns = rng.uniform(-1, 1, (n, 3))
    arms = ("control", "call", "letter")[: len(shares)]
    arm = rng.choice(len(arms), n, p=shares)
    true = np.column_stack([effect(columns[:, 1]) / code for code in range(1, len(arms))])
    chance = (
        0.5 + 0.2 * columns[:, 0] + np.where(arm > 0, true[np.arange(n), np.maximum(arm - 1, 0)], 0)
    )
    rows = pd.DataFrame(columns, columns=["x1", "x2", "x3"]).assign(
        customer_id=[f"c{number:06d}" for number in range(n)],
        trial="test",
        arm=np.array(arms)[arm],
        propensity=np.array(shares)[arm],
        cost=np.where(arm > 0, 1.0, 0.0),
        varies=False,
        **{outcome: (rng.random(n) < chance).astype(float)},
    )
    counts = rows.groupby(["trial", "arm"]).size().rename("assigned").reset_index()
    return (
        Trial(
            rows,
            ["x1", "x2", "x3"],
            {outcome: "stays"},
            BY_LOT,
            counts.assign(no_customer=0, assigned_later=0, analysed=counts.assigned),
        ),
        true,
    )
