"""The quality of a list in words rests on intervals."""

import pandas as pd
import pytest

from research.evaluation.verdicts import BETTER, NO_DIFFERENCE, WORSE
from research.watchlist.replay import BY_CHANCE, BY_LIST, BY_RULE
from research.watchlist.verdict import (
    EXCELLENT,
    FAIR,
    GOOD,
    NOT_BETTER,
    find_deciding,
    name_quality,
)


def judge(verdict: str, lift_low: float, listed: int = 100, in_time: int = 90, chance=BETTER):
    scores = pd.DataFrame(
        {"ranking": BY_LIST, "score": ["value_lift"], "low": [lift_low], "value": [lift_low + 1]}
    )
    differences = pd.DataFrame(
        {"reference": [BY_RULE, BY_CHANCE], "score": "value_lift", "verdict": [verdict, chance]}
    )
    lead = pd.DataFrame({"listed": [listed], "in_time": [in_time], "left": [200]})
    return name_quality(scores, differences, lead)


@pytest.mark.parametrize(
    ("verdict", "lift_low", "in_time", "quality"),
    [
        (NO_DIFFERENCE, 9.0, 90, NOT_BETTER),
        (WORSE, 9.0, 90, NOT_BETTER),
        (BETTER, 1.9, 90, FAIR),
        (BETTER, 2.0, 90, GOOD),
        (BETTER, 3.0, 90, EXCELLENT),
        (BETTER, 3.0, 55, GOOD),  # 55 of 100 in time: the lower limit is below a half
    ],
)
def test_a_word_needs_the_limit_of_its_interval(verdict, lift_low, in_time, quality):
    assert judge(verdict, lift_low, in_time=in_time) == quality


def test_without_listed_leavers_no_list_is_excellent():
    assert judge(BETTER, 9.0, listed=0, in_time=0) == GOOD


def test_a_list_that_is_better_than_the_rule_but_not_than_a_random_one_is_not_good():
    assert judge(BETTER, 9.0, chance=NO_DIFFERENCE) == NOT_BETTER


def test_without_values_the_plain_lift_decides():
    scores = pd.DataFrame({"ranking": BY_LIST, "score": ["lift", "value_lift"], "value": [2, None]})
    assert find_deciding(scores) == "lift"
