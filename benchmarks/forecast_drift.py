"""Why replayed forecasts of a generated company are off: the true level of risk moves.

    python benchmarks/forecast_drift.py CARD [--customers 6000] [--months 24] [--seed 0]

``CARD`` is that of a kept model (``models/demo/<id>/card.json``). A forecast that knows the risks
of its training snapshots exactly, and nothing of what came after, is off by the ratio of the true
mean risk at the forecast snapshot to that at the training snapshots. Prints, for each replayed
window, the ratio of actual to expected, that ratio of true levels, and the same of the company
without the price rise; then the sums.
"""

import argparse
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from research.simulate import TRAPS, simulate_truth

RISE = "price_rise"
DAYS, STEP, TRAIN = 97, 30, 6  # lead and horizon, days between snapshots, training snapshots


def find_level(customers: int, months: int, seed: int, traps: tuple[str, ...]) -> pd.Series:
    """Return the true mean risk to leave within three months, by month."""
    hazards = simulate_truth(customers, months, seed, traps)["hazards"].dropna(subset="voluntary")
    return hazards.groupby(pd.to_datetime(hazards.month)).risk_3_months.mean()


def compare_levels(level: pd.Series, snapshot: pd.Timestamp) -> float:
    """Return the true level at a snapshot over that of the snapshots that could be learned from."""
    days = [snapshot - timedelta(days=DAYS + STEP * back) for back in range(TRAIN + 1)]
    known = [day for day in days[1:] if day >= level.index[0]]
    at = level.index.to_numpy("datetime64[D]").astype(float)
    now, *then = (
        np.interp(np.datetime64(day, "D").astype(float), at, level) for day in (snapshot, *known)
    )
    return float(now / np.mean(then))


def tabulate(card: dict, levels: dict[str, pd.Series]) -> pd.DataFrame:
    """Return for each replayed window what was expected, what came, and the ratios of levels."""
    replay = pd.DataFrame(card["replay"])[["snapshot", "until", "expected", "actual", "ratio"]]
    snapshots = pd.to_datetime(replay.snapshot)
    return replay.assign(
        **{
            name: [compare_levels(level, day) for day in snapshots]
            for name, level in levels.items()
        }
    )


def describe(rows: pd.DataFrame, names: list[str]) -> str:
    """Return how far off the forecasts together were, and how far by the levels alone."""
    parts = [f"forecasts {rows.expected.sum() / rows.actual.sum() - 1:+.1%}"]
    parts += [
        f"{name} {rows.expected.sum() / (rows.expected * rows[name]).sum() - 1:+.1%}"
        for name in names
    ]
    return f"{len(rows)} windows {rows.snapshot.iloc[0]} to {rows.snapshot.iloc[-1]}: " + "; ".join(
        parts
    )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("card", type=Path)
    parser.add_argument("--customers", type=int, default=6_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    request = (options.customers, options.months, options.seed)
    without = tuple(name for name in TRAPS if name != RISE)
    levels = {
        "true level": find_level(*request, TRAPS),
        "true level without the rise": find_level(*request, without),
    }
    rows = tabulate(json.loads(options.card.read_text(encoding="utf-8")), levels)
    print(rows.round(3).to_string(index=False))
    half = len(rows) // 2
    for part in (rows, rows.iloc[:half], rows.iloc[half:]):
        print(describe(part, [*levels]))


if __name__ == "__main__":
    main()
