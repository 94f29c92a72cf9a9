"""Keys of what is kept: one hash over code, versions and arguments.

Equal keys stand for equal values. An argument of which no key can be made, such as a function of a
notebook or a table of an engine, raises ``NoKeyError``: what depends on it isn't kept.
"""

import copyreg
import dataclasses
import hashlib
import inspect
import marshal
import pickle
import platform
import re
import time
import types
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache, partial, singledispatch
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import joblib
import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray
from pandas.arrays import NumpyExtensionArray
from pydantic import BaseModel

PACKAGE = Path(__file__).parents[1]
BEGAN = time.time()  # this process: a source changed later may not be the one that runs
IMPORT = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(research[\w.]*)(?:[ \t]+import[ \t]+(\([^)]*\)|[^\n]*))?",
    re.MULTILINE,
)
TRANSPARENT = (  # packages whose objects are what their state is
    "research.",
    "sklearn.",
    "lightgbm.",
    "imblearn.",
    "sksurv.",
    "statsmodels.",
    "_loss",
)
_TIMES: dict[Path, int] = {}  # of the sources that were read, in nanoseconds
MARSHAL_VERSION = 2  # later ones write equal texts differently when they are one object


class NoKeyError(Exception):
    """There is no key for this argument, or for code that has changed since it was loaded."""


class Labelled(dict):
    """Tables of a study, and a text that stands for all that is in them."""

    label: str = ""


def label(tables: dict[str, Any], content: str | None) -> dict[str, Any]:
    """Return tables with a text that stands for all that is in them.

    Parameters
    ----------
    content : tables with equal texts are equal; without one no key is made of them, and what is
        computed from them isn't kept
    """
    if content is None:
        return tables
    labelled = Labelled(tables)
    labelled.label = content
    return labelled


def hash_value(value: Any) -> str:
    """Return one SHA-256 over all that a value is.

    Raises
    ------
    NoKeyError
    """
    digest = hashlib.sha256()
    feed(value, digest)
    return digest.hexdigest()


def make_key(function: Callable, args: tuple, kwargs: dict[str, Any]) -> str:
    """Return the key of a call: a SHA-256 in hexadecimal.

    Raises
    ------
    NoKeyError
    """
    given = inspect.signature(function).bind(*args, **kwargs)
    given.apply_defaults()
    digest = hashlib.sha256(_list_versions().encode())
    try:
        for part in (function, *given.arguments.items()):
            feed(part, digest)
    except RecursionError:
        raise NoKeyError("an argument that holds itself") from None
    _require_unchanged()
    return digest.hexdigest()


# Code and versions


@cache
def _list_versions() -> str:
    """Return Python, the machine and the versions of all that this package needs, as one text."""
    needed = metadata.requires("research") or []
    names = {re.match(r"[\w.-]+", each)[0] for each in needed if "extra ==" not in each}
    versions = [f"{name} {metadata.version(name)}" for name in sorted(names)]
    return "\n".join([platform.python_version(), platform.machine(), *versions])


@cache
def hash_code(module: str) -> str:
    """Return one hash over a module of this package and all that it imports of it, at any depth."""
    sources, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _read_source(name)
            waiting += _list_imports(sources[name])
    parts = [f"{name} {source}" for name, source in sorted(sources.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _read_source(module: str) -> str:
    """Return the source of a module, empty of what is none, or hands out the names of others."""
    inner = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (inner.with_suffix(".py"), inner / "__init__.py"):
        if inner != PACKAGE and path.is_file():
            _TIMES[path] = path.stat().st_mtime_ns
            return path.read_text(encoding="utf-8")
    return ""


def _require_unchanged() -> None:
    """Refuse a key of sources that may have changed since this process loaded them."""
    for path, then in _TIMES.items():
        if then > BEGAN * 1e9 or not path.exists() or path.stat().st_mtime_ns != then:
            raise NoKeyError(f"{path.name} has changed since it was loaded")


def _list_imports(source: str) -> set[str]:
    """Return the modules of this package that a source may import, anywhere in it."""
    found = set()
    for module, names in IMPORT.findall(source):
        found |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))}
    return found


# Arguments


