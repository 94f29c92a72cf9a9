"""Whether a trial is sound: sizes, balance, attrition, features written after the assignment."""

from dataclasses import replace

import numpy as np
import pytest
from trial_maker import change_rows, make_arms, make_trial

from research.uplift.balance import (
    AS_PLANNED,
    MISSING_UNEVENLY,
    NO_PLAN,
    RATIO_MISMATCH,
    check_attrition,
    check_sample_ratio,
    check_trial,
    compare_features,
    find_post_assignment,
    summarise_balance,
)
from research.uplift.report import describe_doubts


def test_the_propensities_that_were_written_down_are_the_plan(write_study):
    arm = ["control"] * 250 + ["call"] * 500 + ["mail"] * 250
    propensity = [0.25] * 250 + [0.5] * 500 + [0.25] * 250
    trial = make_arms(1000, arm=arm, propensity=propensity, planned=propensity)
    table = check_sample_ratio(trial, write_study("flat"))
    assert table.planned_share.tolist() == [0.25, 0.5, 0.25]
    assert {*table.verdict} == {AS_PLANNED}


def test_without_a_plan_the_sample_ratio_is_not_tested(write_study):
    trial = make_arms(100, arm=["control"] * 80 + ["mail"] * 20)
    table = check_sample_ratio(trial, write_study("flat"))
    assert {*table.verdict} == {NO_PLAN} and table.p_value.isna().all()


def test_the_sample_ratio_is_that_of_cookie_cats(write_study):
    study = write_study("flat", experiment={"shares": {"control": 1, "mail": 1}})
    trial = make_arms(90_189, arm=["control"] * 44_700 + ["mail"] * 45_489)
    table = check_sample_ratio(trial, study)
    # by hand: (45,489 - 44,700)^2 / 90,189 = 6.9024, the chi-square of one degree of freedom that
    # is exceeded in 0.86 % of randomisations
    assert table.p_value.iloc[0] == pytest.approx(0.008608, abs=1e-6)
    assert {*table.verdict} == {RATIO_MISMATCH}


def test_planned_shares_are_what_sizes_are_compared_with(write_study):
    study = write_study("flat", experiment={"shares": {"control": 1, "mail": 3}})
    trial = make_arms(4000, arm=["control"] * 1000 + ["mail"] * 3000)
    table = check_sample_ratio(trial, study)
    assert table.p_value.iloc[0] == 1
    assert table.planned_share.tolist() == [0.25, 0.75]


def test_propensities_that_differ_between_customers_are_tested_by_their_inverses(write_study):
    rng, study = np.random.default_rng(0), write_study("flat")
    of_mail = rng.uniform(0.2, 0.8, 4000)
    mailed = rng.random(4000) < of_mail
    given = {
        "arm": np.where(mailed, "mail", "control"),
        "propensity": np.where(mailed, of_mail, 1 - of_mail),
        "varies": True,
    }
    assert check_sample_ratio(make_arms(4000, **given), study).verdict.iloc[0] == AS_PLANNED
    wrong = given | {"propensity": np.where(mailed, 0.5 * of_mail, 1 - of_mail)}
    assert check_sample_ratio(make_arms(4000, **wrong), study).verdict.iloc[0] == RATIO_MISMATCH


def test_differences_before_the_assignment_are_in_standard_deviations():
    trial = make_arms(
        8,
        arm=["control"] * 4 + ["mail"] * 4,
        x=[0.0, 0, 2, 2, 1, 1, 3, 3],
        x_city=["north"] * 4 + ["south"] * 4,
    )
    table = compare_features(trial).set_index("feature")
    # means 1 and 2, both variances 4/3
    assert table.loc["x", "difference_sd"] == pytest.approx(1 / np.sqrt(4 / 3))
    assert table.loc["x_city: south", "mean_arm"] == 1


def test_the_summary_counts_large_differences_and_names_the_largest():
    trial = make_arms(
        400,
        x=np.tile([0.0, 0.0, 1.0, 1.0], 100),
        x_two=np.r_[np.tile([0.0, 1.0], 100), np.tile([0.5, 0.5], 100)],
    )
    summary = summarise_balance(compare_features(trial), trial).iloc[0]
    assert (summary.features, summary.large, summary.feature) == (2, 1, "x_two")
    # the error of two arms of 200 is 0.1; 2.24 of them leave 5 % beyond for two features
    assert summary.chance_sd == pytest.approx(0.1 * 2.2414, abs=1e-4)


def test_outcomes_that_are_missing_more_often_in_one_arm_are_flagged_with_bounds():
    kept = np.r_[np.ones(500), np.zeros(500), np.ones(400), np.zeros(400), np.full(200, np.nan)]
    trial = make_arms(2000, arm=["control"] * 1000 + ["mail"] * 1000, kept=kept)
    table = check_attrition(trial).set_index("arm")
    assert table.verdict.tolist() == [MISSING_UNEVENLY] * 2
    # of the thousand in the arm 400 to 600 stay, of those in control 500
    assert table.loc["mail", ["worst_low", "worst_high"]].tolist() == pytest.approx([-0.1, 0.1])


def test_a_feature_that_differs_between_the_arms_beyond_chance_is_left_out_and_named(write_study):
    trial, _ = make_trial(2000, 0)
    treated, study = trial.rows.arm == "call", write_study("flat")
    spoiled = change_rows(trial, opened=treated * trial.rows.x1, kind=np.where(treated, "a", "b"))
    spoiled = replace(spoiled, features=[*trial.features, "opened", "kind"])
    checks = check_trial(spoiled, study)
    # the mean of opened is the same
    assert checks.trial.features == [*trial.features, "opened"] and checks.left_out == ["kind"]
    assert describe_doubts(checks).startswith(
        "**Read this with caution**: kind left out of all models"
    )
    assert describe_doubts(check_trial(trial, study)) == ""


def test_fair_randomisations_leave_hardly_any_feature_out():
    trials = [make_trial(400, seed)[0] for seed in range(100)]
    left_out = [find_post_assignment(compare_features(trial), trial) for trial in trials]
    assert sum(map(bool, left_out)) <= 2
