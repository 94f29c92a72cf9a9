"""A small project for the tests of the batch."""

import pytest
from projects import enter, write_project


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A project in which no batch has run yet."""
    write_project(tmp_path)
    enter(monkeypatch, tmp_path)
    return tmp_path
