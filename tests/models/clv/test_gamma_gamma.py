"""Gamma-Gamma: the published fit, and customers whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.models.clv import gamma_gamma

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


def test_the_amounts_on_cdnow_are_the_published_ones(weeks):
    # Fader, Hardie & Lee (2005), doi:10.1509/jmkr.2005.42.4.415: p 6.25, q 3.74, v 15.44 from 946
    # customers
    found = gamma_gamma.fit_spend(weeks)
    assert found.customers == 946
    assert found.parameters == pytest.approx([6.25, 3.74, 15.44], abs=0.006)
    mean = 6.25 * 15.44 / 2.74
    assert gamma_gamma.predict_spend(weeks, found)[weeks.n_repeat.to_numpy() == 0] == pytest.approx(
        mean, rel=2e-3
    )


def test_units_of_money_change_units_alone():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n_repeat": rng.integers(0, 6, 3000)})
    amounts = table.assign(mean_amount=np.random.default_rng(0).gamma(4, 5, len(table)))
    euros, cents = (
        gamma_gamma.fit_spend(amounts),
        gamma_gamma.fit_spend(amounts.assign(mean_amount=amounts.mean_amount * 100)),
    )
    assert cents.parameters == pytest.approx(euros.parameters * [1, 1, 100], rel=1e-3)


def test_amounts_of_few_purchases_are_shrunk_to_the_mean_of_all():
    rng = np.random.default_rng(0)
    repeats = rng.integers(1, 12, 5000)
    scale = 15 / rng.gamma(4, 1, 5000)  # a mean of its own for each customer: inverse gamma
    table = pd.DataFrame(
        {"n_repeat": repeats, "mean_amount": rng.gamma(6 * repeats, scale / repeats)}
    )
    found = gamma_gamma.fit_spend(table)
    assert found.parameters == pytest.approx([6, 4, 15], rel=0.12)
    odd = pd.DataFrame(
        {"n_repeat": [0, 3, 3, 1, 50], "mean_amount": [np.nan, 0.0, -20.0, 100.0, 100.0]}
    )
    one, zero, returned, once, often = gamma_gamma.predict_spend(odd, found)
    assert (zero, returned) == (0, 0)
    assert one == pytest.approx(np.prod(found.parameters[[0, 2]]) / (found.parameters[1] - 1))
    assert one < once < often < 101


def test_too_few_repeat_purchases_are_one_sentence():
    with pytest.raises(
        StudyError, match="expected at least 3 customers with a repeat purchase above 0, got 1"
    ):
        gamma_gamma.fit_spend(
            pd.DataFrame({"n_repeat": [0, 2, 1], "mean_amount": [np.nan, 5.0, -1.0]})
        )


def test_the_correlation_of_frequency_and_amount_leaves_out_customers_without_spending():
    table = pd.DataFrame(
        {"n_repeat": [0, 1, 2, 3, 9], "mean_amount": [np.nan, 5.0, 6.0, 7.0, -1.0]}
    )
    assert gamma_gamma.correlate(table) == 1


def draw_amounts(n: int, tells: bool) -> pd.DataFrame:
    """Return customers who bought once or more often, each with a mean of its own; first amounts
    are half as large, or drawn of all.
    """
    rng = np.random.default_rng(0)
    scale, repeats = 15 / rng.gamma(4, 1, n), rng.integers(0, 6, n)
    of_own, of_all = (rng.gamma(6, each) / 2 for each in (scale, rng.permutation(scale)))
    mean = rng.gamma(6 * np.maximum(repeats, 1), scale / np.maximum(repeats, 1))
    amounts = {"mean_amount": np.where(repeats > 0, mean, np.nan)}
    return pd.DataFrame(
        {"n_repeat": repeats, "first_amount": of_own if tells else of_all} | amounts
    ).assign(truth=6 * scale)


def test_a_first_amount_that_tells_something_counts_as_a_purchase_of_its_own_factor():
    rows = draw_amounts(6000, True)
    fit = gamma_gamma.fit_spend(rows)
    assert fit.names == gamma_gamma.WITH_FIRST
    assert fit.parameters == pytest.approx([6, 4, 15, 2], rel=0.2)  # the factor undoes the half
    once = rows.n_repeat == 0
    spent = gamma_gamma.predict_spend(rows, fit)[once]
    quarter = pd.qcut(rows.first_amount[once], 4, labels=False).to_numpy()
    for number in range(4):
        truth = rows.truth[once][quarter == number]
        error = truth.std() / np.sqrt(len(truth))
        assert spent[quarter == number].mean() == pytest.approx(truth.mean(), abs=4 * error)
    assert gamma_gamma.predict_spend(rows.assign(first_amount=-5.0), fit) == pytest.approx(
        gamma_gamma.predict_spend(rows.assign(first_amount=0.0), fit)
    )


def test_a_first_amount_that_tells_nothing_is_left_out():
    fit = gamma_gamma.fit_spend(draw_amounts(6000, False))
    assert fit.names == gamma_gamma.NAMES
    assert gamma_gamma.has_mean(fit)


def test_on_cdnow_the_first_amount_tells_what_those_who_bought_once_spend_later(cdnow):
    before = cdnow[cdnow.day <= CUT]
    start = before.groupby("sampleid").day.min()
    is_first = before.day == before.sampleid.map(start)
    later = cdnow[cdnow.day > CUT].groupby("sampleid").sales.mean()
    rows = pd.DataFrame({"n_repeat": before.groupby("sampleid").size() - 1}).assign(
        first_amount=before[is_first].groupby("sampleid").sales.sum(),
        mean_amount=before[~is_first].groupby("sampleid").sales.mean(),
    )
    fit = gamma_gamma.fit_spend(rows)
    once = rows[rows.n_repeat == 0].join(later.rename("later"), how="inner")
    quarters = pd.qcut(once.first_amount, 4, labels=False)
    spent = once.later.groupby(quarters).mean()
    predicted = pd.Series(gamma_gamma.predict_spend(once, fit), once.index)
    assert fit.names == gamma_gamma.WITH_FIRST
    assert spent.iloc[3] > 1.5 * spent.iloc[0]
    assert predicted.groupby(quarters).mean().to_numpy() == pytest.approx(spent, rel=0.3)
