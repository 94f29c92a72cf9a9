"""CSV files that a spreadsheet may open."""

import pandas as pd
import pytest

from research.reporting.spreadsheets import neutralise, write_csv


@pytest.mark.parametrize(
    "cell", ["=1+1", "+A1", "-A1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
)
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(cell):
    assert neutralise(pd.DataFrame({"text": [cell]})).text.tolist() == ["'" + cell]


@pytest.mark.parametrize("cell", ["a=1", "", "'=1", " a", "–", "7 %", "-5", "+5", "-1.5e-3", None])
def test_other_texts_and_texts_that_are_numbers_stay(cell):
    assert neutralise(pd.DataFrame({"text": [cell, "a"]})).text.tolist() == [cell, "a"]


@pytest.mark.parametrize("kind", ["object", "category", "string"])
def test_texts_of_every_type_are_looked_at(kind):
    table = pd.DataFrame({"text": pd.Series(["=1", None], dtype=kind)})
    assert neutralise(table).text.dropna().tolist() == ["'=1"]


def test_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame(
        {"n": [-1, 2], "x": [-0.5, None], "mixed": [-3, "-a"], "day": [True, False]}
    )
    write_csv(table, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == ("n,x,mixed,day\n-1,-0.5,-3,True\n2,,'-a,False\n")


def test_names_of_columns_are_texts_too(tmp_path):
    write_csv(pd.DataFrame({"=1+1": [1]}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "'=1+1\n1\n"


def test_the_table_itself_is_left_as_it_is():
    table = pd.DataFrame({"text": ["=1"]})
    neutralise(table)
    assert table.text.tolist() == ["=1"]
