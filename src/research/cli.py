"""The command ``research``: fetch, check, snapshot, simulate, run, train, score, clear.

Exit codes: 0 done, 1 the data or a run failed, 2 wrong usage. A fault is one sentence on standard
error, never a traceback. Commands import what they need when they are called, since libraries of
tables and models take seconds to load: `research run` with nothing to do takes one.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from research.errors import StudyError, UsageError
from research.files import describe_os_error
from research.settings import require_settings
from research.store import entries
from research.study import Study, adjust, list_studies, load_study, project_root, show_path
from research.study_schema import TRAPS

INTERRUPTED = "Query interrupted"  # DuckDB's RuntimeError when Ctrl-C comes during a query
OUT_OF_MEMORY = "OutOfMemoryException"  # of DuckDB, which not every command loads


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _make_parser().parse_args(arguments)
    _resolve_mirror()
    if threading.current_thread() is threading.main_thread():
        # a request to end is handled as Ctrl-C is: what is half-written is removed
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.command(options)
    except StudyError as error:
        return _report(error)
    except KeyboardInterrupt:
        return _report_stop(options)
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        return _report_stop(options)
    except Exception as error:
        if type(error).__name__ != OUT_OF_MEMORY:
            raise
        return _report(_explain_memory(error))


def _resolve_mirror() -> None:
    """Make a relative mirror absolute, since kernels run in other folders."""
    mirror = os.environ.get("RESEARCH_MIRROR")
    if mirror:
        os.environ["RESEARCH_MIRROR"] = str(Path(mirror).resolve())


def _report(error: StudyError) -> int:
    for fault in error.faults:
        print(f"error: {fault}", file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1


def _explain_memory(error: Exception) -> StudyError:
    from research.data.readers import shorten_error

    reason = shorten_error(error).split(" Possible solutions")[0]
    return StudyError(
        f"expected enough memory for DuckDB, got this error: {reason}; raise memory_gb under engine"
        " in study.yml, or free space in the temporary folder (TMPDIR)"
    )


def _report_stop(options: argparse.Namespace) -> int:
    kept = "no half-written file was left"
    if options.command is _run:
        kept = "finished reports are kept, and 'research run' continues from here"
    print(f"stopped; {kept}", file=sys.stderr)
    return 130


# What the command line takes


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="research", description="Customer churn research: from a study folder to reports."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    adds = (_add_fetch, _add_check, _add_snapshot, _add_simulate, _add_run, _add_train, _add_score)
    for add in (*adds, _add_clear):
        add(commands)
    return parser


def _add_fetch(commands) -> None:
    command = commands.add_parser(
        "fetch",
        help="fetch and verify a study's raw files",
        description="Fetch raw files from RESEARCH_MIRROR or their URL, verified by SHA-256.",
    )
    _add_studies(command)
    command.set_defaults(command=_fetch)


def _add_check(commands) -> None:
    command = commands.add_parser(
        "check",
        help="check a study's tables against the data contract",
        description=(
            "Run a study's SQL, check every table against the data contract (columns, types, keys,"
            " ranges, dates), and run the leakage checks on its features."
        ),
    )
    _add_studies(command)
    command.add_argument(
        "--time-travel",
        action="store_true",
        help="test on the study's own tables that no feature uses data from after its snapshot",
    )
    command.set_defaults(command=_check)


def _add_studies(command: argparse.ArgumentParser) -> None:
    text = "folders below data/; all unless given"
    command.add_argument("studies", nargs="*", metavar="STUDY", help=text)


def _add_snapshot(commands) -> None:
    command = commands.add_parser(
        "snapshot",
        help="write features and labels at a snapshot",
        description="Write labels and features of the whole population at one day.",
    )
    command.add_argument("study", metavar="STUDY", help="folder below data/")
    text = "ISO date, the last day whose events may be used; the study's own unless given"
    command.add_argument("--at", default="", metavar="DATE", help=text)
    text = "days the team needs to act; the study's own unless given"
    command.add_argument("--lead-days", type=int, default=-1, metavar="N", help=text)
    text = "days of the label window; the study's own unless given"
    command.add_argument("--horizon-days", type=int, default=0, metavar="N", help=text)
    text = "a .parquet or .csv file; data/<study>/raw/snapshot-<date>.parquet unless given"
    command.add_argument("--out", type=Path, metavar="FILE", help=text)
    command.set_defaults(command=_snapshot)


def _add_simulate(commands) -> None:
    command = commands.add_parser(
        "simulate",
        help="write a simulated company",
        description="Write the tables of a simulated company, and its ground truth, as Parquet.",
    )
    text = "everyone who ever joins, at least 100"
    command.add_argument("--customers", type=int, required=True, metavar="N", help=text)
    text = "calendar months of history up to its last day, at least 12"
    command.add_argument("--months", type=int, required=True, metavar="M", help=text)
    text = "same seed, same bytes"
    command.add_argument("--seed", type=int, required=True, metavar="S", help=text)
    text = "a folder that does not exist or is empty"
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help=text)
    text = "customers in memory at once; the bytes do not depend on it"
    command.add_argument("--chunk", type=int, metavar="N", help=text)
    text = f"traps that are not planted: {', '.join(TRAPS)}"
    command.add_argument(
        "--without", nargs="+", default=[], choices=TRAPS, metavar="TRAP", help=text
    )
    text = "contacts in the form of a campaigns table (CSV or Parquet), under which it lives on"
    command.add_argument("--assignments", type=Path, metavar="FILE", help=text)
    command.set_defaults(command=_simulate)


def _add_run(commands) -> None:
    command = commands.add_parser(
        "run",
        help="run notebooks and write reports",
        description="Run the notebooks of the plan; what hasn't changed isn't run again.",
    )
    text = "folder below data/; every study of reports/plan.yml unless given"
    command.add_argument("study", nargs="?", metavar="STUDY", help=text)
    text = "a notebook parameter; the run is named after the parameters that are set"
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    text = "this notebook alone, in the plan or not; may be given again for others"
    command.add_argument("--only", action="append", default=[], metavar="NOTEBOOK", help=text)
    text = "fewer resamples, folds and fits, in a run of its own that is marked as a draft"
    command.add_argument("--draft", action="store_true", help=text)
    text = "notebooks at a time; the number of cores unless given"
    command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help=text)
    command.set_defaults(command=_run)


def _add_clear(commands) -> None:
    command = commands.add_parser(
        "clear",
        help="remove what notebooks keep so as to compute it once",
        description=(
            "Empty the store of computed values, .store/ unless RESEARCH_STORE names another"
            " folder; reports and raw files stay, and the next run computes all values again."
        ),
    )
    text = "say how much the store holds, and remove nothing"
    command.add_argument("--dry-run", action="store_true", help=text)
    command.set_defaults(command=_clear)


def _add_train(commands) -> None:
    command = commands.add_parser(
        "train",
        help="train and keep a model of what is known by a day",
        description="Train a model on all windows closed by a day, and keep it below models/.",
    )
    _add_day(command)
    text = "the classifier to keep; model of study.yml, else the comparison chooses, unless given"
    command.add_argument("--model", default="", metavar="NAME", help=text)
    command.set_defaults(command=_train)


def _add_score(commands) -> None:
    command = commands.add_parser(
        "score",
        help="score everybody on a day and append to the history",
        description="Score all customers of a day by the kept model; train one if there is none.",
    )
    _add_day(command)
    text = "why scores of a day that was scored before are given again from other inputs"
    command.add_argument("--revise", default="", metavar="REASON", help=text)
    command.set_defaults(command=_score)


def _add_day(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", metavar="STUDY", help="folder below data/")
    text = "ISO date; snapshots.scored of study.yml, else the last day of the data, unless given"
    command.add_argument("--at", default="", metavar="DATE", help=text)


# fetch and check


def _fetch(options: argparse.Namespace) -> int:
    return _for_each(options.studies, _fetch_one)


def _fetch_one(study: Study) -> None:
    from research.data import fetch

    for row in fetch.fetch(study, progress=sys.stderr.isatty()).itertuples():
        print(f"{study.name}/{row.file}: {row.origin}, {row.bytes:,} bytes")


def _check(options: argparse.Namespace) -> int:
    from research.commands import check

    action = check.travel_in_time if options.time_travel else check.check_study
    return _for_each(options.studies, action)


def _for_each(names: list[str], action: Callable[[Study], None]) -> int:
    """Run ``action`` for the studies named, or for all, and return the worst exit code.

    A fault of one study doesn't stop the others.
    """
    names = names or list_studies()
    if not names:
        raise UsageError(
            "expected at least one study folder below data/, found none; write"
            " data/<study>/study.yml"
        )
    return max([_run_action(name, action, len(names) > 1) for name in names])


def _run_action(name: str, action: Callable[[Study], None], several: bool) -> int:
    try:
        action(load_study(name))
    except StudyError as error:
        return _report(_name_study(error, name) if several else error)
    return 0


def _name_study(error: StudyError, name: str) -> StudyError:
    """Return the faults with the study's name where they don't begin with its folder."""
    if isinstance(error, UsageError):
        return error
    places = (f"data/{name}/", f"data/{name}:", f"data/{name} ", f"{name}: ")
    return StudyError(
        *(fault if fault.startswith(places) else f"{name}: {fault}" for fault in error.faults)
    )


# snapshot, simulate and run


def _snapshot(options: argparse.Namespace) -> int:
    from research.commands.snapshot import write_snapshot

    clock = (options.at, options.lead_days, options.horizon_days)
    require_settings(**dict(zip(("snapshot", "lead_days", "horizon_days"), clock, strict=True)))
    write_snapshot(adjust(load_study(options.study), *clock), options.out)
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from research.simulate import generate

    began = time.monotonic()
    traps = tuple(name for name in TRAPS if name not in options.without)
    size = options.customers, options.months
    chunk = generate.CHUNK if options.chunk is None else options.chunk
    rows = generate.generate(*size, options.seed, options.out, traps, chunk, options.assignments)
    print("\n".join(f"{name:<14} {count:>14,}" for name, count in rows.items()))
    print(
        f"{sum(rows.values()):,} rows written to {options.out} in {time.monotonic() - began:.1f} s"
    )
    return 0


def _clear(options: argparse.Namespace) -> int:
    from research.store.keep import find_folder

    folder = find_folder(project_root())
    if folder is None:
        print("the store is switched off (RESEARCH_STORE): nothing is kept")
        return 0
    try:
        size = entries.measure(folder) if options.dry_run else entries.clear(folder)
    except OSError as error:
        raise StudyError(describe_os_error(error)) from None
    done = "kept in" if options.dry_run else "removed from"
    values = f"{size.entries:,} value{'' if size.entries == 1 else 's'}"
    print(f"{values}, {size.bytes / 1e6:,.1f} MB, {done} {show_path(folder)}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from research.batch import run as batch

    settings = ({"draft": "true"} if options.draft else {}) | _read_settings(options.set)
    return batch.run(options.study, settings, options.jobs, options.only)


def _read_settings(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[0].strip() or "=" not in pair]
    if wrong:
        raise UsageError(
            *(
                f"expected --set name=value, got '{pair}'; write for example --set horizon_days=60"
                for pair in wrong
            )
        )
    settings = (pair.partition("=") for pair in pairs)
    return {name.strip(): value.strip() for name, _, value in settings}


# train and score


def _train(options: argparse.Namespace) -> int:
    from research.watchlist import commands

    return _print_lines(options, lambda study: commands.train(study, options.at, options.model))


def _score(options: argparse.Namespace) -> int:
    from research.watchlist import commands

    return _print_lines(options, lambda study: commands.score(study, options.at, options.revise))


def _print_lines(options: argparse.Namespace, action: Callable[[Study], list[str]]) -> int:
    for line in action(load_study(options.study)):
        print(f"{options.study}: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
