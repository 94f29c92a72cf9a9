"""A batch: what it leaves, and what makes a job run again."""

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from projects import ROWS, enter, write_plan, write_project

from research.batch import records, snakemake
from research.batch import run as batch_run
from research.errors import UsageError


@pytest.fixture(scope="module")
def first_batch(tmp_path_factory):
    """All of the plan, once: alpha twice, beta with a failing notebook, gamma without its file."""
    root = tmp_path_factory.mktemp("batch")
    write_project(root)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, root)
        return root, batch_run.run(None, {}, 2)


@pytest.fixture
def made_project(first_batch, tmp_path, monkeypatch):
    """A copy of the project after its first batch."""
    root = tmp_path / "project"
    shutil.copytree(first_batch[0], root)
    enter(monkeypatch, root)
    return root


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def stale(study: str, monkeypatch) -> list[str]:
    """Return the jobs that a batch would run."""
    outdated = []

    def note(jobs, cores, lock):
        outdated.extend(key for key, job in jobs.items() if not records.is_current(job))
        return ""

    monkeypatch.setattr(snakemake, "run_jobs", note)
    monkeypatch.setattr(batch_run, "_conclude", lambda job, output: "unchanged")
    batch_run.run(study, {}, 1)
    return outdated


# What a request may ask for


@pytest.mark.parametrize("cores", [0, -1, 1.5, True])
def test_fewer_than_one_job_is_refused(fresh, cores):
    with pytest.raises(UsageError, match="--jobs: expected a whole number of at least 1, got "):
        batch_run.run("alpha", {}, cores)


# What a batch leaves


def test_one_failing_notebook_is_named_and_the_rest_finish(first_batch):
    root, code = first_batch
    run = read(root / "reports" / "beta" / "default" / "run.json")
    assert code == 1
    assert {name: entry["outcome"] for name, entry in run["notebooks"].items()} == {
        "10_data": "done",
        "30_risk": "failed",
        "40_survival": "not applicable",
    }
    assert run["outcome"] == "failed"
    assert (root / "reports" / "beta" / "default" / "10_data.html").exists()
    assert read(root / "reports" / "alpha" / "more" / "run.json")["outcome"] == "done"


def test_a_failure_keeps_its_sentences_the_trace_and_the_notebook_as_far_as_it_got(first_batch):
    folder = first_batch[0] / "reports" / "beta" / "default" / "failed"
    assert (
        read(folder / "30_risk.json")["error"]
        == "first <b>fault</b>; mend it\nsecond fault; mend that"
    )
    assert "StudyError" in (folder / "30_risk.txt").read_text()
    assert "raise StudyError" in (folder / "30_risk.ipynb").read_text()


def test_a_study_whose_data_are_missing_fails_alone_and_says_why(first_batch):
    run = read(first_batch[0] / "reports" / "gamma" / "default" / "run.json")
    assert run["outcome"] == "failed"
    assert (
        "expected the file data/gamma/raw/rows.csv, but it does not exist"
        in run["notebooks"]["10_data"]["error"]
    )


def test_a_notebook_that_does_not_apply_says_so_on_its_page(first_batch):
    page = (first_batch[0] / "reports" / "beta" / "default" / "40_survival.html").read_text()
    assert "Not applicable: expected a table contracts; this study has none" in page
    assert "Traceback (most recent call last)" not in page


def test_tables_are_the_same_as_csv_and_parquet(first_batch):
    tables = first_batch[0] / "reports" / "alpha" / "more" / "tables"
    frame = pd.read_csv(tables / "numbers.csv")
    assert frame.number.tolist() == [0, 1, 2, 3, 4]  # the run 'more' asks for 5 rows
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tables / "numbers.parquet"))


def test_run_json_says_what_made_the_run_and_how_to_repeat_it(first_batch):
    run = read(first_batch[0] / "reports" / "alpha" / "more" / "run.json")
    assert (run["study"], run["run"], run["outcome"], run["parameters"]) == (
        "alpha",
        "more",
        "done",
        {"rows": 5},
    )
    assert run["command"] == "research run alpha --set rows=5"
    assert run["python"] == ".".join(map(str, sys.version_info[:3]))
    assert run["packages"]["pandas"] == pd.__version__
    assert len(run["data_hash"]) == 64
    assert run["code_version"]
    assert run["started"] <= run["finished"]
    assert run["finished"].endswith("+00:00")
    entry = run["notebooks"]["10_data"]
    assert entry["parameters"] == {"study": "alpha", "rows": 5, "label": None, "shares": [0.5]}
    assert (entry["question"], entry["tables"], entry["page"]) == (
        "What is there?",
        ["numbers"],
        "10_data.html",
    )
    assert entry["seconds"] > 0


def test_nothing_half_made_stays_in_the_folder_of_a_run(first_batch):
    folder = first_batch[0] / "reports" / "alpha" / "default"
    assert sorted(path.name for path in folder.iterdir()) == [
        "10_data.html",
        "records",
        "run.json",
        "tables",
    ]


def test_the_index_lists_failed_runs_with_the_last_line_of_their_error_as_text(first_batch):
    index = (first_batch[0] / "reports" / "index.html").read_text()
    assert "first &lt;b&gt;fault&lt;/b&gt;; mend it\nsecond fault; mend that" in index
    assert "<b>fault</b>" not in index
    assert 'href="alpha/more/10_data.html"' in index
    assert 'href="alpha/more/tables/numbers.csv"' in index
    assert 'href="beta/default/30_risk.html"' not in index


# What makes a job run again


def test_a_second_run_runs_nothing_and_says_so(made_project, capfd):
    assert batch_run.run("alpha", {}, 2) == 0
    assert (
        capfd.readouterr().err
        == "nothing to do: all 2 reports are up to date; see reports/index.html\n"
    )


