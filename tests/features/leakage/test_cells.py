"""Rows counted in cells, and the AUC of their churn shares."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from research.features.leakage import cells


def test_an_area_is_learned_on_other_customers_so_cells_of_one_customer_predict_nothing():
    rng = np.random.default_rng(0)
    company = pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(200)], "churned": rng.random(200) < 0.3}
    )
    frame = pd.concat([company] * 6, ignore_index=True)
    counts = cells.count_cells(cells.divide_rows(frame), pd.factorize(frame.customer_id)[0], 200)
    assert cells.measure_areas(counts[None])[0] < 0.6  # on their own rows: 1


@pytest.mark.parametrize("seed", range(3))
def test_the_area_counted_in_cells_is_that_of_the_rows(seed):
    rng = np.random.default_rng(seed)
    codes, churned, risk = (
        rng.integers(0, 12, 500),
        rng.random(500) < 0.3,
        rng.integers(0, 5, 12) / 5,
    )
    counts = [
        np.bincount(codes[churned == outcome], minlength=12)[None] for outcome in (True, False)
    ]
    assert cells._rank(risk[None], *counts)[0] == pytest.approx(roc_auc_score(churned, risk[codes]))


def test_a_customers_rows_are_in_one_fold_and_the_part_says_who_churned():
    frame = pd.DataFrame({"customer_id": [*"abab"], "churned": [False, True, True, True]})
    folds = cells.find_folds(frame.customer_id)
    assert folds[0] == folds[2] and folds[1] == folds[3]
    assert (folds < cells.FOLDS).all()
    assert list(cells.divide_rows(frame)) == list(folds * 2 + [0, 1, 1, 1])


def test_no_cross_validated_area_is_larger_than_that_of_the_rows_themselves():
    rng = np.random.default_rng(1)
    part, codes = rng.integers(0, 2 * cells.FOLDS, 400), rng.integers(0, 30, 400)
    counts = cells.count_cells(part, codes, 30)[None]
    assert cells.measure_areas(counts)[0] <= cells.bound_areas(counts)[0]


def test_the_standard_error_of_an_area_is_the_published_one():
    # Hanley & McNeil 1982: A = .893, 51 abnormal and 58 normal images; by hand Q1 = .80668, Q2 =
    # .84246,
    # SE = sqrt((.09555 + 50 * .00923 + 57 * .04501) / 2958) = .0325
    assert cells.estimate_error(np.array(0.893), 51, 58) == pytest.approx(0.0325, abs=5e-4)
