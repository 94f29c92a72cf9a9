"""Whether two tables of features agree: floating-point numbers to 1e-9, all else exactly."""

import numpy as np
import pandas as pd

CLOSE = 1e-9  # relative; also the absolute difference by which sums that cancel may miss 0


def find_differences(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Return one sentence for every column that differs; both tables are in the same order."""
    if [*first] != [*second]:
        return [
            f"columns: {', '.join(sorted({*first} ^ {*second})[:5]) or 'the same in another order'}"
        ]
    if len(first) != len(second):
        return [f"rows: {len(first):,} and {len(second):,}"]
    faults = {name: _count_differences(first[name], second[name]) for name in first}
    return [f"{name}: {n:,} of {len(first):,} rows differ" for name, n in faults.items() if n]


def _count_differences(one: pd.Series, other: pd.Series) -> int:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        exact = not (pd.api.types.is_float_dtype(one) and pd.api.types.is_float_dtype(other))
        a, b = one.to_numpy("float64", na_value=np.nan), other.to_numpy("float64", na_value=np.nan)
        return int(
            (
                ~np.isclose(
                    a, b, rtol=0 if exact else CLOSE, atol=0 if exact else CLOSE, equal_nan=True
                )
            ).sum()
        )
    if pd.api.types.is_datetime64_any_dtype(one):
        return int((one.to_numpy() != other.to_numpy()).sum())
    same = (one.isna() & other.isna()) | (one == other).fillna(False)
    return int((~same).sum())
