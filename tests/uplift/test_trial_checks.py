"""Trials that can't be analysed are refused, each with its sentence."""

import pandas as pd
import pytest
from trial_maker import campaign, load_campaigns, load_flat

from research.data.load import load_tables
from research.errors import StudyError
from research.uplift.trials import load_trials


def test_a_customer_in_two_arms_is_refused_and_named(write_study):
    with pytest.raises(
        StudyError,
        match=r"one arm for each customer of a campaign, got 1 customers in two arms \(b\)",
    ):
        load_campaigns(write_study, campaign(("a", "control"), ("b", "control"), ("b", "call")))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            campaign(("a", "letter"), ("b", "call")),
            "letter: expected an arm called 'control' to compare with, got",
        ),
        (
            campaign(("a", "control"), ("b", " ")),
            "letter: expected a name for every arm, got an empty one",
        ),
        (
            campaign(("a", "control"), ("b", "control")),
            "letter: expected an arm besides 'control', got none",
        ),
        (
            campaign(("a", "control"), ("b", "call"), propensity=[1.0, 0.5]),
            "expected propensities from 0.001 to 0.999, got 1 outside, such as 1;",
        ),
        (
            campaign(("a", "control"), ("b", "call"), propensity=[0.5, 0.0]),
            "expected propensities from 0.001 to 0.999, got 1 outside, such as 0;",
        ),
        (
            campaign(("a", "control"), ("b", "call"), propensity=[0.5, 1e-9]),
            "expected propensities from 0.001 to 0.999, got 1 outside, such as 1e-09;",
        ),
        (
            campaign(("a", "control"), ("b", "call"), propensity=[0.9, 0.9]),
            "letter: expected propensities of all arms that add up to 1, got 1.8;",
        ),
    ],
)
def test_a_campaign_that_compares_nothing_is_refused(write_study, table, words):
    with pytest.raises(StudyError, match=words):
        load_campaigns(write_study, table)


def test_an_arm_of_study_yml_without_customers_is_refused(write_study):
    frame = pd.DataFrame({"churned": [True, False], "arm": ["control", "mail"]})
    with pytest.raises(
        StudyError, match="expected customers in the arm 'visit' of study.yml, got none"
    ):
        load_flat(
            write_study,
            frame,
            experiment={
                "assignment": "randomised",
                "shares": {"control": 1, "mail": 1, "visit": 1},
            },
        )


@pytest.mark.parametrize("name", ["kept", "cost", "trial", "propensity"])
def test_a_feature_named_like_a_column_of_the_trial_is_refused(write_study, name):
    frame = pd.DataFrame(
        {"churned": [True, False] * 2, "arm": ["control", "mail"] * 2, name: [1.0, 2.0, 3.0, 4.0]}
    )
    with pytest.raises(
        StudyError,
        match=(
            "expected features and attributes whose names differ from the columns of a trial .*,"
            f" got {name}; rename them"
        ),
    ):
        load_flat(write_study, frame, experiment={"assignment": "randomised"})


def test_an_attribute_of_customers_named_like_a_column_of_the_trial_is_refused(write_study):
    people = pd.DataFrame(
        {"customer_id": ["a", "b"], "joined_at": pd.Timestamp("2024-01-01"), "outcome": [1, 2]}
    )
    contracts = pd.DataFrame({"customer_id": ["a", "b"], "started_at": pd.Timestamp("2024-01-01")})
    study = write_study(
        "contractual",
        tables={
            "customers": people,
            "contracts": contracts,
            "campaigns": campaign(("a", "control"), ("b", "call")),
        },
    )
    with pytest.raises(StudyError, match="got outcome; rename them in the SQL"):
        load_trials(load_tables(study), study)
