"""The command ``research``: fetch, check, snapshot, simulate, run, train, score, clear.

Exit codes: 0 done, 1 the data or a run failed, 2 wrong usage. A fault is one sentence on standard
error, never a traceback.
"""

import argparse
import glob
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pandas as pd
from pyarrow.parquet import read_schema

from research.batch import run as batch
from research.data import checks, contracts, fetch, load
from research.data.readers import shorten_error
from research.data.remarks import describe_remarks
from research.errors import StudyError, UsageError
from research.features import build
from research.files import PART, describe_os_error, publish, sweep
from research.panel import splits
from research.reporting.spreadsheets import write_csv
from research.settings import require_settings
from research.simulate import generate
from research.store import entries
from research.store.keep import find_folder
from research.study import Study, adjust, list_studies, load_study, project_root, show_path
from research.study_schema import TRAPS

INTERRUPTED = "Query interrupted"  # DuckDB's RuntimeError when Ctrl-C comes during a query
SUFFIXES = (".parquet", ".csv")
OUTCOMES = ["churned", "left_in_lead"]  # of a snapshot, counted in the last line


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
    except duckdb.OutOfMemoryException as error:
        return _report(_explain_memory(error))
    except KeyboardInterrupt:
        return _report_stop(options)
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        return _report_stop(options)


def _resolve_mirror() -> None:
    """Make a relative mirror absolute, since kernels run in other folders."""
    mirror = os.environ.get("RESEARCH_MIRROR")
    if mirror:
        os.environ["RESEARCH_MIRROR"] = str(Path(mirror).resolve())


def _report(error: StudyError) -> int:
    for fault in error.faults:
        print(f"error: {fault}", file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1


def _explain_memory(error: duckdb.OutOfMemoryException) -> StudyError:
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
    command.add_argument("--chunk", type=int, default=generate.CHUNK, metavar="N", help=text)
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
    for row in fetch.fetch(study, progress=sys.stderr.isatty()).itertuples():
        print(f"{study.name}/{row.file}: {row.origin}, {row.bytes:,} bytes")


def _check(options: argparse.Namespace) -> int:
    return _for_each(options.studies, _test_time_travel if options.time_travel else _check_one)


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


def _check_one(study: Study) -> None:
    print(f"{study.name}: running the SQL …", file=sys.stderr)
    # these load the model libraries, which the other commands can do without
    from research.features.leakage.gate import check_panel
    from research.features.remarks import find_remarks
    from research.models import registry

    tables = load.adapt(study)
    results = checks.check(tables, study.today)
    checks.require_passed(results)
    tables = load.settle(study, tables)
    train = _load_training_rows(study, tables)
    leakage = check_panel(tables, study, train)
    registry.find_rule_column(leakage.allowed, study)
    registry.find_directions(leakage.allowed, study)
    if study.model:
        words = build.describe_features(tables, study).set_index("feature").description.to_dict()
        models = registry.list_classifiers(study, leakage.allowed, 0, words)
        registry.require_name(study.model, models, "study.yml, key model")
    rows = ", ".join(f"{name} {table.count().execute():,}" for name, table in tables.items())
    print(
        f"{study.name}: {len(results)} of {len(results)} checks passed; {len(leakage.excluded)} of"
        f" {len(leakage.columns)} features excluded for target leakage; rows: {rows}"
    )
    for sentence in describe_remarks(find_remarks(tables, study, train, leakage)):
        print(f"{study.name}: {sentence}")


def _load_training_rows(study: Study, tables: contracts.Tables) -> pd.DataFrame:
    """Return the training rows, once all label windows are known to lie within the data."""
    if study.kind == "flat":
        return build.load_flat(tables, study)
    split = splits.plan_split(study)
    splits.require_windows(tables, study, [*split.train, *split.test])
    return build.load_training(tables, study, split.train, min(split.test))[0]


def _test_time_travel(study: Study) -> None:
    from research.features.leakage import time_travel  # loads the model libraries too

    if study.kind == "flat":
        print(time_travel.explain_flat(study))
        return
    print(f"{study.name}: building the features with other futures …", file=sys.stderr)
    table = time_travel.compare_futures(load.load_tables(study), study)
    faults = [*time_travel.list_faults(table, study)]
    if faults:
        raise StudyError(*faults)
    print(time_travel.describe_result(table, study))


# snapshot


def _snapshot(options: argparse.Namespace) -> int:
    clock = (options.at, options.lead_days, options.horizon_days)
    require_settings(**dict(zip(("snapshot", "lead_days", "horizon_days"), clock, strict=True)))
    study = adjust(load_study(options.study), *clock)
    out = options.out or _name_snapshot(study)
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"expected a --out file that ends in {' or '.join(SUFFIXES)}, got '{out}'; rename it"
        )
    print(f"{study.name}: building labels and features …", file=sys.stderr)
    frame, columns = _publish(load.load_tables(study), study, out)
    print(f"{study.name}: {_describe_churn(frame)}, {columns} columns, written to {out}")
    return 0


