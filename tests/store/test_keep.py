"""Functions whose values are kept: called once, by one process, with nothing lost."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

from research.errors import NotApplicable, UsageError
from research.store import entries, keep, keys

TWO_PROCESSES = """
import sys, time
from pathlib import Path
from research.store import keep, keys
keys.TRANSPARENT = ("__main__",)
def slow(number):
    with open(sys.argv[1], "a") as calls:
        calls.write("called\\n")
    time.sleep(1)
    return [number]
slow.__module__ = "research.errors"
keep.open_store(Path(sys.argv[2]))
print(keep.keep(slow)(7))
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An open store in a folder of its own, closed after the test."""
    monkeypatch.delenv(keep.SWITCH, raising=False)
    monkeypatch.setattr(keys, "_require_unchanged", lambda: None)  # whoever edits them meanwhile
    monkeypatch.setattr(keep, "_opened", {"folder": None, "limit": 0})
    keep.open_store(tmp_path)
    return tmp_path / keep.FOLDER


def make(function, name="call"):
    """Return a kept function of a module, and the list of its calls."""
    calls = []

    def call(*args):
        calls.append(args)
        return function(*args)

    call.__module__, call.__qualname__ = "research.errors", name
    return keep.keep(call), calls


def test_equal_arguments_are_computed_once_and_each_call_has_its_own_copy(store):
    frame = pd.DataFrame({"a": [1, 2]})
    double, calls = make(lambda table: table * 2)
    first, second = double(frame), double(frame.copy())
    first.loc[0, "a"] = 99
    assert len(calls) == 1
    assert second.a.tolist() == double(frame).a.tolist() == [2, 4]
    assert double(frame + 1).a.tolist() == [4, 6] and len(calls) == 2


def test_nothing_is_kept_before_a_study_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "_opened", {"folder": None, "limit": 0})
    double, calls = make(lambda number: number * 2)
    assert double(2) == double(2) == 4
    assert len(calls) == 2 and not (tmp_path / keep.FOLDER).exists()


@pytest.mark.parametrize("word", ["off", "OFF", " off "])
def test_the_store_can_be_switched_off(store, monkeypatch, word):
    monkeypatch.setenv(keep.SWITCH, word)
    keep.open_store(store.parent)
    double, calls = make(lambda number: number * 2)
    assert double(2) == double(2) == 4
    assert len(calls) == 2 and [*store.iterdir()] == []


def test_the_store_can_lie_elsewhere(store, monkeypatch, tmp_path):
    monkeypatch.setenv(keep.SWITCH, str(tmp_path / "elsewhere"))
    keep.open_store(store.parent)
    make(lambda number: number)[0](1)
    assert entries.measure(tmp_path / "elsewhere").entries == 1


@pytest.mark.parametrize("size", ["0", "-1", "many", "nan", "inf"])
def test_a_size_that_is_none_is_one_sentence(tmp_path, monkeypatch, size):
    monkeypatch.setenv(keep.SIZE, size)
    with pytest.raises(UsageError, match=f"{keep.SIZE}: expected the gigabytes .*, got '{size}'"):
        keep.open_store(tmp_path)


def test_what_is_kept_stays_below_its_size(store, monkeypatch):
    monkeypatch.setenv(keep.SIZE, "0.00001")  # 10,000 bytes
    keep.open_store(store.parent)
    fill, _ = make(lambda number: bytes(3000))
    for number in range(10):
        fill(number)
    assert 0 < entries.measure(store).bytes <= 10_000
    large, calls = make(lambda number: bytes(20_000))
    assert large(1) == large(1) == bytes(20_000) and len(calls) == 2


def test_a_project_that_cannot_be_written_to_computes_all_the_same(store, monkeypatch):
    (store.parent / "file").write_text("in the way")
    monkeypatch.setenv(keep.SWITCH, str(store.parent / "file" / "store"))
    keep.open_store(store.parent)
    assert make(lambda number: number)[0](1) == 1


def test_arguments_without_a_key_are_computed_each_time(store):
    run, calls = make(lambda function: function())
    assert run(lambda: 3) == run(lambda: 3) == 3
    assert len(calls) == 2 and [*store.iterdir()] == []


def test_a_value_that_cannot_be_pickled_is_computed_each_time(store):
    make_function, calls = make(lambda number: lambda: number)
    assert make_function(3)() == make_function(3)() == 3
    assert len(calls) == 2 and [*store.iterdir()] == []


def test_a_damaged_entry_is_computed_again_and_replaced(store):
    double, calls = make(lambda number: number * 2)
    double(2)
    path = next(store.glob(f"*{entries.ENTRY}"))
    path.write_bytes(path.read_bytes()[:-1])
    assert double(2) == double(2) == 4 and len(calls) == 2


def test_warnings_are_the_same_from_the_first_call_on(store):
    def warn(number):
        warnings.warn(f"{number} is odd", UserWarning, stacklevel=2)
        return number

    odd, calls = make(warn)
    for _ in range(3):
        with pytest.warns(UserWarning, match="3 is odd") as caught:
            assert odd(3) == 3
        assert len(caught) == 1
    assert len(calls) == 1


def test_errors_are_not_kept(store):
    def refuse(number):
        raise NotApplicable("no orders")

    run, calls = make(refuse)
    for _ in range(2):
        with pytest.raises(NotApplicable, match="no orders"):
            run(1)
    assert len(calls) == 2 and [*store.iterdir()] == []


def test_a_kept_function_may_call_another(store):
    inner, calls = make(lambda number: number + 1)
    outer, outer_calls = make(lambda number: inner(number) * 2, "outer")
    assert outer(1) == outer(1) == 4
    assert len(calls) == len(outer_calls) == 1


def test_two_processes_at_once_compute_once(tmp_path):
    calls = tmp_path / "calls"
    environment = {name: value for name, value in os.environ.items() if name != keep.SWITCH}
    command = [sys.executable, "-c", TWO_PROCESSES, str(calls), str(tmp_path)]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["[7]\n", "[7]\n"]
    assert calls.read_text() == "called\n"


def test_what_a_killed_writer_left_is_swept_when_the_store_is_opened(store):
    left = store / ".some.function-0.value.x.part"
    left.write_bytes(b"half")
    keep.open_store(store.parent)
    assert not left.exists()


def test_every_kept_function_is_one_of_a_module():
    """A key knows code by the function's name and module, which a method or a closure lacks."""
    root = Path(keys.__file__).parents[1]
    kept = [
        (path, number)
        for path in root.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if line.strip() == "@keep" and "store" not in path.parts
    ]
    assert len(kept) > 20
    for path, number in kept:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[number - 1] == "@keep" and lines[number].startswith("def "), path
