"""The models that are compared: which there are, and what study.yml may say of them."""

import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.models import registry
from research.risk import predict


def customers(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """The risk falls with days of use, but for a bump by luck where few customers are."""
    rng = np.random.default_rng(seed)
    use = rng.integers(0, 30, n).astype(float)
    churned = rng.random(n) < np.where(use > 27, 0.6, 0.5 - 0.015 * use)
    plan = pd.Series(rng.choice(["a", "b"], n), dtype=object)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "use": use,
            "noise": rng.normal(size=n),
            "plan": plan,
        }
    )


def panel(n: int = 1500, seed: int = 0) -> pd.DataFrame:
    rng, frame = np.random.default_rng(seed), customers(n, seed)
    days = np.ceil(rng.exponential(30 + 10 * frame.use))
    event_observed = days <= 60
    return frame.assign(
        snapshot=pd.Timestamp("2025-01-01"),
        left_in_lead=False,
        churned=days <= 30,
        event_observed=event_observed,
        time_to_event_days=np.minimum(days, 60),
    )


def test_a_dated_study_has_all_families_and_a_flat_one_no_survival(write_study):
    names = {
        kind: registry.list_classifiers(write_study(kind), ["use", "plan"], 0)
        for kind in ("contractual", "flat")
    }
    families = {kind: {model.family for model in models.values()} for kind, models in names.items()}
    assert families == {
        "contractual": {"reference", "logistic", "trees", "survival", "stacked"},
        "flat": {"reference", "logistic", "trees", "stacked"},
    }
    assert [*names["flat"]] == [
        *(name for name in names["contractual"] if names["contractual"][name].family != "survival")
    ]


def test_every_classifier_gives_probabilities_out_of_time(write_study):
    study = write_study("contractual", churn={"horizon_days": 30, "lead_days": 0})
    models = registry.list_classifiers(study, ["use", "noise", "plan"], 0, tuning_seconds=1)
    models |= registry.list_recalibrated(models, 0)
    found = predict.predict(
        panel(seed=1), panel(300, seed=2), ["use", "noise", "plan"], models, 2, 1, 0
    )
    assert ((found[[*models]] >= 0) & (found[[*models]] <= 1)).all(axis=None)
    areas = found[[*models]].corrwith(found.churned)
    assert (areas.drop("base rate") > 0.1).all(), areas


@pytest.mark.parametrize(
    "name", ["single tree", "random forest", "gradient boosting", "histogram boosting"]
)
def test_a_direction_binds_every_kind_of_trees(name):
    frame, grid = customers(), customers()[:31].assign(use=np.arange(31.0), noise=0.0, plan="a")
    free, bound = (
        registry.list_trees(0, directions)[name].estimator for directions in ({}, {"use": -1})
    )
    columns = ["use", "noise", "plan"]
    rising = [
        np.diff(model.fit(frame[columns], frame.churned).predict_proba(grid[columns])[:, 1]).max()
        for model in (free, bound)
    ]
    assert rising[0] > 0.05
    assert rising[1] <= 1e-9


def test_the_last_value_rule_looks_at_the_shortest_window(write_study):
    study = write_study("non_contractual", features={"windows": [10, 60]})
    assert (
        registry.find_last_value_column(["n_orders_60d", "n_orders_10d", "sum_amount_10d"], study)
        == "sum_amount_10d"
    )
    assert registry.find_last_value_column(["n_orders_60d"], study) is None


def test_a_direction_for_what_is_no_feature_or_no_number_is_one_sentence(write_study):
    study = write_study("flat", monotone={"tenure": "falling"})
    with pytest.raises(
        StudyError,
        match="key monotone: expected features that models see, got tenure; name features",
    ):
        registry.list_classifiers(study, ["use"], 0)
    model = registry.list_trees(0, {"plan": 1})["single tree"].estimator
    with pytest.raises(
        StudyError,
        match="key monotone: expected features that are numbers, got plan; remove them",
    ):
        model.fit(customers()[["use", "plan"]], customers().churned)
    with pytest.raises(StudyError, match="monotone"):
        write_study("flat", monotone={"tenure": "upwards"})


def test_a_rule_on_a_text_gives_the_share_of_churners_of_each_category(write_study):
    frame = customers().assign(
        churned=lambda rows: (
            np.random.default_rng(1).random(len(rows)) < np.where(rows.plan == "a", 0.3, 0.1)
        )
    )
    rule = registry.list_baselines({"plan": "plan"}, 0)["rule on plan"]
    model = rule.estimator.fit(frame, frame.churned)
    shares = frame.groupby("plan").churned.mean()
    np.testing.assert_allclose(model.predict_proba(frame)[:, 1], shares[frame.plan])
