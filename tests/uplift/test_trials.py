"""Trials of campaigns and of flat studies: who counts, when evidence ends and the outcome begins,
and what is refused.
"""

from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest
import yaml
from trial_maker import make_trial

from research.data.fetch import fetch
from research.data.load import load_tables
from research.errors import NotApplicable, StudyError
from research.study import load_study
from research.uplift import balance, report, trials
from research.uplift.policy.campaign import load_case

DAY = pd.Timestamp("2024-07-01")


def campaign(*rows: tuple, **more) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["customer_id", "arm"]).assign(
        campaign="letter", assigned_at=DAY, propensity=0.5
    )
    return table.assign(**more)


def load(
    write_study, campaigns: pd.DataFrame, ended: dict | None = None, **changes
) -> dict[str, trials.Trial]:
    ids = [*"abcdefgh"]
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp("2024-01-01")})
    ends = pd.Series(ids).map(ended or {}).astype("datetime64[us]")
    contracts = pd.DataFrame(
        {
            "customer_id": ids,
            "started_at": pd.Timestamp("2024-01-01"),
            "ended_at": ends,
            "monthly_fee": 30.4375,
        }
    )
    study = write_study(
        "contractual",
        tables={"customers": people, "contracts": contracts, "campaigns": campaigns},
        **changes,
    )
    return trials.load_trials(load_tables(study), study)


def flat(write_study, frame: pd.DataFrame, **changes) -> dict[str, trials.Trial]:
    study = write_study(
        "flat",
        tables={"snapshot": frame.assign(customer_id=[f"c{n}" for n in range(len(frame))])},
        **changes,
    )
    return trials.load_trials(load_tables(study), study)


def test_the_outcome_begins_with_the_day_of_assignment_and_closes_with_the_horizon(write_study):
    ended = {
        "a": "2024-06-30",
        "b": "2024-07-01",
        "c": "2024-07-30",
        "d": "2024-07-31",
    }  # the horizon is 30 days: up to 30 July
    trial = load(
        write_study,
        campaign(*[(name, "control" if name in "aceg" else "call") for name in "abcdef"]),
        ended,
    )[trials.BY_LOT]
    kept = trial.rows.set_index("customer_id").kept
    assert kept.to_dict() == {
        "b": 0,
        "c": 0,
        "d": 1,
        "e": 1,
        "f": 1,
    }  # a had left the evening before
    assert trial.counts.set_index("arm").no_customer.to_dict() == {"control": 1, "call": 0}


def test_value_is_the_fees_paid_until_leaving_or_the_horizon(write_study):
    trial = load(
        write_study,
        campaign(("b", "control"), ("c", "call"), ("e", "call")),
        {"b": "2024-07-01", "c": "2024-07-15"},
    )[trials.BY_LOT]
    assert trial.rows.set_index("customer_id").value.round(6).to_dict() == {
        "b": 1,
        "c": 15,
        "e": 30,
    }  # a euro a day


def test_features_end_on_the_evening_before(write_study):
    usage = pd.DataFrame(
        {
            "customer_id": ["b", "b"],
            "used_at": pd.to_datetime(["2024-06-30 23:59:59", "2024-07-01 00:00:00"]),
        }
    )
    people = pd.DataFrame({"customer_id": ["b", "c"], "joined_at": pd.Timestamp("2024-01-01")})
    contracts = pd.DataFrame({"customer_id": ["b", "c"], "started_at": pd.Timestamp("2024-01-01")})
    tables = {
        "customers": people,
        "contracts": contracts,
        "usage": usage,
        "campaigns": campaign(("b", "call"), ("c", "control")),
    }
    study = write_study("contractual", tables=tables)
    trial = trials.load_trials(load_tables(study), study)[trials.BY_LOT]
    assert trial.rows.set_index("customer_id").n_usage_30d.to_dict() == {"b": 1, "c": 0}
    assert not {
        "kept",
        "value",
        "churned",
        "arm",
        "propensity",
        "cost",
        "event",
        "duration_days",
    } & {*trial.features}


def test_a_customer_in_two_arms_is_refused_and_named(write_study):
    with pytest.raises(
        StudyError,
        match=r"one arm for each customer of a campaign, got 1 customers in two arms \(b\)",
    ):
        load(write_study, campaign(("a", "control"), ("b", "control"), ("b", "call")))


def test_a_customer_assigned_twice_to_the_same_arm_counts_once(write_study):
    table = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("b", "call"), assigned_at=DAY + pd.Timedelta(days=3)),
        ]
    )
    trial = load(write_study, table)[trials.BY_LOT]
    assert len(trial.rows) == 2
    assert trial.counts.set_index("arm").assigned_later.to_dict() == {"control": 0, "call": 1}


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
            "letter: expected an arm beside 'control', got none",
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
        load(write_study, table)


