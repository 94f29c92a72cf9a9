"""Survival curves become risk and value."""

import numpy as np
import pytest
from valued_companies import TERMS

from research.value.survival_value import make_survival_model, weigh_survival


def test_curves_become_value_risk_and_value_if_kept_by_hand(write_study):
    study = write_study("contractual", economics=TERMS | {"discount_rate": 0})
    days, curve = np.array([0.0, 30, 60, 90]), np.array([[1, 0.8, 0.8, 0.4]])
    risk, value, if_kept, if_left = weigh_survival(curve, days, np.array([2.0]), 30, study)
    assert risk[0] == pytest.approx(0.2)
    assert value[0] == pytest.approx(2 * 30 * (0.9 + 0.8 + 0.6))
    # 1 to day 30, then S / 0.8: 1 at day 60, 0.5 at day 90
    assert if_kept[0] == pytest.approx(2 * 30 * (1 + 1 + 0.75))
    # 1 on day 0, nobody left on day 30: a leaver pays for half of the window
    assert if_left[0] == pytest.approx(2 * 30 * 0.5)
    study = study.model_copy(
        update={"economics": study.economics.model_copy(update={"discount_rate": 0.1})}
    )
    assert weigh_survival(curve, days, np.array([2.0]), 30, study)[1][0] < value[0]


def test_the_hazard_may_change_on_even_parts_of_the_span_and_at_the_end_of_the_window():
    assert make_survival_model(90, 30, 0).at == (15, 30, 45, 60, 75, 90)
    assert make_survival_model(90, 40, 0).at == (15, 30, 40, 45, 60, 75, 90)


def test_what_an_offer_earns_in_a_simulated_company_is_its_effect_times_the_value_of_keeping(
    write_study,
):
    study = write_study("contractual", economics=TERMS | {"discount_rate": 0})
    rng, hazard, margin, days = np.random.default_rng(0), 0.02, 2.0, np.linspace(0, 365, 3651)
    lives = rng.exponential(1 / hazard, 1_000_000)
    saved = (lives < 30) & (rng.random(len(lives)) < 0.2)  # by the offer, and leave at the old rate
    longer = np.where(saved, 30 + rng.exponential(1 / hazard, len(lives)), lives)
    gain = margin * (np.minimum(longer, 365) - np.minimum(lives, 365))
    risk, value, if_kept, if_left = (
        numbers[0]
        for numbers in weigh_survival(
            np.exp(-hazard * days)[None], days, np.array([margin]), 30, study
        )
    )
    error = gain.std() / np.sqrt(len(gain))
    assert 0.2 * risk * (if_kept - if_left) == pytest.approx(gain.mean(), abs=4 * error)
    assert 0.2 * risk * if_kept > gain.mean() + 40 * error  # a leaver has paid, too
    assert value == pytest.approx(risk * if_left + (1 - risk) * if_kept)


def test_a_customer_without_risk_would_leave_evenly_over_the_window(write_study):
    study = write_study("contractual", economics=TERMS | {"discount_rate": 0})
    days = np.array([0.0, 30, 60, 90])
    risk, value, if_kept, if_left = weigh_survival(
        np.ones((1, 4)), days, np.array([2.0]), 30, study
    )
    assert (risk[0], value[0], if_kept[0], if_left[0]) == (0, 180, 180, 30)
