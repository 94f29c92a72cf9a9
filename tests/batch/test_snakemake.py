"""One batch at a time, and the progress of its jobs."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from research.batch import run as batch_run
from research.batch import snakemake
from research.errors import UsageError


def test_a_second_batch_in_the_same_project_is_refused(fresh):
    with snakemake.lock_project():
        found = f"found process {os.getpid()}, running since"
        with pytest.raises(UsageError, match=f"expected no other batch to be running .*, {found}"):
            batch_run.run("alpha", {}, 1)


def test_the_lock_of_a_batch_that_was_killed_is_free(fresh):
    lock = fresh / "reports" / ".batch" / "lock"
    lock.parent.mkdir()
    lock.write_text("process 1, running since 2020-01-01")
    with snakemake.lock_project() as held, lock.open() as other, pytest.raises(BlockingIOError):
        assert held.name == str(lock)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_jobs_are_numbered_as_they_start_and_other_lines_are_returned(capsys):
    lines = ["job a/default 10_data …\n", "a warning\n", "job b/default 10_data …\n"]
    lines += ["job a/default 10_data … done in 1 s\n"]
    assert snakemake._show_progress(lines, 2) == "a warning\n"
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] a/default 10_data …",
        "[2/2] b/default 10_data …",
        "[1/2] a/default 10_data … done in 1 s",
    ]


FAKE = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
BATCH = """
import sys
from pathlib import Path
from research.batch import snakemake
job = {"study": "a", "run": "default", "notebook": "10_data", "fingerprint": "x"}
with snakemake.lock_project() as lock:
    snakemake.run_jobs({"a/default/10_data": job}, 1, lock)
"""


def wait_for(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def test_the_lock_outlives_a_batch_that_was_killed_until_its_jobs_have_ended(fresh, monkeypatch):
    (fresh / "snakemake.py").write_text(FAKE)  # runs in the place of the real one
    path = os.pathsep.join([str(fresh), *sys.path])
    batch = subprocess.Popen(
        [sys.executable, "-c", BATCH], cwd=fresh, env={**os.environ, "PYTHONPATH": path}
    )
    pid = fresh / "pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    runner = int(pid.read_text())
    batch.kill()
    batch.wait()
    with (
        pytest.raises(UsageError, match=f"found process {runner}, running since"),
        snakemake.lock_project(),
    ):
        pass
    os.kill(runner, signal.SIGKILL)

    def is_free() -> bool:
        try:
            with snakemake.lock_project():
                return True
        except UsageError:
            return False

    wait_for(is_free)


def test_why_a_job_failed_is_shown_and_returned(capsys):
    lines = [
        "job my study/default 10_data …\n",
        "job my study/default 10_data … failed after 1 s: x\n",
    ]
    assert snakemake._show_progress(lines, 1) == lines[1]
    assert capsys.readouterr().err.splitlines() == [f"[1/1] {line[4:-1]}" for line in lines]


def test_the_log_of_a_batch_needs_no_room_on_the_disk(fresh):
    (fresh / "reports" / ".batch").mkdir(parents=True)
    with snakemake._open_log() as (written, read):
        subprocess.run(["echo", "job"], stdout=written, check=True)
        assert read.read() == "job\n"
        subprocess.run(["echo", "more"], stdout=written, check=True)
        assert read.read() == "more\n"


@pytest.mark.parametrize("home", ["nowhere/x", "file/x"])
def test_snakemake_and_the_kernels_get_another_home_where_the_users_takes_no_file(
    fresh, monkeypatch, home
):
    (fresh / "file").touch()
    (fresh / "reports" / ".batch").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(fresh / home))
    assert snakemake._find_home() == {"HOME": str(fresh / "reports" / ".batch" / "home")}
    monkeypatch.setenv("HOME", str(fresh))
    assert snakemake._find_home() == {}
    assert not [path for path in fresh.iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize(("jobs", "threads"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_the_jobs_of_a_batch_share_the_cores(monkeypatch, jobs, threads):
    monkeypatch.setattr(snakemake.os, "cpu_count", lambda: 4)
    assert snakemake._share_threads(jobs) == {
        "OMP_NUM_THREADS": threads,
        "RESEARCH_CORES": threads,
    }
