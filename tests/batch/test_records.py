"""Records of runs: whole files, fingerprints, and the summary of a run."""

import hashlib
import json
import os
import tempfile
import threading

import pytest

from research.batch import records

JOB = {"study": "alpha", "run": "default", "notebook": "10_data", "fingerprint": "a", "batch": "b"}
FACTS = {
    "title": "Alpha",
    "command": "research run alpha",
    "data_hashes": {},
    "python": "3.11",
    "packages": {},
    "run_parameters": {"rows": 5},
    "data_hash": "d",
    "code_version": "c",
}


def write_record(root, kind: str, notebook: str, **changes) -> None:
    record = JOB | FACTS | {"notebook": notebook, "started": "2026-01-01", "seconds": 1.5}
    record |= {"finished": "2026-01-02", "outcome": "done", "error": ""} | changes
    path = root / "reports" / "alpha" / "default" / kind / f"{notebook}.json"
    records.write_json(path, record)


def test_the_files_that_a_page_is_made_with_are_code_and_templates():
    named = {path.relative_to(records.PACKAGE).as_posix() for path in records.list_sources()}
    assert {
        "batch/run.py",
        "study.py",
        "batch/templates/style.css",
        "batch/templates/page.html.j2",
        "batch/templates/report/index.html.j2",
    } <= named


def test_the_hash_of_files_covers_names_and_bytes_but_no_dates(tmp_path):
    (tmp_path / "a").write_text("x")
    before = records.hash_files([tmp_path / "a"])
    (tmp_path / "a").touch()
    assert records.hash_files([tmp_path / "a"]) == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert records.hash_files([tmp_path / "b"]) != before


@pytest.mark.parametrize("content", [None, "", "{", "\x00"])
def test_a_missing_or_damaged_record_is_empty(tmp_path, content):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    assert records.read_json(tmp_path / "x.json") == {}


def test_a_text_is_written_whole_and_nothing_else_stays(tmp_path):
    records.write_text(tmp_path / "new" / "x.txt", "first")
    records.write_text(tmp_path / "new" / "x.txt", "second")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.txt"]
    assert (tmp_path / "new" / "x.txt").read_text() == "second"


def test_a_record_leaves_out_what_only_the_job_needs():
    record = records.describe(JOB | {"inputs": ["x"], "values": {}}, "2026-01-01", 1.234, "done")
    assert {"inputs", "values"}.isdisjoint(record)
    assert (record["seconds"], record["outcome"], record["error"]) == (1.23, "done", "")


def test_a_job_is_current_while_its_fingerprint_and_its_files_are(project):
    assert not records.is_current(JOB)
    page = records.run_folder(JOB) / "10_data.html"
    value = hashlib.sha256(b"whole").hexdigest()
    write_record(project, "records", "10_data", files={"10_data.html": value})
    assert not records.is_current(JOB)
    page.write_text("whole")
    assert records.is_current(JOB)
    assert not records.is_current(JOB | {"fingerprint": "b"})


@pytest.mark.parametrize("content", ["", "whol", "whole and more"])
def test_a_job_whose_page_is_empty_cut_or_changed_is_not_current(project, content):
    value = hashlib.sha256(b"whole").hexdigest()
    write_record(project, "records", "10_data", files={"10_data.html": value})
    (records.run_folder(JOB) / "10_data.html").write_text(content)
    assert not records.is_current(JOB)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"study": "alpha"}'])
@pytest.mark.parametrize("kind", ["records", "failed"])
def test_a_damaged_record_is_left_out_of_the_summary_and_named(project, kind, content):
    write_record(project, "records", "30_risk")
    damaged = records.run_folder(JOB) / kind / "10_data.json"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_text(content)
    assert [*records.summarise(records.run_folder(JOB))["notebooks"]] == ["30_risk"]
    assert not records.is_current(JOB)
    assert [*records.list_damaged()] == [
        f"reports/alpha/default/{kind}/10_data.json: expected the record of a notebook, got a"
        " damaged file; 'research run alpha' makes its report again, else remove the file"
    ]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"study": "beta"}'])
def test_a_damaged_summary_is_no_run_of_the_index(project, content):
    write_record(project, "records", "10_data")
    folder = records.run_folder(JOB)
    records.write_json(folder / "run.json", records.summarise(folder))
    records.write_text(project / "reports" / "beta" / "default" / "run.json", content)
    assert [run["study"] for run in records.list_runs()] == ["alpha"]


def test_the_summary_of_a_run_adds_its_notebooks_up_and_keeps_the_earlier_page(project):
    write_record(project, "records", "10_data")
    write_record(project, "records", "30_risk", finished="2026-01-01")
    write_record(project, "failed", "30_risk", outcome="failed", finished="2026-01-03", seconds=3)
    run = records.summarise(records.run_folder(JOB))
    assert (run["outcome"], run["seconds"], run["finished"]) == ("failed", 4.5, "2026-01-03")
    assert run["parameters"] == {"rows": 5}
    assert run["notebooks"]["30_risk"]["page"] == "30_risk.html"
    assert run["notebooks"]["30_risk"]["page_finished"] == "2026-01-01"
    assert run["notebooks"]["30_risk"]["details"] == "failed/30_risk.txt"
    assert run["notebooks"]["10_data"]["details"] is None


def test_a_folder_without_records_has_no_summary(project):
    assert records.summarise(records.run_folder(JOB)) == {}


def test_a_failure_is_kept_with_its_details_until_it_is_forgotten(project):
    records.write_failure(JOB, {"outcome": "failed"}, "the trace")
    folder = records.run_folder(JOB) / "failed"
    assert sorted(path.name for path in folder.iterdir()) == ["10_data.json", "10_data.txt"]
    assert json.loads((folder / "10_data.json").read_text()) == {"outcome": "failed"}
    records.forget_failure(JOB)
    assert not folder.exists()


def test_two_jobs_may_write_and_forget_their_failures_at_once(project):
    faults = []

    def fail_and_forget(name: str) -> None:
        job = JOB | {"notebook": name}
        try:
            for _ in range(100):
                records.write_failure(job, {"outcome": "failed"}, "the trace")
                records.forget_failure(job)
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=fail_and_forget, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_text_is_written_by_a_rename_after_it_was_synced(tmp_path, monkeypatch):
    noted = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: noted.append("sync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *names: noted.append("rename") or replace(*names))
    records.write_text(tmp_path / "x.txt", "whole")
    assert noted == ["sync", "rename"]


def test_what_killed_jobs_left_anywhere_in_the_reports_is_swept(project, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    run = project / "reports" / "alpha" / "default"
    left = [
        project / "reports" / ".index.html.abcd1234",
        run / ".run.json.abcd1234",
        run / "records" / ".10_data.json.abcd1234",
        run / "failed" / ".10_data.txt.abcd1234",
        run / ".staging-abc" / "notebook.ipynb",
        tmp_path / "temporary" / "research-job-abc" / "connection.json",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    (run / "run.json").write_text("{}")
    records.sweep_leftovers()
    assert [path for path in left if path.exists()] == []
    assert not (run / ".staging-abc").exists()
    assert (run / "run.json").exists()
