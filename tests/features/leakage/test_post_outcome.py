"""Attributes without a date that were written after leaving, or after a treatment."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.data import load
from research.features.leakage import post_outcome
from research.features.leakage.findings import Finding

T = date(2024, 6, 30)


@pytest.fixture
def company(write_study):
    """Four customers: one runs on, one ends on the snapshot, one the day after, one left and came
    back; one more joins later.
    """
    joined = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2023-01-01", "2024-07-01"])
    people = pd.DataFrame(
        {
            "customer_id": [*"abcde"],
            "joined_at": joined,
            "channel": "web",
            "closed_on": pd.to_datetime([None, "2024-06-28", "2024-07-01", None, None]),
        }
    )
    contracts = people[["customer_id"]].assign(
        started_at=joined,
        ended_at=pd.to_datetime([None, "2024-06-30", "2024-07-01", "2023-06-01", None]),
    )
    again = pd.DataFrame(
        {"customer_id": ["d"], "started_at": [pd.Timestamp("2024-01-01")], "ended_at": pd.NaT}
    )
    campaigns = pd.DataFrame(
        [
            ("a", "test", "2024-06-30", "call", 0.5),
            ("b", "test", "2024-06-01", "none", 0.5),
            ("c", "test", "2024-07-01", "call", 0.5),
        ]
        + [("a", "calls", "2024-06-01", "call", 0.2), ("b", "calls", "2024-06-01", "call", 0.7)],
        columns=["customer_id", "campaign", "assigned_at", "arm", "propensity"],
    )
    campaigns["assigned_at"] = pd.to_datetime(campaigns.assigned_at)
    study = write_study(
        tables={
            "customers": people,
            "contracts": pd.concat([contracts, again], ignore_index=True),
            "campaigns": campaigns,
        }
    )
    return load.load_tables(study), study


def test_everybody_known_at_the_day_is_there_and_gone_means_no_contract_at_its_end(company):
    reference = post_outcome.load_reference_population(*company, T).set_index("customer_id")
    assert reference.gone.to_dict() == {"a": False, "b": True, "c": False, "d": False}


def test_a_date_among_the_attributes_is_an_age_and_empty_while_it_lies_ahead(company):
    ages = (
        post_outcome.load_reference_population(*company, T)
        .set_index("customer_id")
        .days_since_closed_on
    )
    assert ages["b"] == 2
    assert np.isnan(ages["c"])


def test_arms_are_those_of_randomised_campaigns_from_the_day_of_assignment_on(company):
    reference = post_outcome.load_reference_population(*company, T).set_index("customer_id")
    assert reference["arm of test"].dropna().to_dict() == {"a": "call", "b": "none"}
    assert "arm of calls" not in reference


def test_a_flat_study_has_no_reference_population(write_study):
    frame = pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})
    study = write_study("flat", tables={"snapshot": frame})
    assert post_outcome.load_reference_population(load.load_tables(study), study, T) is None


def people(n: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """Return customers of ten years; the earlier they joined, the more of them have gone."""
    rng = np.random.default_rng(seed)
    years = rng.uniform(0, 10, n)
    joined = pd.Timestamp("2014-01-01") + pd.to_timedelta((years * 365).round(), unit="D")
    gone = rng.random(n) < 0.85 - 0.07 * years
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "joined_at": joined,
            "gone": gone,
            "years": years,
            "chance": rng.random(n),
        }
    )


def test_a_value_written_when_customers_left_is_found():
    reference = people()
    reference["note"] = np.where(
        reference.gone & (reference.chance < 0.4), "left for a competitor", None
    )
    words, reason = post_outcome.find_after_leaving(reference, ["note"])["note"]
    assert words.endswith("have left already, nobody who is still there has it")
    assert reason.startswith("after the event")


def test_a_value_changed_when_customers_left_is_found():
    reference = people()
    reference["last_balance"] = np.where(
        reference.gone, reference.chance, 0.9 + 5 * reference.chance
    )
    assert (
        "joined at about the same time"
        in post_outcome.find_after_leaving(reference, ["last_balance"])["last_balance"][0]
    )


@pytest.mark.parametrize("seed", list_seeds(4))
def test_what_changed_over_the_years_of_joining_is_no_leakage(seed):
    reference = people(seed=seed)
    reference["gone"] |= reference.years < 1.5  # of the first customers nobody is left
    reference["channel"] = np.where(
        reference.years < 1.5, "door to door", np.where(reference.chance < 0.5, "web", "shop")
    )
    reference["number"] = reference.years * 100 + reference.chance
    reference["strong"] = 1.466 * reference.gone + np.random.default_rng(seed).normal(
        size=len(reference)
    )
    reference["rare"] = np.where(reference.chance < 0.01, "x", "y")
    assert (
        post_outcome.find_after_leaving(
            reference, ["channel", "number", "strong", "rare", "chance"]
        )
        == {}
    )


def test_the_year_of_joining_is_no_leakage_where_nearly_all_of_the_early_years_are_gone():
    reference = people()
    reference["gone"] = reference.chance < np.where(reference.years < 5, 0.97, 0.03)
    assert post_outcome.find_after_leaving(reference, ["years"]) == {}


def test_too_few_gone_customers_say_nothing():
    reference = people().assign(gone=lambda table: table.index < 19)
    assert (
        post_outcome.find_after_leaving(reference.assign(note=reference.gone * 1.0), ["note"]) == {}
    )


def trial(n: int = 3_000, seed: int = 0, columns: int = 20) -> pd.DataFrame:
    """Return customers of whom half are randomised into the two arms of a campaign, with attributes
    from before.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            f"x{i}": rng.lognormal(size=n) if i % 2 else rng.choice([*"abcdefgh"], n)
            for i in range(columns)
        }
    )
    joined = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1_500, n), unit="D")
    arm = pd.Series(rng.choice(["call", "none"], n, p=[0.7, 0.3]), dtype=object).where(
        rng.random(n) < 0.5, None
    )
    return frame.assign(
        customer_id=[f"c{i}" for i in range(n)],
        joined_at=joined,
        chance=rng.random(n),
        **{"arm of spring": arm},
    )


