"""Rows of trials: who counts, when evidence ends and when the outcome begins."""

import numpy as np
import pandas as pd
import pytest
import yaml
from trial_maker import DAY, campaign, load_campaigns, load_flat

from research.data.fetch import fetch
from research.data.load import load_tables
from research.errors import NotApplicable, StudyError
from research.study import load_study
from research.uplift.trials import RANDOMISED, load_randomised, load_trials


def test_the_outcome_begins_with_the_day_of_assignment_and_closes_with_the_horizon(write_study):
    ended = {
        "a": "2024-06-30",
        "b": "2024-07-01",
        "c": "2024-07-30",
        "d": "2024-07-31",
    }  # the horizon is 30 days: up to 30 July
    trial = load_campaigns(
        write_study,
        campaign(*[(name, "control" if name in "aceg" else "call") for name in "abcdef"]),
        ended,
    )[RANDOMISED]
    kept = trial.rows.set_index("customer_id").kept
    assert kept.to_dict() == {
        "b": 0,
        "c": 0,
        "d": 1,
        "e": 1,
        "f": 1,
    }  # a had left on the day before
    assert trial.counts.set_index("arm").no_customer.to_dict() == {"control": 1, "call": 0}


def test_value_is_the_fees_paid_until_leaving_or_the_horizon(write_study):
    trial = load_campaigns(
        write_study,
        campaign(("b", "control"), ("c", "call"), ("e", "call")),
        {"b": "2024-07-01", "c": "2024-07-15"},
    )[RANDOMISED]
    assert trial.rows.set_index("customer_id").value.round(6).to_dict() == {
        "b": 1,
        "c": 15,
        "e": 30,
    }  # a euro a day


def test_features_end_on_the_day_before(write_study):
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
    study = write_study("contractual", tables=tables, experiment={"assignment": RANDOMISED})
    trial = load_randomised(load_tables(study), study)
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


def test_a_customer_assigned_twice_to_the_same_arm_counts_once(write_study):
    table = pd.concat(
        [
            campaign(("a", "control"), ("b", "call")),
            campaign(("b", "call"), assigned_at=DAY + pd.Timedelta(days=3)),
        ]
    )
    trial = load_campaigns(write_study, table)[RANDOMISED]
    assert len(trial.rows) == 2
    assert trial.counts.set_index("arm").assigned_later.to_dict() == {"control": 0, "call": 1}


def test_assignments_whose_outcome_lies_beyond_the_data_are_counted_as_such(write_study):
    table = campaign(("a", "control"), ("b", "call"), ("c", "call"))
    table.loc[2, "assigned_at"] = pd.Timestamp("2024-12-20")
    counts = load_campaigns(write_study, table)[RANDOMISED].counts.set_index("arm")
    assert counts.loc[
        "call", ["assigned", "assigned_later", "beyond_data", "analysed"]
    ].tolist() == [2, 0, 1, 1]


def test_costs_below_zero_break_the_data_contract(write_study):
    with pytest.raises(StudyError, match="cost"):
        load_campaigns(write_study, campaign(("a", "control"), ("b", "call"), cost=[0.0, -1.0]))


def test_a_campaign_whose_outcome_lies_beyond_the_data_is_left_out(write_study):
    with pytest.raises(NotApplicable, match="lies within the data with 30 days after it"):
        load_campaigns(
            write_study,
            campaign(("a", "control"), ("b", "call"), assigned_at=pd.Timestamp("2024-12-15")),
        )


def test_a_flat_study_needs_an_arm_for_every_customer(write_study):
    with pytest.raises(NotApplicable, match="has no arms"):
        load_flat(write_study, pd.DataFrame({"churned": [True, False]}))
    with pytest.raises(StudyError, match="an arm for every customer, got 1 rows without one"):
        load_flat(
            write_study,
            pd.DataFrame({"churned": [True, False, True], "arm": ["control", "mail", None]}),
            experiment={"assignment": "randomised"},
        )


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
    trial = load_flat(write_study, frame, experiment={"assignment": "randomised"})[RANDOMISED]
    assert trial.features == ["age"]


def test_the_code_that_the_demos_customers_get_at_leaving_is_no_feature_of_its_trials(copy):
    path = copy / "data" / "demo" / "study.yml"
    simulate = {"simulate": {"customers": 1500, "months": 24, "seed": 3}}
    definition = yaml.safe_load(path.read_text()) | simulate
    path.write_text(yaml.safe_dump(definition, sort_keys=False))
    study = load_study("demo")
    fetch(study)
    trial = load_randomised(load_tables(study), study)
    assert "retention_offer_code" not in trial.features and "monthly_fee" in trial.features
    assert trial.outcomes["kept"] == "still a customer after 90 days"


def test_a_campaign_to_former_customers_alone_is_not_applicable(write_study):
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
        match="none of the 2 customers assigned in study .* was a customer on the day before",
    ):
        load_trials(load_tables(study), study)


def test_a_horizon_of_a_month_closes_with_the_month(write_study):
    table = campaign(("b", "control"), ("c", "call"), ("e", "call"))
    month = {"churn": {"horizon": "1 month"}}
    trial = load_campaigns(write_study, table, {"b": "2024-07-31", "c": "2024-08-01"}, **month)[
        RANDOMISED
    ]
    rows = trial.rows.set_index("customer_id")
    # assigned on 1 July: the window is (30 June, 31 July], and a day earns a euro
    assert rows.kept.to_dict() == {"b": 0, "c": 1, "e": 1}
    assert rows.value.round(6).to_dict() == {"b": 31, "c": 31, "e": 31}
    late = table.assign(assigned_at=pd.Timestamp("2024-12-15"))
    with pytest.raises(NotApplicable, match="lies within the data with a month after it"):
        load_campaigns(write_study, late, **month)


def load_two(write_study, days: int, again: str) -> dict:
    """Return the trials of two campaigns so many days apart, the second to these customers."""
    both = [
        campaign(*[(name, "control" if name in "aceg" else "call") for name in "abcdefgh"]),
        campaign(
            *[(name, "call" if name in "ab" else "control") for name in again],
            campaign="second",
            assigned_at=DAY + pd.Timedelta(days=days),
        ),
    ]
    return load_campaigns(write_study, pd.concat(both, ignore_index=True))


@pytest.mark.parametrize(
    ("days", "inside"), [(29, {"control": 1, "call": 2}), (30, {"control": 0, "call": 0})]
)
def test_customers_in_another_campaign_before_their_outcome_are_counted(write_study, days, inside):
    # the horizon is 30 days: from the day of assignment to the 30th, the 29th after it
    (trial,) = load_two(write_study, days, "abh").values()
    counts = trial.counts[trial.counts.trial == "letter"].set_index("arm").next_campaign
    assert counts.to_dict() == inside


def test_a_campaign_whose_outcomes_are_mostly_those_of_the_next_is_refused(write_study):
    with pytest.raises(
        StudyError,
        match="campaign letter: expected outcomes before most customers are in another campaign,"
        " got 75% of them in one within 30 days; give a shorter horizon",
    ):
        load_two(write_study, 10, "abcdef")
