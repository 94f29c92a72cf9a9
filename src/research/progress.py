"""How far a long step is: told in the terminal and in JupyterLab, and never on a page.

A batch names a file in the environment variable RESEARCH_PROGRESS, which it reads while a notebook
runs; elsewhere a line on the standard error counts up and is gone at the end.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel
from tqdm import tqdm

from research.settings import count_workers

FILE = "RESEARCH_PROGRESS"
Item = TypeVar("Item")


def run_parallel(tasks: Sequence[Any], what: str, **options: Any) -> list[Any]:
    """Return the results of tasks, as many at a time as this notebook may run.

    Parameters
    ----------
    tasks : made by ``joblib.delayed``
    what : see ``track``
    options : of ``joblib.Parallel``; ``backend`` where it must be threads, since a notebook's own
        configuration overrules what is only preferred
    """
    results = Parallel(count_workers(), return_as="generator", **options)(tasks)
    return [*track(results, what, len(tasks))]


def track(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield items, and tell how many have been taken.

    Parameters
    ----------
    what : they are, in the plural and with what was done to them: "models fitted"
    total : how many there will be
    """
    if file := os.environ.get(FILE):
        yield from _count_in_file(items, what, total, Path(file))
    elif _is_watched():
        form = "{n_fmt} of {total_fmt} " + what + ", {elapsed}"
        yield from tqdm(items, total=total, leave=False, file=sys.stderr, bar_format=form)
    else:
        yield from items


def _count_in_file(items: Iterable[Item], what: str, total: int, file: Path) -> Iterator[Item]:
    for done, item in enumerate(items):
        yield item
        with suppress(OSError):  # a full disk is for others to tell
            file.write_text(f"{done + 1} of {total} {what}", encoding="utf-8")


def _is_watched() -> bool:
    """Say whether somebody may look at the standard error: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in type(sys.stderr).__module__
