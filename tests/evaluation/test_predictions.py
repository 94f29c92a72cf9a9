"""Columns of predictions that are no model are told from those that are."""

import pandas as pd

from research.evaluation.predictions import find_keys
from research.panel import windows


def test_models_are_the_columns_that_are_no_key():
    predictions = pd.DataFrame(columns=["customer_id", "base rate", "churned", "random forest"])
    assert find_keys(predictions) == ["customer_id", "churned"]
    assert [*predictions.columns.difference(find_keys(predictions))] == [
        "base rate",
        "random forest",
    ]


def test_the_keys_of_a_panel_are_no_models():
    predictions = pd.DataFrame(columns=[*windows.KEYS, "left_in_lead", "random forest"])
    assert {*find_keys(predictions)} == {*windows.KEYS, "left_in_lead"}
