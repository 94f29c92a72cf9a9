"""Repeat purchases week by week, and the error that a true model has."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from order_lines import write_lines

from research.data import load
from research.models.clv import pareto_nbd
from research.models.clv.max_likelihood import Fit
from research.value import purchases, tracking
from research.value.purchase_models import MODELS
from research.value.valuation import Valuation

T = date(2024, 3, 1)


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
    study = write_lines(
        write_study,
        *lines,
        ("b", "2024-02-01", 5),
        ("new", "2024-03-02", 5),
        ("new", "2024-03-04", 5),
    )
    tables = load.load_tables(study)
    histories = purchases.load_histories(tables, study, T)
    assert histories.customer_id.tolist() == ["a", "b"]
    fit = Fit(np.array([0.553, 74.0, 0.606, 81.7]), np.eye(4), 0.0, 1, pareto_nbd.NAMES)
    repeats = purchases.count_repeats(tables, histories, T, date(2024, 3, 18))
    table = tracking.track_purchases(
        histories, {"Pareto/NBD": fit}, repeats, T, date(2024, 3, 18)
    ).set_index("week_ends")
    assert table.actual["2024-03-01"] == 2
    assert table.actual["2024-03-08"] == 1
    assert table.actual["2024-03-15"] == 1
    assert not table.holdout["2024-03-01"]
    assert table.holdout["2024-03-08"]
    assert table.index.max() == pd.Timestamp("2024-03-18")  # a short week
    new = histories.assign(n_repeat=0.0, recency_days=0.0, age_days=0.0)
    spans = np.array([60.0, 29]) + 17  # January 1 and February 1 to March 18
    assert table.expected_total["2024-03-18"] == pytest.approx(
        pareto_nbd.predict_purchases(new, fit, spans).sum()
    )


def test_chance_alone_leaves_the_error_of_a_true_model():
    fit = Fit(np.array([0.8, 60.0, 0.7, 120.0]), np.eye(4), 0.0, 1, pareto_nbd.NAMES)
    ages = pd.DataFrame({"age_days": np.full(3000, 300.0)})
    histories, actual = pareto_nbd.simulate_purchases(ages, fit, 100, 999)
    floor = tracking.simulate_error_floor(
        histories, MODELS["Pareto/NBD"], fit, 100, 60, 0
    ).set_index("metric")
    predicted = pareto_nbd.predict_purchases(histories, fit, 100)
    error = np.sqrt(((predicted - actual) ** 2).mean())
    assert floor.low["rmse"] * 0.95 < error < floor.high["rmse"] * 1.05
    assert floor.low["total_error_share"] < 0 < floor.high["total_error_share"]


def test_without_buyers_or_a_holdout_nothing_is_tracked():
    nothing = np.zeros((0, 0))
    valuation = Valuation(pd.DataFrame(), nothing, nothing, 1.0, "model", "EUR", T)
    assert not len(tracking.track_valuation({}, valuation).columns)
    assert not len(tracking.simulate_valuation_floor(valuation, 10, 0).columns)
