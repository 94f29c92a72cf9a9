"""Runs jobs with Snakemake: one batch at a time, with its progress, and stopped as a whole."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from research.batch import records, shared
from research.batch.board import Board
from research.errors import UsageError
from research.settings import SHARE
from research.study import project_root, show_path

SNAKEFILE = Path(__file__).parents[3] / "Snakefile"
PROGRESS = re.compile(r"job (.+?) (….*)")
FAILED = "… failed"
GRACE_SECONDS = 10
SETTINGS = {"PYTHONHASHSEED": "0"}  # equal seeds, equal bytes
POLL_SECONDS = 0.1
RERUN = ["--keep-going", "--rerun-incomplete", "--rerun-triggers", "params"]
OPTIONS = [*RERUN, "--nolock", "--quiet", "host", "progress", "reason", "rules"]
OPTIONS += ["--scheduler", "greedy"]  # jobs don't wait for each other: nothing to optimise


def inner_folder() -> Path:
    """Return the folder of a batch's own files, which no reader needs."""
    return records.reports() / ".batch"


@contextmanager
def lock_project() -> Iterator[TextIO]:
    """Lock the project; the system unlocks it when the last process of the batch has ended.

    Raises
    ------
    UsageError
        If another batch has locked it.
    """
    path = inner_folder() / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{show_path(path)}: expected to write this file, but that failed: {error.strerror};"
            " make room there"
        ) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UsageError(
                f"{show_path(path)}: expected no other batch to be running in this project, found"
                f" {lock.read()}; wait until it has finished, or stop it"
            ) from None
        _write_holder(lock, os.getpid())
        yield lock


def _write_holder(lock: TextIO, process: int) -> None:
    lock.truncate(0)
    lock.write(f"process {process}, running since {records.now()}")
    lock.flush()


def run_jobs(
    jobs: dict[str, dict[str, Any]], cores: int, lock: TextIO, board: Board | None = None
) -> str:
    """Let Snakemake run the jobs that are not up to date.

    Parameters
    ----------
    board : told of the jobs, and of their progress

    Returns
    -------
    str
        Snakemake's output but for the progress of the jobs, which is shown as it comes, with the
        lines that say why a job failed.
    """
    for job in jobs.values():
        _remove_stamp(job)
    waiting = [job for job in jobs.values() if not stamp(job).exists()]
    total = len(waiting)
    if total == 0:
        return ""
    board = board or Board(cores, lambda job: None)
    board.begin(waiting)
    listing = inner_folder() / "jobs.json"
    records.write_json(listing, _describe_batch(listing, jobs, waiting))
    with _open_log() as (written, read):
        process = _start(listing, min(cores, total), lock, written)
        with _stopped_together(process):
            _write_holder(lock, process.pid)
            return _show_progress(_read_lines(read, process), total, board.note)


def _describe_batch(
    listing: Path, jobs: dict[str, dict[str, Any]], waiting: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the Snakefile reads: the jobs, and the steps that those that run wait for."""
    steps = shared.list_steps({records.name_job(job): job for job in waiting})
    for key in steps:
        (inner_folder() / "shared" / key).unlink(missing_ok=True)
    root = project_root()
    folder = (inner_folder() / "shared").relative_to(root)
    needs = {records.name_job(job): shared.list_needed(job, steps) for job in waiting}
    return {
        "python": sys.executable,
        "listing": str(listing),
        "stamps": str((inner_folder() / "stamps").relative_to(root)),
        "shared_stamps": str(folder),
        "jobs": {
            key: job | {"needs": [f"{folder}/{step}" for step in needs.get(key, [])]}
            for key, job in jobs.items()
        },
        "shared": steps,
    }


@contextmanager
def _open_log() -> Iterator[tuple[TextIO, TextIO]]:
    """Yield a log to write and to read, in memory if the system can: a disk may be full."""
    path = inner_folder() / "log"
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        handle = os.memfd_create("log")
        path = Path(f"/proc/self/fd/{handle}")
        written = os.fdopen(handle, "w", encoding="utf-8")
    else:
        written = path.open("w", encoding="utf-8")
    with written, path.open(encoding="utf-8", errors="replace") as read:
        yield written, read


def stamp(job: dict[str, Any]) -> Path:
    """Return the file that is a job's output for Snakemake."""
    return inner_folder() / "stamps" / records.name_job(job)


def _remove_stamp(job: dict[str, Any]) -> None:
    """Remove the stamp of a job that must run again.

    That is one whose published files are missing, changed or of another fingerprint.
    """
    if not records.is_current(job):
        stamp(job).unlink(missing_ok=True)


def _start(listing: Path, cores: int, lock: TextIO, log: TextIO) -> subprocess.Popen[bytes]:
    """Start Snakemake in a process group of its own.

    It inherits the lock, which thus outlives this process if Snakemake does.
    """
    root = str(project_root())
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    place = ["--directory", root, "--configfile", str(listing)]
    limits = ["--cores", str(cores), "--jobs", str(cores)]
    return subprocess.Popen(
        [*command, *place, *limits, *OPTIONS],
        env=_share_threads(cores)
        | {**os.environ, **SETTINGS, "RESEARCH_HOME": root}
        | _find_home(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def _share_threads(jobs: int) -> dict[str, str]:
    """Return the threads and cores of each of so many jobs, unless the user has said how many."""
    share = str(max(1, (os.cpu_count() or 1) // jobs))
    return {"OMP_NUM_THREADS": share, SHARE: share}


def _find_home() -> dict[str, str]:
    """Return another home for Snakemake and the kernels where the user's can't be written to."""
    try:
        with tempfile.TemporaryFile(dir=Path.home()):
            return {}
    except (OSError, RuntimeError):  # the latter where there is none
        home = inner_folder() / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home)}


def _read_lines(file: TextIO, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines of a log until the process that writes it has ended.

    A pipe instead of a file would block that process once nobody reads.
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
        time.sleep(POLL_SECONDS)


def _show_progress(
    lines: Iterable[str], total: int, note: Callable[[str, str], None] = lambda job, text: None
) -> str:
    """Print the progress of the jobs, numbered as they start.

    Parameters
    ----------
    note : takes each job and what it says

    Returns
    -------
    str
        The other lines, and those that say why a job failed.
    """
    numbers: dict[str, int] = {}
    others = []
    for line in lines:
        if progress := PROGRESS.match(line):
            job, text = progress.groups()
            number = numbers.setdefault(job, len(numbers) + 1)
            print(f"[{number}/{max(total, number)}] {job} {text}", file=sys.stderr, flush=True)
            note(job, text)
        if not progress or progress[2].startswith(FAILED):
            others.append(line)
    return "".join(others)


@contextmanager
def _stopped_together(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop Snakemake and its jobs when this process is stopped; kernels end with their job."""
    handlers = {
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
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
