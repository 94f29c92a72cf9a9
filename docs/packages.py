"""The packages of ``src/research`` and what they take from one another, read from the files.

The table of layers in ``docs/design.md`` names the packages, lowest first. ``draw_packages`` draws
them; ``tests/test_setup.py`` requires that each imports only packages of rows above its own.
"""

import ast
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "research"
DESIGN = ROOT / "docs" / "design.md"
HEADER = "| package | what it holds | notebooks |"

Graph = dict[str, dict[str, int]]  # package: {package that it imports: number of names taken}


@dataclass(frozen=True)
class Layer:
    """One row of the table of layers."""

    package: str
    holds: str
    notebooks: str


@dataclass(frozen=True)
class Import:
    """A name that one module takes from another; modules are written below ``research``."""

    importer: str
    module: str
    name: str


def read_layers(text: str) -> list[Layer]:
    """Return the rows of the table of layers in a Markdown text, lowest first.

    Raises
    ------
    ValueError
        If the text has no such table.
    """
    if HEADER not in text:
        raise ValueError(f"expected a table with the header {HEADER!r}, got none; add it")
    lines = text.split(HEADER)[1].strip("\n").splitlines()[1:]
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [Layer(package.strip("`"), holds, notebooks) for package, holds, notebooks in cells]


def list_modules(folder: Path = PACKAGE) -> dict[str, Path]:
    """Return the files by module: ``risk.report``; the ``__init__`` of a folder by its name."""
    files = sorted(folder.rglob("*.py"))
    parts = {path: path.relative_to(folder).with_suffix("").parts for path in files}
    return {".".join(part for part in parts[path] if part != "__init__"): path for path in files}


def list_imports(modules: dict[str, Path]) -> list[Import]:
    """Return every name of ``research`` that a module imports, wherever in the file it does so."""
    found = []
    for importer, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("research."):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found += [
                Import(importer, *_split_name(name.removeprefix("research."), modules))
                for name in names
                if name.startswith("research.")
            ]
    return found


def _split_name(name: str, modules: dict[str, Path]) -> tuple[str, str]:
    """Return the module that holds a dotted name, and the name in it, empty for all of it."""
    module = name
    while module and module not in modules:
        module = module.rpartition(".")[0]
    return module, name.removeprefix(module).removeprefix(".")


def count_names(imports: list[Import]) -> Graph:
    """Return for each package, or file at the top, how many names it takes from each other."""
    taken = defaultdict(set)
    for one in imports:
        pair = one.importer.split(".")[0], one.module.split(".")[0]
        if pair[0] != pair[1]:
            taken[pair].add((one.module, one.name))
    graph = defaultdict(dict)
    for (importer, package), names in sorted(taken.items()):
        graph[importer][package] = len(names)
    return graph


def find_circle(uses: dict[str, set[str]]) -> list[str]:
    """Return the names along a circle, the first one repeated at the end; empty where is none."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for used in sorted(uses.get(name, ())):
            if circle := visit(used, [*trail, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(uses) if (circle := visit(name, []))), [])


def reduce_graph(graph: Graph) -> Graph:
    """Return the graph without the arrows that follow from others (transitive reduction)."""

    def reach(package: str) -> set[str]:
        used = graph.get(package, {})
        return set(used).union(*(reach(one) for one in used))

    return {
        package: {
            one: names
            for one, names in used.items()
            if not any(one in reach(other) for other in used if other != one)
        }
        for package, used in graph.items()
    }
