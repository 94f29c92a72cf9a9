"""One batch at a time, and the progress of its jobs."""

import fcntl
import os

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
