"""What happens where the features of a scored day differ from those that a model learned."""

import pandas as pd
import pytest

from research.errors import StudyError
from research.watchlist.inputs import Differences, conform

FEATURES = [
    {"feature": "uses", "kind": "number", "categories": []},
    {"feature": "plan", "kind": "text", "categories": ["basic", "pro"]},
    {"feature": "code", "kind": "text", "categories": []},
]
ROWS = pd.DataFrame({"uses": [1.0, None], "plan": ["pro", None], "code": ["x", "y"], "new": 1})


def test_rows_as_they_were_learned_pass_unchanged_without_a_remark():
    differences = Differences()
    pd.testing.assert_frame_equal(conform(ROWS, FEATURES, differences), ROWS.drop(columns="new"))
    assert differences.describe() == []


def test_a_feature_that_the_data_lack_is_empty_and_named_once():
    differences = Differences()
    for part in (ROWS, ROWS):
        table = conform(part.drop(columns="uses"), FEATURES, differences)
        assert table.uses.isna().all()
        assert table.uses.dtype == float
    [sentence] = differences.describe()
    assert (
        "feature uses, which the data lack: it was taken as empty for all 4 customers" in sentence
    )


def test_data_without_any_feature_of_the_model_are_refused():
    with pytest.raises(
        StudyError, match=r"features of the kept model \(uses, plan, code\), got none"
    ):
        conform(ROWS[["new"]], FEATURES, Differences())


def test_a_number_that_became_a_text_is_read_as_a_number():
    differences = Differences()
    table = conform(ROWS.assign(uses=["12", "many"]), FEATURES, differences)
    assert table.uses.tolist()[0] == 12
    assert table.uses.isna().tolist() == [False, True]
    [sentence] = differences.describe()
    assert "is a text now: of 2 values 1 can't be read as a number" in sentence


def test_a_text_that_became_a_number_is_taken_as_text():
    differences = Differences()
    table = conform(ROWS.assign(code=[7.0, None]), FEATURES, differences)
    assert table.code.tolist() == ["7", None]
    assert "the feature code was a text when the model learned" in differences.describe()[0]


def test_new_categories_are_named_with_the_customers_who_have_them():
    differences = Differences()
    conform(ROWS.assign(plan="gold", code="z"), FEATURES, differences)
    conform(ROWS.assign(plan=["silver", "pro"]), FEATURES, differences)
    [sentence] = differences.describe()  # the categories of code were too many to be listed
    assert "has values that the model has not seen, 'gold', 'silver', of 3 customers" in sentence
