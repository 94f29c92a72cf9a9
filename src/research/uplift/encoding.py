"""Features of a trial as numbers, to compare arms by."""

import pandas as pd

MAX_CATEGORIES = 8  # of a text that have a column of their own


def spread_out(columns: pd.DataFrame) -> pd.DataFrame:
    """Return features as numbers.

    Numbers have their mean in place of empty values and a column that marks those; texts have a
    column for each of the eight commonest categories.
    """
    numbers = columns.select_dtypes("number").astype(float)
    gaps = numbers.isna().loc[:, numbers.isna().any()].add_suffix(" is empty").astype(float)
    texts = columns.drop(columns=numbers.columns).astype("object").fillna("empty").astype(str)
    common = {
        name: values.where(values.isin(values.value_counts().index[:MAX_CATEGORIES]), "others")
        for name, values in texts.items()
    }
    dummies = pd.DataFrame(common, index=columns.index)
    if common:
        dummies = pd.get_dummies(dummies, prefix_sep=": ", dtype=float)
    return pd.concat([numbers.fillna(numbers.mean()).fillna(0), gaps, dummies], axis=1)


def is_made_from(feature: str, column: str) -> bool:
    """Return whether a column of ``spread_out`` is one of this feature."""
    return column == feature or column.startswith((f"{feature}: ", f"{feature} is empty"))
