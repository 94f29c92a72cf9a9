"""Logistic regression with curves and pairs: what it finds, what it leaves out, and how."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from research.errors import StudyError
from research.models.logistic_pairs import (
    LEAST_PENALTY,
    LogisticPairs,
    compute_excess,
    fit_blocks,
    learn_shape,
)

ROWS = 2_000


def draw(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """Six independent columns."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=["a", "b", "c", "d"])
    return frame.assign(
        plan=rng.choice(["basic", "plus", "max"], rows), calls=rng.poisson(1.5, rows)
    )


def flip(odds: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(1000 + seed).random(len(odds)) < expit(odds)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_two_columns_that_matter_only_together_are_found_and_used(seed):
    frame, later = draw(seed), draw(seed + 50)
    odds = [np.where((part.a > 0) == (part.plan == "max"), 1.5, -1.5) for part in (frame, later)]
    model = LogisticPairs().fit(frame, flip(odds[0], seed))
    assert model.pairs_[0] == ("a", "plan")
    assert np.corrcoef(model.decision_function(later), odds[1])[0, 1] > 0.85
    alone = LogisticPairs(pairs=0).fit(frame, flip(odds[0], seed)).decision_function(later)
    assert abs(np.corrcoef(alone, odds[1])[0, 1]) < 0.5


def test_without_interactions_hardly_any_pair_is_found():
    found = []
    for seed in range(6):
        frame = draw(seed)
        found += (
            LogisticPairs()
            .fit(
                frame,
                flip(np.sin(2 * frame.a) + 0.5 * frame.calls - (frame.plan == "max") - 1, seed),
            )
            .pairs_
        )
    assert (
        len(found) <= 2
    )  # at a share of 5 % a search among columns without any pair finds one in twenty times


def test_a_curve_is_recovered_and_columns_of_noise_hardly_matter():
    frame = draw(7, 4_000).assign(a=np.random.default_rng(70).uniform(20, 80, 4_000))
    hump = 1.5 - ((frame.a - 50) / 15) ** 2
    model = LogisticPairs(pairs=0).fit(frame, flip(hump, 7))
    assert np.sqrt(np.mean((model.decision_function(frame) - hump) ** 2)) < 0.25
    idle = frame.assign(a=50.0)
    assert model.decision_function(idle).std() < 0.2  # the curve's own is 1.2


def test_noise_alone_gives_everyone_nearly_the_base_rate():
    frame = draw(3)
    churned = np.random.default_rng(4).random(ROWS) < 0.2
    risk = LogisticPairs().fit(frame, churned).predict_proba(frame)[:, 1]
    assert risk.std() < 0.04
    assert risk.mean() == pytest.approx(
        churned.mean(), abs=1e-4
    )  # the intercept is free, so the fit is right on average


def test_at_the_learned_variances_the_coefficients_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(800, 6))
    matrix -= matrix.mean(axis=0)
    churned = rng.random(800) < expit(matrix @ [1, 1, 1, 0.1, 0, 0] - 1)
    owner = np.array([0, 0, 0, 1, 1, 1])
    intercept, coefficients, strengths = fit_blocks(matrix, churned.astype(float), owner)
    scale = np.sqrt(strengths[owner])  # a ridge of 1 on b / scale is one of 1 / strength on b
    other = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(matrix * scale, churned)
    assert coefficients == pytest.approx(other.coef_[0] * scale, abs=2e-3)
    assert intercept == pytest.approx(other.intercept_[0], abs=2e-3)
    assert strengths[0] > 5 * strengths[1]


def test_the_excess_of_a_table_of_two_by_two_is_that_worked_by_hand():
    # four customers, two columns with two cells each, residuals 1, -1, -1, 1 and weights 1: in each
    # cell of the table 1 ** 2 / 1, together 4;
    # each row and column of the table sums to 0, so nothing is taken off; (2 - 1) * (2 - 1) = 1
    # degree of freedom
    cells = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], dtype="float32")
    excess, freedom = compute_excess(
        cells, np.array([0, 0, 1, 1]), np.array([1.0, -1, -1, 1]), np.ones(4)
    )
    assert excess[0, 1] == pytest.approx(4)
    assert freedom[0, 1] == 1
    # residuals 1, 1, -1, -1 lie in the first column alone: cells 4, its rows 2 ** 2 / 2 twice, the
    # other's 0; nothing in excess
    alone, _ = compute_excess(cells, np.array([0, 0, 1, 1]), np.array([1.0, 1, -1, -1]), np.ones(4))
    assert alone[0, 1] == pytest.approx(0)


def test_knots_lie_at_quantiles_of_many_values_and_at_each_of_few():
    many = learn_shape(pd.Series(np.arange(101.0)), knots=5)
    assert many.curve.tolist() == [0, 25, 50, 75, 100]
    assert many.grid.tolist() == [0, 5, 25, 50, 75, 95, 100]
    few = learn_shape(pd.Series([1.0, 2, 2, 4]), knots=5)
    assert few.curve.tolist() == few.grid.tolist() == [1, 2, 4]
    assert few.membership(pd.Series([3.0, 9.0, np.nan]), few.grid).tolist() == [
        [0, 0.5, 0.5],
        [0, 0, 1],
        [0, 1, 0],
    ]  # the median of 1, 2, 2, 4 is 2


