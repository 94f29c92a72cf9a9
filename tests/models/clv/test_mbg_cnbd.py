"""MBG/CNBD-k: the published fit, numbers worked by hand, and customers whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.models.clv import beta_geo, mbg_cnbd
from research.models.clv.max_likelihood import Fit, numeric_gradient
from research.panel.purchase_history import HISTORY

TRUE = Fit(np.array([2, 0.9, 20.0, 0.8, 2.5]), np.eye(5), 0.0, 1, mbg_cnbd.NAMES)
SPAN, LEAD, HORIZON = 180, 10, 60


def draw(n: int, seed: int, fit: Fit = TRUE) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories with their gaps, and the times of all purchases after T (rows, most)."""
    (k, r, alpha, a, b), rng, most = fit.parameters, np.random.default_rng(seed), 400
    age = rng.integers(60, 400, n).astype(float)
    gaps = rng.gamma(k, 1 / rng.gamma(r, 1 / alpha, (n, 1)), (n, most))
    # the first draw is of dropping out after the first purchase
    dead = np.cumsum(rng.random((n, most)) < rng.beta(a, b, (n, 1)), axis=1) > 0
    times = np.where(dead, np.inf, np.cumsum(gaps, axis=1))
    bought = times <= age[:, None]
    rows = pd.DataFrame(
        {
            "n_repeat": bought.sum(axis=1).astype(float),
            "recency_days": np.where(bought, times, 0).max(axis=1),
            "age_days": age,
            mbg_cnbd.LOG_GAPS: np.where(bought, np.log(gaps), 0).sum(axis=1),
        }
    )
    return rows, np.where(bought, np.inf, times - age[:, None])


@pytest.fixture(scope="module")
def drawn() -> tuple[pd.DataFrame, np.ndarray]:
    return draw(30_000, 0)


def test_the_fit_for_k_1_on_cdnow_is_the_published_one(mirror):
    # MBG/NBD in weeks to 1997-09-30: r .525, alpha 6.183, a .891, b 1.614 (lifetimes 0.11,
    # ModifiedBetaGeoFitter; the data and the model's name as in Batislam et al. 2007)
    lines = pd.read_csv(mirror / "cdnow" / "cdnowElog.csv")
    lines["day"] = pd.to_datetime(lines.date.astype(str))
    days = lines[lines.day <= "1997-09-30"].groupby("sampleid").day.agg(["min", "max", "nunique"])
    week = pd.Timedelta(weeks=1)
    rows = pd.DataFrame(
        {
            "n_repeat": days["nunique"] - 1,
            "recency_days": (days["max"] - days["min"]) / week,
            "age_days": (pd.Timestamp("1997-09-30") - days["min"]) / week,
        }
    )
    found, _ = mbg_cnbd._fit_for(1, beta_geo.count_histories(rows), 0.0, np.zeros(4))
    assert found.parameters == pytest.approx([1, 0.525, 6.183, 0.891, 1.614], abs=0.002)


def test_likelihood_and_chance_of_being_alive_worked_by_hand():
    # k 2, all others 1. No repeat until 1: gone E p = 1/2; alive E(1 - p) = 1/2 times
    # (1/2 + 1/2²) = 3/8. One repeat at 1 of 3: gone B(2,2) Gamma(3) / 2³ = 1/24; alive B(1,3)
    # Gamma(3) / 4³ (1 + 3 x 2/4) = 1/96 x 2.5
    likelihood, alive = mbg_cnbd.evaluate_history(
        np.array([2.0, 1, 1, 1, 1]), np.array([0.0, 1]), np.array([0.0, 1]), np.array([1.0, 3])
    )
    assert np.exp(likelihood) == pytest.approx([1 / 2 + 3 / 8, 1 / 24 + 2.5 / 96])
    assert alive == pytest.approx([(3 / 8) / (7 / 8), (2.5 / 96) / (1 / 24 + 2.5 / 96)])


