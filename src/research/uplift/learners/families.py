"""What rankings by effect are called, and by which family result tables group them."""

from research.models.registry import BASELINE

RANDOM, RISK, RESPONSE = "random", "churn risk", "outcome under contact"
AVERAGED = "averaged effects"
HEURISTIC, LEARNER, AVERAGE = "heuristic", "learner", "averaged"
NOT_EFFECTS = (RANDOM, RISK, RESPONSE)  # rankings whose numbers are no effects
FAMILIES = {RANDOM: BASELINE, RISK: HEURISTIC, RESPONSE: HEURISTIC, AVERAGED: AVERAGE}


def find_family(name: str) -> str:
    """Return the family of a ranking: ``LEARNER`` unless it is a baseline or the average."""
    return FAMILIES.get(name, LEARNER)


def find_heuristic(outcome: str) -> str:
    """Return the ranking in common use for an outcome, which a ranking by effect has to beat.

    It is the churn risk; where the outcome isn't staying, the outcome expected under contact.
    """
    return RISK if outcome == "kept" else RESPONSE


def find_other_heuristic(outcome: str) -> str:
    """Return the ranking that isn't in common use for an outcome, see ``find_heuristic``."""
    return RESPONSE if find_heuristic(outcome) == RISK else RISK
