"""Whether a difference matters."""

import numpy as np
import pytest

from research.evaluation.importance import (
    OPEN,
    REACHED,
    RULED_OUT,
    Difference,
    describe_importance,
    judge_importance,
)
from research.study_schema import ImportantDifference


@pytest.mark.parametrize(
    ("low", "high", "judged"),
    [
        (0.012, 0.03, REACHED),
        (-0.03, -0.012, REACHED),  # a loss matters as a gain does
        (0.001, 0.009, RULED_OUT),  # significant, and too small
        (-0.009, 0.009, RULED_OUT),
        (-0.001, 0.02, OPEN),
        (0.005, 0.02, OPEN),  # significant, and perhaps too small
    ],
)
def test_interval_shows_rules_out_or_leaves_open(low, high, judged):
    assert judge_importance(low, high, 0.01) == judged


def test_sentence_names_what_matters_in_its_unit():
    important = ImportantDifference(auc=0.01, effect=0.02, profit=500)
    text = describe_importance(
        important,
        [
            Difference("auc", "AUC", 0.021, 0.034),
            Difference("effect", "the effect of a call", -0.01, 0.015, "points"),
            Difference("profit", "the profit", -100, 900, "EUR"),
        ],
    )
    assert "In AUC a difference of 0.010 would matter: it is at least that (0.021 to 0.034)" in text
    assert "2.0 pp would matter: it is smaller than that" in text and "(−1.0 pp to 1.5 pp)" in text
    assert "500 EUR would matter: whether it reaches that is open (−100 EUR to 900 EUR)" in text


def test_nothing_is_said_where_the_study_says_nothing_or_nothing_is_defined():
    undefined = Difference("auc", "AUC", np.nan, np.nan)
    assert not describe_importance(ImportantDifference(), [Difference("auc", "AUC", 0, 1)])
    assert not describe_importance(ImportantDifference(auc=0.01), [undefined])
