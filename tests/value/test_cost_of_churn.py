"""Sums by segment with their intervals, and how concentrated value is."""

import numpy as np
import pandas as pd
import pytest

from research.value import cost_of_churn, plots, report
from research.value.valuation import Valuation, frame_values


def valuation_of(n: int = 80) -> Valuation:
    value = np.r_[np.full(n // 2, 10.0), np.full(n // 2, 30.0)]
    columns = {
        "risk": np.full(n, 0.2),
        "value": value,
        "value_if_kept": value * 1.25,
        "value_of_keeping": value,
    }
    resampled = np.stack([value - 1, value + 1])
    values = frame_values(pd.Series([f"c{i:02d}" for i in range(n)]), columns, resampled, 0.5)
    return Valuation(values, resampled, resampled * 1.25, 0.5, "model", "EUR")


def test_sums_and_their_intervals_by_hand():
    segments = pd.DataFrame({"plan": ["low"] * 40 + ["high"] * 40})
    table = cost_of_churn.tabulate_segments(valuation_of(), segments)
    assert table.segment.tolist() == ["all", "high", "low"]  # the costliest first
    row = table.iloc[0]
    assert (row.customers, row.value) == (80, 1600)
    assert row.cost_of_churn == pytest.approx(400)
    assert row.cost_share == pytest.approx(0.2)
    # sums of the two refits are 1520 and 1680: standard deviation 80 * sqrt(2), times 0.5
    half = 1.959964 * 0.5 * 80 * np.sqrt(2)
    assert [row.low, row.high] == pytest.approx([1600 - half, 1600 + half])
    assert [row.cost_low, row.cost_high] == pytest.approx([400 - half / 4, 400 + half / 4])


def certain_of_everybody(n: int = 80) -> Valuation:
    """Return values by a model that sees nobody drop out."""
    value = np.full(n, 10.0)
    columns = {"risk": np.full(n, 0.2), "value": value, "value_if_kept": value * (1 + 1e-9)}
    columns["value_of_keeping"] = 0 * value
    columns["alive"] = np.full(n, 1 - 1e-9)
    values = frame_values(pd.Series([f"c{i}" for i in range(n)]), columns, np.stack([value] * 2), 1)
    return Valuation(values, np.stack([value] * 2), np.stack([value] * 2), 1.0, "model", "EUR")


def test_a_cost_of_churn_that_cannot_be_estimated_is_empty_and_a_dash_and_never_0():
    valuation = certain_of_everybody()
    segments = pd.DataFrame({"plan": ["low"] * 40 + ["high"] * 40})
    table = cost_of_churn.tabulate_segments(valuation, segments)
    assert table[["cost_of_churn", "cost_low", "cost_high", "cost_share"]].isna().all(axis=None)
    assert table.value.notna().all()
    shown, _ = report.cost_of_churn_table(table)
    assert shown["cost of churn"].tolist() == shown["cost share"].tolist() == ["–"] * 3
    assert "cost_of_churn_eur" not in cost_of_churn.tabulate_values(valuation)
    assert report.describe_cost_of_churn(table, "EUR").startswith("The cost of churn can't be")
    assert plots.list_plotted_attributes(table) == []
    assert (
        report.valued_table(valuation).set_index("what").value["mean probability of being alive"]
        == "–"
    )


def test_small_segments_are_pooled():
    segments = pd.DataFrame({"plan": ["low"] * 40 + ["a"] * 20 + ["b"] * 20})
    table = cost_of_churn.tabulate_segments(valuation_of(), segments)
    assert table.set_index("segment").customers.to_dict() == {"all": 80, "other": 40, "low": 40}


def test_without_refits_there_are_no_intervals():
    valuation = valuation_of()
    bare = Valuation(valuation.values, np.zeros((0, 80)), np.zeros((0, 80)), 1.0, "model", "EUR")
    table = cost_of_churn.tabulate_segments(bare, pd.DataFrame(index=range(80)))
    assert table[["low", "high", "cost_low", "cost_high"]].isna().all(axis=None)


def test_concentration_starts_with_the_most_valuable():
    shares = cost_of_churn.compute_concentration(valuation_of().values)
    assert shares.value_share.iloc[[0, -1]].tolist() == [0, 1]
    # half of the customers with 30 of 40 on average
    assert np.interp(0.5, shares.customers_share, shares.value_share) == pytest.approx(0.75)


def test_the_table_of_values_has_the_highest_cost_of_churn_first_and_names_the_currency():
    table = cost_of_churn.tabulate_values(valuation_of())
    assert table.value_eur.iloc[0] == 30
    assert table.customer_id.iloc[0] == "c40"
    assert "alive_share" not in table  # contracts have none
    assert {"risk_share", "low_eur", "value_of_keeping_eur", "model"} <= {*table}


def test_histories_are_cut_into_ranges_that_leave_nobody_out():
    histories = pd.DataFrame(
        {"n_repeat": [0, 1, 4, 5], "age_days": [200.0] * 4, "recency_days": [0, 19, 110, 170]}
    )
    segments = cost_of_churn.segment_histories(histories)
    assert [*segments["repeat purchases"]] == ["none", "1", "2 to 4", "5 or more"]
    assert [*segments["last purchase"]] == [
        "more than 180 days",
        "more than 180 days",
        "31 to 90 days",
        "30 days or less",
    ]
