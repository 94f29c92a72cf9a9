import numpy as np
import pandas as pd
from great_tables import GT
from IPython.display import Markdown

from research.evaluation.metrics import METRICS
from research.reporting import tables
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


def scores(**values: float) -> pd.DataFrame:
    assert {"auc", "brier"} <= {*METRICS}  # registered by the import
    rows = [
        (model.replace("_", " "), "trees", metric, value, value - 0.1, value + 0.1)
        for model, value in values.items()
        for metric in ("auc", "brier")
    ]
    return pd.DataFrame(rows, columns=["model", "family", "metric", "value", "low", "high"])


def test_models_with_equal_scores_are_one_row_and_others_are_not():
    shown = tables.show_scores(
        scores(boosting=0.8, forest=0.7, tuned_boosting=0.8), bold="tuned boosting"
    ).as_raw_html()
    assert "boosting (the same: tuned boosting)" in shown
    assert shown.count("forest") == 1
    assert shown.count("tuned boosting") == 1
    bold = next(line for line in shown.splitlines() if "the same" in line)
    assert "font-weight: bold" in bold
    nearly = tables.show_scores(scores(boosting=0.8, tuned_boosting=0.8 + 1e-9)).as_raw_html()
    assert "the same" not in nearly


def test_models_whose_scores_are_all_undefined_alike_are_one_row():
    undefined = scores(a=0.5, b=0.5)
    undefined.loc[undefined.metric == "brier", ["value", "low", "high"]] = np.nan
    assert "a (the same: b)" in tables.show_scores(undefined).as_raw_html()


def test_rows_that_differ_in_their_name_only_are_shown_once_where_asked_for():
    table = pd.DataFrame(
        {"model": ["boosting", "forest", "tuned"], "found": [3, 4, 3], "low": [0.5, 0.5, 0.5]}
    ).astype({"low": object})
    shown = tables.show(table, bold="tuned", once=True).as_raw_html()
    assert "boosting (the same: tuned)" in shown
    bold = next(line for line in shown.splitlines() if "the same" in line)
    assert "font-weight: bold" in bold
    assert "the same" not in tables.show(table, bold="tuned").as_raw_html()
    empty = table.assign(low=[None, None, None])
    assert "the same: tuned" in tables.show(empty, once=True).as_raw_html()


def test_a_dash_in_a_column_of_shares_is_shown_as_it_is():
    shown = tables.show(pd.DataFrame({"part": ["a"], "cost share": ["–"]})).as_raw_html()
    assert "–" in shown
