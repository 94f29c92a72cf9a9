"""Fits that run side by side in threads of one process, as many as the notebook has cores.

What fits spend their time in releases Python's lock. Processes of their own would load every
library again, and hold a copy of the rows each.
"""

from collections.abc import Callable, Sequence
from typing import Any

from threadpoolctl import threadpool_limits

from research.progress import run_parallel


def run_side_by_side(calls: Sequence[Callable], what: str) -> list[Any]:
    """Return the results of delayed calls in their order; each computes in one thread.

    Parameters
    ----------
    calls : made by ``joblib.delayed``
    what : they are, for who watches: see ``progress.track``
    """
    with threadpool_limits(1):
        return run_parallel(calls, what, backend="threading")