def test_the_gradient_is_the_derivative(drawn):
    repeats, recency, age, rows = beta_geo.count_histories(drawn[0].head(500))
    arguments = (3, repeats, recency / 200, age / 200, rows / rows.sum())
    logs = np.log([0.7, 0.3, 0.5, 1.7])
    numeric = numeric_gradient(lambda *each: mbg_cnbd._loss(*each)[0], logs, *arguments)
    assert mbg_cnbd._loss(logs, *arguments)[1] == pytest.approx(numeric, abs=1e-6)


def test_the_fit_finds_the_parameters_and_the_regularity_of_drawn_customers(drawn):
    fit = mbg_cnbd.fit_transactions(drawn[0])
    table = fit.tabulate().set_index("parameter")
    assert table.value["k"] == 2
    rest = table.drop(index="k")
    z_values = np.log(rest.value / TRUE.parameters[1:]) / (rest.se / rest.value)
    assert z_values.abs().max() < 3.5
    # twice the parameters less twice the log-likelihood: those of BG/NBD are on the same scale
    assert beta_geo.fit_transactions(drawn[0]).log_likelihood < fit.log_likelihood - 1000


def test_customers_who_buy_at_random_have_k_1():
    rows, _ = draw(5_000, 1, Fit(np.r_[1, TRUE.parameters[1:]], np.eye(5), 0.0, 1, mbg_cnbd.NAMES))
    assert mbg_cnbd.fit_transactions(rows).parameters[0] == 1


def test_predictions_are_what_drawn_customers_do(drawn):
    rows, later = drawn
    alive, expected = (
        mbg_cnbd.predict_alive(rows, TRUE),
        mbg_cnbd.predict_purchases(rows, TRUE, SPAN),
    )
    idle = mbg_cnbd.predict_inactivity(rows, TRUE, LEAD, HORIZON)
    bought = ((later > 0) & (later <= SPAN)).sum(axis=1)
    none = ~((later > LEAD) & (later <= LEAD + HORIZON)).any(axis=1)
    still = np.isfinite(later).any(axis=1)
    for group in (rows.n_repeat == 0, rows.n_repeat.between(1, 3), rows.n_repeat > 3):
        size = np.sqrt(group.sum())
        assert expected[group].mean() == pytest.approx(
            bought[group].mean(), abs=4 * bought[group].std() / size
        )
        for predicted, actual in ((idle, none), (alive, still)):
            error = np.sqrt(actual[group].mean() * (1 - actual[group].mean())) / size
            assert predicted[group].mean() == pytest.approx(actual[group].mean(), abs=4 * error)


def test_spans_at_once_are_spans_one_by_one_and_a_window_splits_at_any_day(drawn):
    rows = drawn[0].head(50)
    at_once = mbg_cnbd.predict_purchases(rows, TRUE, np.array([[30.0], [SPAN]]))
    assert at_once[0] == pytest.approx(mbg_cnbd.predict_purchases(rows, TRUE, 30))
    assert at_once[1] == pytest.approx(mbg_cnbd.predict_purchases(rows, TRUE, SPAN))
    assert (mbg_cnbd.predict_inactivity(rows, TRUE, 0, 30) >= 1 - at_once[0] - 1e-9).all()


def test_simulated_customers_are_those_of_the_model(drawn):
    rows, later = drawn
    histories, bought = mbg_cnbd.simulate_purchases(rows, TRUE, SPAN, 1)
    expected = ((later > 0) & (later <= SPAN)).sum(axis=1)
    error = np.sqrt(2) * expected.std() / np.sqrt(len(rows))
    assert bought.mean() == pytest.approx(expected.mean(), abs=4 * error)
    assert histories.n_repeat.mean() == pytest.approx(rows.n_repeat.mean(), abs=0.15)
    assert (histories.recency_days <= histories.age_days).all()


def test_nobody_who_came_back_is_one_sentence():
    rows = pd.DataFrame(np.zeros((3, 3)), columns=HISTORY).assign(**{mbg_cnbd.LOG_GAPS: 0.0})
    with pytest.raises(StudyError, match="expected some customers with a repeat purchase"):
        mbg_cnbd.fit_transactions(rows.assign(age_days=9.0))
