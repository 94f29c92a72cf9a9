"""Compare scores with other packages' models, time the boosted hazard, and write ``SCORES.md``.

    RESEARCH_MIRROR=<folder of the real files> python benchmarks/scores.py [--only SECTION ...]
    [--resamples N] [--scratch DIR] [--out FILE]

Others' models run in an environment of their own, made below ``.venv-bench`` on first use. Sections
that aren't asked for stay as they were measured before. A task whose files can't be fetched has a
sentence instead of a table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import score_sections
import survival_tasks
import tasks
from bench import describe_machine, keep, publish
from measure import Failed, Runner, compare, middle
from sections import Section, judge, show
from verdicts import RULE, join_verdicts, judge_most

from research.errors import StudyError

ROOT = Path(__file__).resolve().parents[1]
HAZARD = ("hazard", "million")
SURVIVAL = tuple(f"survival-{name}" for name in survival_tasks.STUDIES)
NAMES = (*tasks.TASKS, *SURVIVAL, *HAZARD)
CUSTOMERS, TURNS = 220_000, 3  # whose person-period table has a little over a million rows
SLOWER, FIT_GB, SCORE_GB = 1.3, 4, 2  # the bounds
CHOSEN = (
    "The package's models have the same settings in every study. They were chosen by reasoning, and"
    " one (`logistic_pairs.PRIOR_COLUMNS`) between two values in five inner folds of what the first"
    " of the ten folds learns from, after a draft's scores on the same parts had been seen; the"
    " other folds judge rows that it was chosen on. Peers that are tuned choose over all rows of"
    " the study, the judged ones included, which favours them. The package's one entry is the"
    " stacked average, for survival the boosted hazard that other notebooks reckon with, and for"
    " bounds on interpretable models logistic with pairs, whichever is best on the judged rows."
    f" {RULE}"
)


def make_environment(name: str = "peers") -> tuple[Path, str]:
    """Return the Python of others' models, and a sentence where it can't be installed.

    Its environment is made unless it is there.
    """
    folder, wanted = ROOT / ".venv-bench" / name, ROOT / "benchmarks" / f"requirements-{name}.txt"
    python, done = folder / "bin" / "python", folder / ".ready"
    if not done.exists() or done.stat().st_mtime < wanted.stat().st_mtime:
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(wanted),
        ]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
            if subprocess.run(command, capture_output=True, text=True).returncode:
                return (
                    python,
                    f"Not run: the packages of `benchmarks/{wanted.name}` can't be installed here.",
                )
        done.touch()
    return python, ""


def measure_task(name: str, runner: Runner, resamples: int) -> tuple[Section, dict[str, str]]:
    """Fit all contenders of a task on the same parts; return their section and versions."""
    task = tasks.TASKS[name]
    python, problem = make_environment()
    if problem:
        return Section(task.title, problem, (), ()), {}
    try:
        study, frame, features = tasks.load_rows(task.study)
    except StudyError as error:
        return Section(task.title, f"Not run: {error.faults[0]}.", (), ()), {}
    parts = task.split(frame)
    predictions, seconds = tasks.predict_own(study, frame, features, parts)
    spec = tasks.write_rows(frame, features, parts, runner.scratch)
    facts = runner.run("peers", python, "peers.py", models=list(task.peers), **spec)
    predictions = tasks.join_peers(predictions, facts["out"])
    seconds |= {peer: facts[f"{peer}_seconds"] / len(parts) for peer in task.peers}
    return (
        score_sections.build_section(
            task, predictions, len(frame), seconds, facts["settings"], resamples
        ),
        facts["versions"],
    )


def measure_survival(name: str, runner: Runner, resamples: int) -> tuple[Section, dict[str, str]]:
    """Fit all survival models of a study on the same rows; return their section and versions."""
    python, problem = make_environment()
    if problem:
        return Section(f"Survival, {name}", problem, (), ()), {}
    try:
        task = survival_tasks.load_task(name)
    except StudyError as error:
        return Section(f"Survival, {name}", f"Not run: {error.faults[0]}.", (), ()), {}
    curves, seconds = survival_tasks.predict_own(task)
    facts = runner.run(
        "survival peers",
        python,
        "survival_peers.py",
        **survival_tasks.write_parts(task, runner.scratch),
    )
    peers = dict(np.load(facts["out"].replace(".parquet", ".npz")))
    seconds |= {peer: facts[f"{peer}_seconds"] for peer in peers}
    return (
        survival_tasks.build_section(
            name, task, curves | peers, seconds, facts["failed"], resamples
        ),
        facts["versions"],
    )


def measure_hazard(runner: Runner) -> Section:
    """Measure the boosted hazard against LightGBM on the same matrix, in turn."""
    own, theirs = [], []
    for _ in range(TURNS):
        own.append(runner.run("package", script="hazard.py", customers=CUSTOMERS))
        theirs.append(
            runner.run("lightgbm", script="hazard.py", customers=CUSTOMERS, edges=own[-1]["edges"])
        )
    for run in (*own, *theirs):
        run |= {
            kind: run[f"fit_{kind}"] + run[f"score_{kind}"] for kind in ("seconds", "cpu_seconds")
        }
    ratio, work, peak = (
        compare(own, theirs, "seconds"),
        compare(own, theirs, "cpu_seconds"),
        max(run["peak_gb"] for run in own),
    )
    rows = [
        (
            name,
            *(f"{middle(runs, fact):.1f}" for fact in ("fit_seconds", "score_seconds")),
            f"{max(run['peak_gb'] for run in runs):.2f}",
            *more,
        )
        for name, runs, more in (
            (
                "package",
                own,
                (
                    show(ratio),
                    show(work),
                    f"at most {SLOWER} and {FIT_GB} GB",
                    join_verdicts([judge_most(ratio, SLOWER), judge(peak <= FIT_GB)]),
                ),
            ),
            ("LightGBM", theirs, ("",) * 4),
        )
    ]
    words = (
        f"`DiscreteHazard` with LightGBM behind it, from the features and days of {CUSTOMERS:,}"
        " generated customers to survival at five horizons, against LightGBM with the same"
        f" settings on the person-period table of {theirs[0]['table']:,} rows by"
        f" {score_sections.HAZARD_FEATURES} features and the number of the interval, expanded"
        " beforehand, and scoring the same customers and intervals in one call. One thread; each"
        " run is a process of its own."
    )
    head = (
        "contender",
        "fitting, seconds",
        "scoring",
        "peak memory, GB",
        "ratio (range)",
        "in CPU seconds",
        "required",
        "",
    )
    return Section("Speed of the boosted hazard", words, head, tuple(rows))


def measure_million(runner: Runner) -> Section:
    """Measure the memory of survival probabilities for a million customers."""
    run = runner.run("million", script="hazard.py")
    facts = (f"{run['score_seconds']:.1f}", f"{run['peak_before_gb']:.2f}", f"{run['peak_gb']:.2f}")
    words = (
        "Survival at five horizons for 1,000,000 customers of 30 features by a hazard learned from"
        " fewer; the memory is that of the whole process, the customers' table included."
    )
    head = ("seconds", "memory before scoring, GB", "peak memory, GB", "required", "")
    return Section(
        "A million customers",
        words,
        head,
        ((*facts, f"at most {SCORE_GB}", judge(run["peak_gb"] <= SCORE_GB)),),
    )


def measure(name: str, runner: Runner, resamples: int) -> tuple[Section, dict[str, str]]:
    """Run one section."""
    if name in tasks.TASKS:
        return measure_task(name, runner, resamples)
    if name in SURVIVAL:
        return measure_survival(name.removeprefix("survival-"), runner, resamples)
    return (measure_hazard if name == "hazard" else measure_million)(runner), {}


def write_scores(path: Path, kept: dict[str, dict]) -> None:
    """Write the whole file, or nothing."""
    lines = [
        "# Scores compared with other packages, and the speed of the boosted hazard",
        "",
        "Written by `benchmarks/scores.py`; never edited by hand.",
        "",
        CHOSEN,
    ]
    for section in (kept[name] for name in NAMES if name in kept):
        lines += ["", f"## {section['title']}", "", section["words"]]
        if section["rows"]:
            aligned = "|".join("---" if not i else "---:" for i in range(len(section["head"])))
            lines += [
                "",
                *(f"| {' | '.join(cells)} |" for cells in (section["head"],)),
                f"|{aligned}|",
                *(f"| {' | '.join(row)} |" for row in section["rows"]),
            ]
        lines += ["", *(f"- {remark}" for remark in (*section["remarks"], section["facts"]))]
    publish(path, lines)


def describe_run(began: datetime, load: float, peers: dict[str, str]) -> str:
    """Return when, how long, on what machine and with which versions a section was measured."""
    minutes = (datetime.now() - began).total_seconds() / 60
    own = ", ".join(
        f"{name} {version(name)}" for name in ("scikit-learn", "lightgbm", "numpy", "pandas")
    )
    theirs = (
        f"; others' models with {', '.join(f'{name} {number}' for name, number in peers.items())}"
        if peers
        else ""
    )
    return (
        f"begun {began:%Y-%m-%d %H:%M}, took {minutes:.0f} minutes; load average before {load:.1f};"
        f" {describe_machine()}; {own}{theirs}"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=[*NAMES],
        metavar="SECTION",
        help=", ".join(NAMES),
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="bootstrap resamples behind every interval"
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()) / "research-bench",
        metavar="DIR",
        help="where rows and results are kept",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "SCORES.md", metavar="FILE"
    )
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    runner = Runner(Path(os.environ.get("RESEARCH_HOME", ROOT)), scratch)
    for name in options.only:
        began, load = datetime.now(), os.getloadavg()[0]
        try:
            section, versions = measure(name, runner, options.resamples)
        except Failed as failed:
            section, versions = Section(name, f"Not finished: {failed}", (), ()), {}
        write_scores(
            options.out,
            keep(scratch / "scores.json", name, section, describe_run(began, load, versions)),
        )
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
