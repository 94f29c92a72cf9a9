"""Notebooks: cells, question and declared parameters, and whether a value fits a parameter."""

import ast
import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AllowInfNan, TypeAdapter, ValidationError

from research.errors import UsageError
from research.settings import require_settings
from research.study import project_root, show_path

PARAMETERS = "parameters"  # the tag of the cell that declares them
SAFE_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}|-[0-9.]{1,20}")
LONGEST_NAME = 100
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
    """A declared parameter: its type for Python and as the notebook spells it, and its default."""

    kind: Any
    spelled: str
    default: Any


@dataclass(frozen=True)
class Cell:
    """A cell without its outputs."""

    kind: str
    source: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Notebook:
    """A notebook as a batch needs it; ``question`` is its title, or its name without one."""

    name: str
    path: Path
    cells: tuple[Cell, ...]
    question: str
    parameters: dict[str, Parameter]


def read_notebook(name: str) -> Notebook:
    """Read ``notebooks/<name>.ipynb``.

    Raises
    ------
    UsageError
        If there is no such notebook, it can't be read, or its cell of parameters is wrong.
    """
    path = _find_path(name)
    cells = _read_cells(path)
    return Notebook(name, path, cells, _find_question(cells) or name, _read_parameters(name, cells))


def _find_path(name: str) -> Path:
    folder = project_root() / "notebooks"
    names = sorted(path.stem for path in folder.glob("*.ipynb"))
    if name not in names:
        raise UsageError(
            f"expected a notebook in the folder {show_path(folder)}, got '{name}';"
            f" {suggest(name, names)}"
        )
    return folder / f"{name}.ipynb"


def _read_cells(path: Path) -> tuple[Cell, ...]:
    try:
        return tuple(
            Cell(
                cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", []))
            )
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{show_path(path)}: expected a notebook in format 4, but reading it failed with"
            f" {type(error).__name__}; restore the file"
        ) from None


def _find_question(cells: tuple[Cell, ...]) -> str:
    """Return the first H1 of a notebook, empty where there is none."""
    texts = (cell.source for cell in cells if cell.kind == "markdown")
    lines = (line for text in texts for line in text.splitlines())
    return next((line[2:].strip() for line in lines if line.startswith("# ")), "")


def _read_parameters(name: str, cells: tuple[Cell, ...]) -> dict[str, Parameter]:
    """Return the parameters that the cell tagged ``parameters`` declares.

    The cell is read as Python, since papermill's own line pattern overlooks ``str | None`` and
    lines with a second ``=``.
    """
    source = next((cell.source for cell in cells if PARAMETERS in cell.tags), "")
    try:
        return dict(_read_declaration(statement) for statement in ast.parse(source).body)
    except (SyntaxError, ValueError, KeyError) as error:
        found = f"the type {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"notebooks/{name}.ipynb: expected 'name: type = literal' on each line of the cell"
            f" tagged parameters, got {found}; correct that cell"
        ) from None


def _read_declaration(statement: ast.stmt) -> tuple[str, Parameter]:
    try:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind, spelled = _read_type(statement.annotation), ast.unparse(statement.annotation)
            default = ast.literal_eval(statement.value)
            return statement.target.id, Parameter(kind, spelled, default)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            default = ast.literal_eval(statement.value)
            kind = type(default)
            return statement.targets[0].id, Parameter(kind, kind.__name__, default)
    except (ValueError, TypeError):
        pass
    raise ValueError(f"'{ast.unparse(statement)[:60]}'")


def _read_type(node: ast.expr) -> Any:
    """Turn an annotation into a type.

    It may be int, float, bool, str, list[...], Optional[...] or a union with ``|``.
    """
    if isinstance(node, ast.BinOp):
        return _read_type(node.left) | _read_type(node.right)
    if isinstance(node, ast.Subscript):
        inner = _read_type(node.slice)
        if ast.unparse(node.value).endswith("Optional"):
            return inner | None
        return TYPES[ast.unparse(node.value)][inner]
    return TYPES[ast.unparse(node)]


def parse_value(text: str, parameter: Parameter | None) -> Any:
    """Return the value of a setting in its declared type.

    What can't be read as that type stays text, which ``check_value`` then refuses.
    """
    if parameter is None or parameter.kind is str:
        return text
    if parameter.kind == str | None and text.lower() not in ("none", "null"):
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def check_value(place: str, name: str, value: Any, parameter: Parameter) -> Any:
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
        raise UsageError(
            f"{place}: expected {name} to be of type {parameter.spelled}, got {value!r}; write for"
            f" example {name}={spell(parameter.default)}"
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
    name = ",".join(
        f"{key}={_make_safe(spell(value))}" for key, value in sorted(parameters.items())
    )
    return name if len(name) <= LONGEST_NAME else hash_text(name)


def _make_safe(text: str) -> str:
    return text if SAFE_VALUE.fullmatch(text) else hash_text(text)


def hash_text(text: str, length: int = 12) -> str:
    """Return the first hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def suggest(name: str, names: list[str]) -> str:
    """Return what to do about a wrong name: take the most similar of ``names``, or any of them."""
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"choose one of {', '.join(names)}" if names else "there is none yet, so add it"
