"""What a batch is doing: which jobs run, wait or have ended, and when the others will have ended.

How long a job takes is expected from its last run; of one that never ran nothing is said.
"""

import heapq
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from research.batch import records

ENDED = re.compile(r"… (?:done in|not applicable in|failed after) ")
PAUSE_SECONDS = 2.0  # at least, between two pages that differ in their progress alone
Job = dict[str, Any]


@dataclass
class Waiting:
    """A job that has not ended.

    Attributes
    ----------
    seconds : that its last run took, infinite without one
    started : when it began, by ``time.time``; None while it waits
    progress : how far it is, in its own words
    """

    job: Job
    seconds: float
    started: float | None = None
    progress: str = ""


class Board:
    """The jobs of a batch that have not ended; ``show`` is called whenever that changes.

    Parameters
    ----------
    cores : jobs that run at a time
    show : takes the job that ended, or None where the others have only come further
    """

    def __init__(self, cores: int, show: Callable[[Job | None], None]):
        self._cores, self._show, self._shown = cores, show, 0.0
        self._waiting: dict[str, Waiting] = {}

    def begin(self, jobs: Iterable[Job]) -> None:
        """Take the jobs of the batch, in the order in which they will run."""
        self._waiting = {_name_place(job): Waiting(job, find_last_duration(job)) for job in jobs}
        self._show(None)

    def note(self, place: str, text: str) -> None:
        """Take one line of a job's progress; see ``snakemake.PROGRESS``."""
        waiting = self._waiting.get(place)
        if waiting is None:
            return
        if ENDED.match(text):
            del self._waiting[place]
            self._show(waiting.job)
            return
        new = waiting.started is None
        waiting.started = waiting.started or time.time()
        waiting.progress = text.removeprefix("…").strip()
        if new or time.monotonic() - self._shown > PAUSE_SECONDS:
            self._shown = time.monotonic()
            self._show(None)

    def clear(self) -> None:
        """Forget all jobs: the batch has ended."""
        self._waiting = {}

    def describe(self) -> list[dict[str, str]]:
        """Return study, run, notebook, question and state of each job, those that run first."""
        now = time.time()
        running = [each for each in self._waiting.values() if each.started is not None]
        queued = [each for each in self._waiting.values() if each.started is None]
        left = [max(each.started + each.seconds - now, 0) for each in running]
        ends = forecast(left, [each.seconds for each in queued], self._cores)
        return [
            {key: each.job[key] for key in ("study", "run", "notebook", "question")}
            | {"state": _describe_state(each, now + end)}
            for each, end in zip([*running, *queued], ends, strict=True)
        ]


def _name_place(job: Job) -> str:
    return f"{job['study']}/{job['run']} {job['notebook']}"


def find_last_duration(job: Job) -> float:
    """Return the seconds that a job took when it last succeeded, infinite if it never did."""
    path = records.run_folder(job) / "records" / f"{job['notebook']}.json"
    return records.read_record(path).get("seconds", math.inf)


def forecast(left: Sequence[float], queued: Sequence[float], cores: int) -> list[float]:
    """Return in how many seconds each job will have ended, those that run before those that wait.

    Parameters
    ----------
    left : seconds left of each that runs
    queued : seconds of each that waits, in their order; infinite where nobody knows

    >>> forecast([10], [5, 20, 1], cores=2)
    [10, 5, 25, 11]
    """
    free = [*left, *[0] * (cores - len(left))]
    heapq.heapify(free)
    ends = [*left]
    for seconds in queued:
        ends.append(heapq.heappop(free) + seconds)
        heapq.heappush(free, ends[-1])
    return ends


def _describe_state(waiting: Waiting, end: float) -> str:
    known = math.isfinite(end)
    expected = f"expected to end at {_write_clock(end)}" if known else ""
    if waiting.started is None:
        return ", ".join(part for part in ("queued", expected) if part)
    parts = [f"running since {_write_clock(waiting.started)}", waiting.progress, expected]
    return ", ".join(part for part in parts if part)


def _write_clock(moment: float) -> str:
    rounded = datetime.fromtimestamp(moment, UTC) + timedelta(seconds=30)
    return f"{rounded:%H:%M} UTC"
