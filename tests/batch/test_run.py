import fcntl
import json
import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import papermill
import pytest
from projects import ROWS, write_notebook, write_plan, write_study

from research.batch import notebooks, plan, records, snakemake
from research.batch import run as batch_run
from research.batch.job import StudyError, _execute, _refuse_clashes
from research.errors import UsageError

PLAN = """
notebooks: [10_data]
studies:
  alpha:
    runs:
      default: {}
      more: {rows: 5}
  beta: {notebooks: [10_data, 30_risk, 40_survival]}
  gamma: {}
"""
DECLARED = (
    'study: str = "alpha"  # folder\nrows: int = 3  # rows = lines of the table\nlabel: str | None'
    " = None\nshares: list[float] = [0.5]"
)
TABLE = (
    "import pandas as pd\nfrom research.reporting.results import"
    " save_table\nsave_table(pd.DataFrame({'number': range(rows), 'name': study}), 'numbers')"
)
FAULTS = (
    "from research.errors import StudyError\nraise StudyError('first <b>fault</b>; mend it',"
    " 'second fault; mend that')"
)
STOP = (
    "from research.errors import NotApplicable\nraise NotApplicable('expected a table contracts;"
    " this study has none')"
)


def write_project(root: Path) -> None:
    for name in ("alpha", "beta"):
        write_study(root, name)
    write_study(root, "gamma", rows=None)
    write_notebook(root, "10_data", "What is there?", DECLARED, TABLE)
    write_notebook(
        root, "30_risk", "Who will leave?", 'study: str = "alpha"\nrate: float = 0.5', FAULTS
    )
    write_notebook(root, "40_survival", "When?", 'study: str = "alpha"', STOP)
    write_plan(root, PLAN)
    (root / "code.py").write_text("x = 1\n")
    (root / "requirements.lock").write_text("pandas==2.3.3\n")


