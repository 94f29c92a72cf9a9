"""What happened against what was predicted: baselines and scores by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.models.clv.max_likelihood import Fit
from research.value import holdout
from research.value.valuation import Holdout, Valuation

FAMILIES = {"zero": "reference", "good": "value", "bad": "value"}


def test_baselines_by_hand():
    rows = pd.DataFrame(
        {
            "n_repeat": [2.0, 0],
            "recency_days": [40.0, 0],
            "age_days": [50.0, 10],
            "mean_amount": [5.0, np.nan],
            "first_amount": [9.0, 7],
        }
    )
    last = pd.DataFrame({"purchases": [1.0, 1], "amount": [5.0, 7]})
    predicted = holdout.predict_baselines(rows, last, 25)
    # the second's one purchase was the first
    assert predicted["purchases"]["same as the last period"].tolist() == [1, 0]
    assert predicted["amount"]["same as the last period"].tolist() == [5, 0]
    assert predicted["purchases"]["own past rate"].tolist() == [1, 0]  # 2 in 50 days
    assert predicted["amount"]["own past rate"].tolist() == [5, 0]
    assert predicted["purchases"]["overall mean"] == pytest.approx([2 / 60 * 25] * 2)
    assert not predicted["amount"]["zero"].any()


def test_scores_by_hand():
    actual = np.array([0.0, 0, 2, 4])
    predicted = {"zero": np.zeros(4), "good": np.array([0.0, 1, 2, 3])}
    table = holdout.score_holdout(predicted, actual, FAMILIES, range(4), 200, 0).set_index(
        ["model", "metric"]
    )
    assert table.value["good", "rmse"] == pytest.approx(np.sqrt(0.5))
    assert table.value["good", "mae"] == 0.5
    assert table.value["good", "total_error_share"] == 0
    assert table.value["zero", "total_error_share"] == -1
    assert np.isnan(table.value["zero", "correlation"])
    assert table.value["good", "correlation"] == pytest.approx(
        np.corrcoef([0, 1, 2, 3], actual)[0, 1]
    )
    assert table.difference["good", "rmse"] == pytest.approx(np.sqrt(0.5) - np.sqrt(5))
    halves = holdout.tabulate_deciles(predicted, actual, 2)
    rows = halves[halves.model == "good"].set_index("group")
    assert rows.expected.tolist() == [1.5, 0.5, 2.5]
    assert rows.actual.tolist() == [1.5, 0, 3]


def test_differences_of_the_total_are_of_its_distances_from_zero():
    # 3 of 2 and 1.4 of 2: off by 0.5 and by -0.3, so the second is nearer by 0.2
    predicted = {"zero": np.array([3.0, 0]), "good": np.array([1.4, 0])}
    table = holdout.score_holdout(predicted, np.array([2.0, 0]), FAMILIES, range(2), 200, 0)
    row = table[(table.model == "good") & (table.metric == "total_error_share")].iloc[0]
    assert (row.value, row.difference) == (pytest.approx(-0.3), pytest.approx(-0.2))


def test_a_model_that_knows_the_rates_beats_the_baseline_and_noise_does_not():
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 2, 800)
    actual = rng.poisson(rate)
    predicted = {"zero": np.full(800, rate.mean()), "good": rate, "bad": rate[rng.permutation(800)]}
    table = holdout.score_holdout(predicted, actual, FAMILIES, range(800), 300, 0)
    verdicts = table[table.metric == "rmse"].set_index("model").verdict
    assert verdicts["good"] == "better"
    assert verdicts["bad"] == "worse"


def test_where_nothing_came_no_share_of_it_is_off():
    table = holdout.score_holdout(
        {"zero": np.zeros(5), "good": np.ones(5)}, np.zeros(5), FAMILIES, range(5), 200, 0
    )
    assert table[table.metric == "total_error_share"].value.isna().all()


def valuation_of(held: Holdout | None, fits: dict | None = None) -> Valuation:
    values = pd.DataFrame({"customer_id": range(4)})
    nothing = np.zeros((0, 4))
    return Valuation(
        values,
        nothing,
        nothing,
        1.0,
        "good",
        "EUR",
        date(2024, 3, 1),
        holdout=held,
        purchase_fits=fits or {},
    )


def test_every_outcome_of_a_valuation_is_scored_and_nothing_without_a_holdout():
    predicted = {"zero": np.zeros(4), "good": np.array([0.0, 1, 2, 3])}
    actual = np.array([0.0, 0, 2, 4])
    held = Holdout(
        {"purchases": predicted, "amount": predicted},
        {"purchases": actual, "amount": 2 * actual},
        FAMILIES,
        date(2024, 3, 31),
    )
    valuation = valuation_of(held)
    assert valuation.holdout_days == 30
    scores = holdout.score_valuation(valuation, 200, 0)
    assert scores.groupby("outcome").size().to_dict() == {"purchases": 8, "amount": 8}
    deciles = holdout.tabulate_valuation_deciles(valuation)
    assert [*deciles.outcome.unique()] == ["purchases", "amount"]
    for empty in (
        holdout.score_valuation(valuation_of(None), 200, 0),
        holdout.tabulate_valuation_deciles(valuation_of(None)),
        holdout.score_purchase_models(valuation_of(None), 200, 0),
        holdout.score_purchase_models(valuation, 200, 0),  # contracts have no purchase model
    ):
        assert not len(empty.columns)


def test_purchase_models_are_compared_with_pareto_nbd_and_baselines_left_out():
    actual = np.array([0.0, 0, 2, 4])
    predicted = {
        "zero": np.zeros(4),
        "Pareto/NBD": np.array([0.0, 1, 2, 3]),
        "good": np.array([0.0, 0, 2, 3]),
    }
    families = {"zero": "reference", "Pareto/NBD": "value", "good": "value"}
    held = Holdout({"purchases": predicted}, {"purchases": actual}, families, date(2024, 3, 31))
    fit = Fit(np.ones(4), np.eye(4), 0.0, 1, ("r", "alpha", "s", "beta"))
    scores = holdout.score_purchase_models(valuation_of(held, {"good": fit}), 200, 0)
    assert [*scores.model.unique()] == ["Pareto/NBD", "good"]
    row = scores[(scores.model == "good") & (scores.metric == "rmse")].iloc[0]
    assert row.reference == "Pareto/NBD"
    assert row.difference == pytest.approx(0.5 - np.sqrt(0.5))
