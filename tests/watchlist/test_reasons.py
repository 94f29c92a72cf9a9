"""Reasons are what the model goes by, against customers who stay."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from research.models.registry import list_logistic, list_trees
from research.risk.predict import fit_model
from research.watchlist.reasons import (
    Moves,
    explain_customers,
    find_themes,
    list_reasons,
    measure_faithfulness,
    measure_stability,
)

FEATURES = ["visits", "fee", "plan", "noise"]


def draw(n: int = 3_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(n).astype(str),
            "visits": rng.poisson(6, n).astype(float),
            "fee": rng.uniform(5, 50, n),
            "plan": rng.choice(["basic", "pro"], n),
            "noise": rng.normal(size=n),
        }
    )
    odds = -1 - 0.5 * (frame.visits - 6) + 0.05 * (frame.fee - 27) + (frame.plan == "basic")
    return frame.assign(churned=rng.random(n) < expit(odds))


DICTIONARY = pd.DataFrame(
    {
        "feature": FEATURES,
        "description": ["visits in the last 30 days", "monthly fee, EUR", "plan", "shoe size"],
        "source": ["usage", "contracts", "contracts", "customers"],
    }
)
ALONE = pd.Series(FEATURES, index=FEATURES)


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    return draw()


@pytest.fixture(scope="module", params=["gradient boosting", "logistic regression"])
def model(request, train):
    records = list_trees(0, {}) | list_logistic(0)
    return fit_model(records[request.param], train, FEATURES)


def explain(model, train, rows):
    stayers = train[~train.churned][FEATURES]
    moves = explain_customers(model, rows[FEATURES], stayers, 0)
    reasons = list_reasons(moves, rows, stayers, ALONE, DICTIONARY, find_themes(DICTIONARY))
    return moves, reasons


def test_moves_add_up_to_the_distance_from_those_who_stay(model, train):
    rows = draw(200, 1)
    moves, _ = explain(model, train, rows)
    stayers = train[~train.churned]
    score = [logit(model.predict_proba(part[FEATURES])[:, 1]) for part in (rows, stayers)]
    expected = score[0] - score[1].mean()
    assert np.corrcoef(moves.values.sum(axis=1), expected)[0, 1] > 0.98
    assert moves.values.sum(axis=1).mean() == pytest.approx(expected.mean(), abs=0.35)


def test_the_first_reason_is_what_is_unusual_about_a_customer(model, train):
    usual = {"visits": 6.0, "fee": 25.0, "plan": "pro", "noise": 0.0}
    rows = pd.DataFrame(
        [
            {"customer_id": "rare", **usual, "visits": 0.0},
            {"customer_id": "dear", **usual, "fee": 50.0},
        ]
    )
    _, reasons = explain(model, train, rows)
    first = reasons[reasons.order == 1].set_index("customer_id")
    assert first.feature.to_dict() == {"rare": "visits", "dear": "fee"}
    assert first.theme.to_dict() == {"rare": "usage", "dear": "price"}
    assert first.text["rare"].startswith("visits in the last 30 days: 0; usually 7")


def test_what_lowers_the_risk_is_no_reason(model, train):
    rows = pd.DataFrame(
        [{"customer_id": "safe", "visits": 14.0, "fee": 5.0, "plan": "pro", "noise": 0.0}]
    )
    _, reasons = explain(model, train, rows)
    assert not {*reasons.feature} & {"visits", "fee", "plan"}


def test_the_first_reason_moves_the_risk_more_than_a_random_one(model, train):
    rows = draw(400, 2)
    _, reasons = explain(model, train, rows)
    stayers = train[~train.churned][FEATURES]
    falls = measure_faithfulness(model, rows, stayers, reasons, ALONE, 0)
    gained = falls.by_reason - falls.by_random
    assert gained.mean() > 0.2 + 2 * gained.std() / np.sqrt(len(gained))


def test_a_reason_that_refitted_models_do_not_repeat_comes_last_and_is_marked(train):
    rows, stayers = draw(100, 3), train[~train.churned][FEATURES]
    record = list_trees(0, {})["gradient boosting"]
    refitted = [
        explain_customers(
            fit_model(record, train.sample(len(train), replace=True, random_state=k), FEATURES),
            rows[FEATURES],
            stayers,
            0,
        )
        for k in range(4)
    ]
    shares = measure_stability(refitted, ALONE, most=1)
    assert shares.shape == (100, 4)
    assert shares.max() == 1
    reasons = list_reasons(
        refitted[0], rows, stayers, ALONE, DICTIONARY, find_themes(DICTIONARY), shares
    )
    for _, part in reasons.groupby("customer_id"):
        assert part.stable.is_monotonic_decreasing
    assert 0 < reasons.stable.mean() < 1


def test_members_of_a_group_are_one_reason(model, train):
    rows = draw(50, 4)
    stayers = train[~train.churned][FEATURES]
    moves = explain_customers(model, rows[FEATURES], stayers, 0)
    groups = pd.Series({"visits": "visits", "fee": "visits", "plan": "plan", "noise": "noise"})
    reasons = list_reasons(moves, rows, stayers, groups, DICTIONARY, find_themes(DICTIONARY))
    both = reasons[reasons.feature.isin(["visits", "fee"])]
    assert not both.customer_id.duplicated().any()


def test_themes_follow_the_words_the_table_and_the_playbook():
    themes = find_themes(DICTIONARY, {"noise": "delivery"})
    assert themes.to_dict() == {
        "visits": "usage",
        "fee": "price",
        "plan": "contract",
        "noise": "delivery",
    }


def test_a_text_that_is_the_usual_one_says_how_many_who_stay_have_it():
    # three of four who stay have the basic plan, as the customer has
    stayers = pd.DataFrame({"plan": ["basic", "basic", "basic", "pro"]})
    rows = pd.DataFrame({"customer_id": ["a"], "plan": ["basic"]})
    moves = Moves(("plan",), np.array([[0.5]]))
    reasons = list_reasons(
        moves, rows, stayers, ALONE[["plan"]], DICTIONARY, find_themes(DICTIONARY)
    )
    assert reasons.text.item() == "plan: basic, as 75% of those who stay"
