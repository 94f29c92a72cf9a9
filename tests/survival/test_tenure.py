"""Tenures since joining: boundary tables for each kind of study, curves by segment."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from dated_rows import company_with_gaps

from research.data.load import load_tables
from research.lifecycle.indicators import compute_indicators
from research.survival.tenure import (
    compare_segments,
    list_segment_attributes,
    load_tenures,
    pool_small_segments,
    summarise_tenures,
    tabulate_curves,
    tabulate_follow_up,
)


def days(*texts):
    return pd.to_datetime(list(texts))


def load(study):
    return load_tenures(load_tables(study), study).set_index("customer_id")


def test_a_contractual_tenure_ends_with_unbroken_cover_for_the_reason_recorded_then(write_study):
    people = pd.DataFrame(
        {
            "customer_id": list("abc"),
            "joined_at": days("2024-01-01", "2024-01-01", "2024-02-01"),
            "region": ["north", "south", None],
        }
    )
    contracts = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b", "c"],
            "started_at": days(
                "2024-01-01", "2024-03-01", "2024-01-01", "2024-06-01", "2024-02-01"
            ),
            "ended_at": [
                pd.Timestamp("2024-03-01"),
                pd.Timestamp("2024-04-10"),
                pd.Timestamp("2024-02-01"),
                pd.NaT,
                pd.NaT,
            ],
            "plan": ["basic", "premium", "basic", "premium", "premium"],
            "monthly_fee": [10.0, 20, 10, 20, 30],
            "voluntary": pd.array([None, False, True, None, None], dtype="boolean"),
        }
    )
    tenures = load(write_study(tables={"customers": people, "contracts": contracts}))
    # a: two terms that touch, 100 days; b: 31 days, the second spell doesn't count; c: running,
    # 2024-02-01 to 2024-12-31 = 334 days
    assert tenures.duration.tolist() == [100, 31, 334]
    assert tenures.ended.tolist() == [True, True, False]
    assert tenures.reason.tolist() == ["involuntary", "voluntary", None]
    assert tenures.plan.tolist() == ["basic", "basic", "premium"]
    assert tenures.monthly_fee.tolist() == [10, 10, 30]
    assert (tenures.entry == 0).all()


def test_who_joined_before_the_data_began_enters_late(write_study):
    people = pd.DataFrame(
        {"customer_id": ["a", "b"], "joined_at": days("2023-12-02", "2024-01-05")}
    )
    contracts = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "started_at": days("2023-12-02", "2024-01-05"),
            "ended_at": days("2024-02-01", "2024-02-01"),
        }
    )
    tenures = load(
        write_study(tables={"customers": people, "contracts": contracts}, data_start="2024-01-01")
    )
    assert tenures.entry.tolist() == [29, 0]  # observed from 1 January on, that day included
    assert tenures.duration.tolist() == [61, 27]


@pytest.mark.parametrize(("ended", "counted"), [("2023-12-31", 0), ("2024-01-01", 1)])
def test_an_end_on_the_day_on_which_the_data_begin_counts(write_study, ended, counted):
    joined = days("2023-12-02", "2024-01-05")
    people = pd.DataFrame({"customer_id": ["a", "b"], "joined_at": joined})
    contracts = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "started_at": days("2023-12-02", "2024-01-05"),
            "ended_at": [pd.Timestamp(ended), pd.NaT],
        }
    )
    tenures = load(
        write_study(tables={"customers": people, "contracts": contracts}, data_start="2024-01-01")
    )
    assert tenures.ended.sum() == counted


def test_a_lapse_is_where_the_inactivity_begins_and_is_known_only_when_it_is_complete(
    write_study,
):
    # inactive_days 60, data end 2024-12-31: inactivity that begins by 2024-11-01 is complete
    people = pd.DataFrame({"customer_id": list("abcd"), "joined_at": days(*["2024-01-01"] * 4)})
    bought = {
        "a": ["2024-03-01", "2024-03-31"],
        "b": ["2024-03-01", "2024-11-01"],
        "c": ["2024-09-10", "2024-11-02"],
        "d": ["2024-12-01"],
    }
    orders = pd.DataFrame(
        [(who, pd.Timestamp(day), 5.0) for who, list_ in bought.items() for day in list_],
        columns=["customer_id", "ordered_at", "amount"],
    )
    tenures = load(write_study("non_contractual", tables={"customers": people, "orders": orders}))
    # a lapsed 30 days after the first purchase; b on the first day itself, 61 days and more passed
    # before the next; c was still there on
    # 2024-11-01, 52 days on; d was not observed for inactive_days
    assert tenures.duration.to_dict() == {"a": 30, "b": 0, "c": 52}
    assert tenures.ended.to_dict() == {"a": True, "b": True, "c": False}


def buyers(many: int, other: int) -> dict[str, pd.DataFrame]:
    """Return ``many`` who bought on one day only, and ``other`` who bought again 30 days later."""
    names = [f"c{i}" for i in range(many + other)]
    first = pd.Timestamp("2024-01-01")
    bought = [(who, first) for who in names]
    bought += [(who, first + pd.Timedelta(days=30)) for who in names[many:]]
    people = pd.DataFrame({"customer_id": names, "joined_at": first})
    orders = pd.DataFrame(bought, columns=["customer_id", "ordered_at"]).assign(amount=5.0)
    return {"customers": people, "orders": orders}


def test_who_bought_on_one_day_only_stands_in_the_curve_and_in_the_median(write_study):
    study = write_study("non_contractual", tables=buyers(35, 15))
    tables = load_tables(study)
    tenures = load_tenures(tables, study)
    start = tabulate_curves(tenures).iloc[0]
    assert (start.days, start.survival, start.at_risk) == (0, pytest.approx(15 / 50), 50)
    (stay,) = summarise_tenures(tenures).itertuples()
    assert (stay.median_days, stay.entered_later) == (0, 0)
    assert stay.mean_days == pytest.approx(30 * 15 / 50)  # nobody stays beyond day 30
    # 20 counts until the inactivity is complete, 60 days later
    measured = compute_indicators(tables, study, [date(2024, 12, 31)])
    (median,) = measured[measured.indicator == "retention_time_median"].itertuples()
    assert median.value == stay.median_days + study.churn.inactive_days
    assert np.isnan([median.low, median.high]).all()  # nobody can stay less
    assert median.note == "half or more bought on one day only, and a spell lasts 60 days at least"


def test_who_could_not_be_seen_to_lapse_on_day_0_is_at_risk_from_day_1(write_study):
    # inactive_days 60; observed from day 59, 60 and 61 on: lapses of day 0 are complete on day 60
    started = days("2023-11-03", "2023-11-02", "2023-11-01")
    people = pd.DataFrame({"customer_id": list("abc"), "joined_at": started})
    orders = pd.concat(
        [
            people.rename(columns={"joined_at": "ordered_at"})[["customer_id", "ordered_at"]],
            pd.DataFrame(
                {"customer_id": list("abc"), "ordered_at": started + pd.Timedelta(days=50)}
            ),
        ]
    ).assign(amount=5.0)
    tables = {"customers": people, "orders": orders}
    tenures = load(write_study("non_contractual", tables=tables, data_start="2024-01-02"))
    assert tenures.entry.to_dict() == {"a": 0, "b": 0.5, "c": 1}
    assert tenures.duration.tolist() == [50, 50, 50]


def test_a_flat_study_gives_durations_itself_and_rows_without_one_are_left_out(write_study):
    rows = pd.DataFrame(
        {
            "customer_id": list("abc"),
            "churned": [True, False, True],
            "duration": [3.0, 5, None],
            "plan": ["x", "y", "x"],
            "gender": ["f", "m", "f"],
        }
    )
    tenures = load(write_study("flat", tables={"snapshot": rows}, sensitive=["gender"]))
    assert tenures.duration.tolist() == [3, 5]
    assert tenures.ended.tolist() == [True, False]
    assert "gender" not in tenures


def many(rng, rate: dict[str, float], n: int = 400) -> pd.DataFrame:
    segment = np.repeat(list(rate), n)
    life = np.ceil(rng.exponential([1 / rate[name] for name in segment]))
    columns = {
        "customer_id": range(len(segment)),
        "entry": 0.0,
        "duration": np.minimum(life, 200),
        "ended": life <= 200,
        "reason": None,
        "tier": segment,
    }
    return pd.DataFrame(columns)


def test_segments_with_another_hazard_are_told_from_a_column_of_noise():
    rng = np.random.default_rng(0)
    tenures = many(rng, {"gold": 0.01, "tin": 0.02}).assign(
        colour=lambda table: rng.choice(["red", "blue"], len(table))
    )
    tests = compare_segments(tenures, ["colour", "tier"]).set_index("segment_by")
    assert tests.index.tolist() == ["tier", "colour"]
    assert tests.verdict.to_dict() == {
        "tier": "curves differ",
        "colour": "no significant difference",
    }
    assert tests.p_adjusted["tier"] == pytest.approx(2 * tests.p_value["tier"])


def test_a_column_of_noise_is_significant_about_once_in_twenty_times():
    rng, found = np.random.default_rng(1), 0
    for _ in range(80):
        tenures = many(rng, {"all": 0.02}, 150).assign(
            colour=lambda table: rng.choice(["red", "blue"], len(table))
        )
        found += compare_segments(tenures, ["colour"]).p_value[0] < 0.05
    assert 1 <= found <= 10


def test_curves_are_the_survival_of_each_segment_with_the_numbers_at_risk():
    table = tabulate_curves(
        many(np.random.default_rng(2), {"gold": 0.005, "tin": 0.02}, 3000), ["tier"]
    )
    assert set(table.segment_by) == {"all", "tier"}
    tin = table[table.segment == "tin"]
    near = tin.iloc[(tin.days - 50).abs().argmin()]
    assert near.survival == pytest.approx(np.exp(-0.02 * near.days), abs=0.03)
    assert near.low < near.survival < near.high
    assert near.at_risk == pytest.approx(3000 * np.exp(-0.02 * (near.days - 1)), rel=0.06)
    assert tin.at_risk.is_monotonic_decreasing


def test_curves_with_late_entry_begin_where_enough_are_at_risk():
    # nobody is observed before day 100: the curves are conditional on that tenure
    rng = np.random.default_rng(3)
    life = 100 + np.ceil(rng.exponential(50, 500))
    tenures = pd.DataFrame(
        {"customer_id": range(500), "entry": 100.0, "duration": life, "ended": True, "reason": None}
    )
    table = tabulate_curves(tenures)
    assert (table.given_days == 100).all()
    assert table.days.iloc[0] == 100
    assert table.survival.iloc[0] == 1
    assert summarise_tenures(tenures).median_days[0] == pytest.approx(50 * np.log(2), abs=6)


def test_small_and_many_segments_are_pooled():
    tenures = pd.DataFrame({"town": ["a"] * 40 + ["b"] * 29 + [None] * 31})
    assert pool_small_segments(tenures, "town").value_counts().to_dict() == {
        "a": 40,
        "not known": 31,
        "other": 29,
    }


def test_only_allowed_texts_of_few_values_make_segments(write_study):
    rows = pd.DataFrame(
        {
            "customer_id": range(20),
            "churned": [True, False] * 10,
            "duration": 1.0,
            "plan": ["x", "y"] * 10,
            "code": ["p", "q"] * 10,
            "name": [f"n{i}" for i in range(20)],
        }
    )
    rows["customer_id"] = rows.customer_id.astype(str)
    study = write_study("flat", tables={"snapshot": rows})
    tables = load_tables(study)
    assert list_segment_attributes(
        load_tenures(tables, study), tables, study, ["plan", "name"]
    ) == ["plan"]


def test_the_follow_up_counts_late_entries_and_ends():
    tenures = pd.DataFrame(
        {"entry": [0, 5, 9], "duration": [3, 7, 12], "ended": [True, False, True]}
    )
    table = tabulate_follow_up(tenures)
    assert table.customers.tolist() == [3, 2, 2, 1]
    assert "before the data began, or before their first row was known" in table.follow_up[1]


def test_tenures_end_with_cover_and_are_observed_until_ends_are_certain(write_study):
    study, tables = company_with_gaps(write_study)
    table = load_tenures(tables, study).set_index("customer_id")
    # 2024-01-01 to 2024-03-01, to 2024-02-01, and to 2024-12-21
    assert dict(table.duration) == {"gone": 60, "back": 31, "late": 355}
    assert dict(table.ended) == {"gone": True, "back": True, "late": False}
