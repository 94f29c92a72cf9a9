"""Let nbval compare the kept outputs: nbstripout keeps them without the cell's number, which nbval
reads as a cell that never ran. Tests compute: what a test replaces would be in no key of the store.
"""

import os

os.environ.setdefault("RESEARCH_STORE", "off")

# the demo has a trial, so this notebook opens another study, whose file a test may not have; see
# tests/batch/test_end_to_end_effects.py
collect_ignore = ["notebooks/66_break_even.ipynb"]


def pytest_collection_modifyitems(items):
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is not None and cell.get("outputs"):
            cell.execution_count = cell.execution_count or 1
