import pandas as pd

from research.reporting.results import concat_tables, save_table, text


def test_sentences_are_paragraphs_and_empty_ones_are_left_out():
    assert text("One.", "", "Two.").data == "One.\n\nTwo."


def test_no_sentence_shows_nothing():
    assert text() is None and text("", "") is None


def test_a_table_is_saved_as_csv_and_parquet_and_returned(tmp_path, monkeypatch):
    monkeypatch.setenv("RESEARCH_TABLES", str(tmp_path / "tables"))
    table = pd.DataFrame({"stage": ["growth"], "customers": [3]})

    assert save_table(table, "stages") is table
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tables/stages.csv"), table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "tables/stages.parquet"), table)


def test_outside_a_batch_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("RESEARCH_TABLES", raising=False)
    monkeypatch.chdir(tmp_path)
    save_table(pd.DataFrame({"customers": [3]}), "stages")
    assert not list(tmp_path.iterdir())


def test_a_table_of_a_step_that_does_not_apply_has_no_columns_and_is_not_written(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RESEARCH_TABLES", str(tmp_path))
    save_table(pd.DataFrame(), "reasons")
    save_table(pd.DataFrame(columns=["reason"]), "no_reasons")
    assert sorted(path.stem for path in tmp_path.glob("*.csv")) == ["no_reasons"]


def test_no_tables_below_one_another_are_an_empty_one_with_its_columns():
    one = pd.DataFrame({"a": [1]}, index=[7])
    assert concat_tables([one, one], ["a"]).index.tolist() == [0, 1]
    assert concat_tables([], ["a", "b"]).columns.tolist() == ["a", "b"]
