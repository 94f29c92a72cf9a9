"""How far a long step is: in a file of the batch, on a terminal, and nowhere else."""

import io
import sys

import pytest
from joblib import delayed

from research import progress, settings


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def alone(monkeypatch):
    """A notebook that no batch runs."""
    monkeypatch.delenv(progress.FILE, raising=False)
    monkeypatch.delenv(settings.SHARE, raising=False)


def test_a_batch_reads_in_a_file_how_far_a_step_is(tmp_path, monkeypatch, capsys):
    file = tmp_path / "progress"
    monkeypatch.setenv(progress.FILE, str(file))
    seen = []
    for item in progress.track("abc", "letters read", 3):
        seen.append((item, file.read_text() if file.exists() else ""))
    assert seen == [("a", ""), ("b", "1 of 3 letters read"), ("c", "2 of 3 letters read")]
    assert file.read_text() == "3 of 3 letters read"
    assert capsys.readouterr() == ("", "")


def test_a_folder_that_is_gone_stops_no_step(tmp_path, monkeypatch):
    monkeypatch.setenv(progress.FILE, str(tmp_path / "gone" / "progress"))
    assert [*progress.track("ab", "letters read", 2)] == ["a", "b"]


def test_a_terminal_counts_up_and_is_left_clean(alone, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [*progress.track("abc", "letters read", 3)] == ["a", "b", "c"]
    written = sys.stderr.getvalue()
    assert "0 of 3 letters read" in written
    assert written.split("\r")[-1].strip() == ""


def test_where_nobody_looks_nothing_is_written(alone, capsys):
    assert [*progress.track("abc", "letters read", 3)] == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("share", ["1", "2"])
def test_results_of_tasks_come_in_their_order_however_many_run_at_a_time(alone, monkeypatch, share):
    monkeypatch.setenv(settings.SHARE, share)
    tasks = [delayed(pow)(number, 2) for number in range(5)]
    assert progress.run_parallel(tasks, "numbers squared") == [0, 1, 4, 9, 16]