def check(frame: pd.DataFrame) -> dict[str, Finding]:
    columns = [
        column
        for column in frame
        if column not in ("customer_id", "joined_at", "chance", "arm of spring")
    ]
    return post_outcome.find_after_treatment(frame, columns, ["arm of spring"])


@pytest.mark.parametrize("seed", list_seeds(10))
def test_what_was_there_before_the_randomisation_is_alike_in_all_arms(seed):
    assert check(trial(seed=seed, columns=60)) == {}
    assert check(trial(n=250, seed=seed, columns=60)) == {}


@pytest.mark.parametrize("kind", ["text", "number", "presence"])
def test_what_was_written_after_the_treatment_is_found(kind):
    frame = trial()
    called = frame["arm of spring"] == "call"
    values = {
        "text": np.where(called & (frame.chance < 0.3), "spoke to us", "never spoke"),
        "number": frame.chance + 0.5 * called,
    }
    frame["note"] = values.get(kind, np.where(called & (frame.chance < 0.2), 1.0, np.nan))
    found = check(frame)
    assert [*found] == ["note"]
    assert found["note"][0].startswith("differs between the arms of spring (")
    assert found["note"][1].startswith("after the treatment")


def test_arms_that_differ_in_many_columns_were_chosen_and_say_nothing():
    frame = trial(columns=8)
    frame = frame.assign(
        **{f"y{i}": (frame["arm of spring"] == "call") + frame.chance for i in range(4)}
    )
    assert check(frame) == {}


def test_arms_that_differ_in_the_date_of_joining_were_chosen_and_say_nothing():
    frame = trial()
    frame["joined_at"] += pd.to_timedelta((frame["arm of spring"] == "call") * 300, unit="D")
    frame["region"] = np.where(
        (frame["arm of spring"] == "call") & (frame.chance < 0.3), "south", "north"
    )
    assert check(frame) == {}
