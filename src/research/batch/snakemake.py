"""Snakemake at work: one batch at a time, its progress shown, its processes taken along when the
batch is told to stop.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from research.batch import records
from research.errors import UsageError
from research.study import project_root, show_path

SNAKEFILE = Path(__file__).parents[3] / "Snakefile"
PROGRESS = re.compile(r"job (\S+ \S+) (.*)")
GRACE_SECONDS = 10


def inner_folder() -> Path:
    """Return the folder of what a batch needs to know and no reader does."""
    return records.reports() / ".batch"


@contextmanager
def alone() -> Iterator[TextIO]:
    """Hold the project's lock; the system lets go of it when the last process of the batch ends,
    however it ends.

    Raises
    ------
    UsageError
        If another batch holds it.
    """
    path = inner_folder() / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{show_path(path)}: expected a file that can be written, got {error.strerror};"
            " free that place"
        ) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UsageError(
                f"{show_path(path)}: expected to be the only batch at work here, got"
                f" {lock.read()}; wait for it to end, or stop it"
            ) from None
        _note(lock, os.getpid())
        yield lock


def _note(lock: TextIO, process: int) -> None:
    lock.truncate(0)
    lock.write(f"process {process}, at work since {records.now()}")
    lock.flush()


def make(jobs: dict[str, dict[str, Any]], cores: int, lock: TextIO) -> str:
    """Let Snakemake run the jobs that are not up to date.

    Returns
    -------
    str
        What was said beside the progress of the jobs, which goes to the terminal as it comes.
    """
    for job in jobs.values():
        _sweep(job)
    total = sum(not stamp(job).exists() for job in jobs.values())
    if total == 0:
        return ""
    listing = inner_folder() / "jobs.json"
    stamps = (inner_folder() / "stamps").relative_to(project_root())
    records.write_json(
        listing,
        {"python": sys.executable, "listing": str(listing), "stamps": str(stamps), "jobs": jobs},
    )
    log = inner_folder() / "log"
    with log.open("w", encoding="utf-8") as file:
        process = _start(listing, cores, lock, file)
    _note(lock, process.pid)
    with _interruptible(process), log.open(encoding="utf-8", errors="replace") as file:
        return _listen(_follow(file, process), total)


def stamp(job: dict[str, Any]) -> Path:
    """Return the file that Snakemake knows a job by."""
    return inner_folder() / "stamps" / job["study"] / job["run"] / job["notebook"]


def _sweep(job: dict[str, Any]) -> None:
    """Remove what a killed job left half-made, and let a job run again whose published files are
    gone or of another fingerprint.
    """
    for scratch in records.run_folder(job).glob(".staging-*"):
        shutil.rmtree(scratch, ignore_errors=True)
    if not records.is_current(job):
        stamp(job).unlink(missing_ok=True)


def _start(listing: Path, cores: int, lock: TextIO, log: TextIO) -> subprocess.Popen[bytes]:
    """Start Snakemake in a group of its own; it shares the lock, so that the lock outlives this
    process if Snakemake does.
    """
    quiet = ["--quiet", "host", "progress", "reason", "rules"]
    options = [
        "--cores",
        str(cores),
        "--jobs",
        str(cores),
        "--keep-going",
        "--rerun-incomplete",
        "--rerun-triggers",
        "params",
        "--nolock",
        *quiet,
    ]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(SNAKEFILE),
            "--directory",
            str(project_root()),
            "--configfile",
            str(listing),
            *options,
        ],
        env={**os.environ, "RESEARCH_HOME": str(project_root())},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def _follow(file: TextIO, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines of a log until the process that writes it has ended; a pipe would hold that
    process up once nobody reads.
    """
    line = ""
    while True:
        ended = process.poll() is not None
        while piece := file.readline():
            line += piece
            if line.endswith("\n"):
                yield line
                line = ""
        if ended:
            return
        time.sleep(0.1)


def _listen(lines: Iterable[str], total: int) -> str:
    """Show the progress of the jobs, numbered as they start; return what else was said."""
    numbers: dict[str, int] = {}
    rest = []
    for line in lines:
        told = PROGRESS.match(line)
        if told:
            number = numbers.setdefault(told[1], len(numbers) + 1)
            print(
                f"[{number}/{max(total, number)}] {told[1]} {told[2]}", file=sys.stderr, flush=True
            )
        else:
            rest.append(line)
    return "".join(rest)


@contextmanager
def _interruptible(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Take Snakemake and its jobs along when this process is told to stop; kernels end when their
    job does.
    """
    kept = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        raise
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
