"""Rankings by effect are grouped with their like, and each has a rival in common use."""

from research.models.registry import BASELINE
from research.uplift.learners import families
from research.uplift.learners.registry import LEARNERS


def test_every_learner_belongs_to_the_family_of_learners():
    assert {families.find_family(name) for name in LEARNERS} == {families.LEARNER}


def test_rankings_that_are_no_learner_have_families_of_their_own():
    assert families.find_family("random") == BASELINE
    assert families.find_family("churn risk") == families.HEURISTIC
    assert families.find_family("averaged effects") == families.AVERAGE


def test_the_heuristic_of_staying_is_the_risk_and_that_of_another_outcome_the_response():
    assert families.find_heuristic("kept") == families.RISK
    assert families.find_heuristic("visited") == families.RESPONSE
    assert {families.RISK, families.RESPONSE} < {*families.NOT_EFFECTS}
