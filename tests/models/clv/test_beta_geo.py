"""BG/NBD: the published fit, numbers worked by hand, and customers whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from scipy.optimize import approx_fprime
from scipy.special import roots_genlaguerre, roots_jacobi

from research.errors import StudyError
from research.models.clv import beta_geo
from research.models.clv.max_likelihood import Fit
from research.panel.purchase_history import HISTORY

ONES = Fit(np.ones(4), np.eye(4), 0.0, 1, beta_geo.NAMES)


def histories(*rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=HISTORY, dtype=float)


def simulate(
    n: int, parameters: tuple, age: float, until: float, seed: int, most: int = 150
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return histories at ``age``, and the times of all purchases (missing once the customer has
    died), drawn from the model.
    """
    r, alpha, a, b = parameters
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1 / rng.gamma(r, 1 / alpha, (n, 1)), (n, most)), axis=1)
    deadly = rng.random((n, most)) < rng.beta(a, b, (n, 1))
    # after the first deadly purchase there are none
    times[np.cumsum(deadly, axis=1) - deadly > 0] = np.nan
    assert not (times[:, -1] < until).any()
    bought = times <= age
    last = np.where(bought, times, 0).max(axis=1)
    return (
        pd.DataFrame(
            {"n_repeat": bought.sum(axis=1), "recency_days": last, "age_days": float(age)}
        ),
        times,
    )


def test_the_fit_on_cdnow_is_the_published_one(mirror):
    # Fader, Hardie & Lee (2005), table 2: r .243, alpha 4.414, a .793, b 2.426, log-likelihood
    # -9582.4; weeks to 1997-09-30
    lines = pd.read_csv(mirror / "cdnow" / "cdnowElog.csv")
    lines["day"] = pd.to_datetime(lines.date.astype(str))
    days = lines[lines.day <= "1997-09-30"].groupby("sampleid").day.agg(["min", "max", "nunique"])
    weeks = pd.Timedelta(weeks=1)
    found = beta_geo.fit_transactions(
        pd.DataFrame(
            {
                "n_repeat": days["nunique"] - 1,
                "recency_days": (days["max"] - days["min"]) / weeks,
                "age_days": (pd.Timestamp("1997-09-30") - days["min"]) / weeks,
            }
        )
    )
    assert found.customers == 2357
    assert found.parameters.round(3).tolist() == [0.243, 4.414, 0.793, 2.426]
    assert round(found.log_likelihood, 1) == -9582.4


def test_likelihood_and_chance_of_being_alive_worked_by_hand():
    # all parameters 1. No repeat until 1: (1/2)^1. One repeat at 1 of 3: B(1,2)/B(1,1) / 4² = 1/32
    # alive, B(2,1)/B(1,1) / 2² = 1/8 not
    likelihood, chance = beta_geo.evaluate_history(
        np.ones(4), np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 3.0])
    )
    assert np.exp(likelihood) == pytest.approx([1 / 2, 5 / 32])
    assert chance == pytest.approx([1, 1 / 5])


def test_a_customer_without_repeat_is_alive_and_one_who_bought_today_may_have_dropped_out():
    # with all parameters 1 and x = 1 at t_x = T both terms of the likelihood are equal
    assert beta_geo.predict_alive(
        histories((0, 0, 0), (0, 0, 500), (1, 7, 7)), ONES
    ) == pytest.approx([1, 1, 0.5])


def test_inactivity_without_lead_worked_by_hand():
    # x = 1, t_x = T = 1, horizon 2: alive 1/2, and then inactive with (2/4)^2; a new customer at
    # T = 0: (1/3)^1
    assert beta_geo.predict_inactivity(
        histories((1, 1, 1), (0, 0, 0)), ONES, 0, 2
    ) == pytest.approx([1 - 1 / 2 * (1 - 1 / 4), 1 / 3])


