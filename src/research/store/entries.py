"""Entries of the store: one file for each value, written whole and checked when it is read.

The time of a file is that of its last use. A process holds the lock of an entry while it computes
it; the system gives the lock back with the process, however that ends.
"""

import fcntl
import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from research.files import HALF_WRITTEN, publish, sweep

ENTRY, LOCK = ".value", ".lock"
MAGIC = "research store 1"
BLOCK = 1 << 20


class Size(NamedTuple):
    """How much a store holds."""

    entries: int
    bytes: int


class _Entry(NamedTuple):
    used: int
    size: int
    path: Path


class _TooLargeError(Exception):
    """A value that is larger than the whole store may be."""


class _Writer:
    """A file that hashes what is written to it, and refuses more than a limit."""

    def __init__(self, file: BinaryIO, limit: int):
        self.digest, self._file, self._left = hashlib.sha256(), file, limit

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._left -= len(view)
        if self._left < 0:
            raise _TooLargeError
        self.digest.update(view)
        return self._file.write(view)


def write(path: Path, key: str, value: Any, limit: int) -> bool:
    """Write an entry, and remove those used longest ago beyond ``limit`` bytes in all.

    Returns
    -------
    bool
        Whether it was written: a value that is too large, can't be pickled or finds no room on the
        disk isn't.
    """
    try:
        publish(path, lambda scratch: _write(scratch, key, value, limit))
    except Exception:  # whatever an object that can't be pickled may raise
        return False
    trim(path.parent, limit)
    return True


def _write(scratch: Path, key: str, value: Any, limit: int) -> None:
    with scratch.open("wb") as file:
        file.write(_write_head(key, hashlib.sha256()))
        writer = _Writer(file, limit)
        pickle.dump(value, writer, protocol=5)
        file.seek(0)
        file.write(_write_head(key, writer.digest))


def _write_head(key: str, digest: Any) -> bytes:
    return f"{MAGIC} {key} {digest.hexdigest()}\n".encode()


def read(path: Path, key: str) -> tuple[bool, Any]:
    """Return whether there is a sound entry of this key, and its value."""
    try:
        if not _is_sound(path, key):
            return False, None
        with path.open("rb") as file:
            file.seek(len(_write_head(key, hashlib.sha256())))
            value = pickle.load(file)
        os.utime(path)
    except Exception:  # removed meanwhile, or whatever a value of code that is gone may raise
        return False, None
    return True, value


def _is_sound(path: Path, key: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb", buffering=0) as file:
        head = file.read(len(_write_head(key, hashlib.sha256())))
        return head == _write_head(key, hashlib.file_digest(file, "sha256"))


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock of an entry, waiting for the process that has it; on no file system in vain."""
    place = path.with_suffix(LOCK)
    handle = None
    while handle is None:
        try:
            handle = _take(place)
        except OSError:  # no lock can be had here
            break
    try:
        yield
    finally:
        if handle is not None:
            place.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone
            os.close(handle)


def _take(place: Path) -> int | None:
    """Return a handle of the locked file; None where another process removed it meanwhile."""
    handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.stat(place).st_ino == os.fstat(handle).st_ino:
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def trim(folder: Path, limit: int) -> None:
    """Remove the entries used longest ago until the others have at most ``limit`` bytes."""
    entries = _list_entries(folder)
    total = sum(entry.size for entry in entries)
    for entry in sorted(entries):
        if total <= limit:
            return
        entry.path.unlink(missing_ok=True)
        total -= entry.size


def measure(folder: Path) -> Size:
    """Return how many values a store holds, and their bytes."""
    entries = _list_entries(folder)
    return Size(len(entries), sum(entry.size for entry in entries))


def clear(folder: Path) -> Size:
    """Remove every value, and return how much that was; what a process is writing stays."""
    entries = _list_entries(folder)
    for entry in entries:
        entry.path.unlink(missing_ok=True)
    if folder.is_dir():
        sweep(folder, HALF_WRITTEN, f"*{LOCK}")
        with suppress(OSError):  # something else is in it
            folder.rmdir()
    return Size(len(entries), sum(entry.size for entry in entries))


def _list_entries(folder: Path) -> list[_Entry]:
    found = []
    for path in folder.glob(f"*{ENTRY}"):
        with suppress(OSError):  # removed by another process
            state = path.stat()
            found.append(_Entry(state.st_mtime_ns, state.st_size, path))
    return found
