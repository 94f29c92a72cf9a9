"""Functions whose values are kept: ``@keep`` marks one, ``open_store`` lets them use the disk.

>>> @keep
... def double(number):
...     return 2 * number
>>> double(21)
42
"""

import os
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from research.errors import UsageError
from research.files import HALF_WRITTEN, sweep
from research.store import entries
from research.store.keys import NoKeyError, make_key

SWITCH, SIZE = "RESEARCH_STORE", "RESEARCH_STORE_GB"  # environment variables
OFF, DEFAULT_GB, MOST_GB = "off", 5.0, 1_000_000
FOLDER = ".store"
Function = TypeVar("Function", bound=Callable)
_opened: dict[str, Any] = {"folder": None, "limit": 0}


def open_store(home: Path) -> None:
    """Let functions marked by ``keep`` use the store of a project, in this process from now on.

    Parameters
    ----------
    home : folder of the project; the environment variable RESEARCH_STORE names another folder for
        the store, or says ``off``

    Raises
    ------
    UsageError
        If RESEARCH_STORE_GB is no size.
    """
    limit, folder = _read_limit(), find_folder(home)
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder, HALF_WRITTEN)
    except OSError:  # nothing can be kept there
        folder = None
    _opened.update(folder=folder, limit=limit)


def is_open() -> bool:
    """Say whether values are kept in this process."""
    return _opened["folder"] is not None


def find_folder(home: Path) -> Path | None:
    """Return the folder of a project's store, None where it is switched off."""
    given = os.environ.get(SWITCH, "").strip()
    if given.lower() == OFF:
        return None
    return Path(given).expanduser().resolve() if given else home / FOLDER


def _read_limit() -> int:
    """Return how many bytes the store may hold."""
    given = os.environ.get(SIZE, "").strip()
    try:
        size = float(given or DEFAULT_GB)
    except ValueError:
        size = 0
    if not 0 < size <= MOST_GB:
        raise UsageError(
            f"{SIZE}: expected the gigabytes that the store may hold, above 0, got '{given}'; write"
            f" for example {DEFAULT_GB:g}, or switch the store off with {SWITCH}={OFF}"
        )
    return int(size * 1e9)


def keep(function: Function) -> Function:
    """Mark a function that is costly to compute and whose value depends on its arguments alone.

    It is called once for equal arguments, code and versions; so it writes no table and draws no
    random number but by a seed among its arguments. Each call returns a value of its own. Warnings
    are given again, errors aren't kept.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not is_open():
            return function(*args, **kwargs)
        try:
            key = make_key(function, args, kwargs)
        except NoKeyError:
            return function(*args, **kwargs)
        value, warned = _find_or_compute(function, key, args, kwargs)
        for warning in warned:
            warnings.warn_explicit(*warning)
        return value

    return call


def _find_or_compute(function: Callable, key: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Return the value and its warnings; computed, they are read back from the disk as well, so
    that a value is the same from the first use on.
    """
    place = f"{function.__module__.removeprefix('research.')}.{function.__qualname__}"
    path = _opened["folder"] / f"{place}-{key[:32]}{entries.ENTRY}"
    known, found = entries.read(path, key)
    if known:
        return found
    with entries.lock(path):
        known, found = entries.read(path, key)  # another process may have computed it meanwhile
        if known:
            return found
        computed = _compute(function, args, kwargs)
        if entries.write(path, key, computed, _opened["limit"]):
            known, found = entries.read(path, key)
        return found if known else computed


def _compute(function: Callable, args: tuple, kwargs: dict[str, Any]) -> tuple[Any, list[tuple]]:
    """Return the value, and each warning as ``warnings.warn_explicit`` takes it."""
    with warnings.catch_warnings(record=True) as caught:
        value = function(*args, **kwargs)
    return value, [(str(one.message), one.category, one.filename, one.lineno) for one in caught]