@pytest.mark.parametrize(
    "parameters", [(0.243, 4.414, 0.793, 2.426), (2.0, 20.0, 0.3, 0.4), (1.5, 8.0, 1.0, 3.0)]
)
@pytest.mark.parametrize("history", [(0, 0, 30), (1, 2, 30), (6, 30, 30), (40, 29, 30)])
def test_inactivity_and_purchases_equal_the_mean_over_the_rates_given_the_history(
    parameters, history
):
    r, alpha, a, b = parameters
    x, _, age = history
    rhythm = Fit(np.array(parameters), np.eye(4), 0.0, 1, beta_geo.NAMES)
    chance = beta_geo.predict_alive(histories(history), rhythm)[0]
    # Gauss quadrature with the densities of rate, gamma(r + x, alpha + T), and dropout, beta(a, b +
    # x), as weights
    (rate, rate_share), (drop, drop_share) = (
        roots_genlaguerre(80, r + x - 1),
        roots_jacobi(80, b + x - 1, a - 1),
    )
    rate, drop = rate[:, None] / (alpha + age), (1 + drop) / 2
    share = np.outer(rate_share / rate_share.sum(), drop_share / drop_share.sum())
    comes = (share * np.exp(-rate * drop * 5) * -np.expm1(-rate * 12)).sum()
    count = (share * -np.expm1(-rate * drop * 12) / drop).sum()
    assert beta_geo.predict_inactivity(histories(history), rhythm, 5, 12)[0] == pytest.approx(
        1 - chance * comes, rel=1e-8
    )
    assert beta_geo.predict_purchases(histories(history), rhythm, 12)[0] == pytest.approx(
        chance * count, rel=1e-5
    )


@pytest.mark.parametrize("certain", [2e3, 2e4, 3e6])
def test_where_nobody_ever_drops_out_purchases_go_on_at_the_customers_own_rate(certain):
    # the chance to drop out is one in a hundred million: of a customer alive (r + x) / (alpha + T)
    # a day
    table, parameters = (
        histories((0, 0, 300), (12, 290, 300), (80, 299, 300)),
        np.array([2.0, 30.0, certain, certain * 1e8]),
    )
    rhythm = Fit(parameters, np.eye(4), 0.0, 1, beta_geo.NAMES)
    assert beta_geo.predict_purchases(table, rhythm, 365) == pytest.approx(
        365 * np.array([2, 14, 82]) / 330, rel=1e-3
    )
    quiet = (330 / 360) ** np.array([2.0, 14.0, 82.0])
    assert beta_geo.predict_inactivity(table, rhythm, 5, 30) == pytest.approx(quiet, rel=1e-3)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_predictions_agree_with_customers_simulated_from_the_model(seed):
    parameters = (0.8, 10.0, 0.7, 2.5)
    table, times = simulate(40_000, parameters, 40, 70, seed)
    rhythm = Fit(np.array(parameters), np.eye(4), 0.0, 1, beta_geo.NAMES)
    silent = ~((times > 47) & (times <= 67)).any(axis=1)
    later = ((times > 40) & (times <= 60)).sum(axis=1)
    group = table.n_repeat.clip(upper=6) * 3 + pd.cut(
        table.recency_days, [-1, 15, 32, 40], labels=False
    )
    frame = pd.DataFrame(
        {
            "group": group,
            "silent": silent - beta_geo.predict_inactivity(table, rhythm, 7, 20),
            "later": later - beta_geo.predict_purchases(table, rhythm, 20),
        }
    )
    means = frame.groupby("group").agg(["mean", "sem", "size"])
    for column in ("silent", "later"):
        rows = means[column][means[column]["size"] > 200]
        assert (rows["mean"].abs() < 4.5 * rows["sem"]).all()


@pytest.mark.parametrize("seed", list_seeds(2))
def test_the_fit_recovers_the_truth_within_its_intervals(seed):
    truth = np.array([0.8, 10.0, 0.7, 2.5])
    table, _ = simulate(20_000, tuple(truth), 40, 41, seed)
    found = beta_geo.fit_transactions(table).tabulate()
    assert (np.abs(np.log(found.value / truth)) < 3.5 * found.se / found.value).all()
    assert (found.se / found.value).between(0.005, 0.2).all()