@singledispatch
def feed(value: Any, digest: Any) -> None:
    """Add to a digest all that a value is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.compare]
        _feed_parts(type(value), ((name, getattr(value, name)) for name in names), digest)
    else:
        _feed_parts(type(value), (_read_state(value),), digest)


def _read_state(value: Any) -> Any:
    """Return what an object of a trusted package is, as it would be pickled."""
    name = getattr(value, "__name__", "")
    if name and getattr(np, name, None) is value:
        return f"numpy.{name}"
    if type(value).__module__.startswith(TRANSPARENT):
        state = value.__getstate__()
        if state is not None:
            return state
        made, given, *_ = value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        if made in (type(value), copyreg.__newobj__):  # made of these arguments and nothing else
            return given
    raise NoKeyError(f"an argument of type {type(value).__name__}")


def _feed_parts(kind: type, parts: Any, digest: Any) -> None:
    feed(kind, digest)
    for part in parts:
        feed(part, digest)
    digest.update(b"end\n")


def _feed_text(text: str, digest: Any) -> None:
    encoded = text.encode("utf-8", "surrogatepass")
    digest.update(f"{len(encoded)} ".encode() + encoded)


for literal in (
    type(None), bool, int, float, complex, str, bytes, range, slice, date, timedelta, PurePath,
    np.dtype,
):  # fmt: skip

    @feed.register(literal)
    def _feed_literal(value: Any, digest: Any) -> None:
        _feed_text(f"{type(value).__qualname__} {value!r}", digest)


@feed.register(type)
def _feed_type(value: type, digest: Any) -> None:
    _feed_text(f"{value.__module__}.{value.__qualname__}", digest)
    if value.__module__.startswith("research."):
        _feed_text(hash_code(value.__module__), digest)


@feed.register(types.FunctionType)
def _feed_function(value: types.FunctionType, digest: Any) -> None:
    """Add a function of a module by its name and that module's code; refuse closures."""
    if "<" in value.__qualname__ or value.__module__ == "__main__":
        raise NoKeyError(f"the function {value.__qualname__}")
    _feed_type(value, digest)


@feed.register(types.MethodType)
def _feed_method(value: types.MethodType, digest: Any) -> None:
    _feed_parts(types.MethodType, (value.__func__, value.__self__), digest)


@feed.register(partial)
def _feed_partial(value: partial, digest: Any) -> None:
    _feed_parts(partial, (value.func, value.args, value.keywords), digest)


@feed.register(np.random.Generator)
def _feed_generator(value: np.random.Generator, digest: Any) -> None:
    _feed_parts(type(value), (value.bit_generator.state,), digest)


@feed.register(tuple)
@feed.register(list)
def _feed_sequence(value: Any, digest: Any) -> None:
    _feed_parts(type(value), value, digest)


@feed.register(dict)
def _feed_mapping(value: dict, digest: Any) -> None:
    _feed_parts(type(value), value.items(), digest)


@feed.register(set)
@feed.register(frozenset)
def _feed_set(value: Any, digest: Any) -> None:
    hashes = []
    for each in value:
        inner = hashlib.sha256()
        feed(each, inner)
        hashes.append(inner.digest())
    _feed_parts(type(value), sorted(hashes), digest)


@feed.register(Labelled)
def _feed_tables(value: Labelled, digest: Any) -> None:
    _feed_parts(Labelled, (value.label, [*value]), digest)


@feed.register(BaseModel)
def _feed_model(value: BaseModel, digest: Any) -> None:
    private = value.__pydantic_private__ or {}
    _feed_parts(type(value), (*vars(value).items(), *private.items()), digest)


@feed.register(np.ndarray)
@feed.register(np.generic)
def _feed_array(value: Any, digest: Any) -> None:
    array = np.asarray(value)
    _feed_text(f"{type(value).__qualname__} {array.dtype.descr} {array.shape}", digest)
    if array.dtype.hasobject:
        _feed_objects(array, digest)
    elif array.size:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _feed_objects(array: np.ndarray, digest: Any) -> None:
    values = array.tolist()
    try:
        digest.update(marshal.dumps(values, MARSHAL_VERSION))
    except ValueError:  # something other than texts and numbers
        _feed_text(joblib.hash(values, "sha1"), digest)


@feed.register(pd.DataFrame)
def _feed_frame(value: pd.DataFrame, digest: Any) -> None:
    feed(value.columns, digest)
    feed(value.index, digest)
    for _, column in value.items():
        feed(column.array, digest)


@feed.register(pd.Series)
def _feed_series(value: pd.Series, digest: Any) -> None:
    _feed_parts(pd.Series, (value.name, value.index, value.array), digest)


@feed.register(pd.Index)
def _feed_index(value: pd.Index, digest: Any) -> None:
    _feed_parts(type(value), (*value.names, *_list_levels(value)), digest)


def _list_levels(index: pd.Index) -> list[Any]:
    if isinstance(index, pd.MultiIndex):
        return [index.get_level_values(level).array for level in range(index.nlevels)]
    if isinstance(index, pd.RangeIndex):
        return [range(index.start, index.stop, index.step)]
    return [index.array]


@feed.register(ExtensionArray)
def _feed_column(value: ExtensionArray, digest: Any) -> None:
    _feed_text(str(value.dtype), digest)
    if isinstance(value, pd.Categorical):
        feed(value.categories, digest)
        feed(value.codes, digest)
    elif isinstance(value, NumpyExtensionArray) or isinstance(value.dtype, np.dtype):
        feed(np.asarray(value), digest)
    elif isinstance(value.dtype, pd.DatetimeTZDtype):
        feed(value.asi8, digest)
    else:
        feed(value.to_numpy(object), digest)
