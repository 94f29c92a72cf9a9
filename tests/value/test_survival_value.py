"""Survival curves become risk and value."""

import numpy as np
import pytest
from valued_companies import TERMS

from research.value.survival_value import make_survival_model, weigh_survival


def test_curves_become_value_risk_and_value_if_kept_by_hand(write_study):
    study = write_study("contractual", economics=TERMS | {"discount_rate": 0})
    days, curve = np.array([0.0, 30, 60, 90]), np.array([[1, 0.8, 0.8, 0.4]])
    risk, value, if_kept = weigh_survival(curve, days, np.array([2.0]), 30, study)
    assert risk[0] == pytest.approx(0.2)
    assert value[0] == pytest.approx(2 * 30 * (0.9 + 0.8 + 0.6))
    # 1 to day 30, then S / 0.8: 1 at day 60, 0.5 at day 90
    assert if_kept[0] == pytest.approx(2 * 30 * (1 + 1 + 0.75))
    study = study.model_copy(
        update={"economics": study.economics.model_copy(update={"discount_rate": 0.1})}
    )
    assert weigh_survival(curve, days, np.array([2.0]), 30, study)[1][0] < value[0]


def test_the_hazard_may_change_on_even_parts_of_the_span_and_at_the_end_of_the_window():
    assert make_survival_model(90, 30, 0).at == (15, 30, 45, 60, 75, 90)
    assert make_survival_model(90, 40, 0).at == (15, 30, 40, 45, 60, 75, 90)
