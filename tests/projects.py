"""Small projects for the tests of the batch: flat studies of two customers, short notebooks."""

from pathlib import Path

import nbformat
import pytest

from research.batch import records
from research.study import project_root

ROOT = project_root()  # before a test points elsewhere

STUDY = (
    "title: The {name} company\nkind: flat\nsources: {{rows: {{file: rows.csv}}}}\neconomics:"
    " {{currency: EUR, capacity: 10}}\n"
)
ADAPTER = "SELECT id AS customer_id, churned, fee FROM rows\n"
ROWS = "id,churned,fee\n1,true,10\n2,false,20\n"
PLAN = """
notebooks: [10_data]
studies:
  alpha:
    runs:
      default: {}
      more: {rows: 5}
  beta: {notebooks: [10_data, 30_risk, 40_survival]}
  gamma: {}
"""
DECLARED = (
    'study: str = "alpha"  # folder\nrows: int = 3  # rows = lines of the table\nlabel: str | None'
    " = None\nshares: list[float] = [0.5]"
)
TABLE = (
    "import pandas as pd\nfrom research.reporting.results import"
    " save_table\nsave_table(pd.DataFrame({'number': range(rows), 'name': study}), 'numbers')"
)
FAULTS = (
    "from research.errors import StudyError\nraise StudyError('first <b>fault</b>; mend it',"
    " 'second fault; mend that')"
)
STOP = (
    "from research.errors import NotApplicable\nraise NotApplicable('expected a table contracts;"
    " this study has none')"
)


def copy_project(root: Path) -> None:
    """Copy the repository's studies and notebooks, without raw files."""
    (root / "reports").mkdir(exist_ok=True)
    for folder in ("data", "notebooks"):
        for path in (ROOT / folder).rglob("*"):
            raw = "raw" in path.relative_to(ROOT).parts
            if path.is_file() and not raw and path.suffix in (".yml", ".sql", ".ipynb"):
                target = root / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())


def write_study(root: Path, name: str, rows: str | None = ROWS) -> None:
    """Write a study folder; without ``rows`` its file is missing."""
    folder = root / "data" / name
    (folder / "raw").mkdir(parents=True)
    (folder / "study.yml").write_text(STUDY.format(name=name))
    (folder / "snapshot.sql").write_text(ADAPTER)
    if rows is not None:
        (folder / "raw" / "rows.csv").write_text(rows)


def write_notebook(root: Path, name: str, title: str, parameters: str, *cells: str) -> None:
    """Write a notebook: title, the cell tagged parameters, then code, or markdown after a ``#``."""
    made = [
        nbformat.v4.new_markdown_cell(f"# {title}"),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
    ]
    made += [
        (
            nbformat.v4.new_markdown_cell(cell)
            if cell.startswith("#")
            else nbformat.v4.new_code_cell(cell)
        )
        for cell in cells
    ]
    for number, cell in enumerate(made):
        cell.id = f"cell-{number}"
    (root / "notebooks").mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=made), root / "notebooks" / f"{name}.ipynb")


def write_plan(root: Path, text: str) -> None:
    """Write ``reports/plan.yml``."""
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "plan.yml").write_text(text)


def write_project(root: Path) -> None:
    """Write three studies, three notebooks of which one fails and one stops, and a plan."""
    for name in ("alpha", "beta"):
        write_study(root, name)
    write_study(root, "gamma", rows=None)
    write_notebook(root, "10_data", "What is there?", DECLARED, TABLE)
    write_notebook(
        root, "30_risk", "Who will leave?", 'study: str = "alpha"\nrate: float = 0.5', FAULTS
    )
    write_notebook(root, "40_survival", "When?", 'study: str = "alpha"', STOP)
    write_plan(root, PLAN)
    (root / "code.py").write_text("x = 1\n")
    (root / "requirements.lock").write_text("pandas==2.3.3\n")


def enter(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Work in a project whose package is one file, so that edits of the real one don't matter."""
    patch.setenv("RESEARCH_HOME", str(root))
    patch.setattr(records, "list_sources", lambda: [root / "code.py"])
