"""The record of a score: what a missing part says, and what its tables and comparisons read."""

import numpy as np
import pandas as pd
import pytest

from research.reporting import metric as module
from research.reporting.metric import Metric, find_metric, register_metrics, select_metrics
from research.reporting.tables import show_scores


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    monkeypatch.setattr(module, "REGISTERED", dict(module.REGISTERED))


def score(**changes) -> Metric:
    return Metric(**{"name": "slope_of_x", "words": "Slope of x", "better": "more"} | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"words": ""}, "score 'slope_of_x': expected words, got an empty text"),
        ({"better": "up"}, "expected better to be one of more, less, ideal, neither, got 'up'"),
        ({"better": "ideal"}, "expected an ideal value where better is 'ideal'"),
        ({"ideal": 1.0}, "and only there, got better 'more' and ideal 1.0"),
    ],
)
def test_a_record_with_a_missing_or_wrong_part_is_an_error_that_names_it(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        score(**changes)
    with pytest.raises(TypeError, match="better"):
        Metric(name="x", words="X")


def test_one_name_has_one_heading():
    register_metrics(score())
    register_metrics(score(better="less"))  # another package, the same heading
    with pytest.raises(ValueError, match="expected the heading 'Slope of x' with 3 digits"):
        register_metrics(score(words="Slope"))
    with pytest.raises(ValueError, match="got two called 'slope_of_x'"):
        register_metrics(score(), score())


def test_distances_from_the_ideal_are_compared_and_values_else():
    values = np.array([0.5, 1.25])
    assert score(better="ideal", ideal=1.0).compare(values).tolist() == [0.5, 0.25]
    assert score().compare(values).tolist() == [0.5, 1.25]


def test_the_best_value_is_the_largest_the_smallest_or_the_nearest_to_the_ideal():
    values = pd.Series([0.5, 1.25, 3.0], ["a", "b", "c"])
    assert score().find_best(values) == "c"
    assert score(better="less").find_best(values) == "a"
    assert score(better="ideal", ideal=1.0).find_best(values) == "b"


def test_a_score_that_is_not_registered_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="got 'no_such_score'; write a Metric for it"):
        find_metric("no_such_score")
    with pytest.raises(ValueError, match="expected scores of slope_of_x, got other"):
        select_metrics(register_metrics(score()), "slope_of_x", "other")


def test_a_registered_score_is_shown_under_its_heading_with_its_digits():
    register_metrics(score(digits=1))
    table = pd.DataFrame(
        {"model": ["m"], "metric": "slope_of_x", "value": 1.23, "low": 1.04, "high": 1.56}
    )
    html = show_scores(table).as_raw_html()
    assert "Slope of x" in html
    assert "1.2<br><small>1.0 to 1.6</small>" in html
