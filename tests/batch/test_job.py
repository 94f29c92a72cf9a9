"""One job: a kernel that doesn't start, tables that clash, failures in words."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from projects import write_notebook, write_plan

from research.batch import job as job_module
from research.batch import records
from research.batch import run as batch_run
from research.batch.job import _execute, _refuse_clashes, describe_failure, take_warnings
from research.errors import StudyError

NUMBERS = hashlib.sha256(b"number\n0\n").hexdigest()
WORKER_ENDED = """A worker process managed by the executor was unexpectedly terminated. This could
be caused by a segmentation fault while calling the function or by an excessive memory usage.

The exit codes of the workers are {SIGKILL(-9)}
Detailed tracebacks of the workers should have been printed to stderr."""


def job(root: Path) -> dict:
    return {"study": "alpha", "run": "default", "notebook": "10_data", "values": {}}


def test_a_kernel_that_found_its_port_taken_is_started_once_more(fresh, monkeypatch):
    calls = []

    def execute(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info: Address already in use")
        return "made"

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    (fresh / "kernel.log").touch()
    assert _execute(job(fresh), fresh) == "made"
    assert len(calls) == 2


def test_another_failure_to_start_is_not_tried_again(fresh, monkeypatch):
    def execute(*arguments, **options):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    (fresh / "kernel.log").touch()
    with pytest.raises(RuntimeError):
        _execute(job(fresh), fresh)


@pytest.mark.parametrize(
    ("content", "fingerprint", "refused"),
    [("number\n1\n", "b", True), ("number\n0\n", "b", False), ("number\n1\n", "a", False)],
)
def test_two_notebooks_may_share_a_table_only_while_it_is_the_same(
    tmp_path, content, fingerprint, refused
):
    # 10_data left 'numbers' holding 0, made from fingerprint b; where b is no longer wanted,
    # 10_data will be made again and counts for nothing
    for folder, text in (("run", "number\n0\n"), ("scratch", content)):
        (tmp_path / folder / "tables").mkdir(parents=True)
        (tmp_path / folder / "tables" / "numbers.csv").write_text(text)
    job, others = (
        {"notebook": "30_risk", "siblings": {"10_data": fingerprint}},
        {"10_data": {"fingerprint": "b", "files": {"tables/numbers.csv": NUMBERS}}},
    )
    sentence = (
        r"expected tables of the same name to be equal, got a numbers.csv that differs from that of"
        r" 10_data; rename it"
    )
    with pytest.raises(StudyError, match=sentence) if refused else nullcontext():
        _refuse_clashes(job, tmp_path / "scratch", tmp_path / "run", ["numbers.csv"], others)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StudyError("one", "two"), "one\ntwo"),
        (
            PapermillExecutionError(1, 1, "", "StudyError", "a fault; correct it", []),
            "a fault; correct it",
        ),
        (PapermillExecutionError(1, 1, "", "KeyError", "'x'\n", []), "KeyError: 'x'"),
        (
            OSError(28, "No space left on device", "/x"),
            "expected room on the disk for /x, got none (No space left on device); make room",
        ),
        (
            OSError(28, "No space left on device"),
            "expected room on the disk for reports/ or the temporary folder (TMPDIR), got none",
        ),
        (
            PapermillExecutionError(
                1, 1, "", "OSError", "[Errno 28] No space left on device: '/x'", []
            ),
            "expected room on the disk for /x, got none (No space left on device); make room",
        ),
        (
            PapermillExecutionError(
                1, 1, "", "IOException", 'Could not write file "/x": No space left on device', []
            ),
            "expected room on the disk for /x, got none",
        ),
        (
            PapermillExecutionError(
                1, 1, "", "PermissionError", "[Errno 13] Permission denied: '/x/y'", []
            ),
            "expected to be allowed to write /x/y, but that failed: Permission denied",
        ),
        (
            PapermillExecutionError(
                1, 1, "", "OutOfMemoryException", "could not\nPossible solutions:\n* x", []
            ),
            "expected enough memory, got OutOfMemoryException: could not; run it again with fewer",
        ),
        (
            PapermillExecutionError(1, 1, "", "TerminatedWorkerError", WORKER_ENDED, []),
            "expected all worker processes to finish their tasks, but one was ended"
            " (SIGKILL(-9)); run it again",
        ),
        (DeadKernelError("Kernel died"), "expected the kernel to run to the last cell"),
    ],
)
def test_a_failure_is_described_by_its_sentences_or_its_last_line(error, sentence):
    assert describe_failure(error).startswith(sentence)


def test_a_job_does_not_load_the_slow_grammar_of_web_addresses():
    code = "import research.batch.job, sys; print(sys.modules['rfc3987_syntax'])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "None\n"


def test_a_worker_that_was_ended_for_lack_of_memory_says_so(monkeypatch):
    monkeypatch.setattr(job_module, "MEMORY_KILLS", -1)
    error = PapermillExecutionError(1, 1, "", "TerminatedWorkerError", WORKER_ENDED, [])
    assert "the system ended one for lack of memory; run it again with fewer" in describe_failure(
        error
    )


# publishing


@pytest.fixture
def made(fresh, monkeypatch):
    """A job with its scratch folder: a table was made, and the page is its text."""
    monkeypatch.setattr(job_module.pages, "render", lambda notebook, record: "the page")
    folder = fresh / "reports" / "alpha" / "default"
    scratch = folder / ".staging-x"
    (scratch / "tables").mkdir(parents=True)
    (scratch / "tables" / "numbers.csv").write_text("number\n0\n")
    return job(fresh) | {"siblings": {}}, folder, scratch


def test_page_and_tables_are_moved_to_their_places_not_copied(made):
    wanted, folder, scratch = made
    inode = (scratch / "tables" / "numbers.csv").stat().st_ino
    record = job_module._publish(wanted, scratch, nbformat.v4.new_notebook(), {})
    assert (folder / "tables" / "numbers.csv").stat().st_ino == inode
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    assert record["files"] == {
        "10_data.html": hashlib.sha256(b"the page").hexdigest(),
        "tables/numbers.csv": NUMBERS,
    }


def test_all_is_on_the_disk_before_anything_is_published(made, monkeypatch):
    noted = []
    replace = os.replace
    monkeypatch.setattr(job_module, "sync", lambda path: noted.append(("sync", path.name)))

    def rename(old, new):
        noted.append(("rename", Path(new).name))
        replace(old, new)

    monkeypatch.setattr(os, "replace", rename)
    job_module._publish(*made[::2], nbformat.v4.new_notebook(), {})
    published = noted.index(("rename", "numbers.csv"))
    assert {("sync", "numbers.csv"), ("sync", "10_data.html")} <= {*noted[:published]}
    assert noted[-1] == ("rename", "10_data.json")


def test_who_reads_an_earlier_page_reads_it_to_its_end(made):
    wanted, folder, scratch = made
    (folder / "10_data.html").write_text("the earlier page")
    with (folder / "10_data.html").open() as reader:
        job_module._publish(wanted, scratch, nbformat.v4.new_notebook(), {})
        assert reader.read() == "the earlier page"


def test_a_shared_table_that_was_damaged_does_not_count_as_another(made):
    wanted, folder, scratch = made
    (folder / "tables").mkdir()
    (folder / "tables" / "numbers.csv").touch()
    others = {"30_risk": {"fingerprint": "b", "files": {"tables/numbers.csv": NUMBERS}}}
    wanted |= {"siblings": {"30_risk": "b"}}
    _refuse_clashes(wanted, scratch, folder, ["numbers.csv"], others)


# a machine that takes no file


def test_a_job_that_can_make_no_folder_says_why_in_its_line(fresh, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(30, "Read-only file system", "/reports/alpha")

    monkeypatch.setattr(job_module, "scratch_folder", refuse)
    assert job_module.run_job(job(fresh)) == 1
    assert "".join(capfd.readouterr()) == (
        "job alpha/default 10_data … failed after 0 s: expected to be allowed to write"
        " /reports/alpha, but that failed: Read-only file system; allow it\n"
    )


def test_a_job_whose_failure_finds_no_room_either_says_why_in_its_line(fresh, monkeypatch, capfd):
    def fill_the_disk(*_, **__):
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr(job_module, "_execute_and_publish", fill_the_disk)
    monkeypatch.setattr(records, "write_failure", fill_the_disk)
    assert job_module.run_job(job(fresh)) == 1
    said = "".join(capfd.readouterr())
    assert "failed after 0 s: expected room on the disk for /x, got none" in said
    assert list((fresh / "reports" / "alpha" / "default").iterdir()) == []


def test_what_a_job_makes_in_the_temporary_folder_goes_with_it(fresh, monkeypatch):
    seen = []

    def execute(*_):
        seen.append(Path(tempfile.mkdtemp()))
        raise StudyError("a fault; correct it")

    before = os.environ.get("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", str(fresh))
    monkeypatch.setattr(job_module, "_execute_and_publish", execute)
    job_module.run_job(job(fresh) | {"title": "Alpha"})
    assert seen[0].parent.name.startswith("research-job-")
    assert os.environ.get("TMPDIR") == before
    assert not list(fresh.glob("research-job-*"))


# a real kernel


def test_a_kernel_that_is_killed_is_named_and_its_workers_end_with_it(fresh, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(fresh))
    cell = (
        "import os, subprocess\nworker = subprocess.Popen(['sleep', '100'])\n"
        "open('worker', 'w').write(str(worker.pid))\nos.kill(os.getpid(), 9)"
    )
    write_notebook(fresh, "10_data", "What is there?", "rows: int = 1", cell)
    monkeypatch.setattr(job_module, "count_memory_kills", lambda: job_module.MEMORY_KILLS)
    assert job_module.run_job(job(fresh)) == 1
    failed = fresh / "reports" / "alpha" / "default" / "failed" / "10_data.json"
    assert json.loads(failed.read_text())["error"] == (
        "expected the kernel to run to the last cell, but it was ended from outside (SIGKILL); read"
        " the details and run it again"
    )
    worker = int((fresh / "notebooks" / "worker").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert [path.name for path in fresh.iterdir() if path.name.startswith("research-job")] == []


def test_equal_seeds_leave_equal_bytes_whatever_the_order_of_a_set(fresh, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(fresh))
    monkeypatch.setattr(job_module.pages, "render", lambda notebook, record: "the page")
    cell = (
        "import numpy as np, pandas as pd\nfrom research.reporting.results import save_table\n"
        "names = list({f'name {number}' for number in range(50)})\n"
        "draws = np.random.default_rng(seed).random(50)\n"
        "save_table(pd.DataFrame({'name': names, 'draw': draws}), 'draws')"
    )
    write_notebook(fresh, "10_data", "What is there?", "seed: int = 0", cell)
    for run in ("first", "second"):
        assert job_module.run_job(job(fresh) | {"run": run, "siblings": {}}) == 0
    for file in ("draws.csv", "draws.parquet"):
        first, second = (
            fresh / "reports" / "alpha" / run / "tables" / file for run in ("first", "second")
        )
        assert first.read_bytes() == second.read_bytes()


def test_warnings_are_taken_from_a_notebook_cell_by_cell():
    def write(name: str, text: str):
        return nbformat.v4.new_output("stream", name=name, text=text)

    cells = [nbformat.v4.new_markdown_cell("# What?"), nbformat.v4.new_code_cell("1")]
    cells[1].outputs = [write("stderr", "one\n"), write("stdout", "seen\n"), write("stderr", "two")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert take_warnings(notebook) == "Cell 2:\none\ntwo\n"
    assert [output.text for output in cells[1].outputs] == ["seen\n"]
    assert take_warnings(notebook) == ""


WARNS = """import warnings
import numpy as np
import pandas as pd
np.nanmean([])
warnings.warn("odd values")
pd.Series([np.nan]).median()
print("the answer")"""


def test_a_warning_of_a_library_is_on_no_page_and_in_the_log_of_the_run(fresh, without_snakemake):
    write_notebook(fresh, "10_data", "What?", 'study: str = "alpha"', WARNS)
    write_plan(fresh, "notebooks: [10_data]\nstudies: {alpha: {}}")
    folder = fresh / "reports" / "alpha" / "default"
    assert batch_run.run("alpha", {}, 1) == 0
    page, log = (folder / "10_data.html").read_text(), folder / "logs" / "10_data.txt"
    assert "the answer" in page
    assert "Mean of empty slice" not in page
    assert "Warning: " not in page
    assert page.count("odd values") == 1  # in the code, behind the switch
    assert log.read_text().startswith("Cell ")
    assert log.read_text().count("RuntimeWarning: Mean of empty slice") == 2
    assert "UserWarning: odd values" in log.read_text()
    made = (folder / "10_data.html").stat().st_mtime_ns
    log.unlink()  # nobody reads results from it, so nothing is made again
    assert batch_run.run("alpha", {}, 1) == 0
    assert (folder / "10_data.html").stat().st_mtime_ns == made
    write_notebook(fresh, "10_data", "What?", 'study: str = "alpha"', "print('the answer')")
    assert batch_run.run("alpha", {}, 1) == 0
    assert not log.exists()  # it goes with the warnings
