"""Shared fixtures: a throwaway project with studies written from data frames."""

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from research.studies import Study, load_study

MIRROR = Path(__file__).parents[2] / "shared" / "data"
CLOCK = {"churn": {"horizon_days": 30, "lead_days": 0}, "snapshots": {"last": "2024-06-30", "train": 1, "test": 1}, "data_end": "2024-12-31"}
ACTIVE = {"active_days": 90, "inactive_days": 60}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project: RESEARCH_HOME points at it, and no mirror is set."""
    for folder in ("data", "notebooks", "reports"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("RESEARCH_HOME", str(tmp_path))
    monkeypatch.delenv("RESEARCH_MIRROR", raising=False)
    return tmp_path


@pytest.fixture
def write_study(project):
    """Return a function that writes a study folder from frames and returns the loaded study."""

    def write(kind: str = "contractual", name: str = "tiny", tables: dict[str, pd.DataFrame] | None = None, **changes) -> Study:
        folder = project / "data" / name
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        for table, frame in (tables or {}).items():
            frame.to_parquet(folder / "raw" / f"{table}.parquet", index=False)
            (folder / f"{table}.sql").write_text(f"SELECT * FROM raw_{table}")
        definition = {"title": "A tiny company", "kind": kind, "economics": {"currency": "EUR", "capacity": 5}}
        definition |= {"sources": {f"raw_{table}": {"file": f"{table}.parquet"} for table in tables or {}}}
        definition |= {} if kind == "flat" else CLOCK | ({"churn": CLOCK["churn"] | ACTIVE} if kind == "non_contractual" else {})
        (folder / "study.yml").write_text(yaml.safe_dump(definition | changes))
        return load_study(name)

    return write


@pytest.fixture
def mirror(monkeypatch) -> Path:
    """The mirror of the real files; the test is skipped where it isn't there."""
    if not MIRROR.is_dir():
        pytest.skip("needs the mirror folder of the real data sets")
    monkeypatch.setenv("RESEARCH_MIRROR", os.fspath(MIRROR))
    return MIRROR
