"""Survival models: compared with lifelines, by hand, and on companies whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from lifelines import CoxPHFitter, KaplanMeierFitter, WeibullAFTFitter
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from research.models.preprocessing import prepare_scaled
from research.models.registry import list_at_horizon
from research.models.survival import (
    Cox,
    DiscreteHazard,
    SurvivalForest,
    WeibullAFT,
    cumulate_breslow_hazard,
    make_person_periods,
    penalised_loss,
)
from research.models.survival_at_horizon import frame_outcome


def company(n: int = 2000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Times 50 exp(0.7 x) times a Weibull draw of shape 1.5; observed for 80 days."""
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"x": rng.normal(size=n), "noise": rng.normal(size=n)})
    life = 50 * np.exp(0.7 * columns.x) * rng.weibull(1.5, n)
    return columns, frame_outcome(life <= 80, np.minimum(life, 80))


def test_the_fit_is_that_of_lifelines():
    columns, outcome = company()
    model = WeibullAFT(FunctionTransformer(), spread=np.inf).fit(columns, outcome)
    other = (
        WeibullAFTFitter()
        .fit(
            columns.assign(days=np.maximum(outcome["days"], 0.5), event=outcome["event"]),
            "days",
            "event",
        )
        .params_
    )
    assert [*model.coefficients_, model.intercept_] == pytest.approx(
        [other["lambda_"][name] for name in ("x", "noise", "Intercept")], abs=1e-3
    )
    assert np.log(model.shape_) == pytest.approx(other["rho_", "Intercept"], abs=1e-3)


def test_the_truth_is_recovered():
    columns, outcome = company(20_000)
    model = WeibullAFT(FunctionTransformer(), spread=np.inf).fit(columns, outcome)
    assert [*model.coefficients_, np.exp(model.intercept_), model.shape_] == pytest.approx(
        [0.7, 0, 50, 1.5], rel=0.03, abs=0.02
    )
    survival = model.predict_survival(columns[:1], [0, 30])
    assert survival[0].tolist() == pytest.approx(
        [1, np.exp(-((30 / (50 * np.exp(0.7 * columns.x[0]))) ** 1.5))], abs=0.02
    )


def test_the_gradient_is_that_of_the_loss():
    columns, outcome = company(50)
    rest = (columns.to_numpy(), np.log(outcome["days"] + 0.5), outcome["event"].astype(float), 0.1)
    assert (
        check_grad(
            lambda p: penalised_loss(p, *rest)[0],
            lambda p: penalised_loss(p, *rest)[1],
            np.array([0.3, -0.2, 3.5, 0.2]),
        )
        < 1e-5
    )


def test_a_penalty_shrinks_slopes_towards_zero_but_leaves_the_mean_free():
    columns, outcome = company()
    model = WeibullAFT(FunctionTransformer(), spread=0.001).fit(columns, outcome)
    assert abs(model.coefficients_).max() < 0.02
    assert model.intercept_ > 3


EDGES = np.array([10.0, 20.0, 30.0])


def lives(n: int = 3000, seed: int = 0, effect: float = 0.8) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers whose hazard, 1 in 100 days, is multiplied by exp(effect * x); censored after 40 to
    120 days.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    days, seen = np.ceil(rng.exponential(100 / np.exp(effect * x))), rng.integers(40, 121, n)
    return pd.DataFrame({"x": x, "noise": rng.normal(size=n)}), frame_outcome(
        days <= seen, np.minimum(days, seen)
    )


def test_person_periods_worked_by_hand():
    outcome = frame_outcome([True, True, False, False, True], [10, 11, 20, 25, 31])
    rows, interval, event, share = make_person_periods(outcome, EDGES)
    # an event on day 10: in the first interval. On 11: in the second. Censored after 20: two are
    # survived. After 25: two, and half of the third.
    # An event on 31, beyond the last edge: all three are survived.
    assert list(zip(rows, interval, event, share, strict=True)) == [
        *[(0, 0, True, 1)],
        *[(1, 0, False, 1), (1, 1, True, 1)],
        *[(2, 0, False, 1), (2, 1, False, 1)],
        *[(3, 0, False, 1), (3, 1, False, 1), (3, 2, False, 0.5)],
        *[(4, 0, False, 1), (4, 1, False, 1), (4, 2, False, 1)],
    ]


def test_a_customer_censored_on_the_first_day_has_no_row():
    rows, *_ = make_person_periods(frame_outcome([False, True], [0, 0]), EDGES)
    assert list(rows) == [1]


@pytest.mark.parametrize("seed", list_seeds(3))
def test_a_hazard_without_features_is_the_kaplan_meier_curve_where_its_intervals_end(seed):
    columns, outcome = lives(seed=seed)
    # all events and censoring fall on edges
    outcome["days"] = np.ceil(outcome["days"] / 10) * 10
    outcome["event"] &= outcome["days"] <= 40
    model = DiscreteHazard(
        prepare_scaled(), LogisticRegression(C=1e6), at=(10, 20, 30, 40), intervals=1
    ).fit(columns[["noise"]] * 0, outcome)
    curve = (
        KaplanMeierFitter()
        .fit(outcome["days"], outcome["event"])
        .survival_function_at_times([10, 20, 30, 40])
    )
    np.testing.assert_allclose(
        model.predict_survival(columns[["noise"]] * 0, [10, 20, 30, 40])[0], curve, atol=2e-4
    )


