"""Measure the package's speed and memory side by side with other ways to the same features, and write ``RESULTS.md``.

    python benchmarks/bench.py [--quick] [--only SECTION ...] [--scratch DIR] [--out FILE]

The full run needs about 8 GB in the scratch folder, where generated companies stay for the next run.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import sections
from measure import Runner
from sections import FULL, QUICK, Bench, Section

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("hand", "pandas", "events", "snapshots", "featuretools")


def describe_machine() -> str:
    """Return cores, memory, processor and system in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {_name_processor()}, {platform.system()} {platform.release()}"


def _name_processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        return names[0] if names else platform.machine()
    found = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
    return found.stdout.strip() or platform.machine()


def describe_versions(featuretools: dict[str, str]) -> str:
    """Return the versions in one line."""
    own = {"DuckDB": "duckdb", "Ibis": "ibis-framework", "pandas": "pandas", "numpy": "numpy"}
    told = [f"Python {platform.python_version()}", *(f"{name} {version(package)}" for name, package in own.items())]
    theirs = [f"featuretools {featuretools['featuretools']} with pandas {featuretools['pandas']} and numpy {featuretools['numpy']}"] if featuretools else []
    return ", ".join(told + theirs)


def measure(bench: Bench, wanted: list[str]) -> tuple[list[Section], dict[str, str]]:
    """Run the wanted sections; return them with featuretools' versions."""
    against = (*(["by hand"] if "hand" in wanted else []), *(["pandas", "pandas, numbered"] if "pandas" in wanted else []))
    found = [*sections.measure_side_by_side(bench, against)] if against else []
    versions: dict[str, str] = {}
    if "featuretools" in wanted:
        section, versions = sections.measure_featuretools(bench, ROOT)
        found.append(section)
    found += [sections.measure_growth_with_events(bench)] if "events" in wanted else []
    return found + ([sections.measure_growth_with_snapshots(bench)] if "snapshots" in wanted else []), versions


def write_results(path: Path, found: list[Section], facts: list[str]) -> None:
    """Write the whole file, or nothing."""
    lines = ["# Speed and memory", "", "Written by `make bench`; never edited by hand.", "", *(f"- {fact}" for fact in facts)]
    for section in found:
        lines += ["", f"## {section.title}", "", section.words]
        if section.rows:
            aligned = "|".join("---" if not i else "---:" for i in range(len(section.head)))
            lines += ["", _row(section.head), f"|{aligned}|", *(_row(row) for row in section.rows)]
        lines += ["", *section.remarks] if section.remarks else []
    partial = path.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n")
    partial.replace(path)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small company, for trying out; prints instead of writing RESULTS.md")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=[*NAMES], metavar="SECTION", help=", ".join(NAMES))
    parser.add_argument("--pairs", type=int, default=sections.PAIRS, metavar="N", help="runs of each contender that is compared side by side")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "research-bench", metavar="DIR", help="where companies are kept")
    parser.add_argument("--out", type=Path, metavar="FILE", help="benchmarks/RESULTS.md unless given")
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    began, load = datetime.now(), os.getloadavg()
    bench = Bench(Runner(scratch / "home", scratch), QUICK if options.quick else FULL, options.pairs)
    found, versions = measure(bench, options.only)
    minutes = (datetime.now() - began).total_seconds() / 60
    facts = [f"machine: {describe_machine()}", f"versions: {describe_versions(versions)}"]
    facts += [f"begun {began:%Y-%m-%d %H:%M}, took {minutes:.0f} minutes; load average before the start {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}"]
    out = options.out or (scratch / "RESULTS.md" if options.quick else ROOT / "benchmarks" / "RESULTS.md")
    write_results(out, found, facts)
    print(out.read_text() if options.quick else f"written to {out}", file=sys.stdout)


if __name__ == "__main__":
    main()
