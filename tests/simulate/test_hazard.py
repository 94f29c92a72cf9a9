"""The hazard: its drivers as worked by hand, and the ends drawn from it."""

import numpy as np
import pytest

from research.simulate.company import HAZARD
from research.simulate.draws import NEVER, Clock, Draws, add_months
from research.simulate.hazard import build_dear, build_logits, build_rise, draw_end, monthly_hazard


def _drivers(**given: float) -> dict[str, np.ndarray]:
    return {name: np.array([given.get(name, float(name == "base"))]) for name in HAZARD}


def _risk(**given: float) -> np.ndarray:
    return monthly_hazard(build_logits(_drivers(**given)))[:, 0]


def test_the_hazard_is_the_multinomial_logit_of_the_sums_of_coefficient_times_driver():
    voluntary, involuntary = _risk(fall=1.0, dear=0.5, failed=1.0)
    a, b = np.exp(-5.3 + 2.0 + 0.5 * 4.4), np.exp(-6.4 + 0.5 * 1.0 + 4.6)  # exp(-1.1), exp(-1.3)
    assert voluntary == pytest.approx(a / (1 + a + b))
    assert involuntary == pytest.approx(b / (1 + a + b))


@pytest.mark.parametrize(
    "driver", ["fall", "gap", "grievance", "dear", "rise", "delivery", "contact", "renewal"]
)
def test_these_raise_the_voluntary_hazard(driver):
    assert _risk(**{"base": 1.0, driver: 1.0})[0] > _risk(base=1.0)[0]


@pytest.mark.parametrize("driver", ["tenure", "loyalty", "bound"])
def test_these_lower_the_voluntary_hazard(driver):
    assert _risk(**{"base": 1.0, driver: 1.0})[0] < _risk(base=1.0)[0]


def test_a_failed_payment_raises_the_involuntary_hazard_alone():
    failed, before = _risk(base=1.0, failed=1.0), _risk(base=1.0)
    assert failed[1] > 50 * before[1]
    assert failed[0] < before[0]  # the causes compete


def _odds(**given: float) -> float:
    voluntary, involuntary = _risk(**{"base": 1.0} | given)
    return voluntary / (1 - voluntary - involuntary)


def test_a_grievance_has_more_effect_where_engagement_falls():
    assert (
        _odds(fall=1, grievance=1, fall_grievance=1) / _odds(fall=1) > _odds(grievance=1) / _odds()
    )


def test_a_price_rise_has_more_effect_where_the_service_is_expensive():
    assert _odds(dear=1, rise=1, rise_dear=1) / _odds(dear=1) > _odds(rise=1) / _odds()


def test_service_contacts_drive_younger_customers_away_and_keep_older_ones():
    assert _odds(contact=1) > _odds() > _odds(contact=1, contact_older=1)


def _payers(**given) -> dict[str, np.ndarray]:
    lives = {
        "fee": np.array([9.0]),
        "usual": np.array([1.0]),
        "level": np.array([0.0]),
        "income_band": np.array([1]),
        "quiet": np.array([False]),
    }
    return lives | {name: np.array([value]) for name, value in given.items()}


def test_dear_is_an_s_curve_of_the_fee_per_use_times_the_sensitivity_of_the_income_band():
    assert build_dear(_payers(fee=13.0))[0] == pytest.approx(0.5)  # the fee at which it is one half
    assert build_dear(_payers(fee=26.0))[0] == pytest.approx(1 / (1 + 0.5**4))
    low_income = build_dear(_payers(fee=13.0, income_band=0))[0]
    assert low_income == pytest.approx(0.65)  # 1.3 times
    assert build_dear(_payers(fee=13.0, quiet=True))[0] == 0
    steps = np.diff([build_dear(_payers(fee=fee))[0] for fee in (1.0, 7.0, 13.0, 19.0, 60.0, 66.0)])
    assert steps[1] > 5 * steps[0] and steps[2] > 100 * steps[4]  # flat, steep, flat


def test_a_rise_fades_and_rises_add_up_to_a_most():
    increase = np.array([[0.0, 0.0], [0.12, 0.2], [0.0, 0.2], [0.0, 0.0]])
    # 10 * 0.12 = 1.2, then 0.6 of it each month; 2.0, then 0.6 * 2.0 + 2.0 = 3.2, at most 2.5
    assert build_rise(increase) == pytest.approx(
        np.array([[0, 0], [1.2, 2.0], [0.72, 2.5], [0.432, 1.5]])
    )


def _certain(start: np.ndarray, clock: Clock, **changes) -> dict[str, np.ndarray]:
    hazard = np.zeros((2, len(clock.edges) - 1, len(start)))
    hazard[0] = 1
    shape = hazard.shape[1:]
    lives = {
        "start": start,
        "began": clock.month_of(start),
        "renewal": np.zeros(shape, dtype=bool),
    } | changes
    return draw_end(Draws(0, 0), hazard, lives, clock)


def test_an_end_lies_after_the_start_and_on_the_last_day_of_the_history_at_the_latest():
    clock = Clock(2)  # 2025-11-01, 2025-12-01, 2026-01-01
    days = np.array([clock.edges[1] - 2, clock.end - 2, clock.end - 1])  # 11-29, 12-30, 12-31
    end = _certain(np.repeat(days, 200), clock)["end"].reshape(3, 200)
    assert set(end[0]) == {clock.edges[1] - 1}  # one day of November is left; nobody survives it
    assert set(end[1]) == {clock.end - 1}
    assert set(end[2]) == {NEVER}


def test_nobody_ends_on_the_first_day_of_a_month():
    clock = Clock(2)
    end = _certain(np.full(2000, clock.first - 50), clock)["end"]
    assert (end.min(), end.max()) == (clock.first + 1, clock.edges[1] - 1)


def test_a_contract_that_is_not_renewed_ends_on_its_anniversary():
    clock = Clock(12)
    # a year before the 15th of the first month, or a day off in a leap year
    start = np.full(50, clock.edges[0] - 365 + 14)
    renewal = np.zeros((24, 50), dtype=bool)
    renewal[0] = True
    end = _certain(start, clock, renewal=renewal)["end"]
    assert set(end) == set(add_months(start, 12))
