"""Measure the seconds and the memory of fitting and valuing many buyers; write ``VALUE.md``.

    python benchmarks/value.py [--customers N] [--out FILE]

Histories are drawn from Pareto/NBD and Gamma-Gamma with the parameters published for CDNOW, so that
what is fitted is known. Each run is a process that fits and values; a bound is met if the worst run
keeps it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from bench import describe_machine, describe_versions, publish
from verdicts import INCONCLUSIVE, MET, MISSED

from research.models.clv import mbg_cnbd, pareto_nbd
from research.models.clv.gamma_gamma import fit_spend
from research.models.clv.max_likelihood import Fit
from research.value import expected_value
from research.value.purchase_models import MODELS, choose_purchase_model

ROOT = Path(__file__).resolve().parents[1]
CUSTOMERS, SECONDS, MEMORY_GB = 200_000, 60, 2
RUNS = 3
PURCHASES = Fit(np.array([0.553, 74.0, 0.606, 81.7]), np.eye(4), 0.0, 1, pareto_nbd.NAMES)
AMOUNTS = (6.25, 3.74, 15.44)
SPAN, MARGIN, RATE, OLDEST = 365, 0.3, 0.1, 730


def draw_histories(customers: int, seed: int = 0) -> pd.DataFrame:
    """Return histories in whole days, with amounts, of customers who joined in two years."""
    rng = np.random.default_rng(seed)
    ages = pd.DataFrame({"age_days": rng.integers(1, OLDEST, customers).astype(float)})
    drawn, _ = pareto_nbd.simulate_purchases(ages, PURCHASES, 1, seed)
    repeats = np.minimum(drawn.n_repeat, drawn.age_days)  # at most one a day
    recency = np.where(
        repeats > 0, np.clip(np.ceil(drawn.recency_days), np.maximum(repeats, 1), drawn.age_days), 0
    )
    p, q, v = AMOUNTS
    scale = v / rng.gamma(q, 1, customers)
    mean = np.where(
        repeats > 0,
        rng.gamma(np.maximum(p * repeats, 1e-9), 1) * scale / np.maximum(repeats, 1),
        np.nan,
    )
    first = rng.gamma(p, 1, customers) * scale
    return pd.DataFrame(
        {
            "n_repeat": repeats,
            "recency_days": recency,
            "age_days": drawn.age_days,
            mbg_cnbd.LOG_GAPS: _draw_log_gaps(repeats.astype(int), recency, rng),
            "mean_amount": mean,
            "first_amount": first,
        }
    )


def _draw_log_gaps(
    repeats: np.ndarray, recency: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the sums of the logarithms of the gaps between purchases at random, a day at least."""
    customer = np.repeat(np.arange(len(repeats)), repeats)
    shares = rng.exponential(1, len(customer))
    sums = np.bincount(customer, shares, len(repeats))
    gaps = np.maximum(shares / sums[customer] * recency[customer], 1)
    return np.bincount(customer, np.log(gaps), len(repeats))


def measure(customers: int) -> dict[str, float | str]:
    """Fit every model to drawn histories, and value everybody by the one with the lowest AIC.

    Return seconds, peak memory and the model.
    """
    histories, seconds = draw_histories(customers), {}
    began = at = time.perf_counter()
    fits = {}
    for name, model in MODELS.items():
        fits[name] = model.estimator.fit_transactions(histories)
        seconds[f"fit {name}"], at = time.perf_counter() - at, time.perf_counter()
    spend = fit_spend(histories)
    seconds["fit Gamma-Gamma"], at = time.perf_counter() - at, time.perf_counter()
    best = choose_purchase_model(fits)
    for name in dict.fromkeys((best, *MODELS)):
        expected_value.value_buyers(histories, MODELS[name], fits[name], spend, SPAN, MARGIN, RATE)
        seconds[f"value by {name}"], at = time.perf_counter() - at, time.perf_counter()
    parts = (f"value by {name}" for name in MODELS if name != best)
    all_seconds = time.perf_counter() - began - sum(seconds[part] for part in parts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "best": best,
        "together": all_seconds,
        "peak_gb": peak,
        "r": fits["Pareto/NBD"].parameters[0],
    } | seconds


def judge_under(measured: list[float], bound: float) -> str:
    """Return whether all runs stay below a bound; missed where none does. One run shows neither."""
    if len(measured) < 2:
        return INCONCLUSIVE
    if max(measured) < bound:
        return MET
    return MISSED if min(measured) >= bound else INCONCLUSIVE


def _range(measured: list[float], digits: int) -> str:
    return f"{min(measured):.{digits}f} to {max(measured):.{digits}f}"


def write_results(path: Path, customers: int, runs: list[dict], about: str) -> None:
    """Write the whole file, or nothing."""
    facts = runs[0]
    rows = [
        (name, _range([run[name] for run in runs], 1))
        for name in facts
        if name.startswith(("fit ", "value "))
    ]
    seconds, memory = ([run[name] for run in runs] for name in ("together", "peak_gb"))
    chosen = f"value by {facts['best']}"
    lines = [
        "# Value: speed and memory",
        "",
        "Written by `make bench-value`; never edited by hand.",
        "",
        (
            f"{customers:,} buyers drawn from Pareto/NBD and Gamma-Gamma by the parameters"
            f" published for CDNOW, with ages up to {OLDEST} days: all purchase models fitted,"
            " then Gamma-Gamma, then everybody valued by the model with the lowest AIC, in one"
            f" process on one thread, in {len(runs)} runs. Drawing is not in the seconds; memory is"
            " the peak of the whole process. A bound is met if the worst run keeps it."
            f" Pareto/NBD's r, truly {PURCHASES.parameters[0]:g}, came out as"
            f" {facts['r']:.3f}."
        ),
        "",
        "| part | seconds |",
        "|---|---:|",
        *(f"| {name}{' (chosen)' * (name == chosen)} | {seconds} |" for name, seconds in rows),
        "",
        "| together | measured | required | |",
        "|---|---:|---:|---|",
        (
            f"| all fits, and valuing by the chosen model, seconds | {_range(seconds, 1)} |"
            f" under {SECONDS} | {judge_under(seconds, SECONDS)} |"
        ),
        (
            f"| peak memory, GB | {_range(memory, 2)} | under {MEMORY_GB} |"
            f" {judge_under(memory, MEMORY_GB)} |"
        ),
        "",
        f"- {about}",
    ]
    publish(path, lines)


def main() -> None:
    """Measure in a process of its own and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=CUSTOMERS, metavar="N")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "VALUE.md", metavar="FILE"
    )
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(measure(options.customers)))
        return
    began, load = datetime.now(), os.getloadavg()
    command = [sys.executable, __file__, "--inside", "--customers", str(options.customers)]
    done = [
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(options.runs)
    ]
    when = (
        f"begun {began:%Y-%m-%d %H:%M}; load average before the start {load[0]:.1f}, {load[1]:.1f},"
        f" {load[2]:.1f}"
    )
    write_results(
        options.out,
        options.customers,
        [json.loads(run.stdout.splitlines()[-1]) for run in done],
        f"{when}; {describe_machine()}; {describe_versions({})}",
    )
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
