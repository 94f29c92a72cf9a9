"""A batch: every notebook of every run that a request asks for, run where it is not up to date.

A job is up to date while its fingerprint is the same: the bytes of package, templates, notebook
cells, data and lock file, the parameters, and the versions of Python and of the packages. Dates of
files play no part.
"""

import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from research.batch import pages, plan, records, snakemake
from research.batch.agreement import find_contradictions, load_tables
from research.batch.board import Board
from research.batch.exits import count_memory_kills, describe_exit
from research.batch.notebooks import Notebook, hash_text
from research.data import fetch
from research.errors import StudyError, UsageError
from research.files import CLOSED, FULL, describe_os_error
from research.study import PLAYBOOK, Study, load_study, project_root, show_path

MEMORY_KILLS = count_memory_kills()  # when this batch began
LISTS = "research.watchlist"  # a notebook that imports it makes lists
NO_RECORD = "expected a record of how the job ended, got none"
Job = dict[str, Any]


def run(
    study: str | None = None,
    settings: dict[str, str] | None = None,
    jobs: int = 1,
    only: Sequence[str] = (),
) -> int:
    """Make all reports of a study, or of the plan, that are not up to date.

    Parameters
    ----------
    study : str, optional
        One study; all studies of the plan unless given.
    settings : dict of str by parameter, optional
        Values for one run of its own, added to the plan's ``default`` parameters.
    jobs : int
        Notebooks that run at the same time, at least 1.
    only : sequence of str
        The notebooks to run; all of the plan's unless given.

    Returns
    -------
    int
        0 when all is up to date at the end, 1 when any notebook failed.

    Raises
    ------
    UsageError
        If the request names something that doesn't exist, or another batch is running; nothing
        was started.
    """
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise UsageError(
            f"--jobs: expected a whole number of at least 1, got {jobs!r}; choose for example"
            f" {os.cpu_count()}, the number of cores of this machine"
        )
    runs = plan.list_runs(study, settings or {}, only)
    try:
        outcomes = _run_all(runs, jobs)
    except OSError as error:
        raise StudyError(describe_os_error(error)) from None
    _warn_of_contradictions(runs)
    print(_describe_outcomes(outcomes), file=sys.stderr)
    return 1 if outcomes["failed"] else 0


def _run_all(runs: list[plan.Run], jobs: int) -> Counter[str]:
    """Run what is not up to date, and return how many jobs ended in which way."""
    with snakemake.lock_project() as lock:
        records.sweep_leftovers()
        facts = {name: _fetch(name) for name in dict.fromkeys(each.study for each in runs)}
        listed = _list_jobs(runs, facts)
        possible = {key: job for key, job in listed.items() if not job["refused"]}
        for fault in records.list_damaged():
            print(f"warning: {fault}", file=sys.stderr)
        _write_summaries()
        board = Board(jobs, lambda ended: _update_index(board, ended))
        try:
            output = snakemake.run_jobs(possible, jobs, lock, board)
            return Counter(_conclude(job, output) for job in listed.values())
        finally:
            records.sweep_leftovers()
            _write_summaries()


def _fetch(study: str) -> dict[str, Any]:
    """Fetch a study's data; what goes wrong concerns this study alone."""
    facts = {"title": study, "data_hash": "", "data_hashes": {}, "lists": "", "refused": ""}
    try:
        loaded = load_study(study)
        fetch.fetch(loaded)
        hashes = fetch.hash_files(loaded)
        return facts | {
            "title": loaded.title,
            "lists": _hash_lists(loaded),
            "data_hash": fetch.combine_hashes(hashes),
            "data_hashes": hashes,
        }
    except StudyError as error:
        facts["refused"] = str(error)
    except OSError as error:
        facts["refused"] = describe_os_error(error)
    except MemoryError as error:
        facts["refused"] = (
            f"expected enough memory to fetch {study}, got {type(error).__name__}: {error}; use"
            " fewer customers"
        )
    print(f"{study} … failed: {facts['refused']}", file=sys.stderr)
    return facts


def _hash_lists(study: Study) -> str:
    """Return a hash of the study's playbook and of the history of its lists, which are no data."""
    chain = project_root() / "history" / study.name / "chain.jsonl"
    paths = [path for path in (study.folder / PLAYBOOK, chain) if path.is_file()]
    return records.hash_files(paths) if paths else ""


def _list_jobs(runs: list[plan.Run], facts: dict[str, dict[str, Any]]) -> dict[str, Job]:
    """Return one job for each notebook of each run, by ``study/run/notebook``."""
    shared = {**records.describe_environment(), "batch": f"{records.now()} {os.getpid()}"}
    code = records.hash_files([*records.list_sources(), *_lock_file()])
    listed: dict[str, Job] = {}
    for each in runs:
        jobs = {
            notebook.name: _describe_job(each, notebook) | facts[each.study] | shared
            for notebook in each.notebooks.values()
        }
        prints = {name: _fingerprint(job, each.notebooks[name], code) for name, job in jobs.items()}
        for name, job in ((name, jobs[name]) for name in each.chosen):
            others = {other: value for other, value in prints.items() if other != name}
            job |= {"fingerprint": prints[name], "siblings": others}
            listed[records.name_job(job)] = job
    return listed


