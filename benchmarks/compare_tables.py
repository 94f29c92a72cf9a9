"""Compare the numbers in the result tables of two checkouts: equal to the last digit, or named.

``python benchmarks/compare_tables.py BEFORE/reports AFTER/reports [STUDY ...]``

A table of the one is looked for under the same study, run and name in the other; ``MOVED`` names
the tables that another notebook leaves now. Columns are matched by name, those without a partner
by their order. Numbers, flags and days must be equal to the bit, row by row; numbers that stand
in texts are compared too, as texts may be worded anew around them.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

MOVED = {"targets": "first_test"}  # tables by their former name, where another name replaces it
IN_TEXT = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(?:\.\d+)?")


def main() -> int:
    """Print one line per table that differs, and a summary; return 1 where any does."""
    before, after = (Path(folder) for folder in sys.argv[1:3])
    names = sys.argv[3:] or sorted(path.name for path in before.iterdir() if path.is_dir())
    paths = [path for name in names for path in sorted((before / name).glob("*/tables/*.parquet"))]
    faults, numbers = [], 0
    for path in paths:
        here, count = compare_files(path, find_partner(path, before, after))
        faults += [f"{path.relative_to(before).with_suffix('')}: {fault}" for fault in here]
        numbers += count
    print(*faults, sep="\n")
    print(f"{len(paths)} tables, {numbers:,} numbers compared, {len(faults)} differences")
    return int(bool(faults))


def find_partner(path: Path, before: Path, after: Path) -> Path:
    """Return where the other checkout has the table."""
    place = after / path.relative_to(before)
    moved = place.with_name(f"{MOVED.get(path.stem, path.stem)}.parquet")
    return place if place.exists() else moved


def compare_files(before: Path, after: Path) -> tuple[list[str], int]:
    """Return one sentence per difference, and how many numbers were compared."""
    if not after.exists():
        return ["missing"], 0
    left, right = pd.read_parquet(before), pd.read_parquet(after)
    if len(left) != len(right):
        return [f"{len(left)} rows before, {len(right)} after"], 0
    faults, count = [], 0
    for old, new in match_columns(left, right):
        if new is None:
            faults.append(f"column {old} is missing")
            continue
        differ, compared = count_differences(left[old], right[new])
        count += compared
        if differ:
            faults.append(f"column {new}: {differ} of {len(left)} rows differ")
    return faults, count


def match_columns(left: pd.DataFrame, right: pd.DataFrame) -> Iterator[tuple[str, str | None]]:
    """Yield each column of the first with its partner: of the same name, else in order."""
    spare = iter([column for column in right if column not in left])
    for column in left:
        yield column, column if column in right else next(spare, None)


def count_differences(left: pd.Series, right: pd.Series) -> tuple[int, int]:
    """Return in how many rows two columns differ, and how many numbers they hold."""
    if is_numeric(left) and is_numeric(right):
        a, b = (np.asarray(side, dtype=float) for side in (left, right))
        return int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum()), len(a)
    if pd.api.types.is_datetime64_any_dtype(left):
        same = (left.to_numpy() == right.to_numpy()) | (left.isna() & right.isna()).to_numpy()
        return int((~same).sum()), len(left)
    a, b = ([IN_TEXT.findall(str(value)) for value in side] for side in (left, right))
    return sum(x != y for x, y in zip(a, b, strict=True)), sum(map(len, a))


def is_numeric(values: pd.Series) -> bool:
    """Say whether a column holds numbers or flags."""
    return pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)


if __name__ == "__main__":
    sys.exit(main())
