"""What customers are worth: closed forms, histories worked by hand, and terms that make no
sense.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.models.clv import beta_geo, pareto_nbd
from research.models.clv.gamma_gamma import NAMES
from research.models.clv.max_likelihood import Fit
from research.value import expected_value

SPEND = Fit(np.array([6.25, 3.74, 15.44]), np.eye(3), 0.0, 1, NAMES)
RHYTHMS = {
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


def test_spending_is_what_repeat_purchases_brought_less_what_came_back(write_study):
    lines = [
        *[
            ("a", "2024-01-01", 10),
            ("a", "2024-01-05", 20),
            ("a", "2024-01-05", 5),
            ("a", "2024-02-01", -7),
            ("a", "2024-03-01", 30),
        ],
        *[("once", "2024-01-01", 99), ("once", "2024-01-20", -9)],
        *[("back", "2024-01-01", 50), ("back", "2024-01-10", 20), ("back", "2024-01-15", -60)],
    ]
    orders = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"]).astype(
        {"ordered_at": "datetime64[us]", "amount": float}
    )
    people = pd.DataFrame(
        {"customer_id": ["a", "once", "back"], "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study("non_contractual", tables={"customers": people, "orders": orders})
    table = (
        expected_value.summarise_spending(load.load_tables(study), study, [date(2024, 2, 15)])
        .to_pandas()
        .set_index("customer_id")
    )
    assert table.loc["a", ["n_repeat", "recency_days", "age_days", "mean_amount"]].tolist() == [
        1,
        4,
        45,
        18,
    ]  # 25 less 7; March lies ahead
    assert table.loc["once", "n_repeat"] == 0 and np.isnan(table.loc["once", "mean_amount"])
    assert table.loc["back", "mean_amount"] == -40
    assert table.first_amount.to_dict() == {"a": 10, "once": 99, "back": 50}


@pytest.mark.parametrize("name", [*RHYTHMS])
def test_undiscounted_and_with_all_of_the_margin_value_is_purchases_times_amount(name):
    found = expected_value.value_buyers(
        buyers(), expected_value.MODELS[name], RHYTHMS[name], SPEND, 365, 1.0, 0.0
    )
    assert found.value.to_numpy() == pytest.approx((found.purchases * found.amount).to_numpy())
    assert found.purchases.to_numpy() == pytest.approx(
        expected_value.MODELS[name].predict_purchases(buyers(), RHYTHMS[name], 365)
    )
    assert found.value[2] > found.value[3]  # the same purchases, the last of them long ago
    assert found.amount[0] == pytest.approx(6.25 * 15.44 / 2.74)


@pytest.mark.parametrize("name", [*RHYTHMS])
def test_discounting_lies_between_today_and_the_end_of_the_span_and_margin_scales(name):
    terms = (buyers(), expected_value.MODELS[name], RHYTHMS[name], SPEND, 730)
    plain, discounted, third = (
        expected_value.value_buyers(*terms, *rest).value
        for rest in ((1.0, 0.0), (1.0, 0.2), (0.3, 0.2))
    )
    assert (discounted < plain).all() and (discounted > plain * 1.2 ** (-730 / 365.25)).all()
    assert third.to_numpy() == pytest.approx(0.3 * discounted.to_numpy())
    assert (expected_value.value_buyers(*terms, 0.0, 0.2).value == 0).all()


def test_who_takes_back_more_than_was_bought_is_worth_nothing():
    rows = buyers().assign(mean_amount=[np.nan, -5.0, 0.0, 20.0])
    found = expected_value.value_buyers(rows, beta_geo, RHYTHMS["BG/NBD"], SPEND, 365, 1.0, 0.1)
    assert found.value.tolist()[1:3] == [0, 0]
    assert found.value[0] > 0


def test_a_contract_with_a_constant_hazard_is_worth_its_closed_form():
    days = np.linspace(0, 730, 1461)
    curves = np.exp(-np.outer([0.002, 0.01], days))
    found = expected_value.value_contracts(curves, days, np.array([1.5, 0.0]), 0.1)
    fall = 0.002 + np.log(1.1) / 365.25
    assert found == pytest.approx([1.5 * (1 - np.exp(-fall * 730)) / fall, 0], rel=1e-5)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ((0, 1, 0.1), "a span above 0"),
        ((365, 1.2, 0.1), "a margin from 0 to 1, got 1.2"),
        ((365, 0.5, -0.1), "yearly rate of discount of 0 or more"),
    ],
)
def test_terms_that_make_no_sense_are_one_sentence_each(terms, words):
    with pytest.raises(StudyError, match=words):
        expected_value.value_buyers(buyers(), beta_geo, RHYTHMS["BG/NBD"], SPEND, *terms)


def test_amounts_without_a_mean_are_refused():
    with pytest.raises(StudyError, match="q is 1 or less"):
        expected_value.value_buyers(
            buyers(),
            beta_geo,
            RHYTHMS["BG/NBD"],
            Fit(np.array([2.0, 0.9, 5.0]), np.eye(3), 0.0, 1, NAMES),
            365,
            1.0,
            0.1,
        )


def test_the_model_with_the_least_aic_is_chosen_and_one_that_needs_differing_amounts_left_out():
    fits = {
        "one": Fit(np.ones(4), np.eye(4), -100.0, 9, beta_geo.NAMES),
        "two": Fit(np.ones(6), np.eye(6), -98.5, 9, beta_geo.NAMES),
    }
    assert expected_value.choose_purchase_model(fits) == "one"  # 8 + 200 against 12 + 197
    assert (
        expected_value.choose_purchase_model(
            fits | {"two": Fit(np.ones(6), np.eye(6), -97.0, 9, beta_geo.NAMES)}
        )
        == "two"
    )
    rows = pd.DataFrame(
        {
            "n_repeat": [0, 2, 5, 0, 1.0],
            "recency_days": [0, 40, 80, 0, 20.0],
            "age_days": 100.0,
            "first_amount": 5.0,
        }
    )
    assert [*expected_value.fit_purchase_models(rows)] == ["BG/NBD", "Pareto/NBD"]
    assert [
        *expected_value.fit_purchase_models(
            rows.assign(first_amount=np.linspace(1e-6, 2e-6, len(rows)))
        )
    ] == [
        "BG/NBD",
        "Pareto/NBD",
    ]  # all below a cent


def test_values_do_not_depend_on_how_many_are_valued_at_once(monkeypatch):
    terms = (pareto_nbd, RHYTHMS["Pareto/NBD"], SPEND, 365, 0.3, 0.1)
    whole = expected_value.value_buyers(buyers(), *terms)
    monkeypatch.setattr(expected_value, "PART", 3)
    pd.testing.assert_frame_equal(expected_value.value_buyers(buyers(), *terms), whole)