def test_an_arm_of_study_yml_without_customers_is_refused(write_study):
    frame = pd.DataFrame({"churned": [True, False], "arm": ["control", "mail"]})
    with pytest.raises(
        StudyError, match="expected customers in the arm 'visit' of study.yml, got none"
    ):
        flat(
            write_study,
            frame,
            experiment={
                "assignment": "randomised",
                "shares": {"control": 1, "mail": 1, "visit": 1},
            },
        )


def test_a_newsletter_to_everybody_beside_a_trial_stops_nothing(write_study):
    both = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("c", "call"), ("d", "call"), campaign="newsletter", propensity=np.nan),
        ]
    )
    assert {*load(write_study, both)[trials.BY_LOT].rows.trial} == {"letter"}


def test_campaigns_with_other_arms_are_not_pooled(write_study):
    more = campaign(("a", "control"), ("b", "visit"), campaign="autumn")
    both = pd.concat([campaign(("c", "control"), ("d", "call"), ("e", "call")), more])
    found = load(write_study, both)[trials.BY_LOT]
    assert (found.arms, {*found.rows.trial}) == (["call"], {"letter"})
    refused = trials.list_refused({"campaigns": ibis.memtable(both)}, write_study("contractual"))
    assert refused == {
        "autumn": "it has other arms than the campaigns that count; give it a study of its own"
    }


def test_the_propensities_that_were_written_down_are_the_plan(write_study):
    rows = pd.DataFrame(
        {
            "arm": ["control"] * 250 + ["call"] * 500 + ["mail"] * 250,
            "propensity": [0.25] * 250 + [0.5] * 500 + [0.25] * 250,
        }
    )
    trial = make(1000, **rows.to_dict("list"), planned=rows.propensity)
    table = balance.check_shares(trial, write_study("flat"))
    assert table.planned_share.tolist() == [0.25, 0.5, 0.25]
    assert {*table.verdict} == {"as planned"}


def test_without_a_plan_the_sample_ratio_is_not_tested(write_study):
    table = balance.check_shares(
        make(100, arm=["control"] * 80 + ["mail"] * 20), write_study("flat")
    )
    assert {*table.verdict} == {"no plan stated"} and table.p_value.isna().all()


def test_assignments_whose_outcome_lies_beyond_the_data_are_counted_as_such(write_study):
    table = campaign(("a", "control"), ("b", "call"), ("c", "call"))
    table.loc[2, "assigned_at"] = pd.Timestamp("2024-12-20")
    counts = load(write_study, table)[trials.BY_LOT].counts.set_index("arm")
    assert counts.loc[
        "call", ["assigned", "assigned_later", "beyond_data", "analysed"]
    ].tolist() == [2, 0, 1, 1]


def test_costs_below_zero_are_a_broken_promise_of_the_table(write_study):
    with pytest.raises(StudyError, match="cost"):
        load(write_study, campaign(("a", "control"), ("b", "call"), cost=[0.0, -1.0]))


def test_campaigns_that_were_not_drawn_by_lot_are_refused_unless_the_study_asks_for_associations(
    write_study,
):
    chosen = campaign(("a", "control"), ("b", "call"), propensity=[0.5, np.nan])
    with pytest.raises(NotApplicable, match="no campaign of the study tiny was drawn by lot"):
        load(write_study, chosen)
    found = load(write_study, chosen, experiment={"assignment": "observational"})
    assert [*found] == [trials.BY_CHOICE]


def test_refused_campaigns_are_listed_beside_those_that_count(write_study):
    both = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("c", "control"), ("d", "call"), campaign="agents", propensity=np.nan),
        ]
    )
    found = load(write_study, both)
    assert {*found[trials.BY_LOT].rows.trial} == {"letter"}
    assert trials.list_refused({"campaigns": ibis.memtable(both)}, write_study("contractual")) == {
        "agents": "its arms were not drawn by lot"
    }


def test_a_campaign_whose_outcome_lies_beyond_the_data_is_left_out(write_study):
    with pytest.raises(NotApplicable, match="lies within the data with 30 days after it"):
        load(
            write_study,
            campaign(("a", "control"), ("b", "call"), assigned_at=pd.Timestamp("2024-12-15")),
        )


def test_arms_of_a_flat_study_need_the_word_that_they_were_drawn(write_study):
    frame = pd.DataFrame(
        {
            "churned": [True, False] * 2,
            "arm": ["control", "mail"] * 2,
            "outcome": [0, 1, 1, 0],
            "x": 1.0,
        }
    )
    with pytest.raises(NotApplicable, match="doesn't say that its arms were drawn by lot"):
        flat(write_study, frame)
    trial = flat(
        write_study,
        frame,
        experiment={
            "assignment": "randomised",
            "primary": "outcome",
            "outcomes": {"outcome": "a visit"},
        },
    )[trials.BY_LOT]
    assert (trial.primary, trial.outcomes["outcome"], trial.features) == (
        "outcome",
        "a visit",
        ["x"],
    )
    assert trial.rows.propensity.tolist() == [0.5] * 4


