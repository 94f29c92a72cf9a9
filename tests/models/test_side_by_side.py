"""Fits that run two at a time."""

import os
import threading

import numpy as np
import pytest
from joblib import delayed
from threadpoolctl import threadpool_info

from research.models.side_by_side import run_side_by_side


def test_results_come_in_the_order_of_the_calls_and_from_this_process():
    def look(number: int) -> tuple[int, int, int]:
        np.ones((50, 50)) @ np.ones((50, 50))
        widest = max(pool["num_threads"] for pool in threadpool_info())
        return number, os.getpid(), widest

    found = run_side_by_side([delayed(look)(number) for number in range(8)], "looks")
    assert [number for number, _, _ in found] == [*range(8)]
    assert {pid for _, pid, _ in found} == {os.getpid()}
    assert {widest for _, _, widest in found} == {1}


def test_two_calls_run_at_a_time():
    both = threading.Barrier(2, timeout=30)
    assert len(run_side_by_side([delayed(both.wait)() for _ in range(2)], "waits")) == 2


def test_an_error_of_a_call_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_side_by_side([delayed(divmod)(1, 0)], "divisions")
