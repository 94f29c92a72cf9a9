"""A small project for the tests of the batch."""

import pytest
from projects import enter, write_project

from research.batch import job, records, snakemake


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A project in which no batch has run yet."""
    write_project(tmp_path)
    enter(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def without_snakemake(monkeypatch):
    """Run jobs one by one in this process, for tests of what they leave; kernels stay processes."""

    def run_jobs(jobs, cores, lock, board=None) -> str:
        for each in jobs.values():
            if not records.is_current(each):
                job.run_job(each)
        return ""

    monkeypatch.setattr(snakemake, "run_jobs", run_jobs)
