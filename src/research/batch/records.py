"""Records of runs: what made a page, how it ended, and the ``run.json`` that summarises a run.

Each notebook of a run leaves its own record, ``records/<notebook>.json`` where it succeeded and
``failed/<notebook>.json`` where it did not; ``run.json`` and the index follow from them alone, so
they can be written again at any time.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from research.data.fetch import hash_file
from research.files import publish, sweep
from research.study import project_root, show_path

PACKAGE = Path(__file__).parents[1]
LOGS = "logs/"  # of a run: what the cells of its notebooks wrote to the standard error
FAILED_SUFFIXES = (".json", ".txt", ".ipynb")
SOURCES = ("*.py", "*.j2", "*.css", "*.mplstyle", "conf.json")
OF_RUN = ("study", "title", "run", "command", "data_hashes", "python", "packages")
OF_NOTEBOOK = ("outcome", "error", "question", "parameters", "seconds", "started", "finished")
OF_BOTH = ("data_hash", "code_version")
OF_RECORD = (*OF_RUN, *OF_BOTH, "run_parameters", "notebook", "fingerprint", "outcome")
OF_RECORD += ("started", "finished", "seconds")  # without one of these, a record is damaged
INNER = (
    "inputs",
    "values",
    "refused",
    "siblings",
    "needs",
)  # keys of a job that its record leaves out


def reports() -> Path:
    """Return the folder of all reports."""
    return project_root() / "reports"


def hash_files(paths: Iterable[Path]) -> str:
    """Return a SHA-256 over the names and bytes of files; a touched file changes nothing."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def list_sources() -> list[Path]:
    """Return the files of the package that a page is made with."""
    return sorted(path for pattern in SOURCES for path in PACKAGE.rglob(pattern))


def describe_environment() -> dict[str, Any]:
    """Return the versions of the code, of Python and of the packages that the project names."""
    return {
        "code_version": _code_version(),
        "python": platform.python_version(),
        "packages": _package_versions(),
    }


def _code_version() -> str:
    """Return the git commit, with ``-dirty`` where package or notebooks differ from it.

    Without git, it is a hash of the sources.
    """
    commit, tracked = _git("rev-parse", "HEAD"), _git("ls-files", __file__)
    if not commit or not tracked:
        return f"sources-{hash_files(list_sources())[:12]}"
    changed = _git("status", "--porcelain", "--", str(PACKAGE), ":/notebooks")
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _package_versions() -> dict[str, str]:
    direct = [
        requirement
        for requirement in metadata.requires("research") or []
        if "extra ==" not in requirement
    ]
    names = sorted(re.match(r"[\w.-]+", requirement)[0] for requirement in direct)
    return {name: metadata.version(name) for name in names}


