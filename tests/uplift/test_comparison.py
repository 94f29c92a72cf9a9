"""Learners compared in one call; where nothing is known of the customers, every table is empty."""

from dataclasses import replace

import pytest
from trial_maker import make_trial

from research.uplift.average_effects import score_outcomes
from research.uplift.comparison import Comparison, compare_learners
from research.uplift.learners.families import AVERAGED, RANDOM, RISK, find_family, find_heuristic
from research.uplift.metrics import BEST_ARM
from research.uplift.report import NOTHING_KNOWN, describe_leaders, describe_score_note
from research.uplift.trials import Trial


def compare(trial: Trial, study) -> Comparison:
    return compare_learners(trial, score_outcomes(trial, 0), study, 2, 1, 200, 0)


@pytest.fixture(scope="module")
def study(write_shared):
    return write_shared("flat")


@pytest.fixture(scope="module")
def compared(study):
    return compare(make_trial(450, 0, shares=(0.4, 0.3, 0.3))[0], study)


def test_every_ranking_is_scored_in_every_arm(compared):
    assert compared.arms == ["call", "letter"]
    assert compared.rankings == ["call", "letter", BEST_ARM]
    models = {*compared.scores[compared.scores.arm == "call"].model}
    assert {RANDOM, RISK, AVERAGED, "X-learner"} <= models
    assert {*compared.differences.reference} == {RANDOM, RISK}
    assert (compared.scores.n == 450).all()


def test_groups_tests_and_placebos_are_those_of_the_outcome(compared):
    assert len(compared.tabulate_groups()) == 2 * 5
    assert compared.run_tests().arm.tolist() == ["call", "letter"]
    assert len(compared.run_placebos(2)) == 2 * 2
    assert "largest area" in describe_leaders(compared)


def test_where_nothing_is_known_before_every_table_is_empty_with_its_columns(study):
    empty = compare(replace(make_trial(300, 0)[0], features=[]), study)
    tables = [empty.scores, empty.differences, empty.tabulate_groups(), empty.run_tests()]
    assert all(table.empty and "arm" in table for table in [*tables, empty.run_placebos(2)])
    assert (empty.arms, empty.rankings) == ([], [])
    assert (describe_score_note(empty), describe_leaders(empty)) == (NOTHING_KNOWN, "")


def test_the_heuristic_is_the_risk_for_staying_and_the_response_else():
    assert find_heuristic("kept") == RISK
    assert find_family(find_heuristic("outcome")) == find_family(RISK) == "heuristic"
    assert find_family("X-learner") == "learner"