def test_a_flat_study_without_arms_and_one_whose_arms_are_missing_say_so(write_study):
    with pytest.raises(NotApplicable, match="has no arms"):
        flat(write_study, pd.DataFrame({"churned": [True, False]}))
    with pytest.raises(StudyError, match="an arm for every customer, got 1 rows without"):
        flat(
            write_study,
            pd.DataFrame({"churned": [True, False, True], "arm": ["control", "mail", None]}),
            experiment={"assignment": "randomised"},
        )


def test_a_primary_outcome_that_is_not_there_is_refused(write_study):
    frame = pd.DataFrame({"churned": [True, False], "arm": ["control", "mail"]})
    with pytest.raises(
        StudyError, match="experiment.primary: expected one of the outcomes kept; got 'value'"
    ):
        flat(write_study, frame, experiment={"assignment": "randomised", "primary": "value"})


def test_shares_without_a_control_are_refused_when_study_yml_is_read(write_study):
    with pytest.raises(
        StudyError, match="expected shares of 'control' and of at least one other arm, got mail"
    ):
        write_study("flat", experiment={"shares": {"mail": 1}})


def make(n: int, **columns) -> trials.Trial:
    arm = columns.pop("arm", ["control", "mail"] * (n // 2))
    rows = pd.DataFrame(
        {"customer_id": range(n), "trial": "t", "arm": arm, "propensity": 0.5, "kept": 1.0}
        | columns
    )
    features = [name for name in columns if name.startswith("x")]
    return trials.Trial(
        rows, features, {"kept": "stays"}, trials.BY_LOT, pd.DataFrame({"trial": ["t"]})
    )


def test_the_sample_ratio_is_that_of_cookie_cats(write_study):
    study = write_study("flat", experiment={"shares": {"control": 1, "mail": 1}})
    table = balance.check_shares(make(90_189, arm=["control"] * 44_700 + ["mail"] * 45_489), study)
    # by hand: (45,489 - 44,700)^2 / 90,189 = 6.9024, the chi-square of one degree of freedom that
    # is exceeded in 0.86 % of draws
    assert table.p_value.iloc[0] == pytest.approx(0.008608, abs=1e-6)
    assert {*table.verdict} == {"off balance"}


def test_planned_shares_are_what_sizes_are_compared_with(write_study):
    study = write_study("flat", experiment={"shares": {"control": 1, "mail": 3}})
    table = balance.check_shares(make(4000, arm=["control"] * 1000 + ["mail"] * 3000), study)
    assert table.p_value.iloc[0] == 1
    assert table.planned_share.tolist() == [0.25, 0.75]


def test_chances_that_differ_between_customers_are_tested_by_their_inverses(write_study):
    rng, study = np.random.default_rng(0), write_study("flat")
    chance = rng.uniform(0.2, 0.8, 4000)
    drawn = rng.random(4000) < chance
    given = {
        "arm": np.where(drawn, "mail", "control"),
        "propensity": np.where(drawn, chance, 1 - chance),
        "varies": True,
    }
    assert balance.check_shares(make(4000, **given), study).verdict.iloc[0] == "as planned"
    wrong = given | {"propensity": np.where(drawn, 0.5 * chance, 1 - chance)}
    assert balance.check_shares(make(4000, **wrong), study).verdict.iloc[0] == "off balance"


def test_differences_before_the_assignment_are_in_standard_deviations():
    trial = make(
        8,
        arm=["control"] * 4 + ["mail"] * 4,
        x=[0.0, 0, 2, 2, 1, 1, 3, 3],
        x_city=["north"] * 4 + ["south"] * 4,
    )
    table = balance.compare_features(trial).set_index("feature")
    assert table.loc["x", "difference_sd"] == pytest.approx(
        1 / np.sqrt(4 / 3)
    )  # means 1 and 2, both variances 4/3
    assert table.loc["x_city: south", "mean_arm"] == 1


def test_outcomes_that_are_missing_more_often_in_one_arm_are_flagged_with_bounds():
    kept = np.r_[np.ones(500), np.zeros(500), np.ones(400), np.zeros(400), np.full(200, np.nan)]
    table = balance.check_attrition(
        make(2000, arm=["control"] * 1000 + ["mail"] * 1000, kept=kept)
    ).set_index("arm")
    assert table.verdict.tolist() == ["more missing in one arm"] * 2
    # of the thousand in the arm 400 to 600 stay, of those in control 500
    assert table.loc["mail", ["worst_low", "worst_high"]].tolist() == pytest.approx([-0.1, 0.1])


@pytest.mark.parametrize("name", ["kept", "cost", "trial", "propensity"])
def test_a_feature_named_like_a_column_of_the_trial_is_refused_before_it_becomes_the_outcome(
    write_study, name
):
    frame = pd.DataFrame(
        {"churned": [True, False] * 2, "arm": ["control", "mail"] * 2, name: [1.0, 2.0, 3.0, 4.0]}
    )
    with pytest.raises(
        StudyError,
        match=(
            "expected features and attributes named unlike the columns of a trial .*, got"
            f" {name}; rename them"
        ),
    ):
        flat(write_study, frame, experiment={"assignment": "randomised"})


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
        trials.load_trials(load_tables(study), study)


def test_a_feature_written_after_the_assignment_or_at_leaving_enters_no_model(write_study):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "arm": rng.permutation(["control", "mail"] * 600),
            "churned": rng.random(1200) < 0.3,
            "age": rng.uniform(18, 80, 1200),
        }
    )
    frame["goodbye_code"] = np.where(frame.churned & (rng.random(1200) < 0.8), "X", None)
    frame["clicked"] = np.where((frame.arm == "mail") & (rng.random(1200) < 0.6), 1.0, 0.0)
    assert flat(write_study, frame, experiment={"assignment": "randomised"})[
        trials.BY_LOT
    ].features == ["age"]


