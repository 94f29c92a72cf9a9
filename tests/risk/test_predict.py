"""Predictions of churn: baselines, splits and what models must reach."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from small_models import few_models

from research.data import fetch, load
from research.errors import StudyError
from research.evaluation import bootstrap
from research.features import build
from research.features.leakage import gate
from research.models import registry
from research.models.calibration import Calibrated
from research.models.preprocessing import prepare_for_trees
from research.models.registry import Model, list_logistic, list_trees
from research.risk import predict, report
from research.study import load_study


def customers(n: int = 1500, seed: int = 0, signal: float = 1.5) -> pd.DataFrame:
    """Customers with a non-linear numeric effect, a text effect, holes and pure noise."""
    rng = np.random.default_rng(seed)
    age, plan = rng.uniform(-2, 2, n), rng.choice(["a", "b", "c"], n)
    churned = rng.random(n) < 1 / (1 + np.exp(1 - signal * (age**2 - 1) - signal * (plan == "b")))
    holes = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    text = pd.Series(plan, dtype=object).where(rng.random(n) > 0.05, None)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "left_in_lead": False,
            "age": age,
            "holes": holes,
            "plan": text,
            "noise": rng.normal(size=n),
        }
    )


COLUMNS = ["age", "holes", "plan", "noise"]


def compare(
    predictions: pd.DataFrame, models: dict[str, Model]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    families = {name: model.family for name, model in models.items()}
    resampled = bootstrap.resample_scores(predictions, 300, 0)
    scores = bootstrap.tabulate_scores(resampled, families, len(predictions))
    references = [
        *dict.fromkeys(
            [
                report.find_baseline(scores),
                report.find_baseline(scores, "auc"),
                report.find_best(scores),
            ]
        )
    ]
    return scores, bootstrap.tabulate_differences(resampled, references, families, len(predictions))


def test_every_family_finds_a_planted_signal_and_the_summary_says_so():
    models = few_models("noise", seed=0)
    predictions = predict.predict_out_of_time(customers(seed=1), customers(seed=2), COLUMNS, models)
    scores, differences = compare(predictions, models)
    areas = scores[scores.metric == "auc"].set_index("model").value
    assert (
        areas[[name for name, model in models.items() if model.family != "reference"]] > 0.75
    ).all()
    assert "better probabilities than the" in report.describe_models(scores, differences)


def test_on_pure_noise_at_most_one_verdict_of_five_names_a_winner():
    summaries = []
    # each verdict errs in at most one case of twenty: two or more of five happen once in 40 times
    for seed in range(5):
        models = few_models("noise", seed=seed)
        train, test = customers(500, seed=seed, signal=0), customers(500, seed=seed + 100, signal=0)
        summaries.append(
            report.describe_models(
                *compare(predict.predict_out_of_time(train, test, COLUMNS, models), models)
            )
        )
    nothing = "**No model is significantly better"
    assert sum(not summary.startswith(nothing) for summary in summaries) <= 1


def test_the_base_rate_is_the_training_share_of_churners():
    train = customers(seed=1)
    predictions = predict.predict_out_of_time(
        train, customers(seed=2), COLUMNS, few_models(None, 0)
    )
    assert predictions[registry.BASE_RATE].unique() == pytest.approx([train.churned.mean()])


def test_the_rule_gives_the_training_share_of_the_same_range():
    train = pd.DataFrame(
        {
            "customer_id": range(1000),
            "days": np.repeat(np.arange(10.0), 100),
            "churned": np.tile(np.arange(100) < 30, 10),
        }
    )
    train.loc[train.days == 9, "churned"] = np.arange(100) < 80
    rule = few_models("days", 0)["rule on days"].estimator.fit(train[["days"]], train.churned)
    found = rule.predict_proba(pd.DataFrame({"days": [9.0, 2.0, 50.0]}))[:, 1]
    assert found == pytest.approx([0.8, 0.3, 0.8])


def test_the_rule_has_a_group_for_customers_without_any_event():
    train = pd.DataFrame(
        {
            "days": [*np.arange(500.0), *[np.nan] * 200],
            "churned": [True, *[False] * 499, *[True] * 200],
        }
    )
    rule = few_models("days", 0)["rule on days"].estimator.fit(train[["days"]], train.churned)
    assert rule.predict_proba(pd.DataFrame({"days": [np.nan, 400.0]}))[:, 1] == pytest.approx(
        [1, 0], abs=0.05
    )


def test_the_same_seed_gives_the_same_predictions():
    train, test = customers(600, seed=1), customers(200, seed=2)
    first, again = (
        predict.predict_out_of_time(train, test, COLUMNS, few_models("noise", 3)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def test_a_category_that_training_never_saw_and_an_empty_column_are_no_error():
    train, test = (
        customers(600, seed=1).assign(empty=np.nan),
        customers(100, seed=2).assign(plan="new", empty=1.0),
    )
    predictions = predict.predict_out_of_time(
        train, test, [*COLUMNS, "empty"], few_models("noise", 0) | list_trees(0, {})
    )
    assert predictions.notna().all(axis=None)


def test_cross_validation_judges_every_customer_once_per_repeat_on_the_same_folds():
    frame = customers(300)
    predictions = predict.predict_cross_validated(
        frame,
        COLUMNS,
        {registry.BASE_RATE: few_models(None, 0)[registry.BASE_RATE]},
        5,
        2,
        seed=0,
    )
    assert predictions.groupby("repeat").customer_id.nunique().tolist() == [300, 300]
    assert not predictions.duplicated(["repeat", "customer_id"]).any()


@pytest.mark.parametrize("churned", [True, False])
def test_one_class_only_is_refused_with_the_counts(churned):
    frame = customers(100).assign(churned=churned)
    with pytest.raises(
        StudyError,
        match=(
            rf"expected churners and others among the study's rows, got {100 * churned}"
            r" churners in 100 rows; look at the label first"
        ),
    ):
        predict.predict_cross_validated(frame, COLUMNS, few_models(None, 0), 5, 1, seed=0)


def test_more_folds_than_churners_are_refused():
    frame = customers(100).assign(churned=lambda t: t.index < 3)
    with pytest.raises(
        StudyError,
        match=(
            "expected at least 5 customers of each class for 5 folds, got 3; lower the"
            " parameter folds"
        ),
    ):
        predict.predict_cross_validated(frame, COLUMNS, few_models(None, 0), 5, 1, seed=0)


def test_a_customer_with_two_rows_is_refused_in_a_cross_validation():
    frame = pd.concat([customers(200)] * 2, ignore_index=True)
    with pytest.raises(StudyError, match="expected each customer on one side of a random split"):
        predict.predict_cross_validated(frame, COLUMNS, few_models(None, 0), 5, 1, seed=0)


def test_a_rule_column_that_is_no_feature_is_refused(write_study):
    study = write_study("flat", rule_column="tenure")
    with pytest.raises(
        StudyError,
        match=r"key rule_column: expected one of the features age, plan, got 'tenure'",
    ):
        registry.find_rule_column(["age", "plan"], study)


def test_an_interpretable_logistic_model_reaches_the_published_level_on_telco(mirror):
    study = load_study("telco")
    fetch.fetch(study)
    frame = build.load_flat(load.load_tables(study), study)
    assert (
        frame.total_charges.isna().sum() == 11
    )  # text with 11 blanks in the file; left as text, logistic loses 4 points of AUC
    columns = build.list_features(frame, study)
    logistic = {"logistic": few_models(None, 0)["logistic regression"]}
    assert gate.check_leakage(frame, columns, study).empty
    predictions = predict.predict_cross_validated(
        frame, columns, logistic, folds=10, repeats=1, seed=0
    )
    folds = [
        (roc_auc_score(part.churned, part.logistic), log_loss(part.churned, part.logistic))
        for _, part in predictions.groupby("fold")
    ]
    area, loss = np.mean(folds, axis=0)
    assert area >= 0.8495
    assert loss <= 0.411


def test_the_base_rate_of_a_cross_validation_ranks_nobody():
    frame = customers(101)
    predictions = predict.predict_cross_validated(
        frame, COLUMNS, few_models(None, 0), 10, 2, seed=0
    )
    assert predictions.groupby("repeat")[registry.BASE_RATE].nunique().tolist() == [1, 1]


def test_customers_who_left_within_the_lead_are_predicted_but_never_learned_from():
    train, test = customers(600, seed=1), customers(100, seed=2)
    spoiled = pd.concat(
        [train, train[train.churned].assign(left_in_lead=True, churned=False, age=0.0)]
    )
    plain, with_leavers = (
        predict.predict_out_of_time(part, test, COLUMNS, few_models(None, 0))
        for part in (train, spoiled)
    )
    pd.testing.assert_frame_equal(plain, with_leavers)


def test_no_feature_at_all_is_refused():
    with pytest.raises(StudyError, match="expected at least one feature, got none"):
        predict.predict_cross_validated(customers(100), [], few_models(None, 0), 5, 1, seed=0)


def test_where_nothing_varies_the_logistic_model_gives_the_base_rate():
    train, test = (customers(200, seed=seed).assign(age=1.0, holes=np.nan) for seed in (1, 2))
    logistic = {"logistic": few_models(None, 0)["logistic regression"]}
    predictions = predict.predict_out_of_time(train, test, ["age", "holes"], logistic)
    np.testing.assert_allclose(predictions.logistic, train.churned.mean(), atol=1e-3)


def test_columns_of_mere_zeros_do_not_change_the_logistic_model():
    train, test = customers(400, seed=1), customers(100, seed=2)
    logistic = {"logistic": few_models(None, 0)["logistic regression"]}
    alone, beside = (
        predict.predict_out_of_time(
            train.assign(zero=0.0), test.assign(zero=0.0), columns, logistic
        ).logistic
        for columns in (COLUMNS, [*COLUMNS, "zero"])
    )
    np.testing.assert_allclose(alone, beside)


def test_the_rules_are_named_in_the_words_of_the_feature_dictionary(write_study):
    words = {
        "days_since_last_orders": "days since the last order",
        "sum_amount_30d": "spent in the last 30 days",
    }
    found = registry.list_classifiers(write_study("non_contractual"), [*words], 0, words)
    assert [name for name, one in found.items() if one.family == "reference"] == [
        "base rate",
        *(f"rule on {text}" for text in words.values()),
    ]


def test_too_few_churners_to_learn_from_are_one_sentence():
    train = customers(400).assign(churned=lambda t: t.index < 29, snapshot=1)
    sentence = (
        "expected at least 30 churners and as many others to learn from, got 29 and 371; look at"
        " the label first"
    )
    with pytest.raises(StudyError, match=sentence):
        predict.predict(train, train, COLUMNS, few_models(None, 0), 5, 1, 0)
    found = predict.predict(
        train.assign(churned=lambda t: t.index < 30),
        customers(100),
        COLUMNS,
        few_models(None, 0),
        5,
        1,
        0,
    )
    assert len(found) == 100


def test_a_member_is_fitted_once_and_scores_training_rows_out_of_fold(monkeypatch):
    """Averages and maps learn from out-of-fold scores: a member that remembers its training rows
    would else win every weight.
    """
    train, test = customers(1500, seed=1), customers(300, seed=2)
    memory = Model(
        name="memory",
        family="trees",
        task="churn",
        estimator=make_pipeline(prepare_for_trees(), DecisionTreeClassifier()),
        words="a tree that knows every training row by heart",
    )
    mapped = Model(
        name="mapped",
        family="trees",
        task="churn",
        estimator=Calibrated(0),
        words="its scores, recalibrated",
        needs=("groups",),
        members=("memory",),
    )
    members = {"memory": memory} | list_logistic(0)
    models = members | registry.list_stacked([*members]) | {"mapped": mapped}
    found = predict.predict_out_of_time(train, test, COLUMNS, models)
    assert [*found.columns[-len(models) :]] == [*models]
    losses = {name: log_loss(found.churned, found[name]) for name in models}
    assert losses["stacked average"] < losses["logistic with pairs"] + 0.01
    assert losses["mapped"] < losses["memory"] / 2


def test_numbers_beyond_the_range_learned_from_are_named_with_their_share_of_rows():
    learned = pd.DataFrame({"a": [0.0, 10], "b": [1.0, 2], "text": ["x", "y"]})
    judged = pd.DataFrame({"a": [11.0, -1, 5, np.nan], "b": [1.0, 1, 2, 2], "text": "z"})
    assert predict.find_outside(learned, judged, ["a", "b", "text"]).to_dict() == {"a": 0.5}
    assert predict.find_outside(learned, learned, ["a", "b"]).empty


def test_everybody_is_scored_in_parts_as_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=95)})
    fitted = DecisionTreeClassifier(max_depth=3).fit(rows, rows.x > rng.normal(size=95))
    monkeypatch.setattr(predict, "PART_ROWS", 30)
    whole = fitted.predict_proba(rows)[:, 1]
    np.testing.assert_array_equal(predict.predict_in_parts(fitted, rows), whole)
