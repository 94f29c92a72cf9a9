"""The largest step of a survival curve: found where it was planted, and not where none was."""

import ibis
import numpy as np
import pandas as pd
import pytest

from research.survival.largest_step import COLUMNS, find_largest_step, list_terms


def draw(n: int = 4_000, seed: int = 0, step: float = 0.0, at: float = 365.0) -> pd.DataFrame:
    """Return tenures of a constant hazard, of which a share ends within two days of a day."""
    rng = np.random.default_rng(seed)
    ends = np.ceil(rng.exponential(900, n))
    leaves = (ends > at) & (rng.random(n) < step)
    ends = np.where(leaves, at + rng.integers(0, 2, n), ends)
    followed = np.ceil(rng.uniform(200, 1_200, n))
    return pd.DataFrame(
        {"entry": 0.0, "duration": np.minimum(ends, followed), "ended": ends <= followed}
    )


def test_a_planted_step_is_found_with_its_size_and_its_neighbours():
    (row,) = find_largest_step(draw(step=0.15), terms=(1, 12)).itertuples()
    assert (row.from_days, row.until_days) == (364, 394)
    # 15 % leave at once, of the others 1 - exp(-30/900) = 3.3 % within 30 days
    assert row.low < 1 - 0.85 * np.exp(-30 / 900) < row.high
    assert row.before_share == pytest.approx(0.033, abs=0.015)
    assert row.p_value < 0.001
    assert row.term_months == 12


def test_a_step_that_is_not_at_the_end_of_a_term_has_none():
    (row,) = find_largest_step(draw(step=0.15, at=250), terms=(1, 12)).itertuples()
    assert row.from_days == 249
    assert np.isnan(row.term_months)


def test_without_a_step_none_is_significant():
    found = pd.concat([find_largest_step(draw(1_000, seed)) for seed in range(40)])
    assert (found.p_value < 0.05).sum() <= 5  # 2 are expected at most


def test_shares_are_those_of_hand_made_counts():
    # 200 there; 20 leave in the first unit, 90 of 180 in the second, 10 of 90 in the third
    durations = np.repeat([1.0, 2, 3, 4], [20, 90, 10, 80])
    tenures = pd.DataFrame({"entry": 0.0, "duration": durations, "ended": durations < 4})
    (row,) = find_largest_step(tenures, "months").itertuples()
    assert (row.from_days, row.until_days) == (1, 2)
    assert row.left_share == pytest.approx(90 / 180)
    assert row.before_share == pytest.approx(20 / 200)
    assert row.after_share == pytest.approx(10 / 90)
    # Greenwood: 0.5² x 90 / (180 x 90), the variance of a share of 180
    assert row.high - row.left_share == pytest.approx(1.959964 * np.sqrt(0.25 / 180))


def test_the_first_days_can_be_the_largest_step():
    durations = np.repeat([1.0, 2, 3, 4], [60, 10, 10, 120])
    tenures = pd.DataFrame({"entry": 0.0, "duration": durations, "ended": durations < 4})
    (row,) = find_largest_step(tenures, "months").itertuples()
    assert (row.from_days, row.left_share) == (0, pytest.approx(0.3))
    assert np.isnan(row.before_share)


def test_late_entrants_are_at_risk_from_the_day_after_they_enter():
    late = draw(step=0.15).assign(entry=300.0)
    both = pd.concat([draw(seed=1, step=0.15), late[late.duration > 300]])
    (row,) = find_largest_step(both, terms=(12,)).itertuples()
    assert (row.from_days, row.term_months) == (364, 12)
    assert row.low < 1 - 0.85 * np.exp(-30 / 900) < row.high


def test_too_few_customers_or_days_have_no_step():
    assert find_largest_step(draw(40)).empty
    assert [*find_largest_step(draw(40))] == COLUMNS
    short = draw().assign(duration=5.0, ended=False)
    assert find_largest_step(short).empty


def test_common_terms_are_listed_and_rare_ones_are_not():
    contracts = ibis.memtable(pd.DataFrame({"term_months": [1] * 50 + [12] * 49 + [24]}))
    assert list_terms({"contracts": contracts}) == (1, 12)
    assert list_terms({}) == ()
    assert list_terms({"contracts": ibis.memtable(pd.DataFrame({"plan": ["a"]}))}) == ()


def test_who_leaves_on_day_0_is_in_the_first_step():
    # 500 there; 300 leave on day 0 and 10 on day 20: 310 of 500 on days 0 to 29; 19 of the 190 left
    # on day 40: on days 30 to 59
    durations = np.repeat([0.0, 20, 40, 100], [300, 10, 19, 171])
    tenures = pd.DataFrame({"entry": 0.0, "duration": durations, "ended": durations < 100})
    (row,) = find_largest_step(tenures).itertuples()
    assert (row.from_days, row.until_days) == (0, 30)
    assert row.left_share == pytest.approx(310 / 500)
    assert row.after_share == pytest.approx(19 / 190)
    assert row.p_value < 0.001


def test_in_whole_years_a_duration_of_0_is_a_step_of_its_own():
    durations = np.repeat([0.0, 1, 2, 3], [300, 20, 10, 170])
    tenures = pd.DataFrame({"entry": 0.0, "duration": durations, "ended": durations < 3})
    (row,) = find_largest_step(tenures, "years").itertuples()
    assert (row.from_days, row.until_days) == (0, 1)
    assert row.left_share == pytest.approx(300 / 500)
    assert row.after_share == pytest.approx(20 / 200)
