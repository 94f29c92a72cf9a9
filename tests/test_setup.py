"""The repository keeps its own rules: dependencies, layers, notebooks."""

import ast
import json
import re
import tomllib
from pathlib import Path

import draw_packages
import pytest
import yaml
from packages import DESIGN, find_circle, list_imports, list_modules, read_layers

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = [
    *PROJECT["dependencies"],
    *EXTRAS["dev"],
    *EXTRAS["spark"],
]  # who tests has Spark; the drivers of warehouses come as they are needed
PACKAGE = ROOT / "src" / "research"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = list_modules(PACKAGE)
IMPORTS = list_imports(MODULES)
LAYERS = read_layers(DESIGN.read_text(encoding="utf-8"))
PACKAGES = {name.split(".")[0] for name in MODULES} - {""}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMPORTED_AS = {
    "scikit-learn": "sklearn",
    "pyyaml": "yaml",
    "ibis-framework": "ibis",
    "great-tables": "great_tables",
    "beautifulsoup4": "bs4",
    "ipython": "IPython",
}
IMPORTED_AS |= {"imbalanced-learn": "imblearn", "scikit-survival": "sksurv"}
TOOLS = {
    "jupyterlab",
    "setuptools",
    "snakemake",
}  # used by name of an engine or a command, not by import


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9-]+", requirement)[0].lower()


def package_of(module: str) -> str:
    return module.split(".")[0]


def imports_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    found = [
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    own = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (
            node.module == "research"
            or (PACKAGE / (node.module or "").removeprefix("research.")).is_dir()
        )
        for alias in node.names
        if node.module == "research"
        or (PACKAGE / node.module.removeprefix("research.") / f"{alias.name}.py").exists()
    }
    return {*found, *own}


def test_conda_users_get_the_same_direct_dependencies():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = [
        entry
        for entry in listed
        if isinstance(entry, str) and entry != "pip" and not entry.startswith("python ")
    ]
    found = {
        re.sub(r"\s", "", entry)
        for entry in [*conda, *(entry for entry in from_pip if not entry.startswith("--"))]
    }
    assert found == {re.sub(r"\s", "", entry) for entry in LOCKED}


def test_the_lock_pins_every_direct_dependency_by_hash_and_names_no_index():
    lock = (ROOT / "requirements.lock").read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, flags=re.M))
    assert {name_of(entry) for entry in LOCKED} <= pinned
    assert "://" not in lock
    assert "-url" not in lock
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_every_dependency_is_used_and_every_import_is_declared():
    declared = {
        IMPORTED_AS.get(name_of(entry), name_of(entry).replace("-", "_"))
        for entry in PROJECT["dependencies"]
        if name_of(entry) not in TOOLS
    }
    imported = {module.split(".")[0] for path in SOURCES for module in imports_of(path) if module}
    assert declared <= imported
    import sys

    with_engine = {
        "duckdb",
        "matplotlib_inline",
        "research",
    }  # duckdb comes with ibis-framework[duckdb], matplotlib_inline with jupyterlab
    asked_for = {name_of(entry) for entry in EXTRAS["spark"]} & {"pyspark"} | {
        "py4j"
    }  # imported only where a study asks for Spark; py4j comes with it
    assert imported - declared - with_engine - asked_for <= set(sys.stdlib_module_names)


def test_every_package_stands_in_the_table_of_layers_and_every_row_exists():
    assert [layer.package for layer in LAYERS if layer.package not in PACKAGES] == []
    assert PACKAGES - {layer.package for layer in LAYERS} == set()
    assert len({layer.package for layer in LAYERS}) == len(LAYERS)


def test_a_package_imports_only_packages_of_rows_above_its_own():
    row = {layer.package: number for number, layer in enumerate(LAYERS)}
    wrong = [
        one
        for one in IMPORTS
        if one.importer  # the front door, research itself, may hand out names of every package
        and package_of(one.importer) != package_of(one.module)
        and row[package_of(one.importer)] < row.get(package_of(one.module), len(LAYERS))
    ]
    assert wrong == [], "docs/design.md has the table of layers"


def test_no_files_import_one_another_in_a_circle():
    uses: dict[str, set[str]] = {}
    for one in IMPORTS:
        uses.setdefault(one.importer, set()).add(one.module)
    assert find_circle(uses) == []


def test_only_the_command_imports_batches_and_nothing_imports_the_command_or_the_notebooks_entry():
    entries = {"batch", "notebook", "cli"}
    importers = {
        (package_of(one.importer), package_of(one.module))
        for one in IMPORTS
        if one.importer and package_of(one.module) in entries
    }
    assert {pair for pair in importers if pair[0] != pair[1]} <= {("cli", "batch")}


def test_nothing_else_of_an_analysis_imports_its_reports_and_plots():
    for one in IMPORTS:
        folder, _, module = one.module.rpartition(".")
        if folder and module in ("report", "plots"):
            front_door = MODULES[one.importer].name == "__init__.py"
            own = package_of(one.importer) == package_of(one.module)
            assert front_door or not own, f"{one.importer} imports {one.module}"


def test_the_committed_picture_of_packages_is_what_the_imports_draw_now():
    assert draw_packages.PICTURE.read_text(encoding="utf-8") == draw_packages.draw_now(), (
        "the packages or their imports changed: run 'make picture', look at it and commit it"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameters_cell_of_annotated_literals(path):
    cells = json.loads(path.read_text())["cells"]
    tagged = [
        "".join(cell["source"])
        for cell in cells
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    assert len(tagged) == 1
    for line in tagged[0].splitlines():
        assert re.fullmatch(r"[a-z_]+: (str|int|float|bool) = [^=#]+  # [^=]+", line), line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_a_question_keeps_cells_short_and_stores_only_checked_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    assert re.match(r"# .+\?\n", "".join(cells[0]["source"]))
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        assert len("".join(cell["source"]).splitlines()) <= 15
        assert not cell["outputs"] or "nbval-check-output" in cell["metadata"]["tags"]


def test_no_file_names_a_package_index_or_a_folder_of_some_machine():
    texts = [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".md", ".yml", ".toml", ".ipynb", ".sql", ".lock"}
    ]
    foreign = {".venv", ".venv-bench", "raw", ".git", ".snakemake"}
    ours = [
        path
        for path in texts
        if not foreign & {*path.parts} and "reports" not in path.relative_to(ROOT).parts[:1]
    ]
    named = [
        path
        for path in ours
        if re.search(
            r"pypi" + r"\.org|python" + r"hosted|(?<![\w.])/(home|root|work|Users)/",
            path.read_text(encoding="utf-8"),
        )
    ]
    assert named == []


def tables_of(notebook: Path) -> set[str]:
    """Return the names under which a notebook saves tables, itself or by an object of its run."""
    cells = json.loads(notebook.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("rs.save", "save_table"):
            names.add(node.args[1].value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "run.features":
            given = [key.value.value for key in node.keywords if key.arg == "table"]
            names.add(given[0] if given else "leaks")
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "panel.population":
            names.add("population")
    return names


def test_notebooks_of_a_run_leave_different_tables():
    """Tables of one name must be equal; these two are made of the same rows."""
    owners: dict[str, set[str]] = {}
    for notebook in NOTEBOOKS:
        for name in tables_of(notebook):
            owners.setdefault(name, set()).add(notebook.stem)
    shared = {name for name, notebooks in owners.items() if len(notebooks) > 1}
    assert shared == {"leaks", "population"}