def test_rare_and_unseen_categories_are_left_to_the_intercept_and_missing_is_a_category():
    shape = learn_shape(pd.Series(["x"] * 30 + ["rare"] + [None] * 25))
    assert shape.curve.tolist() == ["x", "(missing)"]
    assert shape.membership(pd.Series(["x", "rare", "new", None]), shape.curve).tolist() == [
        [1, 0],
        [0, 0],
        [0, 0],
        [0, 1],
    ]


def test_every_kind_of_column_passes_and_missing_values_may_predict_churn():
    frame = draw(5).assign(constant=1.0, empty=np.nan, flag=lambda rows: rows.a > 0, word="same")
    frame.loc[::3, "d"] = np.nan
    churned = flip(np.where(frame.d.isna(), 1.5, -1.5), 5)
    model = LogisticPairs().fit(frame, churned)
    risk = model.predict_proba(frame.assign(plan="new", calls=1_000, flag=None))
    assert np.isfinite(risk).all()
    assert roc_auc_score(churned, model.predict_proba(frame)[:, 1]) > 0.75
    assert risk.sum(axis=1) == pytest.approx(1)


def test_a_column_that_separates_the_classes_gives_probabilities_short_of_certainty():
    frame = draw(6)
    churned = frame.a > 0
    model = LogisticPairs().fit(frame, churned)
    risk = model.predict_proba(frame)[:, 1]
    assert log_loss(churned, risk) < 0.05
    assert (model.variances_ <= 1 / LEAST_PENALTY).all()
    assert np.isfinite(model.coef_).all()


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.randoms())
def test_neither_units_nor_the_order_of_rows_change_a_probability(factor, shift, chance):
    frame = draw(2, 600)
    churned = flip(frame.a.to_numpy() - 1, 2)
    order = chance.sample(range(600), 600)
    moved = frame.assign(a=frame.a * factor + shift).iloc[order]
    risk = LogisticPairs().fit(frame, churned).predict_proba(frame)[order, 1]
    assert LogisticPairs().fit(moved, churned[order]).predict_proba(moved)[:, 1] == pytest.approx(
        risk, abs=1e-5
    )


@pytest.mark.parametrize(
    "column", [np.ones(200), pd.Series([f"n{i}" for i in range(200)], dtype=object)]
)
def test_a_constant_column_gives_everybody_the_share_of_churners(column):
    frame = pd.DataFrame({"a": column})
    p = LogisticPairs().fit(frame, np.arange(200) % 4 == 0).predict_proba(frame)[:, 1]
    np.testing.assert_allclose(p, 0.25)


def test_rows_of_one_class_are_refused_in_a_sentence():
    with pytest.raises(StudyError, match="expected churners and others, got 0 churners in 50 rows"):
        LogisticPairs().fit(draw(1, 50), np.zeros(50, dtype=bool))


def test_the_learned_variance_of_a_block_is_the_one_that_its_coefficients_were_drawn_with():
    # a penalty learned as if all 40 coefficients were known would shrink them, and itself, to half
    # of it at so few rows
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        matrix, coefficients = rng.normal(size=(200, 40)), rng.normal(0, 0.3, 40)
        churned = rng.random(200) < expit(matrix @ coefficients)
        found.append(
            fit_blocks(
                matrix - matrix.mean(axis=0), churned.astype(float), np.zeros(40, dtype=int)
            )[2][0]
        )
    assert 0.75 * 0.09 < np.median(found) < 1.33 * 0.09


def draw_nearly_separated(seed: int, rows: int = 6_000) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a total of fees until the export, from which three columns tell who leaves next."""
    rng = np.random.default_rng(seed)
    tenure, fee, more = rng.uniform(30, 2_000, rows), rng.uniform(20, 100, rows), rng.random(rows)
    months = np.where(more < 0.1, 0.5, 3)  # that the customer stays after the snapshot
    total = fee * (tenure / 30 + months) * rng.normal(1, 0.02, rows)
    return pd.DataFrame({"tenure": tenure, "fee": fee, "total": total}), more < 0.1


@pytest.mark.parametrize("seed", list_seeds(3))
def test_columns_that_nearly_separate_together_do_not_make_the_fit_diverge(seed):
    # whole steps of Newton's method led to log-odds of millions, an AUC of 0.56, a log-loss of 3
    learned, later = draw_nearly_separated(seed), draw_nearly_separated(seed + 50)
    model = LogisticPairs().fit(*learned)
    risk = model.predict_proba(later[0])[:, 1]
    assert roc_auc_score(later[1], risk) > 0.8
    assert log_loss(later[1], risk) < 0.9 * log_loss(later[1], np.full(len(risk), 0.1))


def test_beyond_the_training_range_numbers_count_as_its_ends():
    frame = draw(0)
    model = LogisticPairs().fit(frame, flip(2 * frame.a + frame.a * frame.b, 0))
    ends = frame.assign(a=frame.a.max(), b=frame.b.min())
    beyond = frame.assign(a=1e6, b=-1e6)
    assert (model.decision_function(beyond) == model.decision_function(ends)).all()


def test_no_customer_gets_log_odds_beyond_those_of_the_training_rows():
    frame = draw(0)
    churned = flip(2 * frame.a + 2 * frame.b + 2 * frame.c, 0)
    model = LogisticPairs().fit(frame, churned)
    known = model.decision_function(frame)
    new = model.decision_function(frame.assign(a=9.0, b=9.0, c=9.0, calls=0))
    assert new.max() <= known.max()
    assert known.min() < -4 and known.max() > 4  # the training rows themselves are not cut
