"""Which campaigns are trials, which are associations, and which are left out."""

import ibis
import numpy as np
import pandas as pd
import pytest
from trial_maker import campaign, load_campaigns, load_flat, make_arms, make_trial

from research.data.load import load_tables
from research.errors import NotApplicable, StudyError
from research.uplift import report
from research.uplift.trials import (
    OBSERVATIONAL,
    RANDOMISED,
    explain_no_trial,
    find_left_out,
    is_share,
    load_observational,
    load_randomised,
)

FLAT = pd.DataFrame({"churned": [True, False] * 2, "arm": ["control", "mail"] * 2, "x": 1.0})


def test_a_newsletter_to_everybody_next_to_a_trial_stops_nothing(write_study):
    both = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("c", "call"), ("d", "call"), campaign="newsletter", propensity=np.nan),
        ]
    )
    assert {*load_campaigns(write_study, both)[RANDOMISED].rows.trial} == {"letter"}


def test_campaigns_with_other_arms_are_not_pooled(write_study):
    more = campaign(("a", "control"), ("b", "visit"), campaign="autumn")
    both = pd.concat([campaign(("c", "control"), ("d", "call"), ("e", "call")), more])
    trial = load_campaigns(write_study, both)[RANDOMISED]
    assert (trial.arms, {*trial.rows.trial}) == (["call"], {"letter"})
    study = write_study("contractual", experiment={"assignment": RANDOMISED})
    left_out = find_left_out({"campaigns": ibis.memtable(both)}, study)
    assert left_out == {
        "autumn": "it has other arms than the campaigns that count; give it a study of its own"
    }


def test_chosen_arms_are_refused_unless_the_study_asks_for_associations(write_study):
    chosen = campaign(("a", "control"), ("b", "call"), propensity=[0.5, np.nan])
    with pytest.raises(NotApplicable, match="no campaign of the study tiny was randomised"):
        load_campaigns(write_study, chosen)
    found = load_campaigns(write_study, chosen, experiment={"assignment": "observational"})
    assert [*found] == [OBSERVATIONAL]


def test_one_propensity_in_every_row_proves_no_draw(write_study):
    letter, own = campaign(("a", "control"), ("b", "call")), {"assignment": None}
    with pytest.raises(
        NotApplicable, match=r"letter: the propensity is 0.5 in every row, .*assignment: randomised"
    ):
        load_campaigns(write_study, letter, experiment=own)
    study = write_study("contractual")
    reasons = find_left_out({"campaigns": ibis.memtable(letter)}, study)
    assert [*reasons] == ["letter"] and "0.5 in every row" in reasons["letter"]
    chosen = {"assignment": OBSERVATIONAL}
    assert [*load_campaigns(write_study, letter, experiment=chosen)] == [OBSERVATIONAL]
    confirmed = {"assignment": RANDOMISED}
    assert [*load_campaigns(write_study, letter, experiment=confirmed)] == [RANDOMISED]


def test_propensities_that_differ_between_arms_or_campaigns_are_a_plan(write_study):
    uneven = campaign(("a", "control"), ("b", "call"), propensity=[0.7, 0.3])
    more = campaign(("c", "control"), ("d", "call"), campaign="autumn")
    own = {"assignment": None}
    assert [*load_campaigns(write_study, uneven, experiment=own)] == [RANDOMISED]
    both = load_campaigns(write_study, pd.concat([uneven, more]), experiment=own)[RANDOMISED]
    assert {*both.rows.trial} == {"letter", "autumn"}


def test_campaigns_that_are_left_out_are_listed_with_the_reason(write_study):
    both = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("c", "control"), ("d", "call"), campaign="agents", propensity=np.nan),
        ]
    )
    found = load_campaigns(write_study, both)
    assert {*found[RANDOMISED].rows.trial} == {"letter"}
    assert find_left_out({"campaigns": ibis.memtable(both)}, write_study("contractual")) == {
        "agents": "its arms were not randomised"
    }


def test_a_reason_is_said_once_whatever_the_number_of_campaigns(write_study):
    chosen = [
        campaign(("a", "control"), ("b", "call"), campaign=f"c{at:02d}", propensity=np.nan)
        for at in range(19)
    ]
    study = write_study("contractual")
    found = find_left_out(
        {
            "campaigns": ibis.memtable(
                pd.concat([campaign(("a", "control"), ("b", "call")), *chosen])
            )
        },
        study,
    )
    assert found == {"c00, c01, c02, c03, c04 and 14 more": "their arms were not randomised"}
    assert report.describe_left_out(found) == (
        "Left out: c00, c01, c02, c03, c04 and 14 more (their arms were not randomised)."
    )
    with pytest.raises(NotApplicable) as refused:
        load_campaigns(write_study, pd.concat(chosen))
    assert str(refused.value).count("were not randomised") == 1


