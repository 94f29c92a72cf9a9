"""Weibull regression of times: against lifelines, its gradient, and a company whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from lifelines import WeibullAFTFitter
from scipy.optimize import check_grad
from sklearn.preprocessing import FunctionTransformer

from research.accelerated import WeibullAFT, _lose
from research.horizon import frame_outcome


def company(n: int = 2000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Times 50 exp(0.7 x) times a Weibull draw of shape 1.5; watched for 80 days."""
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"x": rng.normal(size=n), "noise": rng.normal(size=n)})
    life = 50 * np.exp(0.7 * columns.x) * rng.weibull(1.5, n)
    return columns, frame_outcome(life <= 80, np.minimum(life, 80))


def test_the_fit_is_that_of_lifelines():
    columns, outcome = company()
    model = WeibullAFT(FunctionTransformer(), spread=np.inf).fit(columns, outcome)
    other = WeibullAFTFitter().fit(columns.assign(days=np.maximum(outcome["days"], 0.5), event=outcome["event"]), "days", "event").params_
    assert [*model.coefficients_, model.intercept_] == pytest.approx([other["lambda_"][name] for name in ("x", "noise", "Intercept")], abs=1e-3)
    assert np.log(model.shape_) == pytest.approx(other["rho_", "Intercept"], abs=1e-3)


def test_the_truth_is_recovered():
    columns, outcome = company(20_000)
    model = WeibullAFT(FunctionTransformer(), spread=np.inf).fit(columns, outcome)
    assert [*model.coefficients_, np.exp(model.intercept_), model.shape_] == pytest.approx([0.7, 0, 50, 1.5], rel=0.03, abs=0.02)
    survival = model.predict_survival(columns[:1], [0, 30])
    assert survival[0].tolist() == pytest.approx([1, np.exp(-((30 / (50 * np.exp(0.7 * columns.x[0]))) ** 1.5))], abs=0.02)


def test_the_gradient_is_that_of_the_loss():
    columns, outcome = company(50)
    rest = (columns.to_numpy(), np.log(outcome["days"] + 0.5), outcome["event"].astype(float), 0.1)
    assert check_grad(lambda p: _lose(p, *rest)[0], lambda p: _lose(p, *rest)[1], np.array([0.3, -0.2, 3.5, 0.2])) < 1e-5


def test_a_penalty_draws_slopes_towards_zero_but_leaves_the_mean_free():
    columns, outcome = company()
    model = WeibullAFT(FunctionTransformer(), spread=0.001).fit(columns, outcome)
    assert abs(model.coefficients_).max() < 0.02
    assert model.intercept_ > 3
