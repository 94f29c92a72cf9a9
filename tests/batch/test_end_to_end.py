"""Whole studies from raw files to pages: the real ones where the mirror is, twice for what hasn't
changed.
"""

import json

import pandas as pd
import pytest

from research import cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("study", "least_auc", "most_auc"), [("telco", 0.84, 0.86), ("online_retail", 0.72, 0.80)]
)
def test_a_real_study_runs_from_its_raw_file_to_its_pages_and_only_once(
    study, least_auc, most_auc, copy, mirror, capsys
):
    few = ["--set", "folds=5", "--set", "repeats=1", "--set", "resamples=200"]
    assert cli.main(["run", study, *few, "--jobs", "2"]) == 0, capsys.readouterr().err
    (run,) = (copy / "reports" / study).iterdir()
    record = json.loads((run / "run.json").read_text())
    assert record["outcome"] == "done"
    assert {page.name for page in run.glob("*.html")} == {"10_data.html", "30_risk.html"}
    assert all(page.stat().st_size < 5_000_000 for page in run.glob("*.html"))
    scores = pd.read_parquet(run / "tables" / "risk_scores.parquet")
    best = scores[(scores.metric == "auc") & (scores.model == "logistic regression")].value.item()
    assert (
        least_auc < best < most_auc
    )  # higher than the field has seen on these data would be a leak
    assert cli.main(["run", study, *few]) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_a_snapshot_that_the_data_do_not_cover_fails_by_name_and_leaves_earlier_pages(copy, capsys):
    few = ["--set", "resamples=200"]
    assert cli.main(["run", "demo", *few, "--set", "snapshot=2025-09-25"]) == 0, (
        capsys.readouterr().err
    )
    (page,) = (copy / "reports" / "demo").rglob("10_data.html")
    before = page.read_bytes()
    assert cli.main(["run", "demo", *few, "--set", "snapshot=2025-12-30"]) == 1
    assert "use a snapshot on or before 2025-09-25" in capsys.readouterr().err
    assert page.read_bytes() == before
    assert "use a snapshot on or before 2025-09-25" in (copy / "reports" / "index.html").read_text()
