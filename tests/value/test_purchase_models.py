"""Purchase models: their records, and which one is chosen."""

import numpy as np
import pandas as pd

from research.models.clv import beta_geo
from research.models.clv.max_likelihood import Fit
from research.study_schema import Economics
from research.value import purchase_models


def test_the_model_with_the_lowest_aic_is_chosen():
    fits = {
        "one": Fit(np.ones(4), np.eye(4), -100.0, 9, beta_geo.NAMES),
        "two": Fit(np.ones(6), np.eye(6), -98.5, 9, beta_geo.NAMES),
    }
    assert purchase_models.choose_purchase_model(fits) == "one"  # 8 + 200 against 12 + 197
    better = fits | {"two": Fit(np.ones(6), np.eye(6), -97.0, 9, beta_geo.NAMES)}
    assert purchase_models.choose_purchase_model(better) == "two"


def test_the_model_that_needs_differing_first_amounts_is_left_out_without_them():
    rows = pd.DataFrame(
        {
            "n_repeat": [0, 2, 5, 0, 1.0],
            "recency_days": [0, 40, 80, 0, 20.0],
            "age_days": 100.0,
            "first_amount": 5.0,
        }
    )
    assert [*purchase_models.fit_purchase_models(rows)] == ["BG/NBD", "Pareto/NBD"]
    below_a_cent = rows.assign(first_amount=np.linspace(1e-6, 2e-6, len(rows)))
    assert [*purchase_models.fit_purchase_models(below_a_cent)] == ["BG/NBD", "Pareto/NBD"]


def test_every_model_predicts_and_simulates():
    for model in purchase_models.MODELS.values():
        assert model.task == "value"
        for part in ("predict_inactivity", "simulate_purchases"):
            assert callable(getattr(model.estimator, part))


def test_parameters_carry_units_and_assumptions_have_no_intervals():
    fit = Fit(
        np.array([0.7, 65.0, 0.5, 50.0]), np.eye(4) / 9, -100.0, 9, ("r", "alpha", "s", "beta")
    )
    table = purchase_models.tabulate_parameters({"Pareto/NBD": fit}, None)
    assert table.unit.tolist() == ["shape", "days", "shape", "days"]
    assert table.aic.unique().tolist() == [208.0]
    assumed = purchase_models.tabulate_assumptions(
        Economics(currency="EUR", capacity=5, margin_share=0.4)
    )
    assert assumed.set_index("parameter").value["margin_share"] == 0.4
    assert "low" not in assumed
