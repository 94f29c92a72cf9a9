"""Measure ``research simulate`` at the demo's size, with ``--million`` at a million customers.

    python benchmarks/simulate.py [--million] [--scratch DIR]

Prints a Markdown section. The files go to a scratch folder and are removed; a million customers
need about 3 GB there.
"""

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

EVENTS = ("orders", "usage", "contacts", "feedback", "referrals", "campaigns")
SIZES = {"demo": 6_000, "million": 1_000_000}


def measure(customers: int, scratch: Path) -> dict[str, float]:
    """Run the command in a process of its own and return what it needed and wrote."""
    request = [
        "--customers",
        str(customers),
        "--months",
        "24",
        "--seed",
        "0",
        "--out",
        str(scratch / "company"),
    ]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "research.cli", "simulate", *request],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - began
    rows = {
        line.split()[0]: int(line.split()[1].replace(",", ""))
        for line in done.stdout.splitlines()[:-1]
    }
    files = [path.stat().st_size for path in scratch.rglob("*.parquet")]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "customers": customers,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        # of the largest child so far: sizes are measured in ascending order
        "peak_gb": after.ru_maxrss / 1024**2,
        "event_rows": sum(rows[name] for name in EVENTS),
        "all_rows": sum(rows.values()),
        "files_gb": sum(files) / 1e9,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--million", action="store_true", help="also a million customers, which takes minutes"
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        help="where the files go for a while; the system's own place unless given",
    )
    options = parser.parse_args()
    print("## Generating a company of 24 months\n")
    print(
        f"Python {platform.python_version()}, numpy {version('numpy')}, pyarrow"
        f" {version('pyarrow')}, {platform.machine()}, one process.\n"
    )
    print(
        "| customers | event rows | all rows | seconds | CPU seconds | peak memory, GB | files, GB"
        " |\n|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name in ("demo", "million")[: 1 + options.million]:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            facts = measure(SIZES[name], Path(scratch))
        print(
            "| {customers:,} | {event_rows:,} | {all_rows:,} | {seconds:.1f} | {cpu_seconds:.1f} |"
            " {peak_gb:.2f} | {files_gb:.2f} |".format(**facts),
            flush=True,
        )


if __name__ == "__main__":
    main()
