"""An attribute's values as groups that are large enough to judge."""

import pandas as pd

from research.reporting.format import write_plain

LEAST_ROWS = 50  # a smaller group is pooled
FEW = 8  # numbers with more distinct values are cut into quarters
OTHERS, UNKNOWN, TOO_FEW = "others", "not known", "too few customers"


def cut_attribute(values: pd.Series) -> pd.Series:
    """Return the name of each row's group.

    Texts stay as they are, numbers of many values are cut into quarters, and groups of fewer than
    ``LEAST_ROWS`` rows are pooled as ``OTHERS``.
    """
    known = values.notna()
    if is_measured(values) and values.nunique() > FEW:
        names = _name_quarters(values.astype(float))
    else:
        plain = [write_plain(value) for value in values]
        names = pd.Series(plain, index=values.index, dtype=object)
    names = names.where(known, UNKNOWN)
    counts = names.map(names.value_counts())
    return names.where(counts >= LEAST_ROWS, OTHERS)


def is_measured(values: pd.Series) -> bool:
    """Say whether a column contains numbers; true and false are categories."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _name_quarters(values: pd.Series) -> pd.Series:
    quarters = values.groupby(pd.qcut(values, 4, labels=False, duplicates="drop"))
    lowest, highest = (quarters.transform(end).map("{:g}".format) for end in ("min", "max"))
    return lowest + " to " + highest
