"""`research snapshot`: labels and features of the whole population at one day, in a file."""

import glob
import sys
from pathlib import Path

import duckdb
import pandas as pd
from pyarrow.parquet import read_schema

from research.data import contracts, load
from research.data.readers import shorten_error
from research.errors import StudyError, UsageError
from research.features import build
from research.files import PART, publish, sweep
from research.panel.label_remarks import explain_empty
from research.reporting.spreadsheets import write_csv
from research.study import Study

SUFFIXES = (".parquet", ".csv")
OUTCOMES = ["churned", "left_in_lead"]  # of a snapshot, counted in the last line


def write_snapshot(study: Study, out: Path | None) -> None:
    """Write labels and features of the whole population at one day, and print what was written."""
    out = out or _name_snapshot(study)
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"expected a --out file that ends in {' or '.join(SUFFIXES)}, got '{out}'; rename it"
        )
    print(f"{study.name}: building labels and features …", file=sys.stderr)
    frame, columns = _publish(load.load_tables(study), study, out)
    print(f"{study.name}: {_describe_churn(frame)}, {columns} columns, written to {out}")


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
