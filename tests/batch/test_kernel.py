"""Kernels and their workers end with the job."""

import os
import subprocess
import time

from research.batch import kernel


def start_group() -> subprocess.Popen:
    """Start a process with a worker that outlives it."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 100 & echo $!; exec sleep 100"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    return process


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_of_a_kernel_that_was_killed_end_with_the_job():
    process = start_group()
    kernel.WatchedKernel.watching.append(kernel._watch(process.pid))
    process.kill()
    process.wait()
    assert is_alive(process.pid)  # the worker
    kernel.end_workers()
    assert not is_alive(process.pid)
    assert kernel.WatchedKernel.watching == []


def test_kernel_and_workers_end_when_the_job_was_killed():
    process = start_group()
    watching = kernel._watch(process.pid)
    watching.stdin.close()  # as the system does with the pipes of a dead process
    for _ in range(100):
        process.poll()
        if not is_alive(process.pid):
            break
        time.sleep(0.1)
    assert not is_alive(process.pid)
    watching.wait()
