"""Fits by maximum likelihood: intervals and derivatives worked by hand."""

import numpy as np
import pytest

from research.models.clv.max_likelihood import (
    MAX_LOG,
    Fit,
    compute_covariance,
    numeric_gradient,
    numeric_hessian,
)


def test_intervals_are_symmetric_on_the_logarithmic_scale():
    fit = Fit(np.array([2.0]), np.array([[0.25]]), -10.0, 50, ("rate",))
    row = fit.tabulate().iloc[0]
    # standard error of the logarithm 0.5: the value times and over e^(1.96 / 2)
    assert (row.low, row.high) == pytest.approx((2 / np.exp(0.979982), 2 * np.exp(0.979982)))
    assert (row.parameter, row.se, row.n) == ("rate", 1.0, 50)


def test_a_parameter_that_the_data_do_not_identify_has_no_interval():
    fit = Fit(np.array([2.0, 3.0]), np.diag([0.25, 100.0]), 0.0, 50, ("known", "unknown"))
    table = fit.tabulate().set_index("parameter")
    assert table.loc["unknown", ["low", "high", "se"]].isna().all()
    assert table.loc["known", ["low", "high", "se"]].notna().all()


def test_derivatives_of_a_square_by_hand():
    # loss a² x² + y, at x = 3 with a = 2: gradient (24, 1), second derivatives ((8, 0), (0, 0))
    def loss(logs, a):
        return a**2 * logs[0] ** 2 + logs[1]

    def gradient(logs, a):
        return np.array([2 * a**2 * logs[0], 1.0])

    at = np.array([3.0, 5.0])
    assert numeric_gradient(loss, at, 2.0) == pytest.approx([24, 1], rel=1e-6)
    assert numeric_hessian(gradient, at, (2.0,)) == pytest.approx(np.array([[8, 0], [0, 0]]))


def test_the_covariance_is_the_inverse_information_of_all_customers_or_empty():
    curved, flat, runaway = (
        compute_covariance(np.array([log]), lambda curve=curve: np.array([[curve]]), 10)
        for log, curve in ((0.0, 2.0), (0.0, -1.0), (MAX_LOG, 2.0))
    )
    assert curved == pytest.approx(1 / 20)
    assert np.isnan(flat).all() and np.isnan(runaway).all()
