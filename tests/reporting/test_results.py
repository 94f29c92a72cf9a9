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


def test_only_the_csv_of_a_table_is_made_safe_for_a_spreadsheet(tmp_path, monkeypatch):
    monkeypatch.setenv("RESEARCH_TABLES", str(tmp_path))
    save_table(pd.DataFrame({"customer_id": ["=1+1"], "gain": [-2.5]}), "targets")
    assert (tmp_path / "targets.csv").read_text() == "customer_id,gain\n'=1+1,-2.5\n"
    assert pd.read_parquet(tmp_path / "targets.parquet").customer_id.tolist() == ["=1+1"]


def test_equal_tables_are_equal_to_the_byte(tmp_path, monkeypatch):
    table = pd.DataFrame({"name": ["a", "b"], "number": [0.1, 0.2]})
    for folder in ("first", "second"):
        monkeypatch.setenv("RESEARCH_TABLES", str(tmp_path / folder))
        save_table(table.copy(), "numbers")
    for suffix in ("csv", "parquet"):
        first, second = (tmp_path / folder / f"numbers.{suffix}" for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
