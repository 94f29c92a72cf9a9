"""Prose of documents and notebooks reads in a terminal: a line has at most 100 columns."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 100
FOREIGN = {".venv", ".venv-bench", "raw", "reports", ".snakemake", ".pytest_cache", "build"}
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not FOREIGN & {*path.relative_to(ROOT).parts} and not path.name.startswith(".")
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def list_long_lines(text: str) -> list[str]:
    """Return lines that are too long, but for code, table rows, images and single words: a URL
    can't be broken.
    """
    prose = re.sub(r"^( *)```.*?^ *```", "", text, flags=re.S | re.M)
    return [
        line
        for line in prose.splitlines()
        if len(line) > LONGEST
        and not line.lstrip().startswith(("|", "!["))
        and len(re.sub(r"^\s*([-*+]|\d+\.)\s", "", line).split()) > 1
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_of_a_document_is_at_most_100_columns_wide(document):
    assert list_long_lines(document.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_of_a_notebook_is_at_most_100_columns_wide(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    assert [line for text in prose for line in list_long_lines(text)] == []


def test_a_long_line_is_found_among_what_may_be_long():
    long = "word " * 21
    code, link = f"```sh\n{long}\n```", f"- https://{'x' * LONGEST}"
    text = "\n".join([f"| {long} |", f"![{long}](x.png)", code, link, long, "short"])
    assert list_long_lines(text) == [long]
