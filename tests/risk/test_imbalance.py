"""Methods for class imbalance: they act on training rows only, and the summary says whether they
helped.
"""

import numpy as np
import pandas as pd
import pytest
from cases import slow

from research.models import registry
from research.risk import imbalance, report


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


@pytest.fixture(scope="module", params=[1200, slow(2500)])
def predictions(request) -> pd.DataFrame:
    train, test = (customers(request.param, seed) for seed in (1, 2))
    return imbalance.predict_by_method(train, test, COLUMNS, seed=0)


def test_every_method_gives_every_customer_a_probability_before_and_after(predictions):
    methods = predictions.drop(columns=["customer_id", "churned", "left_in_lead", "repeat"])
    assert methods.shape == (len(predictions), 18)
    assert ((methods >= 0) & (methods <= 1)).all(axis=None)
    assert list(predictions.customer_id) == list(customers(len(predictions), 2).customer_id)


def test_few_churners_among_many_are_on_both_sides_of_every_split():
    many = customers(24_000).assign(churned=lambda rows: rows.index % 600 == 0)
    for seed in range(5):
        learn, aside = imbalance._set_aside(many, seed)
        assert len(learn) + len(aside) == pytest.approx(imbalance.MAX_ROWS, abs=2)
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
        assert predictions[name + registry.RECALIBRATED].mean() == pytest.approx(share, abs=0.02), (
            name
        )
    assert predictions[imbalance.NONE].mean() == pytest.approx(share, abs=0.02)


def test_the_summary_finds_worse_probabilities_and_no_gain_from_weights_and_copies(predictions):
    table = imbalance.tabulate_methods(predictions, 200, 0)
    rows = table[~table.recalibrated & (table.metric == "log_loss")].set_index("remedy").verdict
    assert (
        rows[["class weights", "random over-sampling", "random under-sampling"]].eq("worse").all()
    )
    assert rows[imbalance.NONE] == ""
    summary = report.describe_balancing(table)
    better = summary.split("**")[1]
    assert not any(
        name in better
        for name in ("class weights", "random over-sampling", "random under-sampling", "SMOTE-NC")
    )
    assert "Significantly worse in log-loss before recalibration: class weights" in summary


def test_a_recalibrated_method_ranks_exactly_as_before(predictions):
    table = imbalance.tabulate_methods(predictions, 50, 0)
    areas = table[table.metric == "auc"].pivot(
        index="remedy", columns="recalibrated", values="value"
    )
    np.testing.assert_allclose(areas[False], areas[True], atol=1e-9)


@pytest.mark.parametrize("columns", [["age", "holes"], ["plan"], COLUMNS])
def test_synthetic_churners_lie_between_real_ones_and_have_categories_that_exist(columns):
    frame = customers(400)
    numbers = frame[columns].select_dtypes("number").shape[1]
    rows = (
        frame[columns]
        .fillna({"holes": 0.0})
        .replace({"plan": {"a": 0.0, "b": 1.0}})
        .to_numpy(float)
    )
    churned = frame.churned.to_numpy()
    more, labels = imbalance.Smote(numbers).fit_resample(rows, churned)
    synthetic = more[len(rows) :]
    assert labels.mean() == 0.5
    assert labels[len(rows) :].all()
    assert (synthetic[:, :numbers] <= rows[churned][:, :numbers].max(axis=0)).all() and (
        synthetic[:, :numbers] >= rows[churned][:, :numbers].min(axis=0)
    ).all()
    assert {*synthetic[:, numbers:].ravel()} <= {0.0, 1.0}


def test_a_single_churner_has_no_neighbours_and_is_left_alone():
    rows, labels = np.arange(20.0)[:, None], np.arange(20) == 3
    assert imbalance.Smote(1).fit_resample(rows, labels)[0] is rows


def test_the_customers_of_the_map_are_not_those_learned_from():
    panel = pd.concat([customers(300).assign(snapshot=day) for day in range(3)])
    learn, aside = imbalance._set_aside(panel, 0)
    assert not {*learn.customer_id} & {*aside.customer_id}
    assert len(learn) + len(aside) == len(panel)
