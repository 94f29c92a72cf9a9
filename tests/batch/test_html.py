"""HTML of notebooks: nothing active stays, and tables are regular."""

import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from great_tables import GT

from research.batch.html import clean_html, outline


@pytest.mark.parametrize(
    "html",
    [
        '<a href="javascript:alert(1)">x</a>',
        '<a href=" JaVaScRiPt:alert(1)">x</a>',
        '<iframe src="http://x.test"></iframe>',
        '<link rel="stylesheet" href="http://x.test">',
        '<meta http-equiv="refresh" content="0; url=http://x.test">',
        '<svg><a xlink:href="javascript:alert(1)">x</a><image href="http://x.test/a.png"/></svg>',
        '<form action="http://x.test"><input name="a"></form>',
        '<img src="picture.png" srcset="http://x.test 2x">',
        '<p onclick="alert(1)">x</p>',
        '<table background="http://x.test"><tr><td>1</td></tr></table>',
    ],
)
def test_markup_that_acts_or_loads_is_taken_out(html):
    cleaned = clean_html(html).lower()
    assert not re.search(r"javascript:|x\.test|onclick|picture\.png", cleaned)


def test_an_ordinary_link_stays():
    assert (
        clean_html('<a href="https://example.org/a?b=c">x</a>')
        == '<a href="https://example.org/a?b=c" rel="noreferrer">x</a>'
    )


def table(html: str) -> BeautifulSoup:
    return BeautifulSoup(clean_html(html), "html.parser")


def test_numbers_of_a_data_frame_stand_right_and_text_left():
    frame = pd.DataFrame(
        {
            "model": ["a", "b"],
            "auc": [0.5, None],
            "change": ["-3 %", "4 %"],
            "day": ["2026-01-01", "2026-01-02"],
        },
        index=["x", "y"],
    )
    cleaned = table(frame.to_html())
    assert [cell.text for cell in cleaned.select("thead .number")] == ["auc", "change"]
    assert [cell.text for cell in cleaned.select("tbody .number")] == ["0.5", "-3 %", "NaN", "4 %"]


def test_an_index_that_only_counts_is_left_out_and_another_stays():
    assert [
        cell.text for cell in table(pd.DataFrame({"a": [7, 8]}).to_html()).select("th, td")
    ] == ["a", "7", "8"]
    assert [
        cell.text
        for cell in table(pd.DataFrame({"a": [7, 8]}, index=[1, 2]).to_html()).select("th, td")
    ] == ["", "a", "1", "7", "2", "8"]


def test_the_name_of_an_index_stands_beside_the_names_of_the_columns():
    frame = pd.DataFrame({"a": [7, 8]}, index=pd.Index([0, 1], name="customer"))
    assert [
        [cell.text for cell in row.find_all(["th", "td"])]
        for row in table(frame.to_html()).find_all("tr")
    ] == [["customer", "a"], ["0", "7"], ["1", "8"]]


def test_columns_in_two_levels_keep_their_heads():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["risk"], ["low", "high"]]))
    assert [cell.text for cell in table(frame.to_html()).select("thead th")] == [
        "",
        "risk",
        "",
        "low",
        "high",
    ]


def test_a_great_table_takes_the_look_of_the_page_and_a_styled_frame_keeps_its_colours():
    frame = pd.DataFrame({"<b>name</b>": ["<script>alert(1)</script>"], "n": [1]})
    great = table(GT(frame).tab_header(title="Scores").as_raw_html())
    assert great.find("style") is None
    assert great.find("script") is None
    assert "<script>alert(1)</script>" in great.text
    assert (
        table(pd.DataFrame({"n": [1, 2]}).style.highlight_max(color="gold").to_html()).find("style")
        is not None
    )


def test_a_body_without_a_title_has_none():
    assert outline("<p>text</p>") == ("", "<p>text</p>", [])


def test_a_long_text_in_a_cell_may_wrap():
    cells = table("<table><tr><td>short</td><td>" + "x" * 33 + "</td></tr></table>").find_all("td")
    assert [cell.get("class") for cell in cells] == [None, ["long"]]
