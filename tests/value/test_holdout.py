"""What came beside what was expected: windows at their edges, rules and scores by hand, weeks, and
luck.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.models.clv import pareto_nbd
from research.models.clv.max_likelihood import Fit
from research.value import expected_value, holdout

T = date(2024, 3, 1)
FAMILIES = {"zero": "reference", "good": "value", "bad": "value"}


def write(write_study, *lines: tuple):
    orders = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])
    orders = orders.astype({"ordered_at": "datetime64[us]", "amount": float})
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    return write_study("non_contractual", tables={"customers": people, "orders": orders})


def test_the_holdout_opens_after_the_snapshot_and_closes_with_its_last_day(write_study):
    lines = [
        ("a", "2024-01-01", 5),
        ("a", "2024-03-01 23:59", 10),
        ("a", "2024-03-02", 20),
        ("a", "2024-03-02 12:00", 1),
        ("a", "2024-03-31 23:59", 30),
    ]
    study = write(
        write_study,
        *lines,
        ("a", "2024-04-01", 40),
        ("a", "2024-03-05", -4),
        ("b", "2024-01-02", 7),
    )
    tables = load.load_tables(study)
    later = holdout.load_later(tables, pd.Series(["b", "a"]), T, date(2024, 3, 31))
    assert later.purchases.tolist() == [0, 2]  # the 2nd, once, and the 31st
    assert later.amount.tolist() == [0, 20 + 1 + 30 - 4]
    last = holdout.load_last_period(tables, pd.Series(["a"]), T, 30)
    assert last.iloc[0].tolist() == [1, 10]  # (January 31, March 1]


def test_rules_by_hand():
    rows = pd.DataFrame(
        {
            "n_repeat": [2.0, 0],
            "recency_days": [40.0, 0],
            "age_days": [50.0, 10],
            "mean_amount": [5.0, np.nan],
            "first_amount": [9.0, 7],
        }
    )
    last = pd.DataFrame({"purchases": [1.0, 1], "amount": [5.0, 7]})
    found = holdout.predict_baselines(rows, last, 25)
    assert found["purchases"]["as in the last period"].tolist() == [
        1,
        0,
    ]  # the second's one purchase was the first
    assert found["amount"]["as in the last period"].tolist() == [5, 0]
    assert found["purchases"]["at the own rate"].tolist() == [1, 0]  # 2 in 50 days
    assert found["amount"]["at the own rate"].tolist() == [5, 0]
    assert found["purchases"]["the same for all"] == pytest.approx([2 / 60 * 25] * 2)
    assert not found["amount"]["zero"].any()


def test_scores_by_hand():
    later = np.array([0.0, 0, 2, 4])
    expected = {"zero": np.zeros(4), "good": np.array([0.0, 1, 2, 3])}
    table = holdout.score_holdout(expected, later, FAMILIES, range(4), 200, 0).set_index(
        ["model", "metric"]
    )
    assert table.value["good", "rmse"] == pytest.approx(np.sqrt(0.5))
    assert table.value["good", "mae"] == 0.5 and table.value["good", "total_error_share"] == 0
    assert table.value["zero", "total_error_share"] == -1 and np.isnan(
        table.value["zero", "correlation"]
    )
    assert table.value["good", "correlation"] == pytest.approx(
        np.corrcoef([0, 1, 2, 3], later)[0, 1]
    )
    assert table.difference["good", "rmse"] == pytest.approx(np.sqrt(0.5) - np.sqrt(5))
    halves = holdout.tabulate_deciles(expected, later, 2)
    rows = halves[halves.model == "good"].set_index("group")
    assert rows.expected.tolist() == [1.5, 0.5, 2.5] and rows.actual.tolist() == [1.5, 0, 3]


def test_a_model_that_knows_the_rates_beats_the_rule_and_noise_does_not():
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 2, 800)
    later = rng.poisson(rate)
    expected = {"zero": np.full(800, rate.mean()), "good": rate, "bad": rate[rng.permutation(800)]}
    table = holdout.score_holdout(expected, later, FAMILIES, range(800), 300, 0)
    verdicts = table[table.metric == "rmse"].set_index("model").verdict
    assert verdicts["good"] == "better" and verdicts["bad"] == "worse"


def test_where_nothing_came_no_share_of_it_is_off():
    table = holdout.score_holdout(
        {"zero": np.zeros(5), "good": np.ones(5)}, np.zeros(5), FAMILIES, range(5), 200, 0
    )
    assert table[table.metric == "total_error_share"].value.isna().all()


def test_weeks_end_on_the_snapshot_and_count_repeat_purchases_of_customers_known_by_then(
    write_study,
):
    lines = [
        ("a", "2024-01-01", 5),
        ("a", "2024-02-29", 5),
        ("a", "2024-03-01", 5),
        ("a", "2024-03-08", 5),
        ("a", "2024-03-09", 5),
    ]
    study = write(
        write_study,
        *lines,
        ("b", "2024-02-01", 5),
        ("new", "2024-03-02", 5),
        ("new", "2024-03-04", 5),
    )
    tables = load.load_tables(study)
    histories = expected_value.load_histories(tables, study, T)
    assert histories.customer_id.tolist() == ["a", "b"]
    rhythm = Fit(np.array([0.553, 74.0, 0.606, 81.7]), np.eye(4), 0.0, 1, pareto_nbd.NAMES)
    repeats = holdout.count_repeats(tables, histories, T, date(2024, 3, 18))
    table = holdout.track_purchases(
        histories, {"Pareto/NBD": rhythm}, repeats, T, date(2024, 3, 18)
    ).set_index("week_ends")
    assert (
        table.actual["2024-03-01"] == 2
        and table.actual["2024-03-08"] == 1
        and table.actual["2024-03-15"] == 1
    )
    assert not table.holdout["2024-03-01"] and table.holdout["2024-03-08"]
    assert table.index.max() == pd.Timestamp("2024-03-18")  # a short week
    new = histories.assign(n_repeat=0.0, recency_days=0.0, age_days=0.0)
    spans = np.array([60.0, 29]) + 17  # January 1 and February 1 to March 18
    assert table.expected_total["2024-03-18"] == pytest.approx(
        pareto_nbd.predict_purchases(new, rhythm, spans).sum()
    )


def test_luck_alone_is_what_a_true_model_scores():
    rhythm = Fit(np.array([0.8, 60.0, 0.7, 120.0]), np.eye(4), 0.0, 1, pareto_nbd.NAMES)
    ages = pd.DataFrame({"age_days": np.full(3000, 300.0)})
    histories, later = pareto_nbd.simulate_purchases(ages, rhythm, 100, 999)
    floor = holdout.simulate_error_floor(
        histories, pareto_nbd.simulate_purchases, rhythm, pareto_nbd.predict_purchases, 100, 60, 0
    ).set_index("metric")
    found = np.sqrt(((pareto_nbd.predict_purchases(histories, rhythm, 100) - later) ** 2).mean())
    assert floor.low["rmse"] * 0.95 < found < floor.high["rmse"] * 1.05
    assert floor.low["total_error_share"] < 0 < floor.high["total_error_share"]
