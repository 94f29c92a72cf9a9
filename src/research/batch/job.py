"""One job: execute one notebook for one run, and publish its page, tables and record together.

``python -m research.batch.job JOBS.json STUDY/RUN/NOTEBOOK`` is the whole command, here or on
another machine that sees the same folder.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbconvert.filters import strip_ansi
from papermill.exceptions import PapermillException, PapermillExecutionError

from research.batch import pages, records
from research.errors import NotApplicable, StudyError, UsageError
from research.study import project_root

# ruff: noqa: E402
# On import, jsonschema has a grammar of web addresses parsed for 2.5 s, which no notebook needs; it
# does without where it isn't found.
sys.modules.setdefault("rfc3987_syntax", None)
SENTENCES = {StudyError.__name__, UsageError.__name__}
START_SECONDS = 120
# a cell, a study or the page's size; a kernel that dies or doesn't start; a disk; a file that isn't
# what it should be. Any other error is a
# fault of this package: it ends the job with its traceback, which the batch keeps as the details of
# a job that gave no account of itself
FAILURES = (PapermillException, StudyError, RuntimeError, OSError, ValueError, MemoryError)


def main() -> int:
    """Run the job that the command line names; return 1 where it failed."""
    path, key = sys.argv[1:]
    return run_job(json.loads(Path(path).read_text(encoding="utf-8"))["jobs"][key])


def run_job(job: dict[str, Any]) -> int:
    """Execute and publish one notebook, or keep what is known of its failure; return the exit
    code.
    """
    started, clock = records.now(), time.monotonic()
    with _staging(job) as scratch, _captured(scratch / "kernel.log") as tell:
        say = partial(_say, tell, job)
        say("…")
        try:
            record = _make(job, scratch, started, clock)
        except FAILURES as error:
            record = records.describe(
                job, started, time.monotonic() - clock, "failed", explain(error)
            )
            records.write_failure(job, record, _details(error, scratch), scratch / "notebook.ipynb")
            say(f"… failed after {record['seconds']:.0f} s: {record['error']}")
            return 1
        say(f"… {record['outcome']} in {record['seconds']:.0f} s")
    return 0


@contextmanager
def _staging(job: dict[str, Any]) -> Iterator[Path]:
    """Give a folder beside the run's results, on the same disk, so that each result is published by
    one rename.
    """
    folder = records.run_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".staging-"))
    os.environ["RESEARCH_TABLES"] = str(scratch / "tables")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _captured(log: Path) -> Iterator[Callable[[str], None]]:
    """Send what this process and its kernel write to ``log``; give a function that still reaches
    the terminal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield lambda text: os.write(kept[1], text.encode()) and None
    finally:
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)
            os.close(saved)


def _say(tell: Callable[[str], None], job: dict[str, Any], text: str) -> None:
    """Tell the batch, in one line and one write, how the job fares; the batch knows such lines by
    their first word.
    """
    tell(f"job {job['study']}/{job['run']} {job['notebook']} {' | '.join(text.splitlines())}\n")


def _make(job: dict[str, Any], scratch: Path, started: str, clock: float) -> dict[str, Any]:
    outcome, reason = "done", ""
    try:
        notebook = _execute(job, scratch)
    except PapermillExecutionError as error:
        if error.ename != NotApplicable.__name__:
            raise
        outcome, reason = "not applicable", error.evalue
        notebook = _cut(nbformat.read(scratch / "notebook.ipynb", as_version=4), reason)
    record = records.describe(job, started, time.monotonic() - clock, outcome, reason)
    return _publish(job, scratch, notebook, record)


def _execute(job: dict[str, Any], scratch: Path) -> nbformat.NotebookNode:
    """Execute the notebook; a kernel that found its port taken, as one in a hundred does beside
    others, is started once more.
    """
    for attempt in (1, 2):
        try:
            return _execute_once(job, scratch)
        except PapermillExecutionError:
            raise
        except (RuntimeError, OSError) as error:
            if attempt == 2 or "Address already in use" not in f"{error} {_log(scratch)}":
                raise
    raise AssertionError("unreachable")


