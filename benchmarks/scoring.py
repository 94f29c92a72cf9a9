"""Measure scoring everybody and listing 10,000 with reasons; write ``SCORING.md``.

    python benchmarks/scoring.py [--customers N ...] [--scratch DIR] [--out FILE]

A model that learned from a small company scores larger ones, each in a process of its own that
loads and checks the tables, builds the features of the last day, scores everybody, ranks them by
value at risk, and finds the reasons of the first 10,000.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from bench import keep, publish
from companies import make_company, write_study
from contender import Clock, measure_peak_gb
from scores import describe_run
from sections import Section, judge
from verdicts import INCONCLUSIVE

ROOT = Path(__file__).resolve().parents[1]
JOINED = 1.53  # customers who ever joined, for each who is one on the last day
TRAINED = 6_000  # who ever joined the company that the model learns from
LISTED, STAYERS = 10_000, 2_000
CORES = 2  # of the machine that the bounds are for
BOUNDS = {100_000: (40, None), 1_000_000: (300, 6)}  # seconds on two cores, and GB, by customers
HEAD = (
    "customers scored",
    "event rows",
    "loading and checks, seconds",
    "features and scores",
    f"list of {LISTED:,} with reasons",
    "together",
    "CPU seconds together",
    "bound, seconds",
    "",
    "peak memory, GB",
    "bound",
    "",
)
WORDS = (
    "Companies of `research simulate` with the demo's study (no sentiment, whose features come from"
    " a model of their own), scored as of the last day by gradient boosting that learned from a"
    f" company of {TRAINED:,}. One process each, with what the machine leaves it: CPU seconds are"
    " those of all its threads; on a machine that does other work at the same time seconds are"
    " longer, and too many of them are inconclusive."
)


def contend(spec: dict) -> dict[str, float]:
    """Score one company in this process, and return what it took."""
    from research.data.load import load_tables
    from research.study import load_study
    from research.watchlist.lists import rank_customers
    from research.watchlist.model_store import load_model
    from research.watchlist.scored_day import find_scored_day
    from research.watchlist.scoring import score_day

    clock, study = Clock(), load_study(spec["study"])
    tables = clock.time("load", lambda: load_tables(study))
    model, day = load_model(Path(spec["model"])), find_scored_day(tables, study)
    scores = clock.time("score", lambda: score_day(tables, study, model, day))
    worth = scores.rows.risk_by_end * scores.rows.monthly_amount
    ranked = rank_customers(scores.rows.assign(value_at_risk=worth), LISTED)
    reasons = clock.time("list", lambda: list_reasons_of(ranked, scores, model, study))
    facts = {"scored": len(scores.rows), "reasons": len(reasons), "peak_gb": measure_peak_gb()}
    return clock.facts | facts


def list_reasons_of(ranked, scores, model, study):
    """Return the reasons of the customers of a list, against others who are likely to stay."""
    import ibis
    import pandas as pd

    from research.features.build import describe_features, load_features
    from research.watchlist import reasons

    names = [each["feature"] for each in model.card["features"]]
    likely = scores.rows.nsmallest(len(scores.rows) // 2, "risk").sample(STAYERS, random_state=0)
    wanted = pd.concat([ranked.customer_id, likely.customer_id]).drop_duplicates()
    people = ibis.memtable(pd.DataFrame({"customer_id": wanted}))
    there = scores.outlook.population.semi_join(people, "customer_id")
    frame = load_features(scores.outlook.evidence, there, scores.outlook.study)
    whole = dict.fromkeys(frame.select_dtypes("integer"), float)  # a median may lie between two
    frame = frame.astype(whole).set_index("customer_id")
    listed, stayers = (frame.loc[one.customer_id, names].reset_index() for one in (ranked, likely))
    (estimator,) = model.fitted.estimators.values()
    moves = reasons.explain_customers(estimator, listed[names], stayers[names], 0)
    dictionary = describe_features(scores.outlook.tables, study)
    known = dictionary[dictionary.feature.isin(names)]
    themes = reasons.find_themes(known)
    alone = pd.Series(names, index=names)
    return reasons.list_reasons(moves, listed, stayers, alone, known, themes)


def train_once(scratch: Path, home: Path) -> Path:
    """Return the folder of a model of a small company, trained unless it is there."""
    company, _ = make_company(TRAINED, scratch)
    study = write_study(company, home)
    folders = [*(home / "models" / study).glob("*/card.json")]
    if not folders:
        command = [sys.executable, "-m", "research.cli", "train", study]
        named = ["--model", "gradient boosting"]
        subprocess.run([*command, *named], check=True, env=_name_home(home))
        folders = [*(home / "models" / study).glob("*/card.json")]
    return folders[0].parent


def _name_home(home: Path) -> dict[str, str]:
    return os.environ | {"RESEARCH_HOME": str(home)}


def judge_seconds(seconds: float, work: float, most: float, load: float) -> str:
    """Return whether a bound of seconds is met.

    While other work runs, too many seconds decide nothing, unless the CPU seconds are more than all
    cores have in that time.
    """
    if seconds > most and load >= 1 and work <= CORES * most:
        return INCONCLUSIVE
    return judge(seconds <= most)


def measure(customers: int, scratch: Path, home: Path, model: Path, load: float) -> tuple[str, ...]:
    """Return the row of a company of so many customers on its last day.

    Parameters
    ----------
    load : of the machine before
    """
    company, rows = make_company(round(customers * JOINED), scratch)
    spec = {"study": write_study(company, home), "model": str(model)}
    command = [sys.executable, __file__, "--contend", json.dumps(spec)]
    done = subprocess.run(command, check=True, env=_name_home(home), stdout=subprocess.PIPE)
    run = json.loads(done.stdout.splitlines()[-1])
    seconds, work = (
        sum(run[f"{part}{unit}"] for part in ("load", "score", "list"))
        for unit in ("_seconds", "_cpu_seconds")
    )
    most, gb = BOUNDS.get(customers, (None, None))
    return (
        f"{run['scored']:,}",
        f"{sum(rows.values()):,}",
        *(f"{run[f'{part}_seconds']:.1f}" for part in ("load", "score", "list")),
        f"{seconds:.1f}",
        f"{work:.1f}",
        f"{most}" if most else "",
        judge_seconds(seconds, work, most, load) if most else "",
        f"{run['peak_gb']:.2f}",
        f"{gb}" if gb else "",
        judge(run["peak_gb"] <= gb) if gb else "",
    )


def write_scoring(path: Path, kept: dict[str, dict]) -> None:
    """Write the whole file, or nothing."""
    lines = ["# Scoring", "", "Written by `make bench-scoring`; never edited by hand.", "", WORDS]
    lines += ["", f"| {' | '.join(HEAD)} |", f"|{'|'.join(['---:'] * len(HEAD))}|"]
    sections = [kept[name] for name in sorted(kept, key=int)]
    lines += [f"| {' | '.join(row)} |" for one in sections for row in one["rows"]]
    publish(path, [*lines, "", *(f"- {one['title']}: {one['facts']}" for one in sections)])


def main(arguments: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", nargs="+", type=int, default=[100_000], metavar="N")
    scratch = Path(tempfile.gettempdir()) / "research-bench"
    parser.add_argument("--scratch", type=Path, default=scratch, metavar="DIR")
    out = ROOT / "benchmarks" / "SCORING.md"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.contend:
        print(json.dumps(contend(json.loads(options.contend))))
        return
    scratch = options.scratch.resolve()
    home = scratch / "scoring"
    (home / "data").mkdir(parents=True, exist_ok=True)
    model = train_once(scratch, home)
    for customers in options.customers:
        began, load = datetime.now(), os.getloadavg()[0]
        row = measure(customers, scratch, home, model, load)
        section = Section(f"{customers:,} customers", "", HEAD, (row,))
        facts = describe_run(began, load, {})
        kept = keep(scratch / "scoring.json", str(customers), section, facts)
        write_scoring(options.out, kept)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
