"""One job: a kernel that doesn't start, tables that clash, failures in words."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import papermill
import pytest
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from research.batch.job import _execute, _refuse_clashes, describe_failure
from research.errors import StudyError


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
    sentence = (
        r"expected tables of the same name to be equal, got a numbers.csv that differs from that of"
        r" 10_data; rename it"
    )
    with pytest.raises(StudyError, match=sentence) if refused else nullcontext():
        _refuse_clashes(job, tmp_path / "scratch", tmp_path / "run", ["numbers.csv"], others)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StudyError("one", "two"), "one\ntwo"),
        (
            PapermillExecutionError(1, 1, "", "StudyError", "a fault; correct it", []),
            "a fault; correct it",
        ),
        (PapermillExecutionError(1, 1, "", "KeyError", "'x'\n", []), "KeyError: 'x'"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (DeadKernelError("Kernel died"), "expected the kernel to run to the last cell"),
    ],
)
def test_a_failure_is_described_by_its_sentences_or_its_last_line(error, sentence):
    assert describe_failure(error).startswith(sentence)


def test_a_job_does_not_load_the_slow_grammar_of_web_addresses():
    code = "import research.batch.job, sys; print(sys.modules['rfc3987_syntax'])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "None\n"