def _describe_job(each: plan.Run, notebook: Notebook) -> Job:
    """Return what a job needs to know of its run and notebook."""
    declared = notebook.parameters
    values = each.values[notebook.name] | ({"study": each.study} if "study" in declared else {})
    return {
        "study": each.study,
        "run": each.name,
        "notebook": notebook.name,
        "question": notebook.question,
        "values": values,
        "parameters": {name: parameter.default for name, parameter in declared.items()} | values,
        "run_parameters": each.parameters,
        "command": each.command,
        "inputs": _name_inputs(_list_inputs(each.study, notebook)),
    }


def _list_inputs(study: str, notebook: Notebook) -> list[Path]:
    folder = project_root() / "data" / study
    return [
        notebook.path,
        folder / "study.yml",
        *sorted(folder.glob("*.sql")),
        *records.list_sources(),
        *_lock_file(),
    ]


def _name_inputs(paths: list[Path]) -> list[str]:
    """Return files as Snakemake takes them: it would read braces as the names of wildcards.

    What is left out for them is in the fingerprint all the same.
    """
    return [name for name in map(show_path, paths) if not {*name} & {*"{}"}]


def _lock_file() -> list[Path]:
    path = project_root() / "requirements.lock"
    return [path] if path.exists() else []


def _fingerprint(job: Job, notebook: Notebook, code: str) -> str:
    """Return one hash over all that the page depends on.

    A notebook counts by its cells, not by outputs that an editor left in it. One that makes lists
    depends on the playbook and on the lists before, too.
    """
    cells = [(cell.kind, cell.source, cell.tags) for cell in notebook.cells]
    parts = [code, cells, job["data_hash"], job["values"], job["python"], job["packages"]]
    if any(LISTS in cell.source for cell in notebook.cells):
        parts.append(job["lists"])
    return hash_text(json.dumps(parts, sort_keys=True, default=str), 64)


def _conclude(job: Job, output: str) -> str:
    """Return the outcome of a job; one that left no record of its end is given one."""
    if job["refused"]:
        _write_failure(job, job["refused"], job["refused"] + "\n")
        return "failed"
    if records.is_current(job):
        records.forget_failure(job)
        return "made" if records.made_in(job, "records") else "unchanged"
    if not records.made_in(job, "failed"):
        reason = _explain_end(job, output)
        _write_failure(job, reason, f"{reason}\n\nOutput of Snakemake:\n{output or 'nothing'}\n")
        place = f"{job['study']}/{job['run']} {job['notebook']}"
        print(f"{place} … failed: {reason}", file=sys.stderr)
    return "failed"


def _explain_end(job: Job, output: str) -> str:
    """Return why a job left no record: its own last line, else what Snakemake says of it."""
    place = re.escape(f"job {job['study']}/{job['run']} {job['notebook']} … failed after ")
    if said := re.findall(rf"^{place}\d+ s: (.*)$", output, re.MULTILINE):
        return said[-1]
    for number in (*FULL, *CLOSED):
        if os.strerror(number) in output:
            return describe_os_error(
                OSError(number, os.strerror(number), show_path(records.reports()))
            )
    return f"{NO_RECORD}{_describe_status(job, output)}; read the details"


def _describe_status(job: Job, output: str) -> str:
    """Return how the process of a job ended, as far as Snakemake says it."""
    ended = r"' (died with <Signals\.\w+: |returned non-zero exit status )(\d+)"
    status = re.search(re.escape(records.name_job(job)) + ended, output)
    if status is None:
        return ""
    code = -int(status[2]) if status[1].startswith("died") else int(status[2])
    code = 128 - code if code > 128 else code  # as a shell reports a signal
    if code == -signal.SIGKILL and count_memory_kills() > MEMORY_KILLS:
        return ": the system ended it for lack of memory"
    return f": {describe_exit(code)}"


def _write_failure(job: Job, error: str, details: str) -> None:
    record = records.describe(job, records.now(), 0, "failed", error)
    with suppress(OSError):  # the terminal has it
        records.write_failure(job, record, details)


def _write_summaries() -> None:
    """Write run.json of every run that has records, and the index of all runs.

    Runs of a batch that was killed are among them.
    """
    for folder in sorted(path for path in records.reports().glob("*/*") if path.is_dir()):
        summary = records.summarise(folder)
        if summary:
            records.write_json(folder / "run.json", summary)
    records.write_text(records.reports() / "index.html", pages.render_index(records.list_runs()))


def _update_index(board: Board, ended: Job | None) -> None:
    """Write the index with what the batch is doing, and first run.json of a job that has ended.

    On a full disk the batch goes on: the pages are what counts.
    """
    with suppress(OSError):
        if ended:
            folder = records.run_folder(ended)
            records.write_json(folder / "run.json", records.summarise(folder))
        index = pages.render_index(records.list_runs(), board.describe(), records.now())
        records.write_text(records.reports() / "index.html", index)


def _warn_of_contradictions(runs: list[plan.Run]) -> None:
    """Say where two result tables of a run tell two numbers of the same thing."""
    for each in runs:
        place = f"{each.study}/{each.name}"
        for fault in find_contradictions(load_tables(records.reports() / place)):
            print(f"warning: {place}: {fault}", file=sys.stderr)


def _describe_outcomes(outcomes: Counter[str]) -> str:
    index = show_path(records.reports() / "index.html")
    if set(outcomes) == {"unchanged"}:
        return f"nothing to do: all {outcomes['unchanged']} reports are up to date; see {index}"
    counts = ", ".join(
        f"{outcomes[kind]} {kind}" for kind in ("made", "unchanged", "failed") if outcomes[kind]
    )
    return f"{outcomes.total()} report{'s' if outcomes.total() > 1 else ''}: {counts}; see {index}"
