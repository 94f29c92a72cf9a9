"""Small projects for the tests of the batch: flat studies of two customers, notebooks of a few
cells.
"""

from pathlib import Path

import nbformat

STUDY = (
    "title: The {name} company\nkind: flat\nsources: {{rows: {{file: rows.csv}}}}\neconomics:"
    " {{currency: EUR, capacity: 10}}\n"
)
ADAPTER = "SELECT id AS customer_id, churned, fee FROM rows\n"
ROWS = "id,churned,fee\n1,true,10\n2,false,20\n"


def write_study(root: Path, name: str, rows: str | None = ROWS) -> None:
    """Write a study folder; without ``rows`` its file is missing."""
    folder = root / "data" / name
    (folder / "raw").mkdir(parents=True)
    (folder / "study.yml").write_text(STUDY.format(name=name))
    (folder / "snapshot.sql").write_text(ADAPTER)
    if rows is not None:
        (folder / "raw" / "rows.csv").write_text(rows)


def write_notebook(root: Path, name: str, title: str, parameters: str, *cells: str) -> None:
    """Write a notebook: its title, the cell tagged parameters, then code; a cell that starts with
    ``#`` is markdown.
    """
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