def test_the_gradient_is_that_of_the_likelihood():
    table, _ = simulate(300, (0.8, 10.0, 0.7, 2.5), 40, 41, 0)
    arguments = (*table[HISTORY].to_numpy(float).T, np.full(300, 1 / 300))
    for logs in (np.zeros(4), np.array([-1.0, 2.0, 0.5, -0.7])):
        slow = approx_fprime(logs, lambda point: beta_geo._loss(point, *arguments)[0], 1e-7)
        assert beta_geo._loss(logs, *arguments)[1] == pytest.approx(slow, abs=1e-5)


def test_another_unit_of_time_changes_alpha_alone():
    table, _ = simulate(3_000, (0.8, 10.0, 0.7, 2.5), 40, 41, 1)
    weeks, days = (
        beta_geo.fit_transactions(
            table.assign(recency_days=table.recency_days * unit, age_days=table.age_days * unit)
        )
        for unit in (1, 7)
    )
    assert days.parameters == pytest.approx(weeks.parameters * [1, 7, 1, 1], rel=1e-4)
    assert days.log_likelihood == pytest.approx(
        weeks.log_likelihood - table.n_repeat.sum() * np.log(7)
    )  # a density per day, not per week


def test_customers_twice_give_the_same_fit_with_errors_smaller_by_the_root_of_two():
    table, _ = simulate(3_000, (0.8, 10.0, 0.7, 2.5), 40, 41, 2)
    once, twice = (
        beta_geo.fit_transactions(table),
        beta_geo.fit_transactions(pd.concat([table, table])),
    )
    assert twice.parameters == pytest.approx(once.parameters, rel=1e-4)
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood)
    assert twice.tabulate().se.to_numpy() == pytest.approx(
        once.tabulate().se.to_numpy() / np.sqrt(2), rel=1e-3
    )


def test_where_nobody_drops_out_the_interval_is_empty_and_the_prediction_stands():
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.gamma(2, 5, 2_000))
    table = pd.DataFrame(
        {"n_repeat": x, "recency_days": np.where(x > 0, 100 - 100 / (x + 1), 0), "age_days": 100.0}
    )  # the last in its place
    found = beta_geo.fit_transactions(table)
    assert found.tabulate().se.isna().all()
    assert (beta_geo.predict_alive(table, found) > 0.95).all()


def test_without_a_single_return_the_fit_is_refused():
    with pytest.raises(
        StudyError, match="expected some customers with a repeat purchase, got 3 without any"
    ):
        beta_geo.fit_transactions(histories((0, 0, 10), (0, 0, 20), (0, 0, 0)))


@pytest.mark.parametrize(
    "row", [(-1, 0, 5), (1.5, 2, 5), (1, 0, 5), (0, 2, 5), (1, 6, 5), (1, 2, np.nan)]
)
def test_a_history_that_contradicts_itself_is_refused(row):
    with pytest.raises(StudyError, match="got 1 of 2 rows"):
        beta_geo.fit_transactions(histories((1, 2, 5), row))


def test_a_customer_with_thousands_of_purchases_gets_finite_predictions():
    rows = histories((5_000, 365, 365), (5_000, 200, 365))
    silent = beta_geo.predict_inactivity(
        rows, Fit(np.array([0.243, 30.9, 0.793, 2.426]), np.eye(4), 0.0, 1, beta_geo.NAMES), 7, 90
    )
    assert (
        0 < silent[0] < 0.05
    )  # in the lead some 90 purchases, each the last with a chance of .793 / 5,003
    assert silent[1] == pytest.approx(1)


def test_a_longer_horizon_never_has_more_inactivity():
    table, _ = simulate(500, (0.8, 10.0, 0.7, 2.5), 40, 41, 3)
    rhythm = Fit(np.array([0.8, 10.0, 0.7, 2.5]), np.eye(4), 0.0, 1, beta_geo.NAMES)
    spans = np.stack(
        [beta_geo.predict_inactivity(table, rhythm, 7, horizon) for horizon in (0, 1, 10, 100, 1e6)]
    )
    assert spans[0] == pytest.approx(1)
    assert (np.diff(spans, axis=0) <= 1e-12).all()
