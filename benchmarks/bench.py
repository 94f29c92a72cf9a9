"""Measure speed and memory against other ways to the same features, and write ``RESULTS.md``.

    python benchmarks/bench.py [--quick] [--only SECTION ...] [--rest SECONDS] [--scratch DIR]
    [--out FILE]

The full run needs about 8 GB in the scratch folder, where generated companies stay for the next
run. Sections that aren't asked for stay as they were measured before.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
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
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {_name_processor()},"
        f" {platform.system()} {platform.release()}"
    )


def _name_processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        return names[0] if names else platform.machine()
    sysctl = subprocess.run(
        ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
    )
    return sysctl.stdout.strip() or platform.machine()


def describe_versions(featuretools: dict[str, str]) -> str:
    """Return the versions in one line."""
    packages = {"DuckDB": "duckdb", "Ibis": "ibis-framework", "pandas": "pandas", "numpy": "numpy"}
    ours = [
        f"Python {platform.python_version()}",
        *(f"{name} {version(package)}" for name, package in packages.items()),
    ]
    theirs = (
        [
            f"featuretools {featuretools['featuretools']} with pandas {featuretools['pandas']} and"
            f" numpy {featuretools['numpy']}"
        ]
        if featuretools
        else []
    )
    return ", ".join(ours + theirs)


def measure(bench: Bench, wanted: list[str]) -> Iterator[tuple[str, Section, dict[str, str]]]:
    """Run the wanted sections; yield name, section, and featuretools' versions where used."""
    against = (
        *(["by hand"] if "hand" in wanted else []),
        *(["pandas", "pandas, numbered"] if "pandas" in wanted else []),
    )
    if against:
        yield from (
            (name, section, {})
            for name, section in sections.measure_side_by_side(bench, against).items()
        )
    if "featuretools" in wanted:
        yield "featuretools", *sections.measure_featuretools(bench, ROOT)
    if "events" in wanted:
        yield "events", sections.measure_growth_with_events(bench), {}
    if "snapshots" in wanted:
        yield "snapshots", sections.measure_growth_with_snapshots(bench), {}


def keep(path: Path, name: str, section: Section, facts: str) -> dict[str, dict]:
    """Replace what was measured of a section before, and return all sections."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept |= {name: asdict(section) | {"facts": facts}}
    path.write_text(json.dumps(kept, indent=1))
    return kept


def write_results(path: Path, kept: dict[str, dict]) -> None:
    """Write the whole file, or nothing."""
    lines = ["# Speed and memory", "", "Written by `make bench`; never edited by hand."]
    for section in (kept[name] for name in NAMES if name in kept):
        lines += ["", f"## {section['title']}", "", section["words"]]
        if section["rows"]:
            aligned = "|".join("---" if not i else "---:" for i in range(len(section["head"])))
            lines += [
                "",
                _row(section["head"]),
                f"|{aligned}|",
                *(_row(row) for row in section["rows"]),
            ]
        lines += ["", *(f"- {remark}" for remark in (*section["remarks"], section["facts"]))]
    publish(path, lines)


def publish(path: Path, lines: list[str]) -> None:
    """Write a file of Markdown with prose of at most 100 columns: the whole file, or nothing."""
    partial = path.with_suffix(".partial")
    partial.write_text("\n".join(map(wrap_prose, "\n".join(lines).split("\n"))) + "\n")
    partial.replace(path)


def wrap_prose(line: str) -> str:
    """Return a paragraph or an entry of a list in lines of at most 100 columns; tables stay."""
    if line.startswith(("|", "#")):
        return line
    indent = "  " if line.startswith("- ") else ""
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, 100, subsequent_indent=indent, **whole)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def read_options() -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small company, for trying out; prints instead of writing RESULTS.md",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=[*NAMES],
        metavar="SECTION",
        help=", ".join(NAMES),
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=sections.PAIRS,
        metavar="N",
        help="runs of each contender that is compared side by side",
    )
    parser.add_argument(
        "--rest",
        type=int,
        default=0,
        metavar="SECONDS",
        help="idle time before each run, for machines whose speed is lent by the minute",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()) / "research-bench",
        metavar="DIR",
        help="where companies are kept",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="benchmarks/RESULTS.md unless given"
    )
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    options = read_options()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        Runner(scratch / "home", scratch, options.rest),
        QUICK if options.quick else FULL,
        options.pairs,
    )
    out = options.out or (
        scratch / "RESULTS.md" if options.quick else ROOT / "benchmarks" / "RESULTS.md"
    )
    measured, began, load = (
        scratch / ("quick.json" if options.quick else "measured.json"),
        datetime.now(),
        os.getloadavg(),
    )
    for name, section, versions in measure(bench, options.only):
        write_results(
            out, keep(measured, name, section, describe_run(began, load, versions, options.rest))
        )
        began, load = datetime.now(), os.getloadavg()
    print(out.read_text() if options.quick else f"written to {out}", file=sys.stdout)


def describe_run(
    began: datetime, load: tuple[float, float, float], featuretools: dict[str, str], rest: int
) -> str:
    """Return when, how long, on what machine and with which versions a section was measured."""
    minutes = (datetime.now() - began).total_seconds() / 60
    when = (
        f"begun {began:%Y-%m-%d %H:%M}, took {minutes:.0f} minutes; load average before the start"
        f" {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}"
    )
    when += f"; {rest} idle seconds before each run" if rest else ""
    return f"{when}; {describe_machine()}; {describe_versions(featuretools)}"


if __name__ == "__main__":
    main()
