"""The lifecycle of the real studies from raw files to tables, where the mirror is."""

import json

import pandas as pd
import pytest

from research import cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("study", ["online_retail", "learning_platform", "telco"])
def test_the_lifecycle_of_a_real_study_leaves_its_tables_or_is_not_applicable(
    study, copy, mirror, capsys
):
    (copy / "reports" / "plan.yml").write_text(
        f"notebooks: [20_lifecycle]\nstudies: {{{study}: {{}}}}\n"
    )
    assert cli.main(["run", study, "--set", "periods=6"]) == 0, capsys.readouterr().err
    (run,) = (copy / "reports" / study).iterdir()
    applies = study != "telco"
    assert json.loads((run / "run.json").read_text())["notebooks"]["20_lifecycle"]["outcome"] == (
        "done" if applies else "not applicable"
    )
    for name in ("indicators", "stages", "transitions", "cohorts", "segments"):
        assert (run / "tables" / f"{name}.csv").exists() == applies
        assert not applies or len(pd.read_parquet(run / "tables" / f"{name}.parquet"))
