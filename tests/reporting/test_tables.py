import pandas as pd
from great_tables import GT
from IPython.display import Markdown

from research.reporting.tables import show

EMPTY = pd.DataFrame({"stage": pd.Series(dtype=str), "customers": pd.Series(dtype=int)})


def test_an_empty_table_is_replaced_by_its_sentence():
    shown = show(EMPTY, empty="No customer was observed.")
    assert isinstance(shown, Markdown) and shown.data == "No customer was observed."


def test_a_table_with_rows_does_not_show_the_sentence():
    table = pd.DataFrame({"stage": ["growth"], "customers": [3]})
    shown = show(table, empty="No customer was observed.")
    assert isinstance(shown, GT) and "No customer" not in shown.as_raw_html()


def test_an_empty_table_without_a_sentence_shows_its_headings():
    assert "customers" in show(EMPTY).as_raw_html()


def test_who_can_no_longer_be_reached_is_headed_so_whether_before_the_snapshot_or_in_the_lead():
    html = show(pd.DataFrame({"left_in_lead": [1]})).as_raw_html()
    assert "left before the team could act" in html
