"""What is measured: one function per section of ``RESULTS.md``."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import companies
from measure import Failed, Runner, compare, middle

PAIRS = 3
MONTHLY = 30
HAND, FASTER, LEANER, TOOLS = 1.25, 4, 3, 50  # the bounds
MEMORY_GB, LIMIT_GB = 6, 4.0
LEAN_GB = 1.9
LEAN = "package, to a file"


@dataclass(frozen=True)
class Sizes:
    """Customers of the companies, by section; ``growth`` in rising order."""

    side_by_side: int
    growth: tuple[int, ...]
    snapshots: int
    featuretools: tuple[tuple[int, int], ...]  # customers and snapshots


FULL = Sizes(825_000, (16_500, 82_500, 330_000, 825_000), 330_000, ((2_000, 1), (20_000, 12)))
QUICK = Sizes(6_000, (1_500, 6_000), 6_000, ((1_000, 1), (1_000, 3)))


@dataclass(frozen=True)
class Section:
    """A section: what was compared in ``words``, ``head`` and ``rows`` of the table, remarks."""

    title: str
    words: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """Where and at which sizes to measure."""

    runner: Runner
    sizes: Sizes
    pairs: int = PAIRS

    def prepare(
        self, customers: int, memory_gb: float | None = None, snapshots: int = 1
    ) -> tuple[dict, int]:
        """Return the specification of a company for a contender, and its number of event rows."""
        company, rows = companies.make_company(customers, self.runner.scratch)
        last = date.fromisoformat(companies.SNAPSHOT)
        days = [str(last - timedelta(days=MONTHLY * back)) for back in reversed(range(snapshots))]
        labels = self.runner.scratch / "labels.parquet"
        spec = {
            "study": companies.write_study(company, self.runner.home, memory_gb),
            "company": str(company),
            "snapshots": days,
            "labels": str(labels),
        }
        return spec, companies.count_events(rows)


def judge(met: bool) -> str:
    """Return whether a bound is met, in a word."""
    return "met" if met else "**missed**"


def show(ratio: tuple[float, float, float]) -> str:
    """Write a ratio with its range."""
    return f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})"


def measure_side_by_side(bench: Bench, against: tuple[str, ...]) -> dict[str, Section]:
    """Measure the package against hand-written SQL and pandas, in turn; return sections by name."""
    spec, events = bench.prepare(bench.sizes.side_by_side)
    runs, remarks = _take_turns(bench, spec, against)
    where = (
        f"{events:,} event rows, {runs['package'][0]['rows']:,} customers at one snapshot,"
        f" {runs['package'][0]['columns']} columns"
    )
    measured = {}
    if "by hand" in runs:
        measured["hand"] = _describe_hand(
            runs, where, tuple(remarks[name] for name in remarks if name == "by hand")
        )
    if others := [name for name in runs if name.startswith("pandas")]:
        measured["pandas"] = _describe_pandas(
            runs, others, where, tuple(remarks[name] for name in remarks if name != "by hand")
        )
    return measured


def _take_turns(
    bench: Bench, spec: dict, against: tuple[str, ...]
) -> tuple[dict[str, list[dict]], dict[str, str]]:
    """Return what each contender took in each turn, and a remark on each."""
    lean, _ = bench.prepare(bench.sizes.side_by_side, LEAN_GB)
    runs: dict[str, list[dict]] = {
        name: [] for name in ("package", *against, *([LEAN] if "pandas" in against else []))
    }
    remarks: dict[str, str] = {}
    for turn in range(bench.pairs):
        for name in list(runs):
            try:
                runs[name].append(bench.runner.run(name, **(lean if name == LEAN else spec)))
            except Failed as failed:
                if name in ("package", LEAN):
                    raise
                remarks[name] = f"**{name} didn't finish**: {failed}"
                del runs[name]
        if turn == 0:
            remarks |= {
                name: _describe_agreement(bench.runner, name, runs)
                for name in runs
                if name != "package"
            }
    return runs, remarks


def _describe_agreement(runner: Runner, name: str, runs: dict[str, list[dict]]) -> str:
    differences = runner.agree(runs["package"][0], runs[name][0])
    return (
        f"**{name} and the package differ** in {'; '.join(differences)}."
        if differences
        else f"All columns of {name} equal the package's."
    )


def _describe(name: str, runs: list[dict], more: tuple[str, ...] = ()) -> tuple[str, ...]:
    facts = [f"{middle(runs, fact):.1f}" for fact in ("features_seconds", "features_cpu_seconds")]
    return (
        name,
        *facts,
        f"{middle(runs, 'peak_gb'):.2f}",
        f"{middle(runs, 'load_seconds'):.1f}",
        *more,
    )


HEAD = ("contender", "seconds", "CPU seconds", "peak memory, GB", "loading, seconds")
RATIO = ("ratio (range)", "in CPU seconds", "required", "")


def _describe_hand(runs: dict[str, list[dict]], where: str, remarks: tuple[str, ...]) -> Section:
    ratio = compare(runs["package"], runs["by hand"], "features_seconds")
    work = show(compare(runs["package"], runs["by hand"], "features_cpu_seconds"))
    rows = (
        _describe(
            "package",
            runs["package"],
            (show(ratio), work, f"at most {HAND}", judge(ratio[0] <= HAND)),
        ),
        _describe("by hand", runs["by hand"], ("",) * 4),
    )
    words = (
        "The package's `load_features` against `by_hand.sql`, run in the same kind of DuckDB"
        f" connection on the same tables, each to a pandas frame: {where}. Each run is a process of"
        f" its own, {len(runs['package'])} of each in turn; loading and labelling the population"
        " are not in the seconds, and the ratio is the package's seconds over those by hand."
    )
    return Section("Against hand-written SQL", words, (*HEAD, *RATIO), rows, remarks)


def _describe_pandas(
    runs: dict[str, list[dict]], others: list[str], where: str, remarks: tuple[str, ...]
) -> Section:
    rows = [
        _describe("package", runs["package"], ("",) * 4),
        _describe(f"{LEAN}, DuckDB limited to {LEAN_GB} GB", runs[LEAN], ("",) * 4),
    ]
    for name in others:
        ratios = [
            *_rate(runs[name], runs["package"], ""),
            *_rate(runs[name], runs[LEAN], f" {LEAN}"),
        ]
        rows.append(_describe(name, runs[name], ratios[0]))
        rows += [("",) * 5 + more for more in ratios[1:]]
    words = (
        "The package's `load_features` against `by_pandas.py`, on frames read from the same files"
        f" with no column more than needed: {where}. A ratio is pandas' seconds, or the peak memory"
        " of its whole process, over the package's in the same turn; `numbered` gives"
        " customers numbers before grouping, as an experienced analyst would, and the other"
        " groups by the ids as they are. The package runs twice: to a frame with all the memory it"
        f" wants, and with `memory_gb: {LEAN_GB}` to a Parquet file, whose writing is then in its"
        " seconds and not in those of pandas."
    )
    return Section("Against pandas group-bys", words, (*HEAD, *RATIO), tuple(rows), remarks)


def _rate(theirs: list[dict], own: list[dict], to: str) -> list[tuple[str, ...]]:
    faster, leaner = compare(theirs, own, "features_seconds"), compare(theirs, own, "peak_gb")
    work = show(compare(theirs, own, "features_cpu_seconds"))
    return [
        (f"time{to} {show(faster)}", work, f"at least {FASTER}", judge(faster[0] >= FASTER)),
        (f"memory{to} {show(leaner)}", "", f"at least {LEANER}", judge(leaner[0] >= LEANER)),
    ]


def measure_growth_with_events(bench: Bench) -> Section:
    """Measure all steps from files to a file at several sizes."""
    facts = []
    for customers in bench.sizes.growth:
        spec, events = bench.prepare(customers)
        facts.append((f"{events:,}", events, bench.runner.run("package", **spec, checked=True)))
    spec, events = bench.prepare(bench.sizes.growth[-1], LIMIT_GB)
    facts.append(
        (
            f"{events:,}, DuckDB limited to {LIMIT_GB:g} GB",
            events,
            bench.runner.run("package", **spec, checked=True),
        )
    )
    rows = []
    for name, events, run in facts:
        before, shorter = next(
            ((n, _sum_parts(smaller)) for _, n, smaller in reversed(facts) if n < events),
            (events, _sum_parts(run)),
        )
        more, longer = events / before, _sum_parts(run) / shorter
        verdict = judge(longer <= more) if more > 1 else ""
        seconds = [f"{run[f'{part}_seconds']:.1f}" for part in ("load", "features", "write")]
        memory = judge(run["peak_gb"] <= MEMORY_GB) if events == facts[-1][1] else ""
        rows.append(
            (
                name,
                *seconds,
                f"{_sum_parts(run):.1f}",
                f"{more:.1f}",
                f"{longer:.1f}",
                verdict,
                f"{run['peak_gb']:.2f}",
                memory,
            )
        )
    words = (
        "From the files to a Parquet file of the features at one snapshot: loading with all data"
        " checks, features to a pandas frame, writing. One run per size;"
        " from each size to the next, time must grow at most as the events do, and the largest"
        f" company must stay within {MEMORY_GB} GB, as it is or with `memory_gb` under `engine` in"
        " study.yml."
    )
    head = (
        "event rows",
        "loading, seconds",
        "features",
        "writing",
        "together",
        "times the events before",
        "times the seconds before",
        "",
        "peak memory, GB",
        "",
    )
    return Section("Growth with events", words, head, tuple(rows))


def _sum_parts(run: dict) -> float:
    return sum(run[f"{part}_seconds"] for part in ("load", "label", "features", "write"))


def measure_growth_with_snapshots(bench: Bench) -> Section:
    """Measure the features at several numbers of snapshots."""
    facts = []
    for snapshots in (1, 3, 12):
        spec, events = bench.prepare(bench.sizes.snapshots, snapshots=snapshots)
        facts.append((snapshots, bench.runner.run("package", write=False, **spec)))
    first = facts[0][1]
    rows = []
    for snapshots, run in facts:
        ratio, work = (
            run[fact] / first[fact] for fact in ("features_seconds", "features_cpu_seconds")
        )
        verdict = ("", "") if snapshots == 1 else (f"below {snapshots}", judge(ratio < snapshots))
        numbers = (
            f"{run['rows']:,}",
            f"{run['features_seconds']:.1f}",
            f"{run['features_cpu_seconds']:.1f}",
            f"{run['peak_gb']:.2f}",
            f"{ratio:.2f}",
            f"{work:.2f}",
        )
        rows.append((str(snapshots), *numbers, *verdict))
    words = (
        f"The features of {events:,} event rows at 1, 3 and 12 monthly snapshots together, to a"
        " pandas frame. One run each, without loading; the ratio is to what one snapshot took."
    )
    return Section(
        "Growth with snapshots",
        words,
        (
            "snapshots",
            "rows",
            "seconds",
            "CPU seconds",
            "peak memory, GB",
            "ratio",
            "in CPU seconds",
            "required",
            "",
        ),
        tuple(rows),
    )


def make_environment(root: Path) -> tuple[Path, str]:
    """Return the Python of featuretools, and a sentence where it can't be installed.

    Its environment is made unless it is there.
    """
    folder = root / ".venv-bench"
    python, done = folder / "bin" / "python", folder / ".ready"
    if not done.exists():
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(root / "benchmarks" / "requirements.txt"),
        ]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                return (
                    python,
                    (
                        "Not run: the packages of `benchmarks/requirements.txt` can't be installed"
                        " here."
                    ),
                )
        done.touch()
    return python, ""


def measure_featuretools(bench: Bench, root: Path) -> tuple[Section, dict[str, str]]:
    """Measure the package against featuretools with cutoff times; return section and versions."""
    title, head = (
        "Against featuretools",
        ("company", "contender", "features", "seconds", "CPU seconds", "peak memory, GB", *RATIO),
    )
    python, problem = make_environment(root)
    if problem:
        return Section(title, problem, (), ()), {}
    rows, versions = [], {}
    for place, (customers, snapshots) in enumerate(bench.sizes.featuretools, start=1):
        spec, _ = bench.prepare(customers, snapshots=snapshots)
        own, theirs = [], []
        for _ in range(bench.pairs if snapshots == 1 else 1):
            own.append(bench.runner.run("package", **spec))
            theirs.append(bench.runner.run("featuretools", python, "by_featuretools.py", **spec))
        versions, ratio = theirs[0]["versions"], compare(theirs, own, "features_seconds")
        company = f"{customers:,} customers, {snapshots} snapshot{'s' * (snapshots > 1)}"
        rows.append(
            (company, "package", str(own[0]["columns"] - 6), *_describe("", own)[1:4], *("",) * 4)
        )
        bound = (
            (f"at least {TOOLS}", judge(ratio[0] >= TOOLS))
            if place == len(bench.sizes.featuretools)
            else ("", "")
        )
        rows.append(
            (
                "",
                "featuretools",
                str(theirs[0]["columns"]),
                *_describe("", theirs)[1:4],
                show(ratio),
                show(compare(theirs, own, "features_cpu_seconds")),
                *bound,
            )
        )
    words = (
        "The package builds all its features; featuretools' `dfs` builds the part of them that its"
        " primitives know: counts, sums and means by training window, over the longest the mean gap"
        " (`avg_time_between`) and the trend, and the time since the first and the last row, for"
        " the same customers, with every snapshot as their cutoff time. Loading is not in the"
        " seconds; the ratio is featuretools' seconds over the package's. Below some ten thousand"
        " rows the two to three seconds in which the package's expressions become SQL decide; the"
        " bound applies to the largest company."
    )
    return Section(title, words, head, tuple(rows)), versions
