"""An attribute's values as groups large enough to judge."""

import pandas as pd

from research.reporting.format import write_plain

LEAST_ROWS = 50  # a smaller group is pooled
FEW = 8  # numbers with more distinct values are cut into quarters
OTHERS, UNKNOWN, TOO_FEW = "others", "not known", "too few to say"


def cut_attribute(values: pd.Series) -> pd.Series:
    """Return the name of each row's group: texts as they are, numbers of many values in quarters,
    small groups pooled as ``others``.
    """
    known = values.notna()
    if (
        pd.api.types.is_numeric_dtype(values)
        and not pd.api.types.is_bool_dtype(values)
        and values.nunique() > FEW
    ):
        quarters = values.astype(float).groupby(
            pd.qcut(values.astype(float), 4, labels=False, duplicates="drop")
        )
        names = (
            quarters.transform("min").map("{:g}".format)
            + " to "
            + quarters.transform("max").map("{:g}".format)
        )
    else:
        names = pd.Series(
            [write_plain(value) for value in values], index=values.index, dtype=object
        )
    names = names.where(known, UNKNOWN)
    counts = names.map(names.value_counts())
    return names.where(counts >= LEAST_ROWS, OTHERS)
