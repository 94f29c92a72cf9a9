"""Shared fixtures: a throwaway project with studies written from data frames."""

import os
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml
from projects import copy_project

from research.study import Study, load_study

MIRROR = Path(__file__).parents[2] / "shared" / "data"
CLOCK = {
    "churn": {"horizon_days": 30, "lead_days": 0},
    "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
    "data_end": "2024-12-31",
}
ACTIVE = {"active_days": 90, "inactive_days": 60}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project: RESEARCH_HOME points at it, and no mirror is set."""
    return _start(tmp_path, monkeypatch)


@pytest.fixture
def write_study(project):
    """Return a function that writes a study folder from frames and returns the loaded study."""
    return partial(_write, project)


@pytest.fixture(scope="module")
def write_shared(tmp_path_factory):
    """As ``write_study``, in a project that all tests of a file share."""
    with pytest.MonkeyPatch.context() as patch:
        yield partial(_write, _start(tmp_path_factory.mktemp("shared"), patch))


def _start(root: Path, patch: pytest.MonkeyPatch) -> Path:
    for folder in ("data", "notebooks", "reports"):
        (root / folder).mkdir()
    patch.setenv("RESEARCH_HOME", str(root))
    patch.delenv("RESEARCH_MIRROR", raising=False)
    return root


def _write(
    root: Path,
    kind: str = "contractual",
    name: str = "tiny",
    tables: dict[str, pd.DataFrame] | None = None,
    **changes,
) -> Study:
    folder = root / "data" / name
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    for table, frame in (tables or {}).items():
        frame.to_parquet(folder / "raw" / f"{table}.parquet", index=False)
        (folder / f"{table}.sql").write_text(f"SELECT * FROM raw_{table}")
    definition = {
        "title": "A tiny company",
        "kind": kind,
        "economics": {"currency": "EUR", "capacity": 5},
    }
    definition |= {
        "sources": {f"raw_{table}": {"file": f"{table}.parquet"} for table in tables or {}}
    }
    definition |= (
        {}
        if kind == "flat"
        else CLOCK | ({"churn": CLOCK["churn"] | ACTIVE} if kind == "non_contractual" else {})
    )
    (folder / "study.yml").write_text(yaml.safe_dump(definition | changes))
    return load_study(name)


@pytest.fixture
def copy(project, monkeypatch) -> Path:
    """A project with the repository's studies and notebooks, and a plan of its own."""
    copy_project(project)
    (project / "reports" / "plan.yml").write_text(
        "notebooks: [10_data, 30_risk]\nstudies: {demo: {}}\n"
    )
    return project


@pytest.fixture
def mirror(monkeypatch) -> Path:
    """The mirror of the real files; the test is skipped where it isn't there."""
    if not MIRROR.is_dir():
        pytest.skip("needs the mirror folder of the real data sets")
    monkeypatch.setenv("RESEARCH_MIRROR", os.fspath(MIRROR))
    return MIRROR