def _describe_churn(frame: pd.DataFrame) -> str:
    """Return how many of those who had not left before the team could act churned."""
    if "churned" not in frame:
        return f"{len(frame):,} customers"
    left = frame.left_in_lead.sum() if "left_in_lead" in frame else 0
    if not left:
        return f"{len(frame):,} customers, {frame.churned.mean():.1%} churned"
    judged = frame[~frame.left_in_lead]
    return (
        f"{len(frame):,} customers, of whom {left:,} left before the team could act;"
        f" {judged.churned.mean():.1%} of the other {len(judged):,} churned"
    )


def _name_snapshot(study: Study) -> Path:
    day = study.snapshots.last if study.snapshots else "flat"
    return study.raw / f"snapshot-{day}.parquet"


def _publish(tables: contracts.Tables, study: Study, out: Path) -> tuple[pd.DataFrame, int]:
    """Write a snapshot and return who churned, or left in the lead, and the number of columns.

    A reader sees the whole file or none.
    """
    written: list[tuple[pd.DataFrame, int]] = []

    def write(scratch: Path) -> None:
        written.append(_write(scratch, tables, study, out.suffix.lower()))
        _require_customers(written[0][0], tables, study)

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sweep(out.parent, f".{glob.escape(out.name)}.*{PART}")
        publish(out, write)
    except (OSError, duckdb.IOException) as error:
        system = isinstance(error, OSError)
        reason = (error.strerror or error) if system else shorten_error(error)
        raise StudyError(
            f"expected to write {out}, but that failed: {reason}; choose another --out"
        ) from None
    return written[0]


def _require_customers(frame: pd.DataFrame, tables: contracts.Tables, study: Study) -> None:
    if frame.empty and study.snapshots:
        from research.panel.label_remarks import explain_empty  # loads the model libraries

        day = study.snapshots.last
        raise StudyError(
            f"{study.name}: expected customers who can churn after {day}, got none;"
            f" {explain_empty(tables, study, day)}; mend it, or choose another --at"
        )


def _write(
    path: Path, tables: contracts.Tables, study: Study, suffix: str
) -> tuple[pd.DataFrame, int]:
    """Write a snapshot; Parquet of a dated study part by part, since it may not fit in memory."""
    if study.snapshots and suffix == ".parquet":
        build.write_panel(tables, study, [study.snapshots.last], path)
        return pd.read_parquet(path, columns=OUTCOMES), len(read_schema(path))
    if study.snapshots:
        frame = build.load_panel(tables, study, [study.snapshots.last])
    else:
        frame = build.load_flat(tables, study)
    write_csv(frame, path) if suffix == ".csv" else frame.to_parquet(path, index=False)
    return frame[[name for name in OUTCOMES if name in frame]], frame.shape[1]


# simulate and run


def _simulate(options: argparse.Namespace) -> int:
    began = time.monotonic()
    traps = tuple(name for name in TRAPS if name not in options.without)
    size = options.customers, options.months
    rows = generate.generate(
        *size, options.seed, options.out, traps, options.chunk, options.assignments
    )
    print("\n".join(f"{name:<14} {count:>14,}" for name, count in rows.items()))
    print(
        f"{sum(rows.values()):,} rows written to {options.out} in {time.monotonic() - began:.1f} s"
    )
    return 0


def _clear(options: argparse.Namespace) -> int:
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
    from research.watchlist import commands  # loads the model libraries

    return _print_lines(options, lambda study: commands.train(study, options.at, options.model))


def _score(options: argparse.Namespace) -> int:
    from research.watchlist import commands  # loads the model libraries

    return _print_lines(options, lambda study: commands.score(study, options.at, options.revise))


def _print_lines(options: argparse.Namespace, action: Callable[[Study], list[str]]) -> int:
    for line in action(load_study(options.study)):
        print(f"{options.study}: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