def enter(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Work in a project whose package is one small file, so that edits of the real one don't
    disturb.
    """
    patch.setenv("RESEARCH_HOME", str(root))
    patch.setattr(records, "list_sources", lambda: [root / "code.py"])


@pytest.fixture(scope="module")
def first_batch(tmp_path_factory):
    """All of the plan, once: two runs of alpha, beta with a failing notebook, gamma without its
    file.
    """
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


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    write_project(tmp_path)
    enter(monkeypatch, tmp_path)
    return tmp_path


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def stale(study: str, monkeypatch) -> list[str]:
    """Return the jobs that a batch would run."""
    found = []

    def note(wanted, cores, lock):
        found.extend(key for key, job in wanted.items() if not records.is_current(job))
        return ""

    monkeypatch.setattr(snakemake, "make", note)
    monkeypatch.setattr(batch_run, "_settle", lambda job, words: "unchanged")
    batch_run.run(study, {}, 1)
    return found


# What a request may ask for


def refuse(chosen=None, cores=1, **settings) -> str:
    with pytest.raises(UsageError) as error:
        batch_run.run(chosen, settings, cores)
    return str(error.value)


def test_an_unknown_parameter_is_refused_before_anything_runs(fresh):
    told = refuse("alpha", rovs="4")
    assert (
        told == "--set: expected a parameter that one of 10_data declares, got 'rovs'; did you mean"
        " 'rows'?"
    )
    assert not (fresh / "reports" / "alpha").exists()


@pytest.mark.parametrize(
    ("text", "declared"), [("four", "int"), ("4.5", "int"), ("true", "int"), ("", "int")]
)
def test_a_value_of_the_wrong_type_is_refused(fresh, text, declared):
    assert f"expected rows as {declared}, got " in refuse("alpha", rows=text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "4", 4),
        ("label", "true", "true"),
        ("label", "2025-06-30", "2025-06-30"),
        ("label", "none", None),
        ("shares", "[0.1, 1]", [0.1, 1.0]),
    ],
)
def test_a_setting_is_read_as_the_type_that_the_notebook_declares(fresh, name, text, value):
    (run,) = plan.arrange("alpha", {name: text})
    assert run.values["10_data"] == {name: value}


def test_all_faults_of_a_request_are_told_at_once(fresh):
    told = refuse("alpha", rovs="4", rows="x", study="beta").splitlines()
    assert len(told) == 3


def test_an_unknown_study_is_refused_with_the_closest_name(fresh):
    assert "did you mean 'alpha'?" in refuse("alpa")


@pytest.mark.parametrize("cores", [0, -1, 1.5, True])
def test_fewer_than_one_job_is_refused(fresh, cores):
    assert "--jobs: expected a whole number of at least 1" in refuse("alpha", cores)


def test_a_study_that_the_plan_does_not_name_runs_the_notebooks_of_the_plan(fresh):
    write_study(fresh, "delta")
    (run,) = plan.arrange("delta", {})
    assert (run.name, list(run.values)) == ("default", ["10_data"])


def test_each_notebook_gets_only_what_it_declares(fresh):
    (run,) = plan.arrange("beta", {"rows": "4", "rate": "0.25"})
    assert run.values == {"10_data": {"rows": 4}, "30_risk": {"rate": 0.25}, "40_survival": {}}


def test_settings_lie_on_top_of_the_default_run_of_the_plan_and_name_the_run(fresh):
    write_plan(
        fresh,
        "notebooks: [10_data]\nstudies: {alpha: {runs: {default: {label: north}, other: {rows:"
        " 9}}}}",
    )
    (run,) = plan.arrange("alpha", {"shares": "[0.5, 0.75]", "rows": "4"})
    assert run.parameters == {"label": "north", "rows": 4, "shares": [0.5, 0.75]}
    assert run.name.startswith("rows=4,shares=")
    assert run.command == "research run alpha --set 'shares=[0.5, 0.75]' --set rows=4"


@pytest.mark.parametrize("value", ["../../etc", "a b", "", "x" * 300, "a/b", "é"])
def test_no_value_makes_a_folder_name_that_is_unsafe(value):
    assert notebooks.SAFE_VALUE.fullmatch(
        notebooks.name_run({"label": value}).removeprefix("label=")
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("notebooks: [10_data]\nstudys: {}\n", "key studies: expected"),
        ("notebooks: []\nstudies: {}\n", "key notebooks: expected"),
        (
            "notebooks: [10_date]\nstudies: {alpha: {}}\n",
            "got '10_date'; did you mean '10_data'?",
        ),
        ("notebooks: [10_data]\nstudies: {alpa: {}}\n", "got 'alpa'; did you mean 'alpha'?"),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {../x: {}}}}\n",
            "key studies.alpha.runs.../x",
        ),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {a: {rows: '4'}}}}\n",
            "studies.alpha.runs.a: expected rows as int, got '4'",
        ),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {a: {rovs: 4}}}}\n",
            "studies.alpha.runs.a: expected a parameter that one of 10_data declares",
        ),
        ("notebooks: [10_data\n", "expected valid YAML"),
    ],
)
def test_each_fault_of_the_plan_is_a_sentence(fresh, text, told):
    write_plan(fresh, text)
    sentence = refuse()
    assert told in sentence
    assert "; " in sentence


def test_a_date_in_the_plan_reaches_a_text_parameter_as_it_was_written(fresh):
    write_plan(
        fresh, "notebooks: [10_data]\nstudies: {alpha: {runs: {default: {label: 2025-06-30}}}}"
    )
    assert plan.arrange("alpha", {})[0].parameters == {"label": "2025-06-30"}


def test_a_parameter_that_is_computed_is_refused(fresh):
    write_notebook(fresh, "10_data", "What is there?", "rows: int = 3\ntwice: int = 2 * rows")
    assert (
        "expected 'name: type = literal' on each line of the cell tagged parameters, got"
        " 'twice: int = 2 * rows'" in refuse("alpha")
    )


def test_a_second_batch_in_the_same_project_is_refused(fresh):
    with snakemake.alone():
        assert f"expected to be the only batch at work here, got process {os.getpid()}" in refuse(
            "alpha"
        )


def test_the_lock_of_a_batch_that_was_killed_is_free(fresh):
    lock = fresh / "reports" / ".batch" / "lock"
    lock.parent.mkdir()
    lock.write_text("process 1, at work since 2020-01-01")
    with snakemake.alone() as held, lock.open() as other, pytest.raises(BlockingIOError):
        assert held.name == str(lock)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
        "expected the file data/gamma/raw/rows.csv, which is not there"
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


def test_the_files_that_a_page_is_made_with_are_code_and_templates():
    named = {path.relative_to(records.PACKAGE).as_posix() for path in records.list_sources()}
    assert {
        "batch/run.py",
        "study.py",
        "batch/templates/style.css",
        "batch/templates/page.html.j2",
        "batch/templates/report/index.html.j2",
    } <= named


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
    assert "expected the job to say how it ended, got nothing" in capfd.readouterr().err
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


# One job


def job(root: Path) -> dict:
    return {"study": "alpha", "run": "default", "notebook": "10_data", "values": {}}


def test_a_kernel_that_found_its_port_taken_is_started_once_more(fresh, monkeypatch):
    calls = []

    def execute(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info: Address already in use")
        return "made"

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    (fresh / "kernel.log").touch()
    assert _execute(job(fresh), fresh) == "made"
    assert len(calls) == 2


def test_another_failure_to_start_is_not_tried_again(fresh, monkeypatch):
    def execute(*arguments, **options):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    (fresh / "kernel.log").touch()
    with pytest.raises(RuntimeError):
        _execute(job(fresh), fresh)


@pytest.mark.parametrize(
    ("content", "fingerprint", "refused"),
    [("number\n1\n", "b", True), ("number\n0\n", "b", False), ("number\n1\n", "a", False)],
)
def test_two_notebooks_may_share_a_table_only_while_it_is_the_same(
    tmp_path, content, fingerprint, refused
):
    # 10_data left 'numbers' holding 0, made from fingerprint b; where b is no longer wanted,
    # 10_data will be made again and counts for nothing
    for folder, text in (("run", "number\n0\n"), ("scratch", content)):
        (tmp_path / folder / "tables").mkdir(parents=True)
        (tmp_path / folder / "tables" / "numbers.csv").write_text(text)
    job, others = (
        {"notebook": "30_risk", "siblings": {"10_data": fingerprint}},
        {"10_data": {"fingerprint": "b", "files": ["tables/numbers.csv"]}},
    )
    told = (
        r"expected equal tables under one name, got another numbers.csv than that of 10_data;"
        r" rename them"
    )
    with pytest.raises(StudyError, match=told) if refused else nullcontext():
        _refuse_clashes(job, tmp_path / "scratch", tmp_path / "run", ["numbers.csv"], others)
