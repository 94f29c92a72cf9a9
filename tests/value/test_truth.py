"""The true values of a generated company, and values compared with them."""

import numpy as np
import pandas as pd
import pytest

from research.evaluation import ground_truth
from research.simulate import Company, outlook
from research.simulate.company import DISCOUNT_A_YEAR
from research.value.truth import score_against_truth
from research.value.valuation import Valuation


def test_the_value_along_a_path_by_hand():
    own = {
        "hazard": np.full((2, 30, 1), 0.05),
        "fee": np.full((30, 1), 10.0),
        "region": np.array([0]),
        "level": np.zeros((30, 1)),
    }
    own |= {"taste": np.array([0.0]), "quiet": np.array([False])}  # buys nothing
    falls = (1 + DISCOUNT_A_YEAR) ** (-1 / 12)
    assert outlook.find_value(own, 4, 3)[0] == pytest.approx(
        7 * (1 + 0.9 * falls + 0.81 * falls**2)
    )


def test_true_values_are_what_customers_bring_on_average():
    given = Company(2000, 24, 0)
    short, longer = outlook.expect_values(given, 21, 1, 4), outlook.expect_values(given, 21, 6, 4)
    assert (short > 0).all()
    assert (longer.loc[short.index] > short).all()
    with pytest.raises(ValueError, match="expected 1 to 15 months from month 21 on, got 16"):
        outlook.expect_values(given, 21, 16, 4)


def test_the_truth_itself_explains_all_and_the_same_for_all_nothing():
    true = pd.Series(np.random.default_rng(0).gamma(2, 50, 500), [f"c{i}" for i in range(500)])
    table = ground_truth.score_values(
        {"truth": true, "mean": true * 0 + true.mean()}, true[:400], 200, 0
    ).set_index(["model", "metric"])
    assert table.value["truth", "spread_explained_share"] == pytest.approx(1)
    assert table.value["truth", "rmse"] == pytest.approx(0)
    assert table.value["mean", "spread_explained_share"] == pytest.approx(0, abs=0.01)
    assert np.isnan(table.value["mean", "rank_correlation"])
    assert (table.n == 400).all()


def test_a_company_that_is_not_generated_has_no_true_values(write_study):
    valuation = Valuation(pd.DataFrame(), np.zeros(0), np.zeros(0), 1.0, "model", "EUR")
    table, days = score_against_truth(valuation, {}, write_study("contractual"), 200, 0)
    assert table.empty
    assert days == 0
