"""The command ``research``: fetch, check, snapshot, simulate, run.

Exit codes: 0 done, 1 the data or a run failed, 2 wrong usage. A fault is one sentence on standard
error, never a traceback.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import pandas as pd
from pyarrow.parquet import read_schema

from research.batch import run
from research.data import contracts, fetch, load
from research.data.checks import check, require
from research.data.readers import shorten_error
from research.errors import StudyError, UsageError
from research.features import build
from research.panel import splits
from research.settings import require_settings
from research.simulate import generate
from research.study import Study, adjust, list_studies, load_study
from research.study_schema import TRAPS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    _fix_mirror()
    if threading.current_thread() is threading.main_thread():
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # ends as Ctrl-C does: what was half-written goes
    try:
        return options.command(options)
    except StudyError as error:
        return _report(error)
    except duckdb.OutOfMemoryException as error:
        arrived = shorten_error(error).split(" Possible solutions")[0]
        return _report(
            StudyError(
                f"expected memory for DuckDB, got: {arrived}; raise memory_gb under engine in"
                " study.yml, or make room where TMPDIR is"
            )
        )
    except (KeyboardInterrupt, RuntimeError) as error:
        if (
            isinstance(error, RuntimeError) and str(error) != "Query interrupted"
        ):  # as DuckDB says that Ctrl-C came while it worked
            raise
        goes_on = (
            "; finished reports stay, 'research run' goes on where this left off"
            if options.command is _run
            else "; nothing half-written was left"
        )
        print(f"stopped{goes_on}", file=sys.stderr)
        return 130


def _report(error: StudyError) -> int:
    for fault in error.faults:
        print(f"error: {fault}", file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1


def _fix_mirror() -> None:
    """Kernels run in other folders: a relative mirror is meant from here."""
    mirror = os.environ.get("RESEARCH_MIRROR")
    if mirror:
        os.environ["RESEARCH_MIRROR"] = str(Path(mirror).resolve())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="research", description="Customer churn research: from a study folder to reports."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fetch(commands)
    _add_check(commands)
    _add_snapshot(commands)
    _add_simulate(commands)
    _add_run(commands)
    return parser


def _add_fetch(commands) -> None:
    command = commands.add_parser(
        "fetch",
        help="bring a study's raw files, verified",
        description="Bring raw files from RESEARCH_MIRROR or their URL, verified by SHA-256.",
    )
    command.add_argument(
        "studies", nargs="*", metavar="STUDY", help="folders below data/; all unless given"
    )
    command.set_defaults(command=_fetch)


def _add_check(commands) -> None:
    command = commands.add_parser(
        "check",
        help="check a study's promises",
        description="Run the SQL adapters and check every promise of every contract table.",
    )
    command.add_argument(
        "studies", nargs="*", metavar="STUDY", help="folders below data/; all unless given"
    )
    command.add_argument(
        "--time-travel",
        action="store_true",
        help="prove on the study's own tables that no feature sees past its snapshot",
    )
    command.set_defaults(command=_check)


def _add_snapshot(commands) -> None:
    command = commands.add_parser(
        "snapshot",
        help="write features and labels at a snapshot",
        description="Write labels and features of everyone in the population at one day.",
    )
    command.add_argument("study", metavar="STUDY", help="folder below data/")
    command.add_argument(
        "--at",
        default="",
        metavar="DATE",
        help="ISO date, the last day whose events may be used; the study's own unless given",
    )
    command.add_argument(
        "--lead-days",
        type=int,
        default=-1,
        metavar="N",
        help="days the team needs to act; the study's own unless given",
    )
    command.add_argument(
        "--horizon-days",
        type=int,
        default=0,
        metavar="N",
        help="days of the label window; the study's own unless given",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .parquet or .csv file; data/<study>/raw/snapshot-<date>.parquet unless given",
    )
    command.set_defaults(command=_snapshot)


def _add_simulate(commands) -> None:
    command = commands.add_parser(
        "simulate",
        help="write a generated company",
        description=(
            "Write the tables of a generated company, and the truth beside them, as Parquet in"
            " parts."
        ),
    )
    command.add_argument(
        "--customers",
        type=int,
        required=True,
        metavar="N",
        help="everyone who ever joins, at least 100",
    )
    command.add_argument(
        "--months",
        type=int,
        required=True,
        metavar="M",
        help="calendar months of history up to its last day, at least 12",
    )
    command.add_argument(
        "--seed", type=int, required=True, metavar="S", help="same seed, same bytes"
    )
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder that does not exist or is empty",
    )
    command.add_argument(
        "--chunk",
        type=int,
        default=generate.CHUNK,
        metavar="N",
        help="customers held at once; the bytes do not depend on it",
    )
    command.add_argument(
        "--without",
        nargs="+",
        default=[],
        choices=TRAPS,
        metavar="TRAP",
        help=f"traps that are not planted: {', '.join(TRAPS)}",
    )
    command.set_defaults(command=_simulate)


def _add_run(commands) -> None:
    command = commands.add_parser(
        "run",
        help="run notebooks and write reports",
        description="Run the plan's notebooks; what hasn't changed isn't run again.",
    )
    command.add_argument(
        "study",
        nargs="?",
        metavar="STUDY",
        help="folder below data/; every study of reports/plan.yml unless given",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a notebook parameter; the run is named after what is set",
    )
    command.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="notebooks at a time; the number of cores unless given",
    )
    command.set_defaults(command=_run)


def _each(names: list[str], action: Callable[[Study], None]) -> int:
    """Do ``action`` for the studies named, or for all; a fault of one doesn't keep the others from
    their turn.
    """
    found = names or list_studies()
    if not found:
        raise UsageError(
            "expected at least one study folder below data/, found none; write"
            " data/<study>/study.yml"
        )
    return max([_one(name, action) for name in found])


def _one(name: str, action: Callable[[Study], None]) -> int:
    try:
        action(load_study(name))
    except StudyError as error:
        return _report(error)
    return 0


def _fetch(options: argparse.Namespace) -> int:
    return _each(options.studies, _fetch_one)


def _fetch_one(study: Study) -> None:
    for row in fetch.fetch(study, progress=sys.stderr.isatty()).itertuples():
        print(f"{study.name}/{row.file}: {row.origin}, {row.bytes:,} bytes")


def _check(options: argparse.Namespace) -> int:
    return _each(options.studies, _travel_one if options.time_travel else _check_one)


def _check_one(study: Study) -> None:
    print(f"{study.name}: running the SQL adapters …", file=sys.stderr)
    # these load the model libraries, which the other commands can do without
    from research.features.leakage.gate import check_panel
    from research.models import registry as candidates

    tables = load.adapt(study)
    checks = check(tables)
    require(checks)
    load.require_sensitive(study, tables)
    leakage = check_panel(tables, study, _learn(study, tables))
    candidates.find_rule_column(leakage.allowed, study)
    candidates.find_directions(leakage.allowed, study)
    rows = ", ".join(f"{name} {table.count().execute():,}" for name, table in tables.items())
    print(
        f"{study.name}: all {len(checks)} promises kept;"
        f" {len(leakage.excluded)} of {len(leakage.columns)} features leak; rows:"
        f" {rows}"
    )


def _travel_one(study: Study) -> None:
    from research.features.leakage import time_travel as travel  # as above

    if study.kind == "flat":
        print(travel.explain_flat(study))
        return
    print(f"{study.name}: building the features under other futures …", file=sys.stderr)
    table = travel.travel(load.load_tables(study), study)
    faults = [*travel.list_faults(table, study)]
    if faults:
        raise StudyError(*faults)
    print(travel.sum_up(table, study))


def _learn(study: Study, tables: contracts.Tables) -> pd.DataFrame:
    """Return the training rows, after a look at all windows."""
    if study.kind == "flat":
        return build.load_flat(tables, study)
    split = splits.plan_split(study)
    splits.require_windows(tables, study, [*split.train, *split.test])
    return build.load_panel(tables, study, split.train, known_by=min(split.test))


def _snapshot(options: argparse.Namespace) -> int:
    require_settings(
        snapshot=options.at, lead_days=options.lead_days, horizon_days=options.horizon_days
    )
    study = adjust(load_study(options.study), options.at, options.lead_days, options.horizon_days)
    out = (
        options.out
        or study.raw / f"snapshot-{study.snapshots.last if study.snapshots else 'flat'}.parquet"
    )
    if out.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(
            f"expected a --out file that ends in .parquet or .csv, got '{out}'; rename it"
        )
    print(f"{study.name}: building evidence, labels and features …", file=sys.stderr)
    churned, columns = _write(load.load_tables(study), study, out)
    print(
        f"{study.name}: {len(churned):,} customers, {churned.mean():.1%} churned, {columns}"
        f" columns, written to {out}"
    )
    return 0


def _write(tables: contracts.Tables, study: Study, out: Path) -> tuple[pd.Series, int]:
    """Write beside the target and rename: a reader sees the whole file or none; return who churned
    and how many columns there are.
    """
    scratch = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch.touch()  # the system says why a place can't be written, in its own words
        churned, columns = _fill(scratch, tables, study, out.suffix.lower())
        if churned.empty:
            raise StudyError(
                f"{study.name}: expected customers who can churn after {study.snapshots.last},"
                " got none; choose another --at"
            )
        os.replace(scratch, out)
    except (OSError, duckdb.IOException) as error:
        arrived = (error.strerror or error) if isinstance(error, OSError) else shorten_error(error)
        raise StudyError(
            f"expected a place to write {out}, got {arrived}; choose another --out"
        ) from None
    finally:
        with suppress(OSError):
            scratch.unlink()
    return churned, columns


def _fill(path: Path, tables: contracts.Tables, study: Study, suffix: str) -> tuple[pd.Series, int]:
    """The Parquet file of a dated study is written part by part: it needn't fit into memory."""
    if study.snapshots and suffix == ".parquet":
        build.write_panel(tables, study, [study.snapshots.last], path)
        return pd.read_parquet(path, columns=["churned"]).churned, len(read_schema(path))
    frame = (
        build.load_panel(tables, study, [study.snapshots.last])
        if study.snapshots
        else build.load_flat(tables, study)
    )
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path, index=False)
    return frame.churned, frame.shape[1]


def _simulate(options: argparse.Namespace) -> int:
    began = time.monotonic()
    traps = tuple(name for name in TRAPS if name not in options.without)
    rows = generate.generate(
        options.customers, options.months, options.seed, options.out, traps, options.chunk
    )
    print("\n".join(f"{name:<14} {count:>14,}" for name, count in rows.items()))
    print(
        f"{sum(rows.values()):,} rows written to {options.out} in {time.monotonic() - began:.1f} s"
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    return run.run(options.study, _settings(options.set), options.jobs)


def _settings(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair or not pair.split("=")[0].strip()]
    if wrong:
        raise UsageError(
            *(
                f"expected --set name=value, got '{pair}'; write for example --set horizon_days=60"
                for pair in wrong
            )
        )
    return {
        name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)
    }


if __name__ == "__main__":
    sys.exit(main())