def _execute_once(job: dict[str, Any], scratch: Path) -> nbformat.NotebookNode:
    folder = project_root() / "notebooks"
    return papermill.execute_notebook(
        _literally(folder / f"{job['notebook']}.ipynb"),
        _literally(scratch / "notebook.ipynb"),
        parameters=job["values"],
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=START_SECONDS,
        cwd=folder,
    )


def _literally(path: Path) -> str:
    """Papermill fills braces in a path with parameters; doubled, they stand for themselves."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _cut(notebook: nbformat.NotebookNode, reason: str) -> nbformat.NotebookNode:
    """Keep a notebook up to the cell that found it not applicable, and say so in that cell's
    place.
    """
    cells = [
        cell
        for cell in notebook.cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    stop = next(
        place
        for place, cell in enumerate(cells)
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    )
    notebook.cells = [*cells[:stop], nbformat.v4.new_markdown_cell(f"*Not applicable: {reason}*")]
    return notebook


def _publish(
    job: dict[str, Any], scratch: Path, notebook: nbformat.NotebookNode, record: dict[str, Any]
) -> dict[str, Any]:
    """Move page, tables and record to their places, each by a rename; tables that this notebook no
    longer leaves go.
    """
    folder, name = records.run_folder(job), job["notebook"]
    tables = sorted(path.name for path in (scratch / "tables").glob("*"))
    record |= {
        "tables": sorted({Path(table).stem for table in tables}),
        "files": [f"{name}.html", *(f"tables/{table}" for table in tables)],
    }
    others = {
        path.stem: records.read_json(path)
        for path in (folder / "records").glob("*.json")
        if path.stem != name
    }
    _refuse_clashes(job, scratch, folder, tables, others)
    records.write_text(scratch / f"{name}.html", pages.render(notebook, record))
    earlier = records.read_json(folder / "records" / f"{name}.json").get("files", [])
    (folder / "tables").mkdir(exist_ok=True)
    for file in reversed(record["files"]):
        os.replace(scratch / file, folder / file)
    for file in {*earlier}.difference(
        record["files"], *(other["files"] for other in others.values())
    ):
        (folder / file).unlink(missing_ok=True)
    records.write_json(folder / "records" / f"{name}.json", record)
    records.forget_failure(job)
    return record


def _refuse_clashes(
    job: dict[str, Any],
    scratch: Path,
    folder: Path,
    tables: list[str],
    others: dict[str, dict[str, Any]],
) -> None:
    """Refuse a table that another notebook of this run left under the same name with other content;
    equal ones are shared.
    """
    current = {
        name: record["files"]
        for name, record in others.items()
        if record["fingerprint"] == job["siblings"].get(name)
    }
    clashes = [
        f"another {table} than that of {name}"
        for name, files in current.items()
        for table in tables
        if f"tables/{table}" in files
        and (folder / "tables" / table).read_bytes() != (scratch / "tables" / table).read_bytes()
    ]
    if clashes:
        raise StudyError(
            f"notebooks/{job['notebook']}.ipynb: expected equal tables under one name, got"
            f" {', '.join(clashes)}; rename them"
        )


def explain(error: Exception) -> str:
    """Return an error as its reader needs it: a StudyError's own sentences, else the last line."""
    if isinstance(error, PapermillExecutionError):
        return (
            error.evalue
            if error.ename in SENTENCES
            else _last_line(f"{error.ename}: {strip_ansi(error.evalue)}")
        )
    if isinstance(error, StudyError):
        return str(error)
    if isinstance(error, DeadKernelError):
        return (
            "expected a kernel that lives until the last cell, got its death on the way, mostly"
            " for lack of memory; run it again with fewer --jobs"
        )
    return _last_line("".join(traceback.format_exception_only(error)))


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _details(error: Exception, scratch: Path) -> str:
    trace = (
        str(error)
        if isinstance(error, PapermillExecutionError)
        else "".join(traceback.format_exception(error))
    )
    return f"{strip_ansi(trace).strip()}\n\nWhat the kernel wrote:\n{_log(scratch) or 'nothing'}\n"


def _log(scratch: Path) -> str:
    return (scratch / "kernel.log").read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