def test_the_code_that_the_demos_customers_get_at_leaving_is_no_feature_of_its_trials(copy):
    told = copy / "data" / "demo" / "study.yml"
    told.write_text(
        yaml.safe_dump(
            yaml.safe_load(told.read_text())
            | {"simulate": {"customers": 1500, "months": 24, "seed": 3}},
            sort_keys=False,
        )
    )
    study = load_study("demo")
    fetch(study)
    trial = trials.load_trials(load_tables(study), study)[trials.BY_LOT]
    assert "retention_offer_code" not in trial.features and "monthly_fee" in trial.features
    assert trial.outcomes["kept"] == "still a customer after 90 days"


def test_a_feature_that_differs_between_the_arms_beyond_luck_is_set_aside_and_said(write_study):
    trial, _ = make_trial(2000, 0)
    spoiled = replace(
        trial,
        rows=trial.rows.assign(
            opened=(trial.rows.arm == "call") * trial.rows.x1,
            kind=np.where(trial.rows.arm == "call", "a", "b"),
        ),
    )
    spoiled = replace(spoiled, features=[*trial.features, "opened", "kind"])
    honest, aside = balance.set_aside(spoiled)
    assert honest.features == [*trial.features, "opened"] and aside == [
        "kind"
    ]  # the mean of opened is the same
    sizes, missing = (
        balance.check_shares(trial, write_study("flat")),
        balance.check_attrition(trial),
    )
    assert report.say_doubts(sizes, missing, aside).startswith(
        "**Read this with suspicion**: kind left out of all models"
    )
    assert report.say_doubts(sizes, missing, []) == ""


def test_fair_draws_set_hardly_anything_aside():
    found = [balance.set_aside(make_trial(400, seed)[0])[1] for seed in range(100)]
    assert sum(map(bool, found)) <= 2


def test_a_campaign_whose_assigned_were_no_customers_is_not_applicable(write_study):
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "joined_at": pd.Timestamp("2024-01-01")})
    contracts = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "started_at": pd.Timestamp("2024-01-01"),
            "ended_at": [DAY - pd.Timedelta(days=40)] * 2 + [pd.NaT],
        }
    )
    study = write_study(
        "contractual",
        tables={
            "customers": people,
            "contracts": contracts,
            "campaigns": campaign(("a", "control"), ("b", "call")),
        },
    )
    with pytest.raises(
        NotApplicable,
        match="none of the 2 customers assigned in study .* was a customer on the evening before",
    ):
        trials.load_trials(load_tables(study), study)


def test_rows_without_a_propensity_are_counted_by_campaign(write_study):
    with pytest.raises(NotApplicable, match="letter: 1 of its 2 rows have no propensity; add it"):
        load(write_study, campaign(("a", "control"), ("b", "call"), propensity=[0.5, None]))


def test_an_arm_without_any_outcome_is_refused_by_name():
    trial, _ = make_trial(300, 0, shares=(0.4, 0.3, 0.3))
    lost = replace(
        trial, rows=trial.rows.assign(kept=trial.rows.kept.where(trial.rows.arm != "letter"))
    )
    with pytest.raises(
        StudyError, match="expected known outcomes in every arm, got none in letter"
    ):
        load_case(lost, {}, None, 2, 1, 0)
