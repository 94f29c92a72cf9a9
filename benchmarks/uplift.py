"""Measure effects and lists by effect against other libraries' models and against the truth, and
write ``UPLIFT.md``.

    RESEARCH_MIRROR=<folder of the real files> python benchmarks/uplift.py [--only SECTION ...]
    [--stored-only] [--scratch DIR] [--out FILE]

Other libraries run in an environment of their own, made below ``.venv-bench`` on first use, and
take hours. Every fit is a file in the scratch folder and isn't made again; ``--stored-only`` fits
nothing and reports what is there. Sections that aren't asked for stay as they were measured before.
"""

import argparse
import json
import os
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import uplift_halves
import uplift_placebo
import uplift_profit
from bench import keep, publish
from scores import describe_run, make_environment
from sections import Section
from uplift_companies import DIFFERING, GENERATED
from uplift_tasks import OUTCOMES, load_campaign, split_halves, write_campaign
from verdicts import RULE

from research.errors import StudyError

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("hillstrom", "placebo", "drawn", "generated", "coverage", "choice")
SETTINGS = (
    "The package has the same settings in every study, and its choice is that of the averaged"
    " effects. Where that average starts from, and how far its weights may move from there (a"
    " standard deviation of 0.25, rather than 0.5 or 0.12), was chosen on companies of 2,000 and"
    " 10,000 assignments of the kinds below: the drawn ones with other seeds, the generated one the"
    " same, its customers drawn again. Hillstrom's campaign had no part in it, though scores by an"
    " earlier average had been seen. Every fit is kept, so the minutes of a section are those of"
    f" what was still to do. {RULE}"
)
TERMS = (
    f"Budget: {uplift_profit.ROOM:.1%} of the customers of a trial at the mean cost of the first"
    " offer; as many contacts at most. Shares are those of the true profit that the oracle earns,"
    " who knows all effects; effects are cross-fitted once in three parts."
)
DRAWN = (
    "Companies drawn by `benchmarks/uplift_companies.py`: twelve features that hold all causes,"
    " two offers besides control, a value that varies between customers. In the one kind the effect"
    " is not in proportion to risk, and below 0 for more than a quarter; in the other, offers"
    f" shift everybody's log-odds alike, so that effects go with risk. {TERMS}"
)
MADE = (
    "The simulated company of the package (40,000 customers, seed 1; customers drawn at random),"
    f" whose causes are not among the features: habits and sentiments that leave traces. {TERMS}"
    " The last column is a ceiling: the same list by a large regression (LightGBM, 600 trees of 63"
    " leaves, cross-fitted in three) of the true effects themselves on the same features, which no"
    " trial can see."
)


def run_peers(scratch: Path) -> str:
    """Fit other libraries' models on the halves, as far as that isn't done; return why not, where
    their packages can't be had.
    """
    python, sorry = make_environment("uplift")
    if not sorry:
        rows = load_campaign()
        spec = write_campaign(rows, split_halves(rows.arm.to_numpy()), scratch)
        command = [str(python), str(ROOT / "benchmarks" / "uplift_peers.py"), json.dumps(spec)]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return sorry


def measure_hillstrom(scratch: Path, stored_only: bool, splits: int) -> dict[str, Section]:
    """Fit the package and others on halves of the campaign, and return two sections per outcome."""
    if not stored_only:
        uplift_halves.fit_own(scratch, splits)
    sorry = "" if stored_only else run_peers(scratch)
    sections = {}
    for outcome in OUTCOMES:
        scores = uplift_halves.score_splits(scratch, outcome)
        sections[outcome] = uplift_halves.scores_section(scores, outcome)
        against = uplift_halves.differences_section(scores, outcome)
        sections[f"{outcome} against peers"] = (
            Section(against.title, sorry, (), ()) if sorry else against
        )
    return sections


def measure(name: str, scratch: Path, stored_only: bool, splits: int) -> dict[str, Section]:
    """Run what is asked for; the sections by name."""
    if name == "hillstrom":
        return measure_hillstrom(scratch, stored_only, splits)
    if name == "placebo":
        return {
            name: uplift_placebo.placebo_section(
                uplift_placebo.run_placebos(scratch, uplift_placebo.SEEDS, stored_only)
            )
        }
    if name == "drawn":
        shares = uplift_profit.measure_drawn(scratch, uplift_profit.SEEDS, stored_only)
        return {
            name: uplift_profit.shares_section(
                shares, "Companies with all causes in the features", DRAWN, (DIFFERING,)
            )
        }
    if name == "generated":
        shares = uplift_profit.measure_generated(scratch, uplift_profit.DRAWS, stored_only)
        return {
            name: uplift_profit.shares_section(
                shares, "The package's simulated company", MADE, (GENERATED,)
            )
        }
    if name == "choice":
        trials = uplift_profit.run_choices(scratch, uplift_profit.TRIALS, stored_only)
        return {name: uplift_profit.choice_section(trials)}
    trials = {
        kind: uplift_profit.run_trials(scratch, kind, uplift_profit.TRIALS, stored_only)
        for kind in (DIFFERING,)
    }
    return {name: uplift_profit.coverage_section(trials)}


def write_uplift(path: Path, kept: dict[str, dict]) -> None:
    """Write the whole file, or nothing."""
    lines = [
        "# Effects and lists by effect, against other libraries and against the truth",
        "",
        "Written by `make bench-uplift`; never edited by hand.",
        "",
        SETTINGS,
    ]
    order = (
        *(f"{outcome}{part}" for outcome in OUTCOMES for part in ("", " against peers")),
        *NAMES[1:],
    )
    for section in (kept[name] for name in order if name in kept):
        lines += ["", f"## {section['title']}", "", section["words"]]
        if section["rows"]:
            aligned = "|".join("---" if not i else "---:" for i in range(len(section["head"])))
            lines += [
                "",
                f"| {' | '.join(section['head'])} |",
                f"|{aligned}|",
                *(f"| {' | '.join(row)} |" for row in section["rows"]),
            ]
        lines += ["", *(f"- {remark}" for remark in (*section["remarks"], section["facts"]))]
    publish(path, lines)


def list_versions() -> dict[str, str]:
    """Return the versions of other libraries, as their requirements have them."""
    lines = (ROOT / "benchmarks" / "requirements-uplift.txt").read_text().splitlines()
    wanted = (
        line.split()[0].split("==") for line in lines if "==" in line and not line.startswith("#")
    )
    return {
        name: number
        for name, number in wanted
        if name in ("econml", "causalml", "xgboost", "scikit-learn")
    }


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
        "--stored-only", action="store_true", help="fit nothing; report what the scratch folder has"
    )
    parser.add_argument(
        "--splits",
        type=int,
        default=uplift_halves.SPLITS,
        metavar="N",
        help="halves of the campaign that the package is fitted on",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()) / "research-bench",
        metavar="DIR",
        help="where fits are kept",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "UPLIFT.md", metavar="FILE"
    )
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        began, load = datetime.now(), os.getloadavg()[0]
        try:
            sections = measure(name, scratch, options.stored_only, options.splits)
        except StudyError as error:
            sections = {OUTCOMES[0]: Section("Hillstrom", f"Not run: {error.faults[0]}.", (), ())}
        for part, section in sections.items():
            facts = describe_run(
                began, load, list_versions() if part.endswith("against peers") else {}
            )
            write_uplift(options.out, keep(scratch / "uplift.json", part, section, facts))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
