"""The verdict on a trial: no effect, the same effect for all, or effects that differ."""

import pandas as pd

from research.evaluation.holm import adjust_holm
from research.uplift.average_effects import ADJUSTED
from research.uplift.significance import FAMILY_LEVEL

NO_EFFECT, SAME_EFFECT, EFFECTS_DIFFER = "nothing", "same", "differs"
NOT_TESTED = "unknown"


def adjust_overall(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the adjusted effects on all customers with ``p_family``.

    ``p_family`` is Holm's p-value over all arms and outcomes.
    """
    rows = effects[(effects.segment_by == "") & (effects.method == ADJUSTED)]
    rows = rows.drop_duplicates(["outcome", "arm"])  # all trials together stand first
    return rows.assign(p_family=adjust_holm(rows.p_value))


def decide(effects: pd.DataFrame, tests: pd.DataFrame) -> tuple[str, list[tuple[str, str]]]:
    """Return the kind of the verdict, and the arms and outcomes whose effect differs.

    Parameters
    ----------
    effects : see ``average_effects.tabulate_effects``
    tests : see ``heterogeneity.run_test``, of all outcomes tested; empty where nothing was known
        before the assignment

    Returns
    -------
    kind : ``NO_EFFECT``, ``SAME_EFFECT``, ``EFFECTS_DIFFER``, or ``NOT_TESTED`` where there is an
        average effect but differences could not be tested
    pairs : (arm, outcome) whose effect differs significantly between customers
    """
    significant = (adjust_overall(effects).p_family < FAMILY_LEVEL).any()
    if tests.empty:
        return (NOT_TESTED if significant else NO_EFFECT), []
    differs = tests[adjust_holm(tests.p_value) < FAMILY_LEVEL]
    pairs = [*dict.fromkeys(zip(differs.arm, differs.outcome, strict=True))]
    if pairs:
        return EFFECTS_DIFFER, pairs
    return (SAME_EFFECT if significant else NO_EFFECT), []
