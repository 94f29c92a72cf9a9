"""What the index says of a batch that runs: which jobs are left, and when they will have ended."""

import math

import pytest
from bs4 import BeautifulSoup

from research.batch import board, pages, records

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


def a_job(notebook: str) -> dict:
    return {"study": "alpha", "run": "default", "notebook": notebook, "question": f"{notebook}?"}


@pytest.fixture
def clock(monkeypatch):
    """The time as a board reads it; a test sets it."""
    time = {"now": NOW}
    monkeypatch.setattr(board.time, "time", lambda: time["now"])
    monkeypatch.setattr(board.time, "monotonic", lambda: time["now"])
    return time


@pytest.fixture
def lasted(monkeypatch):
    """The seconds that the last run of each notebook took."""
    seconds = {"10_data": 60.0, "30_risk": 120.0}
    monkeypatch.setattr(
        board, "find_last_duration", lambda job: seconds.get(job["notebook"], math.inf)
    )


@pytest.fixture
def shown(clock, lasted):
    """A board of three jobs on one core, and the jobs that it said had ended."""
    ended = []
    made = board.Board(1, ended.append)
    made.begin([a_job("10_data"), a_job("30_risk"), a_job("45_mine")])
    return made, ended


def states(made: board.Board) -> dict[str, str]:
    return {entry["notebook"]: entry["state"] for entry in made.describe()}


def test_jobs_that_wait_are_expected_after_those_before_them(shown):
    assert states(shown[0]) == {
        "10_data": "queued, expected to end at 08:01 UTC",
        "30_risk": "queued, expected to end at 08:03 UTC",
        "45_mine": "queued",
    }


def test_a_job_that_runs_says_since_when_and_how_far_it_is(shown, clock):
    shown[0].note("alpha/default 10_data", "…")
    clock["now"] += 30
    shown[0].note("alpha/default 10_data", "… 5 of 16 models fitted")
    state = "running since 08:00 UTC, 5 of 16 models fitted, expected to end at 08:01 UTC"
    assert states(shown[0])["10_data"] == state


def test_a_job_that_takes_longer_than_last_time_is_expected_now(shown, clock):
    shown[0].note("alpha/default 10_data", "…")
    clock["now"] += 600
    assert states(shown[0])["10_data"].endswith("expected to end at 08:10 UTC")


@pytest.mark.parametrize(
    "text", ["… done in 3 s", "… not applicable in 1 s", "… failed after 2 s: a fault"]
)
def test_a_job_that_ended_is_on_the_board_no_more_and_is_told(shown, text):
    made, ended = shown
    made.note("alpha/default 10_data", "…")
    made.note("alpha/default 10_data", text)
    assert "10_data" not in states(made)
    assert ended[-1]["notebook"] == "10_data"


def test_progress_alone_writes_the_page_every_other_second_at_most(shown, clock):
    made, ended = shown
    made.note("alpha/default 10_data", "…")
    before = len(ended)
    for done in range(20):
        clock["now"] += 0.2
        made.note("alpha/default 10_data", f"… {done} of 20 models fitted")
    assert 1 <= len(ended) - before <= 2


def test_lines_of_jobs_that_nobody_asked_for_are_ignored(shown):
    shown[0].note("beta/default 10_data", "…")
    assert len(shown[0].describe()) == 3


def test_cores_are_filled_in_the_order_of_the_jobs():
    assert board.forecast([], [3, 5, 1], 2) == [3, 5, 4]
    assert board.forecast([2, 9], [4], 2) == [2, 9, 6]
    assert board.forecast([], [math.inf, 1, 1], 2) == [math.inf, 1, 2]


def test_the_last_success_tells_how_long_a_job_takes(fresh):
    job = a_job("10_data")
    assert board.find_last_duration(job) == math.inf
    record = dict.fromkeys(records.OF_RECORD, "") | {"seconds": 12.5}
    records.write_json(records.run_folder(job) / "records" / "10_data.json", record)
    assert board.find_last_duration(job) == 12.5


def test_the_index_lists_what_is_left_and_is_read_again_until_nothing_is(shown):
    page = pages.render_index([], shown[0].describe(), "2027-01-15T08:00:00+00:00")
    index = BeautifulSoup(page, "html.parser")
    listed = [entry.text.split() for entry in index.select("#waiting li")]
    assert [words[0] for words in listed] == ["10_data?", "30_risk?", "45_mine?"]
    assert "3 to go, as of 2027-01-15 08:00 UTC" in index.text
    assert index.find("meta", attrs={"http-equiv": "refresh"}) is not None
    shown[0].clear()
    later = BeautifulSoup(pages.render_index([], shown[0].describe()), "html.parser")
    assert later.find("meta", attrs={"http-equiv": "refresh"}) is None
    assert later.select("#waiting") == []
