"""Ridge regressions agree with scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV

from research.uplift.doubly_robust import share_features
from research.uplift.learners.ridge import fit_logistic, fit_ridge


def draw(rows: int = 900, columns: int = 12, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return features that go together, three arms, and outcomes that hang on both."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) / 3
    arm = rng.integers(0, 3, rows)
    log_odds = features[:, 0] + 0.5 * arm + arm * features[:, 1] - 0.5
    return features, arm, (rng.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(float)


def test_least_squares_choose_the_penalty_and_the_line_of_ridgecv():
    features, arm, outcome = draw()
    targets, penalties = np.column_stack([outcome, 3 * arm + features[:, 2]]), np.logspace(-2, 6, 9)
    means, slopes = fit_ridge(features, targets, penalties)
    known = RidgeCV(penalties, alpha_per_target=True).fit(features, targets)
    assert means + features @ slopes == pytest.approx(known.predict(features), abs=1e-8)


def test_the_logistic_ridge_is_that_of_scikit_learn():
    features, _, outcome = draw()
    known = LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-8).fit(features, outcome)
    design = np.column_stack([np.ones(len(features)), features])
    found = fit_logistic(design, outcome, np.r_[0.0, np.full(12, 1 / 0.3)])[:, 0]
    assert found == pytest.approx(np.r_[known.intercept_, known.coef_[0]], abs=2e-3)


def test_arms_share_coefficients_up_to_a_shift_as_in_the_wide_design_of_scikit_learn():
    features, arm, outcome = draw()
    design = np.column_stack([np.ones(len(features)), features])
    common, shift = np.r_[0.0, np.full(12, 4.0)], np.r_[0.5, np.full(12, 9.0)]
    found = fit_logistic(design, outcome, common, shift, arm)
    inside = [(arm == code)[:, None] for code in (1, 2)]
    wide = np.hstack([features / 2, *(one * design / np.sqrt(shift) for one in inside)])
    known = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8).fit(wide, outcome)
    log_odds = (design @ found)[np.arange(len(arm)), arm]
    assert log_odds == pytest.approx(known.decision_function(wide), abs=5e-3)


def test_no_ridge_depends_on_the_axes_of_the_features():
    from trial_maker import make_trial

    from research.uplift.doubly_robust import make_sample

    sample = make_sample(make_trial(600, 0)[0], "kept")
    turned = share_features(sample).linear_features
    penalties = np.logspace(0, 3, 4)
    lines = [
        (means + features @ slopes)
        for features in (sample.linear_features, turned)
        for means, slopes in [fit_ridge(features, sample.outcome[:, None], penalties)]
    ]
    assert lines[0] == pytest.approx(lines[1], abs=1e-8)
