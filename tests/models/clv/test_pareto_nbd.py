"""Pareto/NBD: the published fit and holdout, integrals by quadrature, simulated customers."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import dblquad

from research.errors import StudyError
from research.models.clv import beta_geo, pareto_nbd

WEEK = pd.Timedelta(weeks=1)
CUT = pd.Timestamp("1997-09-30")


@pytest.fixture
def cdnow(mirror) -> pd.DataFrame:
    """The published 1/10 sample: days with a purchase and their amounts."""
    lines = pd.read_csv(mirror / "cdnow" / "cdnowElog.csv")
    lines["day"] = pd.to_datetime(lines.date.astype(str))
    return lines.groupby(["sampleid", "day"], as_index=False).sales.sum()


@pytest.fixture
def weeks(cdnow) -> pd.DataFrame:
    """Histories in weeks to 1997-09-30, the mean amount of repeat purchases, and the purchases of
    the 39 weeks after.
    """
    before = cdnow[cdnow.day <= CUT]
    days = before.groupby("sampleid").day.agg(["min", "max", "count"])
    repeats = before[before.day > before.sampleid.map(days["min"])].groupby("sampleid").sales.mean()
    later = cdnow[cdnow.day > CUT].groupby("sampleid").size()
    columns = {
        "n_repeat": days["count"] - 1,
        "recency_days": (days["max"] - days["min"]) / WEEK,
        "age_days": (CUT - days["min"]) / WEEK,
    }
    return pd.DataFrame(columns).assign(
        mean_amount=repeats, later=later.reindex(days.index).fillna(0)
    )


def test_the_fit_on_cdnow_is_the_published_one(weeks):
    # Fader, Hardie & Lee (2005), doi:10.1287/mksc.1040.0098, table 2: r .553, alpha 10.578, s .606,
    # beta 11.669, log-likelihood -9595.0
    found = pareto_nbd.fit_transactions(weeks)
    assert found.parameters == pytest.approx([0.553, 10.578, 0.606, 11.669], rel=2e-3)
    assert round(found.log_likelihood, 1) == -9595.0
    table = found.tabulate().set_index("parameter")
    assert (table.low < table.value).all() and (table.value < table.high).all()


def test_the_holdout_on_cdnow_is_the_published_one(weeks):
    expected = pareto_nbd.predict_purchases(weeks, pareto_nbd.fit_transactions(weeks), 39)
    assert np.sqrt(((expected - weeks.later) ** 2).mean()) == pytest.approx(1.603, abs=5e-4)
    assert expected.sum() / weeks.later.sum() - 1 == pytest.approx(-0.115, abs=5e-4)


@pytest.mark.parametrize(
    "parameters", [(0.553, 10.578, 0.606, 11.669), (2.0, 5.0, 1.5, 30.0)]
)  # alpha below beta: the other form of the integral
@pytest.mark.parametrize("history", [(0, 0, 30), (3, 12, 30), (3, 30, 30)])
def test_likelihood_and_chance_of_being_alive_equal_the_integrals(parameters, history):
    r, alpha, s, beta = parameters
    x, last, age = history

    def weigh(kind):
        def inner(rate, drop):
            alive_now = rate**x * np.exp(-(rate + drop) * age)
            gone = (
                drop
                / (rate + drop)
                * rate**x
                * (np.exp(-(rate + drop) * last) - np.exp(-(rate + drop) * age))
            )
            density = (
                rate ** (r - 1) * np.exp(-alpha * rate) * drop ** (s - 1) * np.exp(-beta * drop)
            )
            return (alive_now if kind == "alive" else alive_now + gone) * density

        return dblquad(inner, 0, 8, 0, 8, epsabs=1e-14, epsrel=1e-6)[0]

    both = weigh("both")
    scale = alpha**r * beta**s / (np.exp(pareto_nbd.gammaln(r)) * np.exp(pareto_nbd.gammaln(s)))
    likelihood, chance = pareto_nbd.evaluate_history(
        np.array(parameters), *(np.array([number], float) for number in history)
    )
    assert np.exp(likelihood[0]) == pytest.approx(scale * both, rel=2e-3)
    assert chance[0] == pytest.approx(weigh("alive") / both, rel=2e-3)


def simulate(
    n: int, parameters: tuple, age: float, until: float, seed: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return histories at ``age``, who is alive then, and the purchases from there to ``until``, by
    the model's own story.
    """
    r, alpha, s, beta = parameters
    rng = np.random.default_rng(seed)
    end = rng.exponential(1 / rng.gamma(s, 1 / beta, n))
    times = np.cumsum(rng.exponential(1 / rng.gamma(r, 1 / alpha, (n, 1)), (n, 400)), axis=1)
    times[times > end[:, None]] = np.inf
    bought = times <= age
    histories = {
        "n_repeat": bought.sum(axis=1),
        "recency_days": np.where(bought, times, 0).max(axis=1),
        "age_days": float(age),
    }
    return pd.DataFrame(histories), end > age, ((times > age) & (times <= until)).sum(axis=1)


def test_parameters_chances_and_purchases_of_simulated_customers_are_recovered():
    true = (0.8, 12.0, 0.7, 20.0)
    table, alive_now, later = simulate(20_000, true, 60, 90, 0)
    found = pareto_nbd.fit_transactions(table)
    rows = found.tabulate()
    assert ((rows.value - true).abs() < 3.5 * rows.se).all()
    chance, expected = (
        pareto_nbd.predict_alive(table, found),
        pareto_nbd.predict_purchases(table, found, 30),
    )
    for part in np.array_split(np.argsort(chance, kind="stable"), 5):
        assert alive_now[part].mean() == pytest.approx(chance[part].mean(), abs=0.035)
        assert later[part].mean() == pytest.approx(
            expected[part].mean(), abs=0.1 * later.mean() + 4 * later[part].std() / len(part) ** 0.5
        )


def test_units_of_time_change_units_alone():
    table, *_ = simulate(3000, (0.8, 12.0, 0.7, 20.0), 60, 90, 1)
    days, weeks = (
        pareto_nbd.fit_transactions(table),
        pareto_nbd.fit_transactions(
            table.assign(recency_days=table.recency_days / 7, age_days=table.age_days / 7)
        ),
    )
    assert days.parameters == pytest.approx(weeks.parameters * [1, 7, 1, 7], rel=1e-3)


def test_both_models_refuse_the_same_histories():
    for model in (beta_geo, pareto_nbd):
        with pytest.raises(StudyError, match="both 0 or neither"):
            model.fit_transactions(
                pd.DataFrame({"n_repeat": [1.0], "recency_days": [0.0], "age_days": [5.0]})
            )
        with pytest.raises(StudyError, match="repeat purchase"):
            model.fit_transactions(
                pd.DataFrame({"n_repeat": [0.0], "recency_days": [0.0], "age_days": [5.0]})
            )
