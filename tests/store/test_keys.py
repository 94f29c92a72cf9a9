"""Keys of what is kept: equal for equal content, different for anything else."""

import os
import types
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_companies import company

from research.data.load import load_tables
from research.features.build import load_panel
from research.models.registry import list_trees
from research.store import keys
from research.store.keys import NoKeyError, hash_value, label, make_key

FRAME = pd.DataFrame(
    {
        "number": [1.5, np.nan, -0.0],
        "text": ["a", None, "ä"],
        "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
        "kind": pd.Categorical(["x", "y", "x"]),
        "flag": pd.array([True, None, False], dtype="boolean"),
    }
)
DAYS = FRAME.set_index("day")


@dataclass(frozen=True)
class Rows:
    """What a dataclass holds beside its fields is no part of it."""

    frame: pd.DataFrame

    @cached_property
    def size(self) -> int:
        """Computed when it is asked for."""
        return len(self.frame)


def change(column: str, value: object) -> pd.DataFrame:
    """Return the frame with one cell changed."""
    changed = FRAME.copy()
    changed.loc[0, column] = value
    return changed


def test_equal_content_has_one_key_wherever_it_lies_in_memory():
    pieces = pd.concat([FRAME.iloc[:1], FRAME.iloc[1:]])
    wide = pd.DataFrame(np.arange(6.0).reshape(2, 3).T.copy(), columns=["a", "b"])
    assert hash_value(FRAME) == hash_value(FRAME.copy()) == hash_value(pieces)
    assert hash_value(wide) == hash_value(wide[["a"]].assign(b=wide.b))
    assert hash_value(["ab", "ab"]) == hash_value(["ab", "".join(["a", "b"])])
    assert hash_value({"a", "b", "c"}) == hash_value({"c", "b", "a"})


@pytest.mark.parametrize(
    "other",
    [
        change("number", 1.5000000000000002),
        change("text", "b"),
        change("day", pd.Timestamp("2024-01-02")),
        change("kind", "y"),
        change("flag", False),
        FRAME.rename(columns={"text": "words"}),
        FRAME[[*FRAME.columns[::-1]]],
        FRAME.iloc[::-1],
        FRAME.reset_index(drop=True).set_axis([0, 1, 3]),
        FRAME.astype({"number": "float32"}),
        FRAME.assign(kind=FRAME.kind.astype(object)),
        FRAME.assign(kind=FRAME.kind.cat.add_categories("z")),
        DAYS,
        [FRAME],
    ],
)
def test_any_difference_of_a_table_is_another_key(other):
    assert hash_value(other) != hash_value(FRAME)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        (None, "None"),
        (["ab", "c"], ["a", "bc"]),
        ([[1], 2], [[1, 2]]),
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (date(2024, 1, 1), pd.Timestamp(2024, 1, 1)),
        (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)),
        (np.array([1, 2]), np.array([1, 2], dtype="int32")),
        (np.array(["1", 2], object), np.array(["1", "2"], object)),
        (np.array([(1, 2.0)], "i4,f8"), np.array([(1, 3.0)], "i4,f8")),
        (Path("a"), "a"),
        (FRAME.number, FRAME.number.rename("other")),
        (partial(list_trees, 0), partial(list_trees, 1)),
        (np.clip, np.asarray),
    ],
)
def test_values_that_look_alike_have_different_keys(one, other):
    assert hash_value(one) != hash_value(other)


def test_a_dataclass_is_its_fields_whatever_was_asked_of_it():
    asked, rows = Rows(FRAME), Rows(FRAME)
    assert asked.size == 3
    assert hash_value(asked) == hash_value(rows)
    assert hash_value(rows) != hash_value(replace(rows, frame=DAYS))


def test_models_are_their_settings_and_what_they_learned():
    columns, churned = pd.DataFrame({"a": np.arange(80.0)}), np.arange(80) % 2 == 0
    for name, model in list_trees(0, {}).items():
        changed = list_trees(1, {})[name]
        before = hash_value(model.estimator)
        assert (
            before == hash_value(list_trees(0, {})[name].estimator) != hash_value(changed.estimator)
        )
        assert hash_value(model.estimator.fit(columns, churned)) != before, name


@pytest.mark.parametrize("value", [lambda: 1, object(), open, (x for x in [])])
def test_of_what_may_be_anything_there_is_no_key(value):
    with pytest.raises(NoKeyError):
        hash_value(value)


def test_a_list_that_holds_itself_has_no_key():
    endless = []
    endless.append(endless)
    with pytest.raises(NoKeyError):
        make_key(load_panel, (endless, endless, endless), {})


def test_a_call_has_one_key_however_its_arguments_are_given():
    given = make_key(load_panel, (1, 2), {"snapshots": 3})
    assert given == make_key(load_panel, (1, 2, 3, None), {})
    assert given != make_key(load_panel, (1, 2, 3, 4), {})


def test_tables_of_an_engine_have_no_key_until_a_text_stands_for_them(write_study):
    study = write_study(tables=company())
    tables = load_tables(study)
    with pytest.raises(NoKeyError):
        hash_value(tables)
    assert hash_value(label(tables, "a")) == hash_value(label(dict(tables), "a"))
    assert hash_value(label(tables, "a")) != hash_value(label(tables, "b"))
    assert label(tables, None) is tables


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package research of three modules: one imports another within a function; one, nothing."""
    sources = {
        "one": "def run():\n    from research.two import (\n        number,\n    )\n",
        "two": "number = 1\n",
        "three": "other = 3\n",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
        os.utime(tmp_path / f"{name}.py", (1, 1))
    monkeypatch.setattr(keys, "PACKAGE", tmp_path)
    monkeypatch.setattr(keys, "_TIMES", {})
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Read sources again, as a new process does."""
    keys.hash_code.cache_clear()
    keys._read_source.cache_clear()


def edit(path: Path, source: str) -> None:
    """Change a module, as if before this process began."""
    path.write_text(source)
    os.utime(path, (2, 2))
    forget()


def test_code_is_that_of_every_module_that_is_reached(package):
    before = keys.hash_code("research.one")
    edit(package / "three.py", "other = 4\n")
    assert keys.hash_code("research.one") == before
    edit(package / "two.py", "number = 2\n")
    assert keys.hash_code("research.one") != before


def test_modules_that_changed_since_the_process_began_have_no_key(package):
    function = types.FunctionType((lambda: 1).__code__, {}, "run")
    function.__module__, function.__qualname__ = "research.one", "run"
    make_key(function, (), {})
    os.utime(package / "two.py", (3, 3))  # the process may have loaded what stood there before
    with pytest.raises(NoKeyError, match="two.py has changed"):
        make_key(function, (), {})
    forget()
    keys._TIMES.clear()
    os.utime(package / "two.py", (keys.BEGAN + 60, keys.BEGAN + 60))
    with pytest.raises(NoKeyError, match="two.py has changed"):
        make_key(function, (), {})


def test_versions_of_libraries_are_in_every_key(monkeypatch):
    before = make_key(load_panel, (1, 2, 3), {})
    monkeypatch.setattr(keys, "_list_versions", lambda: "pandas 99")
    assert make_key(load_panel, (1, 2, 3), {}) != before
