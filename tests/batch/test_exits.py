"""How a process ended, in words."""

import signal

import pytest

from research.batch import exits


@pytest.mark.parametrize(
    ("code", "kills", "words"),
    [
        (-signal.SIGKILL, 1, "but the system ended it for lack of memory; run it again with fewer"),
        (-signal.SIGKILL, 0, "but it was ended from outside (SIGKILL); read the details"),
        (-signal.SIGSEGV, 1, "but it crashed (SIGSEGV); read the details"),
        (3, 0, "but it ended itself with exit code 3; read the details"),
        (-99, 0, "but it was ended from outside (signal 99)"),
        (None, 0, "but it ended; read the details"),
    ],
)
def test_a_dead_kernel_is_described_by_what_ended_it(code, kills, words):
    sentence = exits.describe_death(code, kills)
    assert sentence.startswith(f"expected the kernel to run to the last cell, {words}")
    assert ("memory" in sentence) == (code == -signal.SIGKILL and kills > 0)


def test_kills_for_lack_of_memory_are_counted_where_the_system_counts_them(tmp_path, monkeypatch):
    (tmp_path / "events").write_text("oom 5\noom_kill 2\n")
    monkeypatch.setattr(exits, "COUNTERS", (str(tmp_path / "events"), str(tmp_path / "none")))
    assert exits.count_memory_kills() == 2
