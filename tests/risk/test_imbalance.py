"""Remedies for a rare class: they act on training rows only, and the verdict says plainly whether
they helped.
"""

import numpy as np
import pandas as pd
import pytest

from research.risk import imbalance


def customers(n: int = 2500, seed: int = 0, texts: bool = True) -> pd.DataFrame:
    """One churner in twelve; a numeric and a text effect, and holes."""
    rng = np.random.default_rng(seed)
    age, plan = rng.normal(size=n), rng.choice(["a", "b"], n)
    churned = rng.random(n) < 1 / (1 + np.exp(3.2 - age - 0.8 * (plan == "b")))
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{seed}{i}" for i in range(n)],
            "churned": churned,
            "left_in_lead": False,
            "age": age,
        }
    )
    frame["holes"] = np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    return frame.assign(plan=pd.Series(plan, dtype=object)) if texts else frame


COLUMNS = ["age", "holes", "plan"]


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    return imbalance.compare_remedies(customers(seed=1), customers(seed=2), COLUMNS, seed=0)


def test_every_remedy_scores_every_customer_with_a_probability_before_and_after(predictions):
    remedies = predictions.drop(columns=["customer_id", "churned", "left_in_lead", "repeat"])
    assert remedies.shape == (2500, 18)
    assert ((remedies >= 0) & (remedies <= 1)).all(axis=None)
    assert list(predictions.customer_id) == list(customers(seed=2).customer_id)


def test_few_churners_among_many_are_on_both_sides_of_every_cut():
    many = customers(24_000).assign(churned=lambda rows: rows.index % 600 == 0)
    for seed in range(5):
        learn, aside = imbalance._set_aside(many, seed)
        assert len(learn) + len(aside) == pytest.approx(imbalance.MOST, abs=2)
        assert learn.churned.sum() >= 10 and aside.churned.sum() >= 3
        assert not {*learn.customer_id} & {*aside.customer_id}


def test_balancing_doubles_the_predicted_share_and_recalibration_takes_it_back(predictions):
    share = predictions.churned.mean()
    for name in (
        "class weights",
        "random over-sampling",
        "random under-sampling",
        "SMOTE-NC",
        "balanced forest",
        "easy ensemble",
    ):
        assert predictions[name].mean() > 2 * share, name
        assert predictions[name + imbalance.AFTER].mean() == pytest.approx(share, abs=0.02), name
    assert predictions[imbalance.NONE].mean() == pytest.approx(share, abs=0.02)


def test_the_verdict_finds_bent_probabilities_and_no_help_in_weights_and_copies(predictions):
    table = imbalance.tabulate_remedies(predictions, 200, 0)
    rows = table[~table.recalibrated & (table.metric == "log_loss")].set_index("remedy").verdict
    assert (
        rows[["class weights", "random over-sampling", "random under-sampling"]].eq("worse").all()
    )
    assert rows[imbalance.NONE] == ""
    words = imbalance.judge_remedies(table)
    helped = words.split("**")[1]
    assert not any(
        name in helped
        for name in ("class weights", "random over-sampling", "random under-sampling", "SMOTE-NC")
    )
    assert "Worse in log-loss as they come: class weights" in words


def test_a_recalibrated_remedy_ranks_exactly_as_before(predictions):
    table = imbalance.tabulate_remedies(predictions, 50, 0)
    areas = table[table.metric == "auc"].pivot(
        index="remedy", columns="recalibrated", values="value"
    )
    np.testing.assert_allclose(areas[False], areas[True], atol=1e-9)


@pytest.mark.parametrize("columns", [["age", "holes"], ["plan"], COLUMNS])
def test_new_churners_lie_between_old_ones_and_have_categories_that_exist(columns):
    frame = customers(400)
    numbers = frame[columns].select_dtypes("number").shape[1]
    rows = (
        frame[columns]
        .fillna({"holes": 0.0})
        .replace({"plan": {"a": 0.0, "b": 1.0}})
        .to_numpy(float)
    )
    churned = frame.churned.to_numpy()
    more, labels = imbalance.NewChurners(numbers).fit_resample(rows, churned)
    fresh = more[len(rows) :]
    assert labels.mean() == 0.5
    assert labels[len(rows) :].all()
    assert (fresh[:, :numbers] <= rows[churned][:, :numbers].max(axis=0)).all() and (
        fresh[:, :numbers] >= rows[churned][:, :numbers].min(axis=0)
    ).all()
    assert {*fresh[:, numbers:].ravel()} <= {0.0, 1.0}


def test_a_single_churner_has_no_near_ones_and_is_left_alone():
    rows, labels = np.arange(20.0)[:, None], np.arange(20) == 3
    assert imbalance.NewChurners(1).fit_resample(rows, labels)[0] is rows


def test_the_customers_of_the_map_are_not_those_learned_from():
    panel = pd.concat([customers(300).assign(snapshot=day) for day in range(3)])
    learn, aside = imbalance._set_aside(panel, 0)
    assert not {*learn.customer_id} & {*aside.customer_id}
    assert len(learn) + len(aside) == len(panel)
