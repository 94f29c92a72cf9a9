"""One job: execute one notebook for one run, and publish its page, tables and record together.

``python -m research.batch.job JOBS.json STUDY/RUN/NOTEBOOK`` is the whole command, here or on
another machine that has access to the same folder.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

# On import, jsonschema parses a grammar of web addresses for 2.5 s, which no notebook needs, unless
# this module can't be imported; so this stands before the other imports.
# ruff: noqa: E402
sys.modules.setdefault("rfc3987_syntax", None)

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbconvert.filters import strip_ansi
from papermill.exceptions import PapermillException, PapermillExecutionError

from research.batch import pages, records
from research.batch.exits import count_memory_kills, describe_death
from research.batch.kernel import WatchedKernel, end_workers
from research.data.fetch import hash_file
from research.errors import NotApplicable, StudyError, UsageError
from research.files import CLOSED, FULL, describe_os_error, scratch_folder, sync
from research.progress import FILE
from research.study import project_root

SOMEWHERE = "reports/ or the temporary folder (TMPDIR)"  # where the system names no file
STAGING, TEMPORARY = ".staging-", "research-job-"  # folders of a job, here and in TMPDIR
SETTINGS = {"JUPYTER_PREFER_ENV_PATH": "1", "PYTHONHASHSEED": "0"}  # equal seeds, equal bytes
SENTENCES = {StudyError.__name__, UsageError.__name__}
OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "ArrowMemoryError", "OutOfMemoryException")
START_SECONDS = 120
LOG, EXECUTED, PROGRESS = "kernel.log", "notebook.ipynb", "progress"  # in the scratch folder
LOOK_SECONDS = 3.0  # between two looks at the progress
PORT_TAKEN = "Address already in use"
# What may go wrong in a cell, a study or a page, in a kernel that dies or doesn't start, or on a
# disk. Any other error is a fault of this package: it ends the job with its traceback, which the
# batch keeps as the details of a job that left no record.
MEMORY_KILLS = count_memory_kills()  # when this job began
FAILURES = (PapermillException, StudyError, RuntimeError, OSError, ValueError, MemoryError)


def main() -> int:
    """Run the job that the command line names; return 1 where it failed."""
    path, key = sys.argv[1:]
    return run_job(json.loads(Path(path).read_text(encoding="utf-8"))["jobs"][key])


def run_job(job: dict[str, Any]) -> int:
    """Execute and publish one notebook, or record its failure; return the exit code."""
    started, clock = records.now(), time.monotonic()
    try:
        with _make_scratch(job) as scratch, _redirect_output(scratch / LOG) as write:
            report = partial(_report_progress, write, job)
            report("…")
            with follow_progress(scratch / PROGRESS, report):
                return _run_in(job, scratch, report, started, clock)
    except OSError as error:
        write = partial(os.write, 1)
        seconds = time.monotonic() - clock
        reason = describe_failure(error)
        _report_progress(lambda text: write(text.encode()), job, _describe_end(seconds, reason))
        return 1


def _run_in(
    job: dict[str, Any], scratch: Path, report: Callable[[str], None], started: str, clock: float
) -> int:
    try:
        record = _execute_and_publish(job, scratch, started, clock)
    except FAILURES as error:
        seconds, reason = time.monotonic() - clock, describe_failure(error)
        record = records.describe(job, started, seconds, "failed", reason)
        details = _list_details(error, scratch)
        report(_describe_end(seconds, reason))
        shutil.rmtree(scratch / "tables", ignore_errors=True)  # on a full disk, room for the record
        with suppress(OSError):  # without a record, the batch takes the line above
            records.write_failure(job, record, details, scratch / EXECUTED)
        return 1
    report(f"… {record['outcome']} in {record['seconds']:.0f} s")
    return 0


def _describe_end(seconds: float, reason: str) -> str:
    return f"… failed after {seconds:.0f} s: {reason}"


@contextmanager
def _make_scratch(job: dict[str, Any]) -> Iterator[Path]:
    """Yield a folder next to the run's results; from the same disk, publishing is one rename.

    What the kernel makes in the temporary folder goes into one that is removed with the job.
    """
    folder = records.run_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    parent = Path(tempfile.gettempdir())
    with scratch_folder(folder, STAGING) as scratch, scratch_folder(parent, TEMPORARY) as temporary:
        folders = dict.fromkeys(("TMPDIR", "JOBLIB_TEMP_FOLDER"), str(temporary))
        tables = {"RESEARCH_TABLES": str(scratch / "tables"), FILE: str(scratch / PROGRESS)}
        with _changed_environment(SETTINGS | folders | tables):
            try:
                yield scratch
            finally:
                end_workers()


@contextmanager
def _changed_environment(changes: dict[str, str]) -> Iterator[None]:
    """Set variables, which the kernel inherits, for a while."""
    before, folder = {name: os.environ.get(name) for name in changes}, tempfile.tempdir
    os.environ |= changes
    tempfile.tempdir = None  # Python asks TMPDIR only once
    try:
        yield
    finally:
        tempfile.tempdir = folder
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _redirect_output(log: Path) -> Iterator[Callable[[str], None]]:
    """Write this process's and its kernel's output to ``log``; yield a writer to the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(1), os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield lambda text: os.write(terminal[1], text.encode()) and None
    finally:
        for number, saved in zip((1, 2), terminal, strict=True):
            os.dup2(saved, number)
            os.close(saved)


