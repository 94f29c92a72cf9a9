"""Customer lifetime value: closed forms, and terms that make no sense."""

import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.models.clv import beta_geo, pareto_nbd
from research.models.clv.gamma_gamma import NAMES
from research.models.clv.max_likelihood import Fit
from research.value import expected_value
from research.value.purchase_models import MODELS

SPEND = Fit(np.array([6.25, 3.74, 15.44]), np.eye(3), 0.0, 1, NAMES)
FITS = {
    "BG/NBD": Fit(np.array([0.243, 30.9, 0.793, 2.426]), np.eye(4), 0.0, 1, beta_geo.NAMES),
    "Pareto/NBD": Fit(np.array([0.553, 74.0, 0.606, 81.7]), np.eye(4), 0.0, 1, pareto_nbd.NAMES),
}


def buyers() -> pd.DataFrame:
    columns = {
        "n_repeat": [0, 1, 6, 6],
        "recency_days": [0, 20, 250, 60],
        "age_days": 270,
        "mean_amount": [np.nan, 50, 20, 20],
    }
    return pd.DataFrame(columns).astype(float)


@pytest.mark.parametrize("name", [*FITS])
def test_undiscounted_and_with_all_of_the_margin_value_is_purchases_times_amount(name):
    values = expected_value.value_buyers(buyers(), MODELS[name], FITS[name], SPEND, 365, 1.0, 0.0)
    assert values.value.to_numpy() == pytest.approx((values.purchases * values.amount).to_numpy())
    assert values.purchases.to_numpy() == pytest.approx(
        MODELS[name].estimator.predict_purchases(buyers(), FITS[name], 365)
    )
    assert values.value[2] > values.value[3]  # the same purchases, the last of them long ago
    assert values.amount[0] == pytest.approx(6.25 * 15.44 / 2.74)


@pytest.mark.parametrize("name", [*FITS])
def test_discounting_lies_between_today_and_the_end_of_the_span_and_margin_scales(name):
    terms = (buyers(), MODELS[name], FITS[name], SPEND, 730)
    plain, discounted, third = (
        expected_value.value_buyers(*terms, *rest).value
        for rest in ((1.0, 0.0), (1.0, 0.2), (0.3, 0.2))
    )
    assert (discounted < plain).all() and (discounted > plain * 1.2 ** (-730 / 365.25)).all()
    assert third.to_numpy() == pytest.approx(0.3 * discounted.to_numpy())
    assert (expected_value.value_buyers(*terms, 0.0, 0.2).value == 0).all()


def test_who_returns_more_than_was_bought_has_no_value():
    rows = buyers().assign(mean_amount=[np.nan, -5.0, 0.0, 20.0])
    values = expected_value.value_buyers(
        rows, MODELS["BG/NBD"], FITS["BG/NBD"], SPEND, 365, 1.0, 0.1
    )
    assert values.value.tolist()[1:3] == [0, 0]
    assert values.value[0] > 0


def test_a_contract_with_a_constant_hazard_has_the_value_of_its_closed_form():
    days = np.linspace(0, 730, 1461)
    curves = np.exp(-np.outer([0.002, 0.01], days))
    values = expected_value.value_contracts(curves, days, np.array([1.5, 0.0]), 0.1)
    fall = 0.002 + np.log(1.1) / 365.25
    assert values == pytest.approx([1.5 * (1 - np.exp(-fall * 730)) / fall, 0], rel=1e-5)


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ((0, 1, 0.1), "a span above 0"),
        ((365, 1.2, 0.1), "a margin from 0 to 1, got 1.2"),
        ((365, 0.5, -0.1), "yearly rate of discount of 0 or more"),
    ],
)
def test_terms_that_make_no_sense_are_one_sentence_each(terms, sentence):
    with pytest.raises(StudyError, match=sentence):
        expected_value.value_buyers(buyers(), MODELS["BG/NBD"], FITS["BG/NBD"], SPEND, *terms)


def test_amounts_without_a_mean_are_refused():
    with pytest.raises(StudyError, match="q is 1 or less"):
        expected_value.value_buyers(
            buyers(),
            MODELS["BG/NBD"],
            FITS["BG/NBD"],
            Fit(np.array([2.0, 0.9, 5.0]), np.eye(3), 0.0, 1, NAMES),
            365,
            1.0,
            0.1,
        )


def test_values_do_not_depend_on_how_many_are_valued_at_once(monkeypatch):
    terms = (MODELS["Pareto/NBD"], FITS["Pareto/NBD"], SPEND, 365, 0.3, 0.1)
    whole = expected_value.value_buyers(buyers(), *terms)
    monkeypatch.setattr(expected_value, "CHUNK_ROWS", 3)
    pd.testing.assert_frame_equal(expected_value.value_buyers(buyers(), *terms), whole)


def test_what_a_purchase_in_the_window_tells_is_that_of_simulated_buyers():
    rng, n, window, span = np.random.default_rng(0), 1_000_000, 60, 365
    r, alpha, s, beta = FITS["Pareto/NBD"].parameters
    rate, lives = rng.gamma(r, 1 / alpha, n), rng.exponential(1 / rng.gamma(s, 1 / beta, n))
    inside = rng.poisson(rate * np.minimum(lives, window))
    later = rng.poisson(rate * (np.minimum(lives, span) - np.minimum(lives, window)))
    bought = inside > 0
    difference = (inside + later)[bought].mean() - later[~bought].mean()
    new = pd.DataFrame({"n_repeat": [0.0], "recency_days": [0.0], "age_days": [0.0]})
    none, more = expected_value.value_purchase_in_window(
        new, MODELS["Pareto/NBD"], FITS["Pareto/NBD"], span, window, 0.0
    )
    error = np.sqrt((inside + later)[bought].var() / bought.sum() + later.var() / (~bought).sum())
    assert none[0] == pytest.approx((~bought).mean(), abs=0.002)
    assert more[0] == pytest.approx(difference, abs=4 * error)


@pytest.mark.parametrize("name", [*FITS])
def test_where_the_window_is_the_whole_span_no_purchase_is_no_value(name):
    rows, terms = buyers(), (MODELS[name], FITS[name])
    none, more = expected_value.value_purchase_in_window(rows, *terms, 365, 500, 0.1)
    value = expected_value.value_buyers(rows, *terms, SPEND, 365, 1.0, 0.1)
    assert (more * (1 - none) * value.amount).to_numpy() == pytest.approx(value.value.to_numpy())
