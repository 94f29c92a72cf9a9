"""Files written whole or not at all, and the removal of what a killed process left half-written.

A process locks what it writes until it is published: the system unlocks it with the process, so
that ``sweep`` tells the leftovers of a process that was killed from the work of one that lives.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
HALF_WRITTEN = f".*{PART}"  # the names of files that are being written
ATTEMPTS, WAIT_SECONDS = 50, 0.1
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def sync(path: Path) -> None:
    """Have the system write a file's bytes, or a folder's list of names, to its disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Have the system write all files below a folder to its disk."""
    for path in folder.rglob("*"):
        sync(path)


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Write next to ``path`` and rename, so that readers see the whole file or none.

    The bytes are on the disk before the rename. An error of the system names ``path``.
    """
    with _held(path.parent):
        handle, name = tempfile.mkstemp(PART, f".{path.name}.", path.parent)
        _lock(handle)
    scratch = Path(name)
    try:
        write(scratch)
        scratch.chmod(0o644)
        sync(scratch)
        os.replace(scratch, path)
    except OSError as error:
        raise _name_file(error, scratch, path) from None
    finally:
        scratch.unlink(missing_ok=True)
        os.close(handle)


def _name_file(error: OSError, scratch: Path, path: Path) -> OSError:
    """Return an error of the system with the file that a user knows."""
    if error.errno is None or error.filename not in (None, str(scratch)):
        return error
    return type(error)(error.errno, error.strerror, str(path))


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder, which is removed at the end."""
    folder, release = make_scratch_folder(parent, prefix)
    try:
        yield folder
    finally:
        release()


def make_scratch_folder(parent: Path, prefix: str) -> tuple[Path, Callable[[], None]]:
    """Return a new folder, which ``sweep`` spares while this process lives, and its removal."""
    with _held(parent):
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        handle = os.open(folder, os.O_RDONLY)
        _lock(handle)

    def release() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            os.close(handle)

    return folder, release


def _lock(handle: int) -> None:
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(parent: Path, *patterns: str) -> None:
    """Remove files and folders of these patterns that belong to no process any more."""
    with suppress(OSError), _closed(parent):
        for path in [path for pattern in patterns for path in parent.glob(pattern)]:
            if _is_abandoned(path):
                _remove(path)


def _is_abandoned(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold off a sweep of a folder until what is made in it has its own lock."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(ATTEMPTS):  # a sweep takes no longer, and others may lock the folder too
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            time.sleep(WAIT_SECONDS)
        yield
    finally:
        os.close(handle)


@contextmanager
def _closed(folder: Path) -> Iterator[None]:
    """Keep others from making files in a folder; raise an error where one is doing so."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def describe_os_error(error: OSError) -> str:
    """Return one sentence on a file that the system refused to write or read."""
    file = str(error.filename) if error.filename else "a file"
    reason = error.strerror or str(error)
    if error.errno in FULL:
        return f"expected room on the disk for {file}, got none ({reason}); make room there"
    if error.errno in CLOSED:
        return f"expected to be allowed to write {file}, but that failed: {reason}; allow it"
    return f"expected to read or write {file}, but that failed: {reason}; correct its folder"
