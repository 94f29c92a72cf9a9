"""Notebooks and their parameters: what the cell tagged ``parameters`` declares, and whether a value
fits it.
"""

import ast
import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AllowInfNan, TypeAdapter, ValidationError

from research.errors import UsageError
from research.settings import require_settings
from research.study import project_root, show_path

SAFE_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}|-[0-9.]{1,20}")
TYPES = {
    "int": int,
    "float": Annotated[float, AllowInfNan(False)],
    "bool": bool,
    "str": str,
    "list": list,
    "None": None,
}
WORDS = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True)
class Parameter:
    """What a notebook declares: the type as Python knows it and as the notebook spells it, and the
    default.
    """

    kind: Any
    spelled: str
    default: Any


def find_notebook(name: str) -> Path:
    """Return the path of ``notebooks/<name>.ipynb``.

    Raises
    ------
    UsageError
        If there is no such notebook.
    """
    folder = project_root() / "notebooks"
    known = sorted(path.stem for path in folder.glob("*.ipynb"))
    if name not in known:
        raise UsageError(
            f"expected a notebook of the folder {show_path(folder)}, got '{name}';"
            f" {suggest(name, known)}"
        )
    return folder / f"{name}.ipynb"


@dataclass(frozen=True)
class Cell:
    """What a cell is made of, without outputs."""

    kind: str
    source: str
    tags: tuple[str, ...]


def read_cells(name: str) -> list[Cell]:
    """Return the cells of a notebook."""
    path = find_notebook(name)
    return _read_cells(path, path.stat().st_mtime_ns)


@cache
def _read_cells(path: Path, modified: int) -> list[Cell]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [
            Cell(
                cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", []))
            )
            for cell in cells
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{show_path(path)}: expected a notebook in format 4, got {type(error).__name__} on"
            " reading it; restore the file"
        ) from None


def find_question(name: str) -> str:
    """Return the title of a notebook, which is its question; its name where it has no H1."""
    lines = (
        line
        for cell in read_cells(name)
        if cell.kind == "markdown"
        for line in cell.source.splitlines()
    )
    return next((line[2:].strip() for line in lines if line.startswith("# ")), name)


def declare(name: str) -> dict[str, Parameter]:
    """Return the parameters that a notebook declares in its cell tagged ``parameters``.

    The cell is read as Python, since papermill's own line pattern overlooks ``str | None`` and
    lines with a second ``=``.
    """
    source = next((cell.source for cell in read_cells(name) if "parameters" in cell.tags), "")
    try:
        return dict(_declaration(statement) for statement in ast.parse(source).body)
    except (SyntaxError, ValueError, KeyError) as error:
        arrived = f"the type {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"notebooks/{name}.ipynb: expected 'name: type = literal' on each line of the cell"
            f" tagged parameters, got {arrived}; correct that cell"
        ) from None


def _declaration(statement: ast.stmt) -> tuple[str, Parameter]:
    try:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            return statement.target.id, Parameter(
                _type(statement.annotation),
                ast.unparse(statement.annotation),
                ast.literal_eval(statement.value),
            )
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            default = ast.literal_eval(statement.value)
            return statement.targets[0].id, Parameter(
                type(default), type(default).__name__, default
            )
    except (ValueError, TypeError):
        pass
    raise ValueError(f"'{ast.unparse(statement)[:60]}'")


def _type(node: ast.expr) -> Any:
    """Turn an annotation into a type: int, float, bool, str, list[...], Optional[...] and unions
    with ``|``.
    """
    if isinstance(node, ast.BinOp):
        return _type(node.left) | _type(node.right)
    if isinstance(node, ast.Subscript):
        inner = _type(node.slice)
        return (
            inner | None
            if ast.unparse(node.value).endswith("Optional")
            else TYPES[ast.unparse(node.value)][inner]
        )
    return TYPES[ast.unparse(node)]


def parse(text: str, parameter: Parameter | None) -> Any:
    """Read a setting as its declared type says; what cannot be read stays text, which ``check``
    then refuses.
    """
    if (
        parameter is None
        or parameter.kind is str
        or (parameter.kind == str | None and text.lower() not in ("none", "null"))
    ):
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def check(place: str, name: str, value: Any, parameter: Parameter) -> Any:
    """Return the value in its declared type.

    YAML reads 2025-06-30 as a date, which a text parameter takes as it was written.

    Raises
    ------
    UsageError
        If the value is not of that type, or outside its range.
    """
    try:
        value = TypeAdapter(parameter.kind).validate_python(
            value.isoformat() if isinstance(value, date) else value, strict=True
        )
        require_settings(**{name: value})
        return value
    except ValidationError:
        example = f"{name}={spell(parameter.default)}"
        raise UsageError(
            f"{place}: expected {name} as {parameter.spelled}, got {value!r}; write a value"
            f" like that of {example}"
        ) from None
    except UsageError as error:
        raise UsageError(*(f"{place}: {fault}" for fault in error.faults)) from None


def spell(value: Any) -> str:
    """Return a value as ``--set`` takes it."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def name_run(parameters: dict[str, Any]) -> str:
    """Return a name that is a safe folder name; long or unsafe values are hashed.

    >>> name_run({"lead_days": 7, "horizon_days": 60})
    'horizon_days=60,lead_days=7'
    """
    name = ",".join(f"{key}={_safe(spell(value))}" for key, value in sorted(parameters.items()))
    return name if len(name) <= 100 else digest(name)


def _safe(text: str) -> str:
    return text if SAFE_VALUE.fullmatch(text) else digest(text)


def digest(text: str, length: int = 12) -> str:
    """Return the first hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def suggest(name: str, known: list[str]) -> str:
    """Return the remedy for a wrong name: the closest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    remedy = f"choose one of {', '.join(known)}" if known else "there is none yet, so add it"
    return f"did you mean '{close[0]}'?" if close else remedy
