"""Intervals that hold the error of the holdout, and the cost of churn against those who left."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import slow
from valued_companies import T, draw_contracts, write_contracts, write_flat

from research.models.clv import beta_geo
from research.value import customers, holdout_error, report
from research.value.cost_of_churn import tabulate_segments, tabulate_values
from research.value.holdout_error import HoldoutErrors, widen_interval
from research.value.valuation import Holdout, Valuation, frame_values

CHECK = ["what", "until", "customers", "expected", "actual", "ratio", "low", "high"]


def value_buyers_of(seed: int, demand: float, n: int = 800, span: int = 90) -> tuple:
    """Return what BG/NBD makes of buyers whose rates are multiplied after the snapshot, and the
    purchases that are truly expected over twice the holdout's span.

    Rates are gamma distributed and nobody drops out, so the truth is known.
    """
    rng = np.random.default_rng(seed)
    rate, age = rng.gamma(1.5, 0.02, n), rng.uniform(100, 300, n)
    count = rng.poisson(rate * age)
    recency = np.where(count > 0, age * rng.beta(np.maximum(count, 1), 1), 0.0)
    histories = pd.DataFrame({"n_repeat": count, "recency_days": recency, "age_days": age})
    fit = beta_geo.fit_transactions(histories.astype(float))
    value = beta_geo.predict_purchases(histories, fit, 2 * span)
    predicted = beta_geo.predict_purchases(histories, fit, span)
    actual = rng.poisson(demand * rate * span).astype(float)
    return value, predicted, actual, 2 * span * demand * rate.sum()


def bound_total(seed: int, demand: float) -> tuple[bool, bool]:
    """Say whether the interval with and without the holdout's error covers the true total."""
    value, predicted, actual, truth = value_buyers_of(seed, demand)
    # the sampling error of the total under the model: that of the mean rate
    resampled = value.sum() * (1 + np.random.default_rng(seed).normal(0, 0.03, (20, 1)))
    columns = {"risk": 0.1 + 0 * value, "value": value, "value_if_kept": value}
    columns["value_of_keeping"] = value
    parts = resampled * value / value.sum()
    ids = pd.Series(np.arange(len(value)))
    held = Holdout({"amount": {"m": predicted}}, {"amount": actual}, {"m": "value"}, T)
    values = frame_values(ids, columns, parts, 1.0)
    valuation = Valuation(values, parts, parts, 1.0, "m", "EUR", T, holdout=held)
    errors = HoldoutErrors(ids, (predicted, actual), {}, 200, seed)
    segments = pd.DataFrame(index=ids)
    covers = [
        table.low[0] <= truth <= table.high[0]
        for table in (
            tabulate_segments(valuation, segments, errors),
            tabulate_segments(valuation, segments),
        )
    ]
    return tuple(covers)


@pytest.mark.parametrize("trials", [10, slow(40)])
@pytest.mark.parametrize("demand", [1.0, 0.7])
def test_the_interval_of_a_total_covers_the_truth_also_where_demand_fell_after_the_snapshot(
    demand, trials
):
    covered = np.array([bound_total(seed, demand) for seed in range(trials)]).mean(axis=0)
    # of 40 intervals at 95 %, 36 or more, and of 10 nine or more, cover with a chance of 95 %
    assert covered[0] >= 0.9
    if demand < 1:
        assert covered[1] < 0.1  # a sampling error of 3 % can't hold a fall by 30 %


def test_an_interval_by_hand():
    ratios = np.r_[0.8, np.linspace(0.7, 0.9, 101)]
    # no sampling error: 2.5 % and 97.5 % of the ratios are 0.705 and 0.895; it reaches the total
    assert widen_interval(100.0, np.zeros(0), 1.0, ratios) == pytest.approx((70.5, 100.0))
    assert widen_interval(100.0, np.zeros(0), 1.0, ratios + 0.5) == pytest.approx((100.0, 139.5))


def test_misses_are_those_of_the_fifth_of_the_prediction():
    predicted = np.repeat([1.0, 2, 3, 4, 5], 10)
    actual = predicted * np.repeat([1.5, 1, 1, 1, 0.5], 10)
    errors = HoldoutErrors(np.arange(50), (predicted, actual), {}, 10, 0)
    assert holdout_error.find_misses(errors) == pytest.approx(np.repeat([0.5, 0, 0, 0, -0.5], 10))
    # of another day: the fifth of the value in which each lies
    other = holdout_error.transfer_misses(errors, [50.0, 10, 20, 30, 40])
    assert other == pytest.approx([-0.5, 0.5, 0, 0, 0])
    bare = HoldoutErrors(np.arange(50), None, {}, 10, 0)
    assert (holdout_error.transfer_misses(bare, [1.0, 2.0]) == 0).all()
    assert (holdout_error.find_misses(bare) == 0).all()
    assert len(errors.draw_ratios(None, np.ones(50, bool))) == 0


def test_the_cost_of_churn_is_compared_with_that_of_those_who_left(write_study):
    study, tables = write_contracts(write_study, draw_contracts())
    valuation = customers.value_customers(tables, study, T, 3, 2, 0)
    errors = holdout_error.load_errors(valuation, tables, study, 200, 0)
    check = holdout_error.check_cost_of_churn(errors, valuation, study).set_index("what")
    ended = tables["contracts"].select("customer_id", "ended_at").to_pandas()
    ended = ended.set_index("customer_id").ended_at.loc[valuation.values.customer_id]
    days = (ended - pd.Timestamp(T)).dt.days.to_numpy()
    left = days <= 30
    worth = valuation.values.value_of_keeping.to_numpy()
    row = check.loc[holdout_error.WORTH]
    assert row.actual == pytest.approx(worth[left].sum())
    assert row.expected == pytest.approx(valuation.values.cost_of_churn.sum())
    assert row.until == date(2024, 7, 30)
    lost = np.where(days <= 90, 90 - days, 0) * 0.8  # the margin of a day is 0.8
    assert check.actual[holdout_error.MARGIN] == pytest.approx(lost.sum())
    assert (check.low < check.ratio).all()
    assert (check.ratio < check.high).all()
    table = tabulate_values(valuation, errors)
    assert (table.high_eur - table.low_eur).sum() > (
        valuation.values.high - valuation.values.low
    ).sum()


def test_nothing_is_compared_in_a_flat_study(write_study):
    study, tables = write_flat(write_study, 200)
    valuation = customers.value_customers(tables, study, None, 0, 2, 0)
    errors = holdout_error.load_errors(valuation, tables, study, 20, 0)
    check = holdout_error.check_cost_of_churn(errors, valuation, study)
    assert check.columns.tolist() == CHECK
    assert "can't be compared" in report.describe_cost_check(check, "EUR")


@pytest.mark.parametrize(
    ("ratio", "low", "high", "words"),
    [
        (0.8, 0.5, 1.1, "not significantly off (actual to expected 0.80 (0.50 to 1.10))"),
        (0.5, 0.4, 0.8, "**overstated by a factor of 2.00 (1.25 to 2.50)**"),
        (1.2, 1.1, 1.3, "**understated by a factor of 1.20 (1.10 to 1.30)**"),
        (0.0, 0.0, 0.0, "**overstated** (actual to expected 0.00"),
    ],
)
def test_the_sentence_says_on_which_side_the_cost_of_churn_was_off(ratio, low, high, words):
    row = ("margin lost", T, 10, 100.0, 100 * ratio, ratio, low, high)
    assert words in report.describe_cost_check(pd.DataFrame([row], columns=CHECK), "EUR")
