"""Records of runs: what made a page, how it ended, and the ``run.json`` that summarises a run.

Each notebook of a run leaves its own record, ``records/<notebook>.json`` where it succeeded and
``failed/<notebook>.json`` where it did not; ``run.json`` and the index follow from them alone, so
they can be written again at any time.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from research.study import project_root

PACKAGE = Path(__file__).parents[1]
FAILED_SUFFIXES = (".json", ".txt", ".ipynb")
SOURCES = ("*.py", "*.j2", "*.css", "*.mplstyle", "conf.json")
OF_RUN = ("study", "title", "run", "command", "data_hashes", "python", "packages")
OF_NOTEBOOK = ("outcome", "error", "question", "parameters", "seconds", "started", "finished")
OF_BOTH = ("data_hash", "code_version")
INNER = ("inputs", "values", "refused", "siblings")  # keys of a job that its record leaves out


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
    """Write next to ``path`` and rename, so that readers see the whole new file or the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a mapping as readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping; empty where there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


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


def run_folder(job: dict[str, Any]) -> Path:
    """Return the folder of a job's run, ``reports/<study>/<run>``."""
    return reports() / job["study"] / job["run"]


def write_failure(
    job: dict[str, Any], record: dict[str, Any], details: str, executed: Path | None = None
) -> None:
    """Write record, details and the notebook so far to ``failed/``; earlier results stay."""
    forget_failure(job)
    place = run_folder(job) / "failed" / job["notebook"]
    if executed is not None and executed.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(executed, place.with_name(f"{place.name}.ipynb"))
    write_text(place.with_name(f"{place.name}.txt"), details)
    write_json(place.with_name(f"{place.name}.json"), record)


def forget_failure(job: dict[str, Any]) -> None:
    """Remove the files of an earlier failure of this notebook."""
    folder = run_folder(job) / "failed"
    for suffix in FAILED_SUFFIXES:
        (folder / f"{job['notebook']}{suffix}").unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def is_current(job: dict[str, Any]) -> bool:
    """Return whether the job's last success has this fingerprint and all its files still exist."""
    folder = run_folder(job)
    record = read_json(folder / "records" / f"{job['notebook']}.json")
    return record.get("fingerprint") == job["fingerprint"] and all(
        (folder / file).exists() for file in record["files"]
    )


def made_in(job: dict[str, Any], kind: str) -> bool:
    """Return whether the job's record in ``records`` or ``failed`` comes from this batch."""
    record = read_json(run_folder(job) / kind / f"{job['notebook']}.json")
    return record.get("batch") == job["batch"]


def summarise(folder: Path) -> dict[str, Any]:
    """Return the content of ``run.json``, from the records of a run's notebooks; empty without any.

    The run's own facts are those of the notebook that ended last; each notebook keeps its own where
    they may differ.
    """
    done = {path.stem: read_json(path) for path in sorted((folder / "records").glob("*.json"))}
    failed = {path.stem: read_json(path) for path in sorted((folder / "failed").glob("*.json"))}
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
    return [run for run in runs if run]
