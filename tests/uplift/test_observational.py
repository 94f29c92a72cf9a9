"""Chosen arms: adjustment finds the truth where every cause is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from trial_maker import make_chosen

from research.errors import StudyError
from research.uplift.observational import (
    _find_strongest,
    compare_campaign,
    compare_campaigns,
    compute_robustness_value,
)
from research.uplift.trials import Trial


def separate(trial: Trial, name: str = "test") -> Trial:
    """Return a trial whose arms don't overlap: all with a positive x1 are in one."""
    arm = np.where(trial.rows.x1 > 0, "call", "control")
    return replace(trial, rows=trial.rows.assign(trial=name, arm=arm))


def test_adjustment_recovers_the_effect_that_the_plain_difference_turns_around():
    table, overlap = compare_campaign(make_chosen(6000, 0), "kept", 0)
    row = table.iloc[0]
    assert row.plain_difference < 0.02  # 0.1 less what the arms differ in before
    assert row.low < 0.1 < row.high
    assert row.strongest == "x1"
    assert len(overlap) == 4


def test_an_unobserved_confounder_misleads_and_the_robustness_value_is_small():
    row = compare_campaign(make_chosen(6000, 1, hidden=True), "kept", 0)[0].iloc[0]
    assert not row.low < 0.1 < row.high
    # a confounder of a few percent of both explains it, and here one does
    assert 0 < row.robustness < 0.1


def test_the_robustness_value_is_that_of_cinelli_and_hazlett():
    # their example of Darfur (2020, section 4): t = 4.18 with 783 degrees of freedom gives a
    # robustness value of 13.9 %
    assert compute_robustness_value(4.18 / np.sqrt(783)) == pytest.approx(0.139, abs=5e-4)


@pytest.mark.parametrize("n", [500, 2000])
def test_arms_that_do_not_overlap_are_refused(n):
    with pytest.raises(StudyError, match="expected arms that overlap"):
        compare_campaign(separate(make_chosen(n, 2)), "kept", 0)


def test_a_campaign_that_cannot_be_compared_is_a_sentence_next_to_those_that_can():
    good, bad = make_chosen(2000, 0), separate(make_chosen(2000, 2), "bad")
    rows = pd.concat([good.rows.assign(trial="good"), bad.rows], ignore_index=True)
    counts = pd.DataFrame({"trial": ["good", "bad"]})
    found = compare_campaigns(replace(good, rows=rows, counts=counts), "kept", 0)
    assert (found.table.trial.tolist(), {*found.overlap.trial}) == (["good"], {"good"})
    assert len(found.faults) == 1
    assert found.faults[0].startswith("bad: expected arms that overlap")


def test_where_no_campaign_can_be_compared_the_tables_are_empty_with_their_columns():
    found = compare_campaigns(separate(make_chosen(500, 2)), "kept", 0)
    assert found.table.empty and found.overlap.empty and len(found.faults) == 1
    assert {"adjusted_difference", "robustness"} <= {*found.table}
    assert {"chance_of", "rare_share"} <= {*found.overlap}


def test_categories_alone_are_features_too():
    trial = make_chosen(2000, 0)
    rows = trial.rows.assign(place=np.where(trial.rows.x1 > 0, "north", "south"))
    row = compare_campaign(replace(trial, rows=rows, features=["place"]), "kept", 0)[0].iloc[0]
    assert row.strongest.startswith("place: ")
    assert row.unlike_sd < 0.05


def test_without_features_nothing_can_be_adjusted_for():
    trial = replace(make_chosen(500, 3), features=[])
    with pytest.raises(StudyError, match="add attributes or events to adjust for"):
        compare_campaign(trial, "kept", 0)


@pytest.mark.filterwarnings("error")
def test_a_feature_that_is_constant_among_two_arms_explains_nothing_and_warns_of_nothing():
    features = pd.DataFrame({"same": np.ones(8), "fee": [1.0, 2, 3, 4, 5, 6, 7, 8]})
    arm = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    outcome = np.array([0.0, 0, 1, 0, 1, 1, 0, 1])
    name, *_ = _find_strongest(features, SimpleNamespace(arm=arm, outcome=outcome), 1)
    assert name == "fee"
