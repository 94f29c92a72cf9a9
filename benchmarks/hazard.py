"""The boosted hazard against LightGBM on the same person-period table, one contender a process.

    python benchmarks/hazard.py '{"contender": "package" | "lightgbm" | "million", ...}'

Prints one line of JSON: seconds and CPU seconds of fitting and of scoring at fixed horizons, rows
of the table, and peak memory.
"""

import json
import sys

import numpy as np
import pandas as pd
from contender import Clock, measure_peak_gb

FEATURES, HORIZONS, SEED = 30, (30, 60, 90, 180, 365), 0
SCORED = 1_000_000  # customers whose survival is asked for at once
LEARNED = 20_000  # customers that the model behind them has learned from


def draw_customers(customers: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return features, days and whether they ended in churn.

    The hazard depends on five features and falls with time.
    """
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((customers, FEATURES), dtype="float32")
    log_hazard = (
        columns[:, 0]
        - 0.7 * columns[:, 1]
        + 0.5 * columns[:, 2] * columns[:, 3]
        + 0.4 * (columns[:, 4] > 1)
    )
    days = np.ceil(400 * (rng.exponential(size=customers) * np.exp(-log_hazard)) ** 1.2)
    end = rng.integers(200, 731, customers)
    return (
        pd.DataFrame(columns, columns=[f"x{place}" for place in range(FEATURES)]),
        np.minimum(days, end),
        days <= end,
    )


def make_hazard():
    """Return the package's model."""
    from research.models.preprocessing import prepare_for_trees
    from research.models.survival import DiscreteHazard
    from research.models.trees import make_boosting

    return DiscreteHazard(prepare_for_trees(), make_boosting(SEED), HORIZONS, as_number=True)


def run_package(spec: dict, clock: Clock) -> dict:
    """Fit and score by the package, from the customers' features and days."""
    from research.models.survival_at_horizon import frame_outcome

    columns, days, left = draw_customers(spec["customers"], SEED)
    outcome = frame_outcome(left, days)
    model = clock.time("fit", lambda: make_hazard().fit(columns, outcome))
    survival = clock.time("score", lambda: model.predict_survival(columns, HORIZONS))
    return {"edges": model.edges_.tolist(), "mean": survival.mean(axis=0).tolist()}


def run_lightgbm(spec: dict, clock: Clock) -> dict:
    """Fit LightGBM on the person-period table, expanded beforehand, and score it in one call."""
    from research.models.survival import make_person_periods
    from research.models.survival_at_horizon import frame_outcome
    from research.models.trees import make_boosting

    columns, days, left = draw_customers(spec["customers"], SEED)
    edges = np.asarray(spec["edges"])
    rows, interval, event, share = make_person_periods(frame_outcome(left, days), edges)
    matrix = np.column_stack([columns.to_numpy()[rows], interval.astype("float32")])
    needed = int(np.searchsorted(edges, max(HORIZONS))) + 1
    asked = np.column_stack(
        [
            np.tile(columns.to_numpy(), (needed, 1)),
            np.repeat(np.arange(needed, dtype="float32"), len(columns)),
        ]
    )
    model = clock.time("fit", lambda: make_boosting(SEED).fit(matrix, event, sample_weight=share))
    clock.time("score", lambda: model.predict_proba(asked))
    return {"table": len(rows)}


def run_million(spec: dict, clock: Clock) -> dict:
    """Score a million customers at five horizons by a model that learned from fewer."""
    from research.models.survival_at_horizon import frame_outcome

    columns, days, left = draw_customers(LEARNED, SEED)
    model = clock.time("fit", lambda: make_hazard().fit(columns, frame_outcome(left, days)))
    everyone = draw_customers(SCORED, SEED + 1)[0]
    before = measure_peak_gb()
    survival = clock.time("score", lambda: model.predict_survival(everyone, HORIZONS))
    return {"scored": survival.shape, "peak_before_gb": before}


RUNS = {"package": run_package, "lightgbm": run_lightgbm, "million": run_million}


def main() -> None:
    """Run the contender that was asked for."""
    spec, clock = json.loads(sys.argv[1]), Clock()
    facts = RUNS[spec["contender"]](spec, clock)
    print(json.dumps(clock.facts | facts | {"peak_gb": measure_peak_gb()}))


if __name__ == "__main__":
    main()
