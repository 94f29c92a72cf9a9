"""Let nbval compare the kept outputs: nbstripout keeps them without the cell's number, which nbval
reads as a cell that never ran.
"""


def pytest_collection_modifyitems(items):
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is not None and cell.get("outputs"):
            cell.execution_count = cell.execution_count or 1
