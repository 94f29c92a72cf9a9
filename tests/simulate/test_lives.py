"""One life: fees and their increases, engagement, purchases."""

import numpy as np
import pytest

from research.simulate.company import PLANS
from research.simulate.draws import Clock, Draws
from research.simulate.lives import build_fees, build_gap, draw_engagement, price


def test_the_fee_is_the_list_price_less_the_discounts_plus_the_rise():
    lives = {
        "introductory": np.array([True, True, False, False]),
        "discount": np.array([0.0, 0.0, 0.25, 0.0]),
    }
    settled, raised = np.array([False, True, True, True]), np.array([False, False, False, True])
    # 19 less a fifth, 19, 19 less a quarter, 19 plus 20 %
    assert price(np.full(4, list(PLANS).index("plus")), lives, settled, raised).tolist() == [
        15.2,
        19.0,
        14.25,
        22.8,
    ]


def _terms(**given) -> dict[str, np.ndarray]:
    """Return the terms of one life in the plan plus, without discounts, at its home level."""
    clock = Clock(24)
    lives = {
        "annual": False,
        "introductory": False,
        "discount": 0.0,
        "first_plan": 1,
        "home": 0.0,
        "start": clock.first + 9,
        "began": 0,
    } | given
    return {name: np.array([value]) for name, value in lives.items()} | {"level": np.zeros((36, 1))}


def _find_increases(price_rise: bool = True, **given) -> dict[int, float]:
    increase = build_fees(Draws(1, 0), _terms(**given), Clock(24), price_rise)["increase"][:, 0]
    return {int(month): round(float(increase[month]), 3) for month in np.flatnonzero(increase)}


def test_the_fee_increases_at_once_or_at_the_renewal_and_the_end_of_the_introduction():
    # prices rise in month 19 of a history of 24
    assert _find_increases() == {19: 0.2}
    assert _find_increases(annual=True, began=-3) == {21: 0.2}  # renewed in the months 9, 21 and 33
    assert _find_increases(annual=True, began=-6) == {30: 0.2}  # ... in 6, 18 and 30
    assert _find_increases(introductory=True) == {12: 0.25, 19: 0.2}  # 0.8 to 1
    assert _find_increases(began=20) == {}  # a new contract starts at the new price
    assert _find_increases(price_rise=False) == {}


def test_the_gap_grows_with_the_months_without_a_purchase_and_saturates():
    clock, months = Clock(12), 24
    lives = {
        "level": np.zeros((months, 1)),
        "home": np.zeros(1),
        "taste": np.full(1, 2.0),
        "quiet": np.array([False]),
        "began": np.array([0]),
    }
    # one purchase, in the first month
    lives["orders"] = {"month": np.array([0]), "life": np.array([0])}
    gap = build_gap(Draws(0, 0), lives, clock)[:, 0]
    interval = 1 / (0.38 * 2)  # months between purchases: 1.316
    assert gap[1] == 0  # half a month since
    assert gap[3] == pytest.approx(1 - np.exp(-(2.5 / interval - 1)))
    assert (np.diff(gap[2:]) > 0).all() and 0.99 < gap[-1] < 1


def test_new_customers_begin_below_home_and_climb_for_half_a_year():
    clock, size = Clock(24), 4000
    lives = {"home": np.zeros(size), "began": np.full(size, 2), "quiet": np.zeros(size, dtype=bool)}
    paths = draw_engagement(Draws(0, 0), lives, clock)
    steady = np.where(paths["sinking"].cumsum(axis=0) > 0, np.nan, paths["level"])
    mean = np.nanmean(steady, axis=1)
    assert mean[2] == pytest.approx(-0.9, abs=0.02)
    assert mean[8] == pytest.approx(-0.9 * np.exp(-6 / 2.5), abs=0.02)


def test_quiet_customers_never_decline():
    lives = {"home": np.zeros(500), "began": np.full(500, -5), "quiet": np.ones(500, dtype=bool)}
    paths = draw_engagement(Draws(0, 0), lives, Clock(24))
    assert not paths["sinking"].any() and not paths["recovering"].any()
