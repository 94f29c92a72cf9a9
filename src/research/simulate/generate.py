"""The generated company as Parquet files, the same bytes however many customers are in memory."""

import glob
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from research.errors import StudyError, UsageError
from research.files import scratch_folder, sweep, sync_folder
from research.simulate import Company, simulate_block
from research.simulate.assigned import read_assignments
from research.study_schema import Simulation

FILE_BLOCKS = 10  # blocks in one file of each table: 50,000 customers
CHUNK = 5_000
SIMULATOR = Path(__file__).parent  # the folder of all modules that make the company


def generate(
    customers: int,
    months: int,
    seed: int,
    out: Path,
    traps: tuple[str, ...],
    chunk: int = CHUNK,
    assignments: Path | None = None,
) -> dict[str, int]:
    """Write a generated company into a new folder, whole or not at all.

    Parameters
    ----------
    customers, months, seed, traps : see ``simulate.simulate``
    out : folder that doesn't exist or is empty; gets ``<table>/part-*.parquet`` and
        ``truth/<table>/part-*.parquet``
    chunk : customers in memory at once, rounded up to whole blocks; the bytes don't depend on it
    assignments : contacts from outside, see ``assigned.read_assignments``

    Returns
    -------
    dict of rows by table

    Raises
    ------
    UsageError
        If a value is out of its range or ``out`` is not empty.
    StudyError
        If ``out`` can't be written.
    """
    company = _require_company(customers, months, seed, traps, chunk)
    if assignments is not None:
        company = replace(company, assigned=read_assignments(assignments, customers, months))
    try:
        _require_empty(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        sweep(out.parent, f".{glob.escape(out.name)}.simulating-*")
        with scratch_folder(out.parent, f".{out.name}.simulating-") as scratch:
            rows = write_company(company, scratch, chunk)
            scratch.chmod(0o755)
            sync_folder(scratch)
            os.replace(scratch, out)
    except OSError as error:
        raise StudyError(
            f"expected to write {out}, but that failed: {error.strerror or error}; make room there"
            " or choose another --out"
        ) from None
    return rows


def _require_company(
    customers: int, months: int, seed: int, traps: tuple[str, ...], chunk: int
) -> Company:
    try:
        request = Simulation(customers=customers, months=months, seed=seed, traps=traps)
    except ValidationError as error:
        faults = [
            f"--{fault['loc'][0]}: expected a number {_bound(fault)}, got {fault['input']};"
            " correct the value"
            for fault in error.errors()
        ]
        raise UsageError(*faults) from None
    if chunk < 1:
        raise UsageError(
            f"--chunk: expected a number of at least 1, got {chunk}; correct the value"
        )
    return Company(**request.model_dump())


def _bound(fault: dict) -> str:
    limits = {"ge": "of at least {:,}", "le": "of at most {:,}"}
    return " and ".join(
        limits[name].format(limit) for name, limit in fault["ctx"].items() if name in limits
    )


def _require_empty(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise UsageError(
            f"--out: expected a folder that does not exist or is empty, got {out}, which is"
            " there already; choose another or remove it"
        )


def write_company(company: Company, out: Path, chunk: int = CHUNK) -> dict[str, int]:
    """Write all tables below ``out`` and return their rows.

    A file has the customers of ``FILE_BLOCKS`` blocks, a row group one block.
    """
    rows: dict[str, int] = {}
    for part, blocks in itertools.groupby(
        _make_blocks(company, chunk), key=lambda block: block[0] // FILE_BLOCKS
    ):
        with ExitStack() as stack:
            writers: dict[str, pq.ParquetWriter] = {}
            for name, table in (pair for _, tables in blocks for pair in tables.items()):
                if name not in writers:
                    (out / name).mkdir(parents=True, exist_ok=True)
                    writers[name] = stack.enter_context(
                        _open(out / name / f"part-{part:05d}.parquet", table.schema)
                    )
                writers[name].write_table(table, row_group_size=max(table.num_rows, 1))
                rows[name] = rows.get(name, 0) + table.num_rows
    return rows


def _make_blocks(company: Company, chunk: int) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """Yield every block's number and tables, as many at once as ``chunk`` customers need."""
    at_once = -(-chunk // company.block)
    for first in range(0, len(company.blocks), at_once):
        yield from [
            (block, simulate_block(company, block))
            for block in company.blocks[first : first + at_once]
        ]


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=[*texts, "amount"])
