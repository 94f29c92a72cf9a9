"""What several notebooks of a run need is computed once, before them."""

import json
import sys

import nbformat
import pytest
from projects import write_plan
from small_companies import company

from research.batch import run as batch_run
from research.batch import shared
from research.store import keep

OPEN = "import research as rs\nrun = rs.open(study)\nassert len(run.panel().train)"


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """A store of its own, closed after the test."""
    monkeypatch.setattr(keep, "_opened", {"folder": None, "limit": 0})
    monkeypatch.setenv(keep.SWITCH, str(tmp_path / "store"))
    return tmp_path / "store"


def jobs(*notebooks: str, **parameters) -> dict:
    return {
        f"alpha/default/{name}": {
            "study": "alpha",
            "run": "default",
            "notebook": name,
            "parameters": {"study": "alpha", "seed": 0} | parameters,
        }
        for name in notebooks
    }


def test_a_step_that_two_jobs_need_is_computed_before_them():
    listed = jobs("10_data", "30_risk", "40_survival", "60_uplift")
    steps = shared.list_steps(listed)
    both = ["alpha/default/rows", "alpha/default/today"]
    assert [*steps] == both
    needed = [shared.list_needed(job, steps) for job in listed.values()]
    assert needed == [[], both, both, []]


def test_effects_are_learned_once_for_both_notebooks_that_read_them():
    steps = shared.list_steps(jobs("60_uplift", "65_targeting", folds=3, repeats=5))
    assert [*steps] == ["alpha/default/effects"]
    assert steps["alpha/default/effects"]["parameters"]["folds"] == 3


def test_a_step_that_one_job_needs_is_left_to_it():
    assert shared.list_steps(jobs("10_data", "30_risk")) == {}


def test_without_a_store_nothing_is_computed_for_others(monkeypatch):
    monkeypatch.setenv(keep.SWITCH, keep.OFF)
    assert shared.list_steps(jobs("30_risk", "40_survival")) == {}


def test_a_step_that_fails_stops_no_notebook(fresh, monkeypatch, capsys):
    step = {"study": "nowhere", "step": "rows", "parameters": {}}
    (fresh / "jobs.json").write_text(json.dumps({"shared": {"nowhere/default/rows": step}}))
    arguments = ["shared", str(fresh / "jobs.json"), "nowhere/default/rows"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert shared.main() == 0
    assert "expected a study in data/nowhere/study.yml" in capsys.readouterr().out


def test_a_batch_computes_the_rows_before_the_notebooks_that_read_them(write_study, project, store):
    write_study("contractual", tables=company())
    for name in ("30_risk", "40_survival"):
        cells = [
            nbformat.v4.new_markdown_cell("# Who?"),
            nbformat.v4.new_code_cell('study: str = "tiny"', metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(OPEN),
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbformat.write(notebook, project / "notebooks" / f"{name}.ipynb")
    write_plan(project, "notebooks: [30_risk, 40_survival]\nstudies: {tiny: {}}\n")
    assert batch_run.run("tiny", {}, 2) == 0
    assert (project / "reports" / ".batch" / "shared" / "tiny" / "default" / "rows").exists()
    kept = [path.name for path in store.glob("*")]
    assert sum("load_training" in name for name in kept) == 1
    assert sum("load_panel" in name for name in kept) == 1  # to be judged on
    assert any("check_panel" in name for name in kept)  # which neither notebook asked for
    record = json.loads((project / "reports/tiny/default/records/30_risk.json").read_text())
    assert "needs" not in record
