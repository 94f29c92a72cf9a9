"""Flat studies of one raw file."""

import pytest
from raw_files import CSV, SNAPSHOT

from research.data import fetch
from research.study import Study


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Try a download again at once."""
    monkeypatch.setattr(fetch, "WAIT_SECONDS", 0)


@pytest.fixture
def flat(write_study):
    """Return a function that writes and returns a flat study of one source, file and adapter."""

    def write(
        file: str = "x.csv",
        content: str | bytes | None = CSV,
        sql: str | bytes = SNAPSHOT,
        **source,
    ) -> Study:
        study = write_study("flat", sources={"raw_x": {"file": file} | source})
        (study.folder / "snapshot.sql").write_bytes(sql if isinstance(sql, bytes) else sql.encode())
        if content is not None:
            (study.raw / file).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        return study

    return write