@pytest.mark.parametrize("seed", list_seeds(3))
def test_a_customer_censored_within_an_interval_counts_for_the_observed_part(seed):
    """Censored anywhere, as in a flat study; leaving such customers out gave 5 points too many
    leavers.
    """
    rng, n = np.random.default_rng(seed), 4000
    days, seen = rng.exponential(60, n), rng.uniform(0, 72, n)
    columns, outcome, at = (
        pd.DataFrame({"noise": np.zeros(n)}),
        frame_outcome(days <= seen, np.minimum(days, seen)),
        (12, 24, 36, 48, 60),
    )
    model = DiscreteHazard(prepare_scaled(), LogisticRegression(C=1e6), at=at).fit(columns, outcome)
    curve = (
        KaplanMeierFitter().fit(outcome["days"], outcome["event"]).survival_function_at_times(at)
    )
    np.testing.assert_allclose(model.predict_survival(columns[:1], at)[0], curve, atol=0.012)


@pytest.mark.parametrize("model", [Cox(prepare_scaled()), WeibullAFT(prepare_scaled())])
def test_where_few_leave_predictions_are_hardly_flattened(model):
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(12_000, 10)), columns=[f"x{place}" for place in range(10)])
    days = rng.exponential(3000 / np.exp(0.8 * x.x0))
    outcome = frame_outcome(days <= 90, np.minimum(np.ceil(days), 90))
    assert 0.02 < outcome["event"].mean() < 0.06
    learn, rest = slice(0, 10_000), slice(10_000, None)
    fitted = model.fit(x[learn], outcome[learn])
    predictor = np.log(-np.log(fitted.predict_survival(x[rest], [90])[:, 0]))
    true = 0.8 * x.x0[rest]
    assert np.cov(predictor, true)[0, 1] / true.var() == pytest.approx(1, abs=0.12)


def test_a_forest_draws_more_rows_where_few_contain_an_event():
    outcome = frame_outcome(np.arange(40_000) % 1300 == 0, np.full(40_000, 30.0))
    rows = SurvivalForest(prepare_scaled(), at=(60,))._draw_rows(outcome)
    assert outcome["event"][rows].sum() >= 20
    assert (
        len(
            SurvivalForest(prepare_scaled(), at=(60,))._draw_rows(
                frame_outcome(np.arange(40_000) % 2 == 0, np.full(40_000, 30.0))
            )
        )
        == 4000
    )


def test_the_baseline_is_that_of_breslow_worked_by_hand():
    outcome = frame_outcome([True, False, True], [1, 2, 3])
    days, hazard = cumulate_breslow_hazard(outcome, np.array([2.0, 1.0, 1.0]))
    assert list(days) == [1, 2, 3]
    # one of a weight of 4, nobody, one of a weight of 1
    assert hazard == pytest.approx([1 / 4, 1 / 4, 1 / 4 + 1])


def test_cox_agrees_with_lifelines_where_the_penalty_vanishes():
    columns, outcome = lives()
    model = Cox(prepare_scaled(), spread=30).fit(columns, outcome)
    other = CoxPHFitter().fit(
        pd.DataFrame(prepare_scaled().fit_transform(columns)).assign(
            days=outcome["days"], event=outcome["event"]
        ),
        "days",
        "event",
    )
    found, expected = (
        model.predict_survival(columns[:50], [30, 60]),
        other.predict_survival_function(
            prepare_scaled().fit(columns).transform(columns[:50]), [30, 60]
        ),
    )
    # ties: Breslow here, Efron there
    np.testing.assert_allclose(found, expected.to_numpy().T, atol=0.01)


def test_every_survival_model_finds_a_planted_effect_at_the_horizon_and_curves_only_fall():
    columns, outcome = lives(seed=1)
    fresh, _ = lives(seed=2)
    true = np.exp(-30 / (100 / np.exp(0.8 * fresh.x)))
    for name, classifier in list_at_horizon(30, leaves=True, seed=0).items():
        model = classifier.estimator.fit(columns, None, outcome)
        churn = model.predict_proba(fresh)[:, 1]
        assert np.corrcoef(churn, 1 - true)[0, 1] > 0.9, name
        assert churn.mean() == pytest.approx((1 - true).mean(), abs=0.03), name
        curve = model.model_.predict_survival(fresh[:200], [0, 10, 20, 30])
        assert (np.diff(curve, axis=1) <= 1e-12).all(), name
        assert curve[:, 0] == pytest.approx(1), name


def test_beyond_the_last_interval_the_last_hazard_goes_on():
    columns, outcome = lives()
    model = DiscreteHazard(prepare_scaled(), LogisticRegression(), at=(30,)).fit(columns, outcome)
    last, longest = model.edges_[-1], model.edges_[-1] + 100
    before = model.edges_[-2]
    s = model.predict_survival(columns[:5], [before, last, longest])
    rate = -np.log(s[:, 1] / s[:, 0]) / (last - before)
    np.testing.assert_allclose(s[:, 2], s[:, 1] * np.exp(-100 * rate))


def test_a_forest_counts_an_event_on_a_day_of_interest_by_that_day():
    forest = SurvivalForest(prepare_scaled(), at=(31, 97), steps=5)
    coarse = forest._coarsen(frame_outcome([True, True, True, False, True], [31, 32, 97, 20, 98]))
    # steps end on 19.4, 31, 38.8, 58.2, 77.6 and 97
    assert list(coarse["days"]) == [31, 38.8, 97, 31, 97]
    assert list(coarse["event"]) == [True, True, True, False, False]
