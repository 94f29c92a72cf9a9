"""What the program that draws the packages reads from a folder and from a table."""

from pathlib import Path

import pytest
from packages import (
    HEADER,
    Import,
    Layer,
    count_names,
    find_circle,
    list_imports,
    list_modules,
    read_layers,
    reduce_graph,
)


def write_modules(folder: Path, **texts: str) -> dict[str, Path]:
    """Write one file per module (``__`` parts folders) and return the modules."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list_modules(folder)


def test_layers_are_read_in_the_order_of_the_table_and_nothing_after_it():
    rows = "| `study` | its keys | |\n| `risk` | who leaves | `30_risk` |\n"
    text = f"before\n\n{HEADER}\n|---|---|---|\n{rows}\n| other | table | x |\n"
    assert read_layers(text) == [
        Layer("study", "its keys", ""),
        Layer("risk", "who leaves", "`30_risk`"),
    ]


def test_a_text_without_the_table_is_an_error():
    with pytest.raises(ValueError, match="expected a table with the header"):
        read_layers("# Design\n")


def test_imports_are_found_in_every_form_and_named_by_the_module_that_holds_the_name(tmp_path):
    modules = write_modules(
        tmp_path,
        study="LEVEL = 1\n",
        panel__splits="def split(): ...\n",
        risk__predict=(
            "import pandas\nimport research.study\nfrom research.study import LEVEL\n"
            "def fit():\n    from research.panel import splits\n"
        ),
        cli="from research.panel.splits import split\n",
    )
    assert set(list_imports(modules)) == {
        Import("risk.predict", "study", ""),
        Import("risk.predict", "study", "LEVEL"),
        Import("risk.predict", "panel.splits", ""),
        Import("cli", "panel.splits", "split"),
    }


def test_a_name_that_two_files_of_a_package_take_counts_once_and_own_names_do_not_count():
    imports = [
        Import("risk.predict", "study", "LEVEL"),
        Import("risk.report", "study", "LEVEL"),
        Import("risk.report", "study", "DAYS"),
        Import("risk.report", "risk.predict", "fit"),
    ]
    assert count_names(imports) == {"risk": {"study": 2}}


def test_a_circle_is_given_from_its_first_name_to_its_first_name():
    assert find_circle({"a": {"b"}, "b": {"c", "d"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_an_arrow_that_follows_from_others_is_left_out():
    graph = {"c": {"b": 2, "a": 5}, "b": {"a": 1}}
    assert reduce_graph(graph) == {"c": {"b": 2}, "b": {"a": 1}}
