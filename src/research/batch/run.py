"""A batch: every notebook of every run that a request asks for, made where it is not up to date.

A job is up to date while its fingerprint stands: the bytes of package, templates, notebook cells,
data and lock file, the parameters, and the versions of Python and of the packages. Dates of files
play no part.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from research.batch import notebooks, pages, plan, records, snakemake
from research.data import fetch
from research.errors import StudyError, UsageError
from research.study import load_study, project_root, show_path

SILENT = (
    "expected the job to say how it ended, got nothing, as when it is killed or memory runs"
    " out; read the details, or run it with fewer --jobs"
)
Job = dict[str, Any]


def run(study: str | None = None, settings: dict[str, str] | None = None, jobs: int = 1) -> int:
    """Make all reports of a study, or of the plan, that are not up to date.

    Parameters
    ----------
    study : str, optional
        One study; all studies of the plan unless given.
    settings : dict of str by parameter, optional
        Values for one run of its own, on top of the plan's ``default`` parameters.
    jobs : int
        Notebooks that run at the same time, at least 1.

    Returns
    -------
    int
        0 when all is up to date at the end, 1 when any notebook failed.

    Raises
    ------
    UsageError
        If the request names something that isn't there, or another batch is at work; nothing was
        started.
    """
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise UsageError(
            f"--jobs: expected a whole number of at least 1, got {jobs!r}; this machine has"
            f" {os.cpu_count()} cores"
        )
    runs = plan.arrange(study, settings or {})
    with snakemake.alone() as lock:
        facts = {name: _fetch(name) for name in dict.fromkeys(each.study for each in runs)}
        wanted = _list_jobs(runs, facts)
        _sum_up()
        try:
            words = snakemake.make(
                {key: job for key, job in wanted.items() if not job["refused"]}, jobs, lock
            )
            outcomes = Counter(_settle(job, words) for job in wanted.values())
        finally:
            _sum_up()
    print(_closing_line(outcomes), file=sys.stderr)
    return 1 if outcomes["failed"] else 0


def _fetch(study: str) -> dict[str, Any]:
    """Bring a study's data; what goes wrong concerns this study alone."""
    facts = {"title": study, "data_hash": "", "data_hashes": {}, "refused": ""}
    try:
        loaded = load_study(study)
        fetch.fetch(loaded)
        hashes = fetch.hash_files(loaded)
        return facts | {
            "title": loaded.title,
            "data_hash": fetch.combine_hashes(hashes),
            "data_hashes": hashes,
        }
    except StudyError as error:
        facts["refused"] = str(error)
    except (
        OSError,
        MemoryError,
    ) as error:  # a full disk, a company too large to generate: the other studies go on
        facts["refused"] = f"{type(error).__name__}: {error}"
    print(f"{study} … failed: {facts['refused']}", file=sys.stderr)
    return facts


def _list_jobs(runs: list[plan.Run], facts: dict[str, dict[str, Any]]) -> dict[str, Job]:
    """Return one job for each notebook of each run, by ``study/run/notebook``."""
    shared = {**records.describe_environment(), "batch": f"{records.now()} {os.getpid()}"}
    code = records.hash_files([*records.list_sources(), *_lock_file()])
    listed: dict[str, Job] = {}
    for each in runs:
        for notebook in each.values:
            job = _job(each, notebook) | facts[each.study] | shared
            job["fingerprint"] = _fingerprint(job, code)
            listed[f"{each.study}/{each.name}/{notebook}"] = job
    for job in listed.values():
        job["siblings"] = {
            name: listed[f"{job['study']}/{job['run']}/{name}"]["fingerprint"]
            for name in job.pop("notebooks")
            if name != job["notebook"]
        }
    return listed


def _job(each: plan.Run, notebook: str) -> Job:
    declared = notebooks.declare(notebook)
    values = each.values[notebook] | ({"study": each.study} if "study" in declared else {})
    return {
        "study": each.study,
        "run": each.name,
        "notebook": notebook,
        "question": notebooks.find_question(notebook),
        "values": values,
        "parameters": {name: parameter.default for name, parameter in declared.items()} | values,
        "run_parameters": each.parameters,
        "command": each.command,
        "notebooks": list(each.values),
        "inputs": [str(path) for path in _list_inputs(each.study, notebook)],
    }


def _list_inputs(study: str, notebook: str) -> list[Path]:
    folder = project_root() / "data" / study
    return [
        notebooks.find_notebook(notebook),
        folder / "study.yml",
        *sorted(folder.glob("*.sql")),
        *records.list_sources(),
        *_lock_file(),
    ]


def _lock_file() -> list[Path]:
    path = project_root() / "requirements.lock"
    return [path] if path.exists() else []


def _fingerprint(job: Job, code: str) -> str:
    """Return one hash over all that the page depends on; a notebook counts by its cells, not by
    outputs that an editor left in it.
    """
    cells = [(cell.kind, cell.source, cell.tags) for cell in notebooks.read_cells(job["notebook"])]
    parts = [code, cells, job["data_hash"], job["values"], job["python"], job["packages"]]
    return notebooks.digest(json.dumps(parts, sort_keys=True, default=str), 64)


def _settle(job: Job, words: str) -> str:
    """Return what became of a job; one that left no record of its end is given one."""
    if job["refused"]:
        records.write_failure(
            job,
            records.describe(job, records.now(), 0, "failed", job["refused"]),
            job["refused"] + "\n",
        )
        return "failed"
    if records.is_current(job):
        records.forget_failure(job)
        return "made" if records.made_in(job, "records") else "unchanged"
    if not records.made_in(job, "failed"):
        records.write_failure(
            job,
            records.describe(job, records.now(), 0, "failed", SILENT),
            f"{SILENT}\n\nWhat Snakemake said:\n{words or 'nothing'}\n",
        )
        print(f"{job['study']}/{job['run']} {job['notebook']} … failed: {SILENT}", file=sys.stderr)
    return "failed"


def _sum_up() -> None:
    """Write run.json of every run that has records, those of a batch that was killed too, and the
    index of all runs.
    """
    for folder in sorted(path for path in records.reports().glob("*/*") if path.is_dir()):
        summary = records.summarise(folder)
        if summary:
            records.write_json(folder / "run.json", summary)
    records.write_text(records.reports() / "index.html", pages.render_index(records.list_runs()))


def _closing_line(outcomes: Counter[str]) -> str:
    index = show_path(records.reports() / "index.html")
    if set(outcomes) == {"unchanged"}:
        return f"nothing to do: all {outcomes['unchanged']} reports are up to date; see {index}"
    counts = ", ".join(
        f"{outcomes[kind]} {kind}" for kind in ("made", "unchanged", "failed") if outcomes[kind]
    )
    return f"{outcomes.total()} report{'s' if outcomes.total() > 1 else ''}: {counts}; see {index}"
