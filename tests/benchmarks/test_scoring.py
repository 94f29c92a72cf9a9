"""The benchmark of scoring: what is measured is written with its bounds, the smallest first."""

from dataclasses import asdict
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def test_a_run_is_judged_by_its_seconds_and_memory(tmp_path, monkeypatch):
    import json
    import subprocess

    import scoring

    facts = {"scored": 100_123, "reasons": 30_000, "peak_gb": 3.25}
    for part, seconds in {"load": 5.0, "score": 20.0, "list": 10.0}.items():
        facts |= {f"{part}_seconds": seconds, f"{part}_cpu_seconds": 2 * seconds}
    done = subprocess.CompletedProcess([], 0, ("a warning\n" + json.dumps(facts)).encode())
    monkeypatch.setattr(scoring, "make_company", lambda n, scratch: (scratch, {"usage": 7}))
    monkeypatch.setattr(scoring, "write_study", lambda company, home: "company")
    monkeypatch.setattr(scoring.subprocess, "run", lambda *given, **named: done)
    row = scoring.measure(100_000, tmp_path, tmp_path, tmp_path, 0.1)
    assert row[:7] == ("100,123", "7", "5.0", "20.0", "10.0", "35.0", "70.0")
    assert row[7:9] == ("40", "met") and row[10:] == ("", "")  # no bound of memory at this size
    slow = scoring.measure(1_000_000, tmp_path, tmp_path, tmp_path, 9.0)
    assert slow[8] == "met" and slow[10:] == ("6", "met")


def test_too_many_seconds_beside_other_work_decide_nothing():
    import scoring

    assert scoring.judge_seconds(39, 60, 40, 9.0) == "met"
    assert scoring.judge_seconds(50, 60, 40, 0.2) == "**missed**"
    assert scoring.judge_seconds(50, 60, 40, 9.0) == "inconclusive"
    assert scoring.judge_seconds(90, 81, 40, 9.0) == "**missed**"  # two cores have 80


def test_the_file_has_a_row_for_each_size_in_their_order(tmp_path):
    import scoring

    row = ("1",) * len(scoring.HEAD)
    kept = {
        size: asdict(scoring.Section(f"{size} customers", "", scoring.HEAD, (row,)))
        | {"facts": "measured"}
        for size in ("100000", "4000")
    }
    scoring.write_scoring(tmp_path / "SCORING.md", kept)
    text = (tmp_path / "SCORING.md").read_text()
    assert text.index("- 4000 customers") < text.index("- 100000 customers")
    assert text.count("| 1 |") > 0
