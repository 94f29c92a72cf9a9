"""How a process ended, in words: by itself, by a crash, from outside, or for lack of memory."""

import signal
from contextlib import suppress
from pathlib import Path

COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")  # each with a line "oom_kill <number>"
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")


def count_memory_kills() -> int:
    """Return how many processes the system has ended so far for lack of memory."""
    return sum(_read_counter(Path(path)) for path in COUNTERS)


def _read_counter(path: Path) -> int:
    with suppress(OSError, ValueError):
        lines = (line.split() for line in path.read_text().splitlines())
        return sum(int(line[1]) for line in lines if line and line[0] == "oom_kill")
    return 0


def describe_death(code: int | None, memory_kills: int) -> str:
    """Return one sentence on a kernel that died.

    Parameters
    ----------
    code : its exit code, negative for a signal; None where it isn't known
    memory_kills : processes that the system ended for lack of memory in its time
    """
    expected = "expected the kernel to run to the last cell"
    if code == -signal.SIGKILL and memory_kills:
        return (
            f"{expected}, but the system ended it for lack of memory; run it again with fewer"
            " --jobs or on fewer rows"
        )
    return f"{expected}, but {describe_exit(code)}; read the details and run it again"


def describe_exit(code: int | None) -> str:
    """Return how a process ended, as a part of a sentence."""
    if code is None:
        return "it ended"
    if code >= 0:
        return f"it ended itself with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it crashed ({name})" if name in CRASHES else f"it was ended from outside ({name})"
