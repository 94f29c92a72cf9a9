"""Which columns of a table of predictions are no model."""

import pandas as pd

KEYS = [
    "repeat",
    "fold",
    "snapshot",
    "customer_id",
    "churned",
    "left_in_lead",
]  # columns of predictions that are no model


def find_keys(predictions: pd.DataFrame) -> list[str]:
    """Return the columns of predictions that are no model."""
    return [column for column in KEYS if column in predictions]