def now() -> str:
    """Return the current moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_text(path: Path, text: str) -> None:
    """Write a text so that readers see the whole new file or the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    publish(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a mapping as readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping; empty where there is no such file or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_record(path: Path) -> dict[str, Any]:
    """Read a notebook's record; empty where there is none or it lacks a key."""
    record = read_json(path)
    return record if {*OF_RECORD} <= {*record} else {}


def read_records(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Return the records of a run in ``records`` or ``failed`` by notebook, but damaged ones."""
    read = {path.stem: read_record(path) for path in sorted((folder / kind).glob("*.json"))}
    return {name: record for name, record in read.items() if record}


def sweep_leftovers() -> None:
    """Remove what jobs that were killed left half-made, here and in the temporary folder."""
    folders = [reports(), reports() / ".batch", *reports().glob("*/*"), *reports().glob("*/*/*")]
    for folder in [folder for folder in folders if folder.is_dir()]:
        sweep(folder, ".staging-*", ".*.*")
    with suppress(OSError):  # no temporary folder
        sweep(Path(tempfile.gettempdir()), "research-job-*")


def list_damaged() -> Iterator[str]:
    """Yield one sentence for each record that can't be read as one."""
    for kind in ("records", "failed"):
        for path in sorted(reports().glob(f"*/*/{kind}/*.json")):
            if not read_record(path):
                study = path.parts[-4]
                yield (
                    f"{show_path(path)}: expected the record of a notebook, got a damaged file;"
                    f" 'research run {study}' makes its report again, else remove the file"
                )


def describe(
    job: dict[str, Any], started: str, seconds: float, outcome: str, error: str = ""
) -> dict[str, Any]:
    """Return the record of one notebook in one run: the job, and how it ended."""
    facts = {key: value for key, value in job.items() if key not in INNER}
    return {
        **facts,
        "started": started,
        "finished": now(),
        "seconds": round(seconds, 2),
        "outcome": outcome,
        "error": error,
    }


def name_job(job: dict[str, Any]) -> str:
    """Return ``study/run/notebook``; what Snakemake would read as a wildcard is quoted.

    >>> name_job({"study": "a{b}", "run": "rows=5", "notebook": "10_data"})
    'a%7Bb%7D/rows=5/10_data'
    """
    return quote(f"{job['study']}/{job['run']}/{job['notebook']}", safe="/=,")


def run_folder(job: dict[str, Any]) -> Path:
    """Return the folder of a job's run, ``reports/<study>/<run>``."""
    return reports() / job["study"] / job["run"]


@contextmanager
def lock_run(job: dict[str, Any]) -> Iterator[None]:
    """Let one job at a time change what the jobs of a run share: tables, records, failures."""
    path = reports() / ".batch" / "locks" / job["study"] / job["run"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_failure(
    job: dict[str, Any], record: dict[str, Any], details: str, executed: Path | None = None
) -> None:
    """Write record, details and the notebook so far to ``failed/``; earlier results stay."""
    with lock_run(job):
        _remove_failure(job)
        place = run_folder(job) / "failed" / job["notebook"]
        if executed is not None and executed.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(executed, place.with_name(f"{place.name}.ipynb"))
        write_text(place.with_name(f"{place.name}.txt"), details)
        write_json(place.with_name(f"{place.name}.json"), record)


def forget_failure(job: dict[str, Any]) -> None:
    """Remove the files of an earlier failure of this notebook."""
    if (run_folder(job) / "failed").exists():
        with lock_run(job):
            _remove_failure(job)


def _remove_failure(job: dict[str, Any]) -> None:
    folder = run_folder(job) / "failed"
    for suffix in FAILED_SUFFIXES:
        (folder / f"{job['notebook']}{suffix}").unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def is_current(job: dict[str, Any]) -> bool:
    """Return whether the job's last success has this fingerprint and its files are untouched.

    A log may be removed: nobody reads results from it.
    """
    folder = run_folder(job)
    record = read_record(folder / "records" / f"{job['notebook']}.json")
    return record.get("fingerprint") == job["fingerprint"] and all(
        _is_intact(folder / file, value)
        for file, value in record["files"].items()
        if not file.startswith(LOGS)
    )


def _is_intact(path: Path, value: str) -> bool:
    return path.is_file() and hash_file(path) == value


def made_in(job: dict[str, Any], kind: str) -> bool:
    """Return whether the job's record in ``records`` or ``failed`` comes from this batch."""
    record = read_json(run_folder(job) / kind / f"{job['notebook']}.json")
    return record.get("batch") == job["batch"]


def summarise(folder: Path) -> dict[str, Any]:
    """Return the content of ``run.json``, from the records of a run's notebooks; empty without any.

    The run's own facts are those of the notebook that ended last; each notebook keeps its own where
    they may differ.
    """
    done, failed = read_records(folder, "records"), read_records(folder, "failed")
    records = {
        name: {**done.get(name, {}), **failed.get(name, {})} for name in sorted({*done, *failed})
    }
    if not records:
        return {}
    latest = max(records.values(), key=lambda record: record["finished"])
    notebooks = {
        name: _summarise_notebook(record, done.get(name, {})) for name, record in records.items()
    }
    return {
        **{key: latest[key] for key in (*OF_RUN, *OF_BOTH)},
        "parameters": latest["run_parameters"],
        "outcome": "failed" if failed else "done",
        "started": min(record["started"] for record in records.values()),
        "finished": latest["finished"],
        "seconds": round(sum(record["seconds"] for record in records.values()), 2),
        "notebooks": notebooks,
    }


def _summarise_notebook(record: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: record.get(key) for key in (*OF_NOTEBOOK, *OF_BOTH)},
        "tables": record.get("tables", []),
        "page": f"{record['notebook']}.html" if done else None,
        "page_finished": done.get("finished"),
        "details": f"failed/{record['notebook']}.txt" if record["outcome"] == "failed" else None,
    }


def list_runs() -> list[dict[str, Any]]:
    """Return the content of each ``run.json`` below the reports; a damaged one is left out."""
    runs = (read_json(path) for path in sorted(reports().glob("*/*/run.json")))
    return [run for run in runs if {*OF_RUN, "notebooks", "outcome"} <= {*run}]