@contextmanager
def follow_progress(file: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Report what a notebook writes to a file about its progress, whenever that has changed."""
    ended = threading.Event()

    def follow() -> None:
        told = ""
        while not ended.wait(LOOK_SECONDS):
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            if text and text != told:
                report(f"… {text}")
                told = text

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _report_progress(write: Callable[[str], None], job: dict[str, Any], text: str) -> None:
    """Write one line for the batch, which recognises it by its first word."""
    line = " | ".join(text.splitlines())
    write(f"job {job['study']}/{job['run']} {job['notebook']} {line}\n")


def _execute_and_publish(
    job: dict[str, Any], scratch: Path, started: str, clock: float
) -> dict[str, Any]:
    outcome, reason = "done", ""
    try:
        notebook = _execute(job, scratch)
    except PapermillExecutionError as error:
        if error.ename != NotApplicable.__name__:
            raise
        outcome, reason = "not applicable", error.evalue
        notebook = _cut_after_reason(nbformat.read(scratch / EXECUTED, as_version=4), reason)
    record = records.describe(job, started, time.monotonic() - clock, outcome, reason)
    return _publish(job, scratch, notebook, record)


def _execute(job: dict[str, Any], scratch: Path) -> nbformat.NotebookNode:
    """Execute the notebook; a kernel that found its port taken by another is started once more."""
    for attempt in (1, 2):
        try:
            return _execute_once(job, scratch)
        except PapermillExecutionError:
            raise
        except (RuntimeError, OSError) as error:
            if attempt == 2 or PORT_TAKEN not in f"{error} {_read_log(scratch)}":
                raise
    raise AssertionError("unreachable")


def _execute_once(job: dict[str, Any], scratch: Path) -> nbformat.NotebookNode:
    folder = project_root() / "notebooks"
    return papermill.execute_notebook(
        _escape_braces(folder / f"{job['notebook']}.ipynb"),
        _escape_braces(scratch / EXECUTED),
        parameters=job["values"],
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=START_SECONDS,
        cwd=folder,
        kernel_manager_class=WatchedKernel,
    )


def _escape_braces(path: Path) -> str:
    """Double the braces in a path, which papermill would fill with parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _cut_after_reason(notebook: nbformat.NotebookNode, reason: str) -> nbformat.NotebookNode:
    """Keep a notebook up to the cell that raised ``NotApplicable``, and put the reason there."""
    cells = [
        cell
        for cell in notebook.cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    raised = next(
        place
        for place, cell in enumerate(cells)
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    )
    last = nbformat.v4.new_markdown_cell(f"*Not applicable: {reason}*")
    notebook.cells = [*cells[:raised], last]
    return notebook


def _publish(
    job: dict[str, Any], scratch: Path, notebook: nbformat.NotebookNode, record: dict[str, Any]
) -> dict[str, Any]:
    """Move page, tables, warnings and record to their places by renames, and remove old tables.

    All bytes are on the disk before the first rename.
    """
    folder, name = records.run_folder(job), job["notebook"]
    tables = sorted(path.name for path in (scratch / "tables").glob("*"))
    record |= {"tables": sorted({Path(table).stem for table in tables})}
    warned = take_warnings(notebook)
    records.write_text(scratch / f"{name}.html", pages.render(notebook, record))
    files = [f"{name}.html", *(f"tables/{table}" for table in tables)]
    if warned:
        files.append(f"{records.LOGS}{name}.txt")
        records.write_text(scratch / files[-1], warned)
    record |= {"files": {file: hash_file(scratch / file) for file in files}}
    for file in files:
        sync(scratch / file)
    with records.lock_run(job):
        others = records.read_records(folder, "records")
        earlier = others.pop(name, {}).get("files", {})
        _refuse_clashes(job, scratch, folder, tables, others)
        for part in {"tables", *(str(Path(file).parent) for file in files)}:
            (folder / part).mkdir(exist_ok=True)
        for file in reversed(files):
            os.replace(scratch / file, folder / file)
        for file in {*earlier}.difference(files, *(other["files"] for other in others.values())):
            (folder / file).unlink(missing_ok=True)
        records.write_json(folder / "records" / f"{name}.json", record)
    records.forget_failure(job)
    return record


def take_warnings(notebook: nbformat.NotebookNode) -> str:
    """Take what cells wrote to the standard error, warnings of libraries above all; return it.

    A page is for readers, whom a warning of Python tells nothing; it goes to the log of the run.
    """
    warned = []
    for number, cell in enumerate(notebook.cells, start=1):
        outputs = cell.get("outputs", [])
        errors = [output for output in outputs if output.get("name") == "stderr"]
        if errors:
            cell.outputs = [output for output in outputs if output.get("name") != "stderr"]
            text = strip_ansi("".join(output.text for output in errors))
            warned.append(f"Cell {number}:\n{text.rstrip()}\n")
    return "\n".join(warned)


def _refuse_clashes(
    job: dict[str, Any],
    scratch: Path,
    folder: Path,
    tables: list[str],
    others: dict[str, dict[str, Any]],
) -> None:
    """Refuse a table that differs from another notebook's table of the same name."""
    current = {
        name: record["files"]
        for name, record in others.items()
        if record["fingerprint"] == job["siblings"].get(name)
    }
    clashes = [
        f"a {table} that differs from that of {name}"
        for name, files in current.items()
        for table in tables
        if f"tables/{table}" in files
        and hash_file(scratch / "tables" / table) != files[f"tables/{table}"]
    ]
    if clashes:
        raise StudyError(
            f"notebooks/{job['notebook']}.ipynb: expected tables of the same name to be equal, got"
            f" {', '.join(clashes)}; rename it"
        )


def describe_failure(error: Exception) -> str:
    """Return an error for a reader: its sentences, its cause in the machine, or its last line."""
    if isinstance(error, PapermillExecutionError):
        return _describe_cell_error(error.ename, strip_ansi(error.evalue))
    if isinstance(error, StudyError):
        return str(error)
    if isinstance(error, DeadKernelError):
        code = WatchedKernel.launched[-1].poll() if WatchedKernel.launched else None
        return describe_death(code, count_memory_kills() - MEMORY_KILLS)
    if isinstance(error, OSError) and error.errno is not None:
        return describe_os_error(OSError(error.errno, error.strerror, error.filename or SOMEWHERE))
    text = "".join(traceback.format_exception_only(error))
    return _describe_cell_error(type(error).__name__, text.partition(": ")[2].strip())


def _describe_cell_error(name: str, text: str) -> str:
    """Return the error of a cell in the same way, by its name and its text."""
    if name in SENTENCES:
        return text
    if name in OUT_OF_MEMORY:
        found = " ".join(f"{name}: {text}".split("Possible solutions")[0].split())
        return f"expected enough memory, got {found}; run it again with fewer --jobs"
    if name == "TerminatedWorkerError":
        return _describe_worker(text)
    return _describe_disk(text) or _find_last_line(f"{name}: {text}")


def _describe_worker(text: str) -> str:
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", text, re.DOTALL)
    ended = f" ({codes[1]})" if codes else ""
    killed = count_memory_kills() > MEMORY_KILLS
    cause = "the system ended one for lack of memory" if killed else f"one was ended{ended}"
    remedy = "run it again with fewer --jobs" if killed else "run it again"
    return f"expected all worker processes to finish their tasks, but {cause}; {remedy}"


def _describe_disk(text: str) -> str:
    """Return one sentence where a message has the system's words for a disk that takes no file."""
    for number in (*FULL, *CLOSED):
        if os.strerror(number) in text:
            named = re.search(r"['\"](/[^'\"]+)['\"]", text)
            file = named[1] if named else SOMEWHERE
            return describe_os_error(OSError(number, os.strerror(number), file))
    return ""


def _find_last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _list_details(error: Exception, scratch: Path) -> str:
    """Return the traceback and the kernel's output."""
    in_cell = isinstance(error, PapermillExecutionError)
    trace = str(error) if in_cell else "".join(traceback.format_exception(error))
    output = _read_log(scratch) or "nothing"
    return f"{strip_ansi(trace).strip()}\n\nOutput of the kernel:\n{output}\n"


def _read_log(scratch: Path) -> str:
    return (scratch / LOG).read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
