"""Equal seeds, equal bytes: a batch that is run twice leaves the same tables."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
SETTINGS = {"tuning_trials": 3, "resamples": 200, "origins": 1}


def make_small(project: Path) -> None:
    """Let the demo have 800 customers and three training snapshots, so that it runs in a minute."""
    path = project / "data" / "demo" / "study.yml"
    study = yaml.safe_load(path.read_text())
    study["simulate"]["customers"] = 800
    study["snapshots"]["train"] = 3
    path.write_text(yaml.safe_dump(study))


def run(home: Path, jobs: int) -> dict[str, bytes]:
    """Run the plan in a process of its own, and return the tables by name."""
    given = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "research.cli", "run", "demo", *given, "--jobs", str(jobs)]
    done = subprocess.run(
        command, env={**os.environ, "RESEARCH_HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    tables = (home / "reports" / "demo").glob("*/tables/*")
    return {path.name: path.read_bytes() for path in tables}


def test_two_runs_with_one_and_with_two_jobs_leave_equal_tables_to_the_byte(copy, tmp_path_factory):
    make_small(copy)
    again = tmp_path_factory.mktemp("again") / "project"
    shutil.copytree(copy, again)
    first, second = run(copy, jobs=1), run(again, jobs=2)
    assert {"counts.csv", "risk_scores.parquet", "drivers.csv"} <= {*first}
    assert {*first} == {*second}
    assert [name for name in first if first[name] != second[name]] == []
