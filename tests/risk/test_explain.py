"""Drivers of the models: groups of features, SHAP, permutation, partial dependence."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from research.evaluation.metrics import compute_row_losses
from research.models.preprocessing import prepare_for_trees
from research.risk import explain
from research.risk.explain import (
    explain_trees,
    find_movers,
    group_features,
    permutation_importance,
    trace_dependence,
)


class Formula(ClassifierMixin, BaseEstimator):
    """A classifier that computes the probability of churn from the columns as given."""

    def __init__(self, formula):
        self.formula = formula

    def predict_proba(self, frame):
        churn = np.asarray(self.formula(frame), float)
        return np.column_stack([1 - churn, churn])


def rows(n: int = 1000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    visits = rng.normal(size=n)
    frame = {
        "visits": visits,
        "visits_90d": visits + rng.normal(0, 0.1, n),
        "age": rng.uniform(20, 70, n),
        "plan": rng.choice(["a", "b"], n),
    }
    return pd.DataFrame(frame | {"fixed": 1.0})


def test_correlated_features_are_one_group_and_texts_and_constants_are_alone():
    groups = group_features(rows(), ["visits", "visits_90d", "age", "plan", "fixed"])
    assert groups["visits"] == groups["visits_90d"]
    assert groups.nunique() == 4
    assert groups[["age", "plan", "fixed"]].to_dict() == {
        "age": "age",
        "plan": "plan",
        "fixed": "fixed",
    }


def test_an_opposite_is_as_correlated_as_a_copy():
    frame = rows().assign(absence=lambda frame: -frame.visits)
    assert group_features(frame, ["visits", "absence"]).nunique() == 1


def test_shap_of_a_model_of_one_feature_is_the_distance_of_its_log_odds_from_their_mean():
    frame = rows()[["age"]]
    churned = np.random.default_rng(1).random(1000) < frame.age / 100
    model = make_pipeline(
        prepare_for_trees(), LGBMClassifier(n_estimators=20, n_jobs=1, verbosity=-1)
    ).fit(frame, churned)
    raw = model[-1].predict(model[:-1].transform(frame), raw_score=True)
    table = explain_trees(model, frame, pd.Series({"age": "age"}), range(1000), 50, 0)
    assert table.value[0] == pytest.approx(np.abs(raw - raw.mean()).mean(), rel=0.01)
    assert table.direction[0] == 1
    assert table.low[0] < table.value[0] < table.high[0]


def test_shap_finds_the_features_that_were_planted_and_their_direction_wherever_texts_stand():
    frame = rows(3000)[["plan", "age", "visits", "fixed"]]
    churned = np.random.default_rng(1).random(3000) < 1 / (
        1 + np.exp(2 * frame.visits + 2 * (frame.plan == "b"))
    )
    model = make_pipeline(
        prepare_for_trees(), LGBMClassifier(n_estimators=60, num_leaves=8, n_jobs=1, verbosity=-1)
    ).fit(frame, churned)
    table = explain_trees(
        model, frame, group_features(frame, [*frame]), range(3000), 50, 0
    ).set_index("feature")
    assert [*table.index[:2]] == ["visits", "plan"]
    assert table.direction[["visits", "plan"]].to_dict() == {"visits": -1, "plan": 0}
    assert table.value["fixed"] == 0


def test_what_a_model_goes_by_alone_is_worth_its_whole_gain_and_anything_else_nothing():
    # half of the customers churn, and the model gives them 0.9 and the others 0.1. Without the sign
    # it says 0.5 of everybody, so the loss rises from -ln 0.9 to ln 2, by 0.5878; a single draw
    # would be wrong for every other customer, and lose 0.5 x (ln 0.9 - ln 0.1) = 1.0986, which is
    # more than the model gains
    frame = rows(2000).assign(sign=np.tile([0.0, 1.0], 1000))
    churned = frame.sign.to_numpy() == 1
    groups = pd.Series({"sign": "sign", "age": "age"})
    model = Formula(lambda frame: np.where(frame.sign == 1, 0.9, 0.1))
    table = permutation_importance(model, frame, churned, groups, range(2000), 200, 0).set_index(
        "feature"
    )
    assert table.value["sign"] == pytest.approx(0.5878, abs=0.06)
    assert table.share_of_gain["sign"] == pytest.approx(1, abs=0.1)
    assert (table.direction["sign"], table.direction["age"]) == (1, 0)
    assert table.loc["age", ["value", "low", "high"]].tolist() == [0, 0, 0]


def copies(noise: float, n: int = 1500) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    driver = rng.normal(size=n)
    return pd.DataFrame(
        {
            "one": driver + rng.normal(0, noise, n),
            "two": driver + rng.normal(0, noise, n),
            "noise": rng.normal(size=n),
        }
    )


def importance_of(frame: pd.DataFrame, risk, groups: dict[str, str]) -> pd.DataFrame:
    churned = np.random.default_rng(4).random(len(frame)) < risk(frame)
    table = permutation_importance(
        Formula(risk), frame, churned, pd.Series(groups), range(len(frame)), 50, 0
    )
    return table.set_index("feature")


def of_both(frame: pd.DataFrame) -> np.ndarray:
    return expit(-1.5 + frame.one + frame.two)


def test_near_copies_of_one_driver_are_together_worth_the_whole_gain():
    together = {"one": "one", "two": "one", "noise": "noise"}
    table = importance_of(copies(0.1), of_both, together)
    assert table.share_of_gain["one"] == pytest.approx(1, abs=0.05)
    assert table.share_of_gain["noise"] == 0


@pytest.mark.parametrize("noise", [0.1, 0.4, 0.8])
def test_importances_of_correlated_features_dont_exceed_the_gain(noise):
    # permuted one by one, without strata and averaging, they sum to 1.2, 1.3 and 1.7 times the gain
    alone = {"one": "one", "two": "two", "noise": "noise"}
    table = importance_of(copies(noise), of_both, alone)
    assert (table.share_of_gain < 0.6).all()
    assert table.share_of_gain.sum() < 1


def test_values_are_drawn_from_customers_who_are_alike_in_what_foretells_them():
    # the model takes the difference of two columns that hardly differ: a value of just anybody
    # would make a customer who can't be, with a log-odds of up to 5 x 3
    frame = copies(0.1)
    table = importance_of(
        frame,
        lambda frame: expit(-1.5 + 5 * (frame.one - frame.two)),
        {"one": "one", "two": "two", "noise": "noise"},
    )
    anybody = compute_row_losses(
        np.random.default_rng(4).random(1500) < expit(-1.5 + 5 * (frame.one - frame.two)),
        expit(-1.5 + 5 * (frame.one.sample(frac=1, random_state=0).to_numpy() - frame.two)),
    ).mean()
    assert table.value.max() < 0.3 * anybody


def test_a_group_is_permuted_together():
    # the model asks both copies: permuted alone, the other still predicts
    frame = rows(1000).assign(copy=lambda frame: frame.visits)
    churned = (frame.visits > 0).to_numpy()
    model = Formula(lambda frame: 1 / (1 + np.exp(-2 * (frame["visits"] + frame["copy"]))))
    apart = permutation_importance(
        model, frame, churned, pd.Series({"visits": "visits", "copy": "copy"}), range(1000), 20, 0
    )
    together = permutation_importance(
        model, frame, churned, pd.Series({"visits": "visits", "copy": "visits"}), range(1000), 20, 0
    )
    assert len(together) == 1
    assert together.value[0] > 1.2 * apart.value.max()


def test_of_many_groups_those_that_move_the_model_are_permuted_whatever_the_label():
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(300, 40)), columns=[f"x{i}" for i in range(40)]
    )
    model = Formula(lambda frame: 1 / (1 + np.exp(-frame.x7 - 0.5 * frame.x30)))
    groups = pd.Series({name: name for name in frame})
    assert find_movers(model, frame, groups, 0, most=2) == ["x7", "x30"]
    table = permutation_importance(model, frame, np.arange(300) < 100, groups, range(300), 10, 0)
    assert len(table) == 20
    assert {"x7", "x30"} <= {*table.feature}


def test_partial_dependence_by_hand():
    frame = rows(400)[["age", "plan"]]
    model = Formula(lambda frame: frame.age / 100 + 0.1 * (frame.plan == "b"))
    table = trace_dependence(model, frame, ["age", "plan"], range(400), 100, 0, points=5)
    share = (frame.plan == "b").mean()
    ages = table[table.feature == "age"]
    assert ages.predicted.to_numpy() == pytest.approx(ages["at"].to_numpy() / 100 + 0.1 * share)
    assert (ages["at"].min(), ages["at"].max()) == pytest.approx(
        (frame.age.quantile(0.05), frame.age.quantile(0.95)), abs=1
    )
    plans = table[table.feature == "plan"].set_index("level").predicted
    assert plans["b"] - plans["a"] == pytest.approx(0.1)
    assert (ages.low <= ages.predicted).all()


def test_partial_dependence_takes_whole_numbers_flags_and_empty_values():
    frame = pd.DataFrame(
        {"count": [1, 2, 3, 4] * 5, "flag": [True, False] * 10, "holes": [np.nan, 1.0] * 10}
    )
    table = trace_dependence(
        Formula(lambda frame: frame["count"] / 10 + 0.1 * frame.flag.astype(float)),
        frame,
        [*frame],
        range(20),
        10,
        0,
    )
    assert {*table.feature} == {"count", "flag", "holes"}
    assert {*table.level[table.feature == "flag"]} == {"True", "False"}


def test_a_row_is_predicted_once_for_each_different_value_and_the_answers_are_those_of_all():
    rng, asked = np.random.default_rng(0), []

    class Spy:
        def predict_proba(self, rows):
            asked.append(len(rows))
            risk = 0.01 * rows.x.fillna(7) + 0.1 * (rows.plan == "a") + 0.001 * rows.other
            return np.column_stack([1 - risk, risk])

    rows = pd.DataFrame(
        {
            "x": rng.choice([0.0, 1.0, np.nan], 90),
            "plan": rng.choice(["a", "b", None], 90),
            "other": rng.normal(size=90),
        }
    )
    orders = np.stack([rng.permutation(90) for _ in range(8)])
    start = Spy().predict_proba(rows)[:, 1]
    answers = explain._predict_swapped(Spy(), rows, ["x", "plan"], orders, start)
    naive = [
        Spy().predict_proba(explain._swap(rows, ["x", "plan"], rows.iloc[order]))[:, 1]
        for order in orders
    ]
    np.testing.assert_allclose(answers, naive)
    assert asked[1] < 8 * 90
