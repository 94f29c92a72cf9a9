"""Attributes as of the export: found in simulated exports that have them, and in none without."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from exports import EXPORT, draw, list_attributes, lives

from research.data import load
from research.features.leakage.as_of_export import find_as_of_export, load_lives
from research.features.leakage.gate import check_leakage
from research.study import Leaks
from research.study_schema import Experiment

SEEDS = list_seeds(4)


def find(frame: pd.DataFrame) -> dict[str, str]:
    """Return the evidence of each attribute that is found."""
    found = find_as_of_export(frame, list_attributes(frame))
    assert all(reason.startswith("as of the export") for _, reason in found.values())
    return {column: evidence for column, (evidence, _) in found.items()}


def dates(frame: pd.DataFrame, days) -> pd.Series:
    """Return the day so many days after joining, empty where there is no number."""
    return frame.joined_at + pd.to_timedelta(pd.Series(days).round(), unit="D")


TOTALS = {
    "fees paid": lambda f, rng: f.monthly_fee * (f.stay_days / 30).apply(np.ceil),
    "fees paid, about": lambda f, rng: f.monthly_fee * f.stay_days * rng.normal(1, 0.05, len(f)),
    "months stayed": lambda f, rng: (f.stay_days / 30).apply(np.floor),
    "logins": lambda f, rng: rng.poisson(f.stay_days / 30 * f.spend_before),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TOTALS)
def test_a_total_that_grows_until_the_end_is_found(name, seed):
    frame = lives(seed)
    frame["total"] = TOTALS[name](frame, draw(frame, seed))
    found = find(frame)
    assert [*found] == ["total"]
    assert "while the stay until leaving or the data end grows by 1 %" in found["total"]


def test_the_evidence_of_a_total_names_the_fee_that_it_multiplies():
    frame = lives()
    frame["total"] = frame.monthly_fee * frame.stay_days
    assert find(frame)["total"].startswith("grows by 1.00 % while the stay")
    assert find(frame)["total"].endswith("given monthly_fee")


def test_totals_that_explain_one_another_are_all_found():
    frame = lives()
    frame["months"] = np.ceil(frame.stay_days / 30)
    frame["paid"] = frame.monthly_fee * frame.months
    frame["tax"] = 0.2 * frame.paid
    assert {*find(frame)} == {"months", "paid", "tax"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_total_as_of_one_day_in_the_past_is_no_leakage(seed):
    frame = lives(seed)
    past = (frame.age_days - 366).clip(lower=0)
    noise = draw(frame, seed).normal(1, 0.05, len(frame))
    frame["paid_by_2023"] = (frame.monthly_fee * past / 30 * noise).where(past > 0)
    frame["paid_by_signing"] = frame.monthly_fee * frame.spend_before
    assert find(frame) == {}


@pytest.mark.parametrize("effect", [0.3, 0.7, 1.2, 2.0])
@pytest.mark.parametrize("yearly", [0.1, 0.5, 2.0])
def test_what_makes_customers_leave_however_strongly_is_no_leakage(effect, yearly):
    for seed in range(4):
        frame = lives(seed, yearly=yearly, effect=effect)
        old = draw(frame, seed).random(len(frame)) < frame.age_days / 2_000
        frame["channel"] = np.where(old, "shop", "web")
        frame["heavy_spend"] = frame.spend_before**2 * np.exp(frame.age_days / 1_000)
        assert find(frame) == {}


LAST = {"of the last login": 10, "of the last order": 45}  # mean days before the end


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LAST)
def test_a_date_that_is_overwritten_until_the_end_is_found(name, seed):
    frame = lives(seed)
    gap = draw(frame, seed).exponential(LAST[name], len(frame))
    frame["last_seen"] = dates(frame, (frame.stay_days - gap).clip(lower=0))
    found = find(frame)
    assert [*found] == ["days_since_last_seen"]
    assert "days with every day that customers stay longer" in found["days_since_last_seen"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_date_that_comes_once_is_no_leakage(seed):
    frame = lives(seed)
    rng, count = draw(frame, seed), len(frame)
    for name, days in (("onboarded", 30), ("upgraded", 400)):
        after = rng.exponential(days, count)
        frame[name] = dates(frame, np.where(after <= frame.stay_days, after, np.nan))
    moved = frame.age_days - rng.uniform(0, 120, count)  # of all, in the last months
    frame["moved"] = dates(frame, np.where((moved > 0) & (moved <= frame.stay_days), moved, np.nan))
    frame["notice"] = dates(
        frame, (frame.stay_days - 30).where(frame.left & (frame.stay_days > 30))
    )
    assert find(frame) == {}


FLAGS = {"all leavers": (1.0, 0.3), "most leavers": (0.97, 0.1)}  # shares off: leavers, others


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_that_is_switched_off_at_leaving_is_found(name, seed):
    frame, (gone, there) = lives(seed), FLAGS[name]
    off = draw(frame, seed).random(len(frame)) < np.where(frame.left, gone, there)
    frame["auto_renew"] = np.where(off, "off", "on")
    assert [*find(frame)] == ["auto_renew"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flag_of_which_many_more_leave_is_no_leakage(seed):
    rng = np.random.default_rng(seed)
    frame = lives(seed, effect=0)
    often = rng.random(len(frame)) < 0.4  # ten times as often as the others
    life = np.ceil(rng.exponential(365 / np.where(often, 1.5, 0.15)))
    stay = np.minimum(life, frame.age_days)
    frame = frame.assign(left=life < frame.age_days, stay_days=stay)
    frame["auto_renew"] = np.where(often, "off", "on")
    assert find(frame) == {}


def test_too_few_leavers_say_nothing_and_a_flat_study_has_none():
    frame = lives()
    frame["total"] = frame.monthly_fee * frame.stay_days
    few = frame.assign(left=frame.left & (frame.left.cumsum() < 20))
    assert find_as_of_export(few, ["total"]) == {}
    assert find_as_of_export(None, ["total"]) == {}


def test_the_gate_excludes_a_total_and_study_yml_can_keep_it():
    frame = lives()
    frame["total"] = frame.monthly_fee * frame.stay_days

    class Rules:
        experiment = Experiment()

        def __init__(self, **rules):
            self.leaks = Leaks(**rules)

    train = frame.assign(churned=frame.left & (frame.age_days - frame.stay_days < 30))
    columns = ["total", "noise", "region"]
    table = check_leakage(train, columns, Rules(), None, frame).set_index("column")
    assert dict(table.decision) == {"total": "excluded"}
    kept = check_leakage(train, columns, Rules(keep={"total": "as of signing"}), None, frame)
    assert dict(kept.set_index("column").decision) == {"total": "kept"}


def write_company(write_study, kind: str) -> tuple:
    """Four customers: one stays, one left after 100 days, one came back, one joins too late."""
    joined = pd.to_datetime(["2024-01-01", "2024-01-01", "2023-01-01", "2025-03-01"])
    people = pd.DataFrame({"customer_id": [*"abcd"], "joined_at": joined, "left": "no"})
    people["signed_on"] = joined.date
    left = pd.to_datetime([None, "2024-04-10", "2023-06-01", None])
    terms = people[["customer_id"]].assign(started_at=joined, ended_at=left, monthly_fee=10.0)
    again = {"customer_id": ["c"], "started_at": pd.to_datetime(["2024-01-01"]), "monthly_fee": 9.0}
    days = ["2024-12-20", "2024-04-10", "2024-12-01"]
    orders = {"customer_id": [*"abc"], "ordered_at": pd.to_datetime(days), "amount": 5.0}
    tables = {"customers": people, "contracts": pd.concat([terms, pd.DataFrame(again)])}
    if kind == "non_contractual":
        tables = {"customers": people, "orders": pd.DataFrame(orders)}
    study = write_study(kind, tables=tables)
    return load.load_tables(study), study


@pytest.mark.parametrize("kind", ["contractual", "non_contractual"])
def test_stays_run_from_joining_until_leaving_or_the_data_end(write_study, kind):
    frame = load_lives(*write_company(write_study, kind)).set_index("customer_id")
    assert frame.left.to_dict() == {"a": False, "b": True} | (
        {} if kind == "contractual" else {"c": False}
    )
    assert frame.signed_on.dtype.kind == "M"
    # 1 January to 31 December and to 10 April of a leap year, also where an order is the last
    assert frame.age_days["a"] == frame.stay_days["a"] == (EXPORT - pd.Timestamp("2024-01-01")).days
    assert (frame.age_days["b"], frame.stay_days["b"]) == (365, 100)
    assert frame.columns.isin(["monthly_fee"]).any() == (kind == "contractual")
