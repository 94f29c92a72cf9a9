"""What holds for all tests: notebooks are slow, long files come first, and kept outputs count.

Tests compute: what a test replaces would be in no key of the store.
"""

import os

import pytest

os.environ.setdefault("RESEARCH_STORE", "off")

# the demo has a trial, so this notebook opens another study, whose file a test may not have; see
# tests/batch/test_small_company.py
collect_ignore = ["notebooks/66_break_even.ipynb"]
# files that take a minute or more: the last one to begin decides when all have ended
LONGEST = ["tests/batch/test_small_company.py"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is not None:
            item.add_marker(pytest.mark.slow)
            # nbstripout keeps outputs without the cell's number, which nbval reads as a cell that
            # never ran
            if cell.get("outputs"):
                cell.execution_count = cell.execution_count or 1
    items.sort(key=lambda item: not item.nodeid.startswith(tuple(LONGEST)))
