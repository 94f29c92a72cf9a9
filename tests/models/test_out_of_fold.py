"""Out-of-fold scores."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from research.models.out_of_fold import predict_out_of_fold


def test_rows_of_a_customer_are_scored_by_a_model_that_was_fitted_on_none_of_them():
    columns = pd.DataFrame({"who": np.repeat(np.arange(60.0), 4)})
    seen = []

    class Spy(LogisticRegression):
        def fit(self, columns, churned):
            self.known_ = {*columns.who}
            return super().fit(columns, churned)

        def predict_proba(self, columns):
            seen.append(bool(self.known_ & {*columns.who}))
            return super().predict_proba(columns)

    predict_out_of_fold(
        Spy(), columns, np.tile([True, False, False, False], 60), columns.who.to_numpy(), 0
    )
    assert seen == [False] * 3


def test_every_row_gets_a_score_and_the_seed_draws_the_folds():
    rng = np.random.default_rng(0)
    columns = pd.DataFrame({"x": rng.normal(size=90)})
    churned = rng.random(90) < 0.4
    first, again, other = (
        predict_out_of_fold(LogisticRegression(), columns, churned, np.arange(90), seed)
        for seed in (0, 0, 1)
    )
    assert ((first > 0) & (first < 1)).all()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_once_enough_rows_have_a_score_no_further_fold_is_fitted():
    columns, churned = pd.DataFrame({"x": np.arange(90.0)}), np.arange(90) % 3 == 0
    scores = predict_out_of_fold(
        LogisticRegression(), columns, churned, np.arange(90) // 2, 0, enough=31
    )
    assert np.isfinite(scores).sum() == 60
    again = predict_out_of_fold(
        LogisticRegression(), columns, churned, np.arange(90) // 2, 0, enough=60
    )
    np.testing.assert_array_equal(scores, again)
