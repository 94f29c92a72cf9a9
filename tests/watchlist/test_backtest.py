"""Lists of past days are judged by who left after them, and by how early they warned."""

import numpy as np
import pandas as pd
import pytest

from research.watchlist.backtest import (
    mark_listed,
    measure_lead_times,
    measure_turnover,
    score_lists,
    summarise_lead_times,
)

DAYS = pd.to_datetime(["2024-01-31", "2024-02-29"])


def by_hand() -> pd.DataFrame:
    # on each day four customers; a and b left after the first, c after the second
    return pd.DataFrame(
        {
            "snapshot": DAYS.repeat([4, 4]),
            "customer_id": [*"abcd", *"cdef"],
            "left": [True, True, False, False, True, False, False, False],
            "value": [1.0, 2, 3, 4, 5, 6, 7, 8],
            "risk": [0.9, 0.1, 0.8, 0.2, 0.7, 0.6, 0.1, 0.2],
            "rule": [0.1, 0.2, 0.9, 0.8, 0.1, 0.2, 0.9, 0.8],
        }
    )


def test_scores_of_two_lists_by_hand():
    scores, differences = score_lists(by_hand(), ["risk", "rule"], 2, 200, 0)
    value = scores.set_index(["ranking", "score"]).value
    # by risk a, c and then c, d are listed: a and the later c left, of a, b and c
    assert value["risk", "precision"] == pytest.approx(2 / 4)
    assert value["risk", "recall"] == pytest.approx(2 / 3)
    assert value["risk", "lift"] == pytest.approx((2 / 4) / (3 / 8))
    assert value["rule", "precision"] == 0
    assert scores.lists.unique().tolist() == [2]
    assert scores.customers.unique().tolist() == [6]
    assert differences.set_index("score").value["precision"] == pytest.approx(0.5)


def test_ties_are_broken_by_the_id_and_not_by_the_order_of_rows():
    rows = by_hand().assign(risk=0.5)
    listed = mark_listed(rows, ["risk"], 2).risk
    assert rows.customer_id[listed].tolist() == ["a", "b", "c", "d"]
    shuffled = rows.sample(frac=1, random_state=3)
    again = mark_listed(shuffled, ["risk"], 2).risk
    assert sorted(shuffled.customer_id[again]) == ["a", "b", "c", "d"]


def test_a_ranking_that_knows_is_better_than_a_random_one_and_a_copy_is_not():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "snapshot": DAYS.repeat([500, 500]),
            "customer_id": [*range(500)] * 2,
            "left": rng.random(1_000) < 0.1,
            "value": rng.uniform(size=1_000),
            "random": rng.random(1_000),
        }
    )
    rows["risk"] = rows.left + rng.normal(0, 1, 1_000)
    rows["copy"] = rows.risk
    _, differences = score_lists(rows, ["risk", "random", "copy"], 100, 300, 0)
    verdicts = differences.set_index(["reference", "score"]).verdict
    assert verdicts["random", "precision"] == verdicts["random", "recall"] == "better"
    assert verdicts["copy", "precision"] == "no significant difference"


def test_lead_times_count_from_the_first_list_to_the_day_of_leaving():
    rows = by_hand()
    listed = mark_listed(rows, ["risk"], 2).risk
    left_at = pd.Series(
        pd.to_datetime(["2024-02-03", "2024-02-10", "2024-03-20"]), index=["a", "b", "c"]
    )
    leavers = measure_lead_times(rows, listed, left_at, 7).set_index("customer_id")
    assert leavers.lead_time_days.fillna(-1).to_dict() == {"a": 3, "b": -1, "c": 49}
    assert leavers.in_time.to_dict() == {"a": False, "b": False, "c": True}
    assert leavers.lists.to_dict() == {"a": 1, "b": 0, "c": 2}
    summary = summarise_lead_times(leavers.reset_index()).iloc[0]
    assert (summary.left, summary.listed, summary.in_time) == (3, 2, 1)
    assert summary.median_days == 26


def test_nobody_who_left_is_a_defined_result():
    rows = by_hand()
    listed = mark_listed(rows, ["risk"], 2).risk
    leavers = measure_lead_times(rows, listed, pd.Series(dtype="datetime64[ns]"), 7)
    summary = summarise_lead_times(leavers).iloc[0]
    assert summary.left == 0
    assert np.isnan(summary.listed_share)


def test_turnover_counts_those_who_are_still_there():
    rows = by_hand()
    turnover = measure_turnover(rows, mark_listed(rows, ["risk"], 2).risk)
    # a, c were listed; of them only c is still there, and is listed again
    assert turnover.to_dict("records") == [
        {"snapshot": DAYS[1], "listed": 2, "kept": 1, "kept_share": 1.0}
    ]


def test_the_lift_by_value_counts_each_leaver_by_the_value():
    rows = pd.DataFrame(
        {
            "snapshot": pd.Timestamp("2024-01-31"),
            "customer_id": ["a", "b", "c", "d"],
            "left": [True, True, False, False],
            "value": [10.0, 1.0, 1.0, 1.0],
            "the list": [4.0, 3.0, 2.0, 1.0],
            "other": [1.0, 2.0, 4.0, 3.0],
        }
    )
    scores, _ = score_lists(rows, ["the list", "other"], 1, 200, 0)
    value = scores[scores.score == "value_lift"].set_index("ranking").value
    # of the one listed 10 are lost; of all four 11, which is 2.75 each
    assert value["the list"] == pytest.approx(10 / 2.75) and value["other"] == 0
    unknown, _ = score_lists(rows.assign(value=np.nan), ["the list", "other"], 1, 200, 0)
    assert unknown[unknown.score == "value_lift"].value.isna().all()


def test_random_lists_of_days_with_unlike_churn_have_a_lift_of_one():
    # half leave after the first day, of 200; one in ten after the second, of 2,000; 100 are listed
    rng = np.random.default_rng(0)
    sizes = {"2024-01-31": (200, 0.5), "2024-02-29": (2_000, 0.1)}
    days = [
        pd.DataFrame({"snapshot": pd.Timestamp(day), "left": np.arange(n) < share * n})
        for day, (n, share) in sizes.items()
    ]
    rows = pd.concat(days, ignore_index=True)
    rows = rows.assign(customer_id=np.arange(len(rows)), value=1.0, drawn=rng.random(len(rows)))
    scores, _ = score_lists(rows, ["drawn"], 100, 400, 0)
    lift = scores[scores.score == "lift"].iloc[0]
    assert lift.low < 1 < lift.high and abs(lift.value - 1) < 0.15
