"""The benchmark of value: histories that models accept, and a file that is written whole."""

from pathlib import Path

import pytest

from research.models.clv.beta_geo import require_histories


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def test_drawn_histories_are_accepted_and_their_fit_is_near_the_truth(tmp_path):
    import value as bench

    require_histories(bench.draw_histories(2000))
    facts = bench.measure(2000)
    assert facts["r"] == pytest.approx(0.553, rel=0.2)
    runs = [
        facts | {"together": seconds, "peak_gb": memory}
        for seconds, memory in ((58.0, 2.1), (59.9, 2.3))
    ]
    bench.write_results(tmp_path / "VALUE.md", 2000, runs, "here")
    text = (tmp_path / "VALUE.md").read_text()
    assert "| 58.0 to 59.9 | under 60 | met |" in text
    assert "| 2.10 to 2.30 | under 2 | **missed** |" in text
    assert bench.judge_under([59.9, 60.1], 60) == "inconclusive"
    assert bench.judge_under([15.0], 60) == "inconclusive"


def test_prose_of_a_written_file_is_at_most_100_columns_wide_and_tables_stay(tmp_path):
    import bench

    words = "word " * 40
    bench.publish(tmp_path / "X.md", ["# X", "", words, f"| {words} |", "", f"- {words}"])
    lines = (tmp_path / "X.md").read_text().splitlines()
    assert [line for line in lines if len(line) > 100] == [f"| {words} |"]
    assert lines[-1].startswith("  word") and lines[0] == "# X"
    assert " ".join(" ".join(lines).split()).count("word") == 3 * 40
