"""How many will leave, how sure that is, and what earlier windows say of it."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from town_companies import DAY, draw, write

from research.watchlist import forecast
from research.watchlist.forecast import Drift, bound_total, count_windows, measure_drift
from research.watchlist.model_store import KeptModel
from research.watchlist.scored_day import look_from

NONE = Drift(0.0, 5)


def frame(*windows: tuple[str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(windows, columns=["after", "until", "expected", "actual"])


def test_without_drift_the_interval_is_that_of_the_sampling():
    risk = np.full(400, 0.3)
    total, low, high = bound_total(risk, 10**9, NONE)
    assert total == pytest.approx(120)
    exact = binom.interval(0.95, 400, 0.3)  # 102 to 138
    assert [low, high] == pytest.approx(exact, abs=1.5)


def test_few_churners_learned_from_widen_the_interval():
    risk = np.full(100_000, 0.1)
    total, low, _ = bound_total(risk, 100, NONE)
    # 1 / sqrt(100) of the total is one standard error; sampling adds next to nothing
    assert (total - low) / total == pytest.approx(1.96 / 10, abs=0.005)


def test_the_drift_of_earlier_windows_reaches_by_students_t():
    windows = frame(
        ("2024-01-01", "2024-02-01", 100, 110),
        ("2024-02-01", "2024-03-01", 100, 90),
        ("2024-03-01", "2024-04-01", 100, 110),
    )
    drift = measure_drift(windows)
    logs = np.log([1.1, 0.9, 1.1])
    assert drift.spread == pytest.approx(np.sqrt(np.mean(logs**2)))
    assert drift.windows == 3
    assert drift.reach == pytest.approx(3.182 * drift.spread, rel=1e-3)  # t of 3 degrees of freedom
    total, low, high = bound_total(np.full(10**6, 0.1), 10**9, drift)
    assert low == pytest.approx(total * np.exp(-drift.reach), rel=0.01)
    assert high == pytest.approx(total * np.exp(drift.reach), rel=0.01)


def test_windows_that_overlap_count_once():
    overlapping = frame(
        ("2024-01-01", "2024-03-01", 9, 9),
        ("2024-02-01", "2024-04-01", 9, 9),
        ("2024-03-01", "2024-05-01", 9, 9),  # begins where the first one ends
    )
    assert count_windows(overlapping) == 2
    assert count_windows(overlapping[:0]) == 0


def test_without_an_earlier_window_there_is_no_interval():
    drift = measure_drift(frame())
    assert drift.windows == 0
    total, low, high = bound_total(np.array([0.5, 0.5]), 50, drift)
    assert (total, np.isnan(low), np.isnan(high)) == (1, True, True)


def test_the_interval_stays_within_nobody_and_everybody():
    total, low, high = bound_total(np.array([0.5, 0.5]), 1, Drift(2.0, 1))
    assert (total, low, high) == (1, 0, 2)
    money = bound_total(np.array([0.5, 0.5]), 1, Drift(2.0, 1), np.array([10.0, np.nan]))
    assert money == (5, 0, 10)


@pytest.fixture(scope="module")
def company(write_shared):
    return write(write_shared, draw(900))


@pytest.fixture
def model() -> KeptModel:
    card = {"model": "single tree", "allowed": ["tenure_days", "town"]}
    return KeptModel(card | {"day": str(DAY)}, None)


def test_earlier_windows_are_forecast_by_what_had_closed_then(company, model, monkeypatch):
    study, tables = company
    monkeypatch.setattr(forecast, "MOST_WINDOWS", 5)
    table = forecast.replay_forecast(tables, study, model, DAY)
    latest = DAY - timedelta(days=70)
    assert table.snapshot.tolist() == [latest - timedelta(days=30 * k) for k in (4, 3, 2, 1, 0)]
    assert table.until.iloc[-1] == DAY
    contracts = tables["contracts"].to_pandas()
    day = pd.Timestamp(latest)
    there = (contracts.started_at <= day) & ~(contracts.ended_at <= day)
    left = there & (contracts.ended_at <= pd.Timestamp(DAY))
    assert (table.customers.iloc[-1], table.actual.iloc[-1]) == (there.sum(), left.sum())
    assert table.ratio.between(0.5, 2).all()
    # windows of 70 days, 30 days apart: the first that had closed by a snapshot is three steps back
    assert table.inside.isna().tolist() == [True, True, True, False, False]
    sentence = forecast.describe_replay(table)
    assert "Replayed on 5 earlier windows (2 without overlap)" in sentence
    assert "of the 2 that had a closed window before them" in sentence
    assert "1 earlier window (1 without" in forecast.describe_replay(table[:1])
    assert "too short" in forecast.describe_replay(table[:0])


def test_a_replay_learns_from_windows_that_had_closed_by_its_snapshot(company):
    study, tables = company
    plan = forecast.plan_replay(look_from(tables, study, DAY), study)
    for snapshot, train in plan.items():
        assert max(train) + timedelta(days=70) <= snapshot
        assert len(train) in (1, 2)  # the study plans two; half of them are enough
    early = look_from(tables, study, date(2023, 7, 1))
    assert forecast.plan_replay(early, study) == {}


def test_labels_of_a_replay_are_those_known_then(company):
    study, tables = company
    outlook = look_from(tables, study, DAY)
    train = [DAY - timedelta(days=160)]
    panel = forecast.load_rows(tables, study, train, DAY, 0)
    then = train[0] + timedelta(days=70)
    learned = forecast.label_then(outlook, panel, train, then)
    assert learned.churned.tolist() == panel.churned.tolist()  # the window had closed
    assert learned.time_to_event_days.max() <= 60  # what came after isn't known
    assert panel.time_to_event_days.max() > 60