def test_files_that_were_only_touched_run_nothing(made_project, monkeypatch):
    for path in made_project.rglob("*"):
        if path.is_file() and "reports" not in path.parts:
            os.utime(path)
    assert stale("alpha", monkeypatch) == []


def test_outputs_that_an_editor_left_in_a_notebook_run_nothing(made_project, monkeypatch):
    path = made_project / "notebooks" / "10_data.ipynb"
    notebook = read(path)
    notebook["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "seen"}]
    path.write_text(json.dumps(notebook))
    assert stale("alpha", monkeypatch) == []


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("reports/plan.yml", "rows: 5", "rows: 6", ["alpha/more/10_data"]),
        (
            "data/alpha/raw/rows.csv",
            ROWS,
            ROWS + "3,true,30\n",
            ["alpha/default/10_data", "alpha/more/10_data"],
        ),
        (
            "data/alpha/snapshot.sql",
            "fee",
            "fee AS price",
            ["alpha/default/10_data", "alpha/more/10_data"],
        ),
        ("data/beta/snapshot.sql", "fee", "fee AS price", []),
        (
            "notebooks/10_data.ipynb",
            "range(rows)",
            "range(1 * rows)",
            ["alpha/default/10_data", "alpha/more/10_data"],
        ),
        ("notebooks/30_risk.ipynb", "first", "the first", []),
        ("code.py", "x = 1", "x = 2", ["alpha/default/10_data", "alpha/more/10_data"]),
        ("requirements.lock", "2.3.3", "2.3.4", ["alpha/default/10_data", "alpha/more/10_data"]),
    ],
)
def test_a_change_makes_those_jobs_run_again_that_depend_on_it(
    made_project, monkeypatch, file, old, new, expected
):
    edit(made_project / file, old, new)
    assert stale("alpha", monkeypatch) == expected


def test_a_changed_parameter_runs_that_run_alone_and_its_old_tables_go(made_project, capfd):
    edit(made_project / "reports" / "plan.yml", "rows: 5", "rows: 6")
    edit(
        made_project / "notebooks" / "10_data.ipynb",
        "'numbers'",
        "'numbers' if rows < 6 else 'figures'",
    )
    kept = made_project / "reports" / "alpha" / "default" / "10_data.html"
    page = kept.read_bytes()
    write_plan(made_project, "notebooks: [10_data]\nstudies: {alpha: {runs: {more: {rows: 6}}}}")
    assert batch_run.run("alpha", {}, 1) == 0
    assert sorted(
        path.name for path in (made_project / "reports" / "alpha" / "more" / "tables").iterdir()
    ) == ["figures.csv", "figures.parquet"]
    assert kept.read_bytes() == page
    assert "[1/1] alpha/more 10_data … done in " in capfd.readouterr().err


def test_a_page_that_was_deleted_is_made_again(made_project):
    page = made_project / "reports" / "alpha" / "more" / "10_data.html"
    page.unlink()
    assert batch_run.run("alpha", {}, 1) == 0
    assert page.exists()


def test_a_failure_leaves_earlier_results_as_they_were_and_goes_with_the_next_success(made_project):
    folder, notebook = (
        made_project / "reports" / "alpha" / "default",
        made_project / "notebooks" / "10_data.ipynb",
    )
    write_plan(made_project, "notebooks: [10_data]\nstudies: {alpha: {}}")
    before = {
        path: path.read_bytes()
        for path in [folder / "10_data.html", *(folder / "tables").iterdir()]
    }
    edit(notebook, "range(rows)", "range(rows // 0)")
    assert batch_run.run("alpha", {}, 1) == 1
    assert {path: path.read_bytes() for path in before} == before
    entry = read(folder / "run.json")["notebooks"]["10_data"]
    assert (entry["outcome"], entry["error"], entry["page"]) == (
        "failed",
        "ZeroDivisionError: integer division or modulo by zero",
        "10_data.html",
    )
    edit(notebook, "range(rows // 0)", "range(rows)")
    assert batch_run.run("alpha", {}, 1) == 0
    assert not (folder / "failed").exists()
    assert read(folder / "run.json")["outcome"] == "done"


def test_a_job_that_is_killed_counts_as_failed_and_leaves_earlier_results(made_project, capfd):
    write_plan(made_project, "notebooks: [10_data]\nstudies: {alpha: {}}")
    edit(
        made_project / "notebooks" / "10_data.ipynb",
        "import pandas as pd",
        "import os; os.kill(os.getppid(), 9); import pandas as pd",
    )
    assert batch_run.run("alpha", {}, 1) == 1
    assert "expected a record of how the job ended, got none" in capfd.readouterr().err
    assert (made_project / "reports" / "alpha" / "default" / "10_data.html").exists()


def test_what_a_killed_job_left_half_made_is_swept(made_project):
    scratch = made_project / "reports" / "alpha" / "default" / ".staging-x"
    scratch.mkdir()
    batch_run.run("alpha", {}, 1)
    assert not scratch.exists()


def test_a_run_whose_data_were_missing_for_a_night_is_done_again_without_work(made_project):
    rows, summary = (
        made_project / "data" / "alpha" / "raw" / "rows.csv",
        made_project / "reports" / "alpha" / "default" / "run.json",
    )
    rows.rename(rows.with_suffix(".away"))
    assert batch_run.run("alpha", {}, 1) == 1
    assert read(summary)["outcome"] == "failed"
    rows.with_suffix(".away").rename(rows)
    page = made_project / "reports" / "alpha" / "default" / "10_data.html"
    made = page.stat().st_mtime_ns
    assert batch_run.run("alpha", {}, 1) == 0
    assert (read(summary)["outcome"], page.stat().st_mtime_ns) == ("done", made)
