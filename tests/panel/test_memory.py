"""What models need of memory is estimated before they are fitted."""

import pytest

from research.errors import StudyError
from research.panel import memory


def test_needs_are_those_worked_by_hand_and_grow_with_rows_and_features():
    # 1,000 x 10 numbers: splines 1,000 * 10 * 7 * 4 bytes * 4 copies, rows 1,500 * 10 * 8 * 4
    assert memory.estimate_bytes(1_000, 500, 10) == 1_120_000 + 480_000


def test_too_little_memory_is_refused_with_the_key_that_helps(monkeypatch):
    monkeypatch.setattr(memory, "find_free_bytes", lambda: 2e9)
    memory.require_memory(20_000, 4_000, 150)
    with pytest.raises(StudyError) as refused:
        memory.require_memory(400_000, 1_000_000, 300)
    assert "got 2.0 GB; lower snapshots.train_rows in study.yml" in refused.value.faults[0]


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch):
    def refuse(*args, **options):
        raise OSError("no such file")

    monkeypatch.setattr(memory, "open", refuse, raising=False)
    assert memory.find_free_bytes() == float("inf")
