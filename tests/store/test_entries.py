"""Entries of the store: whole or not at all, bounded, and locked while they are computed."""

import os
import pickle
import subprocess
import sys
import threading
import time

import pytest

from research.store import entries

KEY = "a" * 64
LIMIT = 1_000_000
HOLD = """
import sys, time
from pathlib import Path
from research.store import entries
with entries.lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


class Unwilling:
    """An object that can't be pickled."""

    def __reduce__(self):
        raise RuntimeError("no")


def name(folder, number: int = 0):
    """Return the path of an entry."""
    return folder / f"some.function-{number}{entries.ENTRY}"


def test_a_value_comes_back_as_a_copy_of_its_own(tmp_path):
    value = {"a": [1, 2]}
    assert entries.write(name(tmp_path), KEY, value, LIMIT)
    (_, one), (_, other) = (entries.read(name(tmp_path), KEY) for _ in range(2))
    assert one == other == value and one is not other
    assert [path.name for path in tmp_path.iterdir()] == [name(tmp_path).name]


def test_none_is_a_value_too(tmp_path):
    assert entries.read(name(tmp_path), KEY) == (False, None)
    entries.write(name(tmp_path), KEY, None, LIMIT)
    assert entries.read(name(tmp_path), KEY) == (True, None)


@pytest.mark.parametrize("place", [0, 30, 90, 150, -1])
def test_a_damaged_entry_is_none(tmp_path, place):
    entries.write(name(tmp_path), KEY, list(range(100)), LIMIT)
    content = bytearray(name(tmp_path).read_bytes())
    content[place] ^= 1
    name(tmp_path).write_bytes(content)
    assert entries.read(name(tmp_path), KEY) == (False, None)


@pytest.mark.parametrize("content", [b"", b"{}", pickle.dumps([1]), b"research store 1 "])
def test_a_foreign_file_is_no_entry_and_is_never_loaded(tmp_path, content, monkeypatch):
    monkeypatch.setattr(pickle, "load", lambda file: pytest.fail("it was loaded"))
    name(tmp_path).write_bytes(content)
    assert entries.read(name(tmp_path), KEY) == (False, None)


def test_the_entry_of_another_key_is_none(tmp_path):
    entries.write(name(tmp_path), "b" * 64, 1, LIMIT)
    assert entries.read(name(tmp_path), KEY) == (False, None)


@pytest.mark.parametrize("value", [Unwilling(), bytes(LIMIT)])
def test_what_cannot_be_written_leaves_nothing(tmp_path, value):
    assert not entries.write(name(tmp_path), KEY, value, LIMIT)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_takes_no_file_keeps_nothing(tmp_path):
    assert not entries.write(name(tmp_path / "missing"), KEY, 1, LIMIT)


def test_the_entries_used_longest_ago_make_room(tmp_path):
    for number in range(4):
        entries.write(name(tmp_path, number), KEY, bytes(1000), LIMIT)
        os.utime(name(tmp_path, number), (number + 1, number + 1))
    assert entries.read(name(tmp_path, 0), KEY)[0]  # now the one used last
    assert entries.write(name(tmp_path, 4), KEY, bytes(1000), 4000)
    assert {path.name for path in tmp_path.iterdir()} == {
        name(tmp_path, number).name for number in (0, 3, 4)
    }
    assert entries.measure(tmp_path).bytes <= 4000


def test_clearing_says_how_much_it_removed_and_leaves_no_folder(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    entries.write(name(folder), KEY, bytes(1000), LIMIT)
    size = entries.measure(folder)
    assert size.entries == 1 and size.bytes > 1000
    assert entries.clear(folder) == size
    assert not folder.exists()
    assert entries.clear(folder) == entries.measure(folder) == (0, 0)


def test_files_that_are_not_entries_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    entries.write(name(tmp_path), KEY, 1, LIMIT)
    entries.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(tmp_path):
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with entries.lock(name(tmp_path)):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 80
    assert [*tmp_path.iterdir()] == []


def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(name(tmp_path))], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    taken = threading.Event()

    def wait() -> None:
        with entries.lock(name(tmp_path)):
            taken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not taken.wait(0.2)
    holder.kill()
    holder.wait()
    assert taken.wait(10)
    waiting.join()
    assert [*tmp_path.iterdir()] == []
