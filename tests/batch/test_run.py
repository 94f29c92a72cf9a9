"""A batch: what it leaves, and what makes a job run again."""

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from projects import ROWS, enter, write_plan, write_project

from research.batch import plan, records, snakemake
from research.batch import run as batch_run
from research.errors import StudyError, UsageError


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

    def note(jobs, cores, lock, board):
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


@pytest.mark.parametrize("file", ["10_data.html", "tables/numbers.csv", "tables/numbers.parquet"])
def test_a_page_or_table_that_is_empty_or_changed_is_made_again(made_project, monkeypatch, file):
    path = made_project / "reports" / "alpha" / "more" / file
    for content in (b"", path.read_bytes() + b" ", path.read_bytes()[:-1]):
        path.write_bytes(content)
        assert stale("alpha", monkeypatch) == ["alpha/more/10_data"]


def test_a_file_that_the_sql_reads_by_itself_makes_jobs_run_again(made_project, monkeypatch):
    lists = made_project / "data" / "alpha" / "raw" / "lists"
    lists.mkdir()
    (lists / "x.csv").write_text(ROWS)
    edit(made_project / "data" / "alpha" / "study.yml", "kind: flat", "kind: flat\nallow: [lists]")
    monkeypatch.setattr(records, "is_current", lambda job: job["fingerprint"] in known)
    known = {job["fingerprint"] for job in list_jobs("alpha").values()}
    assert stale("alpha", monkeypatch) == []
    (lists / "x.csv").write_text(ROWS[:-3])
    assert stale("alpha", monkeypatch) == ["alpha/default/10_data", "alpha/more/10_data"]


def test_only_a_notebook_that_makes_lists_depends_on_the_playbook(made_project, monkeypatch):
    monkeypatch.setattr(records, "is_current", lambda job: job["fingerprint"] in known)
    known = {job["fingerprint"] for job in list_jobs("alpha").values()}
    playbook = made_project / "data" / "alpha" / "playbook.yml"
    playbook.write_text("plays: []")
    assert stale("alpha", monkeypatch) == []
    monkeypatch.setattr(batch_run, "LISTS", "import")  # as if every notebook made lists
    known = {job["fingerprint"] for job in list_jobs("alpha").values()}
    assert stale("alpha", monkeypatch) == []
    playbook.write_text("plays: [{}]")
    assert stale("alpha", monkeypatch) == ["alpha/default/10_data", "alpha/more/10_data"]


def list_jobs(study: str) -> dict[str, dict]:
    return batch_run._list_jobs(plan.list_runs(study, {}), {study: batch_run._fetch(study)})


@pytest.mark.parametrize("content", ["", '{"study": "alpha"', "{}"])
def test_a_damaged_record_is_named_and_made_again_and_the_others_go_on(
    made_project, monkeypatch, capfd, content
):
    record = made_project / "reports" / "alpha" / "more" / "records" / "10_data.json"
    record.write_text(content)
    assert stale("alpha", monkeypatch) == ["alpha/more/10_data"]
    assert (
        "warning: reports/alpha/more/records/10_data.json: expected the record of a notebook, got a"
        " damaged file; 'research run alpha' makes its report again"
    ) in capfd.readouterr().err
    index = (made_project / "reports" / "index.html").read_text()
    assert 'href="alpha/default/10_data.html"' in index


def test_a_page_that_was_deleted_is_made_again(made_project, without_snakemake):
    page = made_project / "reports" / "alpha" / "more" / "10_data.html"
    page.unlink()
    assert batch_run.run("alpha", {}, 1) == 0
    assert page.exists()


def test_a_failure_leaves_earlier_results_as_they_were_and_goes_with_the_next_success(
    made_project, without_snakemake
):
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


# Why a job left no record


JOB = {"study": "alpha", "run": "default", "notebook": "10_data"}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "job alpha/default 10_data … failed after 3 s: expected room, got none; make room\n",
            "expected room, got none; make room",
        ),
        (
            "job alpha/more 10_data … failed after 3 s: expected room, got none; make room\n",
            "expected a record of how the job ended, got none; read the details",
        ),
        (
            "OSError: [Errno 28] No space left on device\n",
            "expected room on the disk for reports, got none (No space left on device); make room",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '.snakemake'\n",
            "expected to be allowed to write reports, but that failed: Permission denied; allow it",
        ),
        (
            "Command 'job alpha/default/10_data' returned non-zero exit status 137.\n",
            "expected a record of how the job ended, got none: it was ended from outside (SIGKILL);"
            " read the details",
        ),
        (
            "Command 'job alpha/more/10_data' died with <Signals.SIGTERM: 15>.\n"
            "Command 'job alpha/default/10_data' died with <Signals.SIGKILL: 9>.\n",
            "expected a record of how the job ended, got none: it was ended from outside (SIGKILL);"
            " read the details",
        ),
        (
            "Command 'job alpha/default/10_data' returned non-zero exit status 1.\n",
            "expected a record of how the job ended, got none: it ended itself with exit code 1;"
            " read the details",
        ),
        ("", "expected a record of how the job ended, got none; read the details"),
    ],
)
def test_a_job_without_a_record_is_explained_by_what_is_known(fresh, monkeypatch, output, reason):
    monkeypatch.setattr(batch_run, "count_memory_kills", lambda: batch_run.MEMORY_KILLS)
    assert batch_run._explain_end(JOB, output).startswith(reason)
    assert "memory" not in batch_run._explain_end(JOB, output)


def test_a_job_that_was_ended_for_lack_of_memory_says_so(fresh, monkeypatch):
    monkeypatch.setattr(batch_run, "MEMORY_KILLS", -1)
    output = "Command 'job alpha/default/10_data' died with <Signals.SIGKILL: 9>.\n"
    assert "the system ended it for lack of memory" in batch_run._explain_end(JOB, output)


@pytest.mark.parametrize("step", ["sweep_leftovers", "write_json", "write_text"])
def test_a_full_disk_before_a_job_is_one_sentence(made_project, monkeypatch, step):
    def fill_the_disk(*_):
        raise OSError(28, "No space left on device", str(made_project / "reports"))

    monkeypatch.setattr(records, step, fill_the_disk)
    with pytest.raises(StudyError, match=r"expected room on the disk for .*, got none \(No space"):
        batch_run.run("alpha", {}, 1)


def test_a_project_with_braces_in_its_path_and_in_a_study_is_run(tmp_path, monkeypatch):
    root = tmp_path / "a {b} c"
    root.mkdir()
    write_project(root)
    enter(monkeypatch, root)
    (root / "data" / "alpha").rename(root / "data" / "al{x}pha")
    assert batch_run.run("al{x}pha", {"rows": "1"}, 1) == 0
    assert (root / "reports" / "al{x}pha" / "rows=1" / "10_data.html").exists()
