"""The kernel of a job, which takes its worker processes with it when it ends."""

import subprocess
from typing import ClassVar

from jupyter_client import AsyncKernelManager

# Waits until the job has closed the pipe or died, then ends the process group of its kernel: first
# the workers, so that the tracker of their memory can remove it, then whatever is left.
END_GROUP = """
read -r line
for signal in TERM KILL; do
  kill -s $signal -- "-$0" || exit 0
  for pause in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -s 0 -- "-$0" || exit 0
    sleep 0.1
  done
done
"""


class WatchedKernel(AsyncKernelManager):
    """A kernel whose process and workers are ended with the job, however that ends."""

    launched: ClassVar[list[subprocess.Popen]] = []
    watching: ClassVar[list[subprocess.Popen]] = []

    async def _async_post_start_kernel(self, **options) -> None:
        process = self.provisioner.process
        self.launched.append(process)
        self.watching.append(_watch(process.pid))
        await super()._async_post_start_kernel(**options)


def _watch(group: int) -> subprocess.Popen:
    return subprocess.Popen(
        ["/bin/sh", "-c", END_GROUP, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end_workers() -> None:
    """End what is left of the kernels of this process."""
    while WatchedKernel.watching:
        watching = WatchedKernel.watching.pop()
        watching.stdin.close()
        watching.wait()
