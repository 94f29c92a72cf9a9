"""Which classifier is kept: better than the strongest rule, then the easiest to explain."""

import numpy as np
import pandas as pd
import pytest

from research.errors import UsageError
from research.models.registry import BASE_RATE, list_baselines, list_logistic, list_trees
from research.watchlist.model_choice import compare_candidates, find_strongest_rule, list_candidates

RULE = "rule on days"


def models():
    return list_baselines({"days": "days"}, 0) | list_logistic(0) | list_trees(0, {})


def predict(strength: dict[str, float], people: int = 4000) -> pd.DataFrame:
    """Risks that know so much of what decides churn: 1 all, 0 nothing; others know nothing."""
    rng = np.random.default_rng(0)
    known, noise = rng.normal(size=(2, people))
    churned = rng.random(people) < 1 / (1 + np.exp(1.5 - 1.5 * known))

    def risk(share: float) -> np.ndarray:
        return 1 / (1 + np.exp(1.5 - 1.5 * share * known - 0.3 * (share == 0) * noise))

    risks = {name: risk(strength.get(name, 0)) for name in models()}
    keys = {"customer_id": [f"c{number}" for number in range(people)], "churned": churned}
    return pd.DataFrame(keys | risks)


def test_the_easiest_to_explain_of_those_level_with_the_best_is_kept():
    level = predict({"gradient boosting": 1.0, "elastic net": 0.99, "single tree": 0.4, RULE: 0.2})
    choice = compare_candidates(level, models(), 0)
    assert choice.model == "elastic net"  # the tree is easier, but worse
    assert choice.rule == RULE
    assert "easiest to explain of the 2 models" in choice.reason
    table = choice.table.set_index("model")
    assert table.significantly_worse["single tree"]
    assert table.verdict["single tree"] == "better"


def test_where_nothing_beats_the_strongest_rule_it_is_kept_and_says_so():
    choice = compare_candidates(predict({RULE: 1.0, "gradient boosting": 1.0}), models(), 0)
    assert choice.is_rule
    assert choice.reason.startswith(f"no classifier was shown to be better than {RULE}, the")


def test_a_model_asked_for_is_kept_only_where_it_beats_the_strongest_rule():
    predictions = predict({RULE: 0.5, "gradient boosting": 1.0, "single tree": 0.5})
    assert compare_candidates(predictions, models(), 0, "gradient boosting").model == (
        "gradient boosting"
    )
    tree = compare_candidates(predictions, models(), 0, "single tree")
    assert tree.model == RULE
    assert tree.reason.startswith("single tree was asked for, but isn't significantly better")
    assert compare_candidates(predictions, models(), 0, BASE_RATE).model == BASE_RATE


def test_the_base_rate_is_the_strongest_rule_only_where_it_is_the_only_one():
    losses = pd.Series({BASE_RATE: 0.3, RULE: 0.4})
    assert find_strongest_rule(losses, list_baselines({"days": "days"}, 0)) == RULE
    assert find_strongest_rule(losses[[BASE_RATE]], list_baselines({}, 0)) == BASE_RATE


def test_a_name_that_no_classifier_has_is_refused_with_the_nearest(write_study):
    study = write_study("contractual")
    with pytest.raises(UsageError, match="did you mean 'gradient boosting'"):
        list_candidates(study, ["a"], {}, 0, "gradiant boosting")
    alone = list_candidates(study, ["a"], {}, 0, "stacked average")
    assert {*alone} > {"stacked average", "gradient boosting", BASE_RATE}
    assert "single tree" not in alone
