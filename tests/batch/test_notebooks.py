"""Notebooks: what their cells declare, and values that fit."""

import json

import pytest
from projects import write_notebook

from research.batch import notebooks
from research.errors import UsageError


@pytest.mark.parametrize("value", ["../../etc", "a b", "", "x" * 300, "a/b", "é"])
def test_no_value_makes_a_folder_name_that_is_unsafe(value):
    assert notebooks.SAFE_VALUE.fullmatch(
        notebooks.name_run({"label": value}).removeprefix("label=")
    )


@pytest.mark.parametrize(
    ("line", "spelled", "default"),
    [
        ("rows: int = 3  # rows = lines", "int", 3),
        ("label: str | None = None", "str | None", None),
        ("label: Optional[str] = 'x'", "Optional[str]", "x"),
        ("shares: list[float] = [0.5]", "list[float]", [0.5]),
        ("exact = True", "bool", True),
    ],
)
def test_a_parameter_is_read_with_its_type_and_default(fresh, line, spelled, default):
    write_notebook(fresh, "10_data", "What is there?", line)
    (parameter,) = notebooks.read_notebook("10_data").parameters.values()
    assert (parameter.spelled, parameter.default) == (spelled, default)


def test_a_parameter_that_is_computed_is_refused(fresh):
    write_notebook(fresh, "10_data", "What is there?", "rows: int = 3\ntwice: int = 2 * rows")
    with pytest.raises(UsageError) as caught:
        notebooks.read_notebook("10_data")
    assert caught.value.faults == (
        "notebooks/10_data.ipynb: expected 'name: type = literal' on each line of the cell tagged"
        " parameters, got 'twice: int = 2 * rows'; correct that cell",
    )


def test_a_type_that_no_value_could_be_checked_against_is_refused(fresh):
    write_notebook(fresh, "10_data", "What is there?", "day: date = None")
    with pytest.raises(UsageError, match="got the type 'date'; correct that cell"):
        notebooks.read_notebook("10_data")


def test_a_notebook_keeps_what_makes_its_page_but_no_outputs(fresh):
    path = fresh / "notebooks" / "10_data.ipynb"
    before = notebooks.read_notebook("10_data")
    content = json.loads(path.read_text())
    content["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    path.write_text(json.dumps(content))
    assert notebooks.read_notebook("10_data") == before
    assert before.question == "What is there?"
    assert [cell.kind for cell in before.cells] == ["markdown", "code", "code"]


def test_a_notebook_without_a_title_asks_its_name(fresh):
    path = fresh / "notebooks" / "10_data.ipynb"
    path.write_text(path.read_text().replace("# What is there?", "What is there?"))
    assert notebooks.read_notebook("10_data").question == "10_data"


@pytest.mark.parametrize("content", ["", "[]", '{"cells": [{}]}'])
def test_a_file_that_is_no_notebook_is_one_sentence(fresh, content):
    (fresh / "notebooks" / "10_data.ipynb").write_text(content)
    with pytest.raises(
        UsageError,
        match="notebooks/10_data.ipynb: expected a notebook in format 4, but reading it failed",
    ):
        notebooks.read_notebook("10_data")


@pytest.mark.parametrize("text", ["0", "3.5", "[]", "nan"])
def test_text_that_is_no_value_of_the_type_is_refused_with_an_example(text):
    parameter = notebooks.Parameter(int, "int", 3)
    value = notebooks.parse_value(text, parameter)
    if text == "0":
        assert notebooks.check_value("--set", "rows", value, parameter) == 0
        return
    with pytest.raises(
        UsageError, match="--set: expected rows to be of type int, got .*; write for example rows=3"
    ):
        notebooks.check_value("--set", "rows", value, parameter)


def test_a_value_outside_the_range_of_its_name_is_refused():
    parameter = notebooks.Parameter(int, "int", 5)
    with pytest.raises(
        UsageError, match="--set: expected a number of folds between 2 and 100, got 1"
    ):
        notebooks.check_value("--set", "folds", 1, parameter)
