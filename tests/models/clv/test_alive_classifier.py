"""BG/NBD as a classifier of churn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from research.models.clv import alive_classifier, beta_geo


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


def test_the_probability_of_being_alive_ranks_and_the_labels_recalibrate():
    table, times = simulate(4000, (0.8, 8.0, 0.8, 2.5), 60, 110, 0)
    inactive = ~((times > 60) & (times <= 90)).any(axis=1)
    model = alive_classifier.AliveUntil(0, 30, gone=True).fit(table, inactive)
    chance, risk = beta_geo.predict_alive(table, model.btyd_), model.predict_proba(table)[:, 1]
    assert (np.diff(risk[np.argsort(-chance, kind="stable")]) >= -1e-12).all()
    assert risk.mean() == pytest.approx(inactive.mean(), abs=1e-3)


def test_the_classifier_fits_on_the_last_snapshot_and_on_no_label():
    table, _ = simulate(2_000, (0.8, 10.0, 0.7, 2.5), 40, 41, 4)
    earlier = table.assign(
        n_repeat=0, recency_days=0.0, age_days=10.0, snapshot=pd.Timestamp("2024-01-01")
    )
    both = pd.concat([earlier, table.assign(snapshot=pd.Timestamp("2024-06-30"))])
    model = clone(alive_classifier.AliveUntil(7, 20)).fit(both, np.ones(len(both), bool))
    assert model.btyd_.parameters == pytest.approx(beta_geo.fit_transactions(table).parameters)
    expected = beta_geo.predict_inactivity(table, model.btyd_, 7, 20)
    assert model.predict_proba(table) == pytest.approx(np.column_stack([1 - expected, expected]))


def test_the_classifier_fits_on_everybodys_histories_where_it_has_them():
    table, _ = simulate(5_000, (0.8, 10.0, 0.7, 2.5), 40, 41, 5)
    active = table[(table.recency_days > 30) | (table.n_repeat == 0)]
    given = alive_classifier.AliveUntil(7, 20, table).fit(active)
    assert given.btyd_.parameters == pytest.approx(beta_geo.fit_transactions(table).parameters)
    assert given.btyd_.parameters != pytest.approx(
        alive_classifier.AliveUntil(7, 20).fit(active).btyd_.parameters, rel=0.05
    )
