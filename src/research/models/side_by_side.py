"""Fits that run two at a time, in threads of one process.

What fits spend their time in releases Python's lock. Processes of their own would load every
library again, and hold a copy of the rows each.
"""

from collections.abc import Callable, Iterable
from typing import Any

from joblib import Parallel
from threadpoolctl import threadpool_limits

THREADS = 2


def run_side_by_side(calls: Iterable[Callable]) -> list[Any]:
    """Return the results of delayed calls in their order; each computes in one thread.

    Parameters
    ----------
    calls : made by ``joblib.delayed``
    """
    with threadpool_limits(1):
        return Parallel(n_jobs=THREADS, prefer="threads")(calls)