def test_rows_without_a_propensity_are_counted_over_their_campaigns(write_study):
    partly = [
        campaign(("a", "control"), ("b", "call"), campaign=name, propensity=[0.5, np.nan])
        for name in ("agents", "shops")
    ]
    with pytest.raises(NotApplicable, match="agents and shops: 2 of their 4 rows have no prop"):
        load_campaigns(write_study, pd.concat(partly))


def test_a_flat_study_has_to_say_that_its_arms_were_randomised(write_study):
    frame = FLAT.assign(outcome=[0, 1, 1, 0])
    with pytest.raises(NotApplicable, match="doesn't state that its arms were randomised"):
        load_flat(write_study, frame)
    trial = load_flat(
        write_study,
        frame,
        experiment={
            "assignment": "randomised",
            "primary": "outcome",
            "outcomes": {"outcome": "a visit"},
        },
    )[RANDOMISED]
    assert (trial.primary, trial.outcomes["outcome"], trial.features) == (
        "outcome",
        "a visit",
        ["x"],
    )
    assert trial.rows.propensity.tolist() == [0.5] * 4


def test_a_primary_outcome_that_is_not_there_is_refused(write_study):
    frame = pd.DataFrame({"churned": [True, False], "arm": ["control", "mail"]})
    with pytest.raises(
        StudyError, match="experiment.primary: expected one of the outcomes kept, got 'value'"
    ):
        load_flat(write_study, frame, experiment={"assignment": "randomised", "primary": "value"})


def test_shares_without_a_control_are_refused_when_study_yml_is_read(write_study):
    with pytest.raises(
        StudyError, match="expected shares of 'control' and of at least one other arm, got mail"
    ):
        write_study("flat", experiment={"shares": {"mail": 1}})


def test_rows_without_a_propensity_are_counted_by_campaign(write_study):
    with pytest.raises(NotApplicable, match="letter: 1 of its 2 rows have no propensity; add it"):
        load_campaigns(
            write_study, campaign(("a", "control"), ("b", "call"), propensity=[0.5, None])
        )


def write_flat(write_study, **changes):
    """Write a flat study of four customers in two arms; return it with its tables."""
    snapshot = FLAT.assign(customer_id=[*"abcd"])
    study = write_study("flat", tables={"snapshot": snapshot}, **changes)
    return load_tables(study), study


def test_randomised_arms_are_a_trial_and_no_association(write_study):
    tables, study = write_flat(write_study, experiment={"assignment": RANDOMISED})
    assert load_randomised(tables, study).assignment == RANDOMISED
    with pytest.raises(NotApplicable, match="asks for no comparison of arms that were chosen"):
        load_observational(tables, study)
    with pytest.raises(NotApplicable, match="has a randomised trial, see 65_targeting"):
        explain_no_trial(tables, study)


def test_chosen_arms_are_an_association_and_no_trial(write_study):
    tables, study = write_flat(write_study, experiment={"assignment": OBSERVATIONAL})
    assert load_observational(tables, study).assignment == OBSERVATIONAL
    with pytest.raises(NotApplicable, match="no arm of the study tiny was randomised"):
        load_randomised(tables, study)
    assert "see 62_observational" in explain_no_trial(tables, study)


def test_why_there_is_no_trial_is_one_sentence(write_study):
    snapshot = FLAT.drop(columns="arm").assign(customer_id=[*"abcd"])
    study = write_study("flat", tables={"snapshot": snapshot})
    reason = explain_no_trial(load_tables(study), study)
    assert reason == "the study tiny has no arms: its snapshot has no column arm"


def test_outcomes_between_0_and_1_are_shares_unless_they_are_money():
    assert is_share(pd.Series([0, 1, np.nan], name="kept"))
    assert not is_share(pd.Series([0.0, 0.5], name="value"))
    assert not is_share(pd.Series([0, 2], name="outcome"))


def test_the_trials_that_are_pooled_can_be_taken_alone():
    trial = make_arms(4, trial=["a", "a", "b", "b"])
    assert trial.names == ["a", "b"]
    assert [(name, len(part.rows)) for name, part in trial.iterate()] == [("a", 2), ("b", 2)]
    assert make_trial(200, 0)[0].shares == {"kept": True}


@pytest.mark.parametrize(
    ("churn", "words"),
    [({"horizon": "3 months"}, "3 months"), ({"horizon_days": 30, "lead_days": 0}, "30 days")],
)
def test_the_words_of_an_outcome_name_the_horizon_as_the_study_gives_it(write_study, churn, words):
    outcomes = {"kept": "still a customer after {horizon_days} days"}
    trial = load_campaigns(
        write_study,
        campaign(("b", "control"), ("c", "call")),
        churn=churn,
        experiment={"assignment": RANDOMISED, "outcomes": outcomes},
    )[RANDOMISED]
    assert trial.outcomes["kept"] == f"still a customer after {words}"
