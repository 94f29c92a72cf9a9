"""Item to item: similarities by hand, ranks, planted pairs found, and independent purchases not."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from scipy.sparse import csr_matrix
from shop import T, draw_shop, write_shop

from research.errors import StudyError
from research.value import recommender, report
from research.value.baskets import Baskets


def baskets_of(bought: list[list[int]]) -> Baskets:
    matrix = csr_matrix(np.array(bought, "float32"))
    return Baskets(
        np.array([f"c{i}" for i in range(matrix.shape[0])], object),
        np.array(list("ABCD")[: matrix.shape[1]]),
        matrix,
        np.ones(matrix.shape[1]),
    )


def test_similarities_by_hand():
    # A: 3 buyers, B: 2, C: 2; A and B: 2, A and C: 1
    baskets = baskets_of([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 1]])
    cosine = recommender.compute_similarity(baskets, "cosine", 2.0)
    assert cosine[0, 1] == pytest.approx(2 / np.sqrt(6) * 2 / 4)
    assert cosine[0, 2] == pytest.approx(1 / np.sqrt(6) * 1 / 3)
    share = recommender.compute_similarity(baskets, "conditional", 1.0)
    # 2 of 3 buyers of A, shrunk towards 2 of 4 customers
    assert share[0, 1] == pytest.approx((2 + 2 / 4) / (3 + 1))
    assert share[1, 0] == pytest.approx((2 + 3 / 4) / (2 + 1))
    assert np.diag(cosine).tolist() == [0, 0, 0]


def test_what_was_bought_already_is_on_no_list_and_the_first_hit_counts():
    baskets = baskets_of([[1, 0, 0, 0]])
    scores, new = np.array([[9.0, 3, 2, 1]]), csr_matrix(np.array([[0, 0, 1, 1.0]]))
    ranks = recommender.rank_first_hit(baskets, scores, np.array([0]), new)
    assert ranks.tolist() == [2]  # B, then C


def test_products_that_go_together_are_found_and_beat_popularity(write_study):
    _, tables = write_shop(write_study, draw_shop(True))
    evaluation = recommender.evaluate_recommender(tables, T, 30, 3, 300, 0)
    rows = evaluation.scores.set_index(["model", "metric"])
    assert evaluation.length == 3
    assert rows.verdict["item to item", "hit_rate_at_3"] == "better"
    assert rows.verdict["random", "hit_rate_at_3"] in ("worse", "no significant difference")
    assert evaluation.chosen == "item to item"
    sentence = report.describe_recommender(evaluation)
    assert "significantly more often than popularity does.** Of the" in sentence
    assert "(of 1,500 who had bought by the snapshot, former customers among them)" in sentence


@pytest.mark.parametrize("seed", list_seeds(4))
def test_independent_purchases_are_not_called_better_than_popularity(seed, write_study):
    _, tables = write_shop(write_study, draw_shop(False, seed))
    evaluation = recommender.evaluate_recommender(tables, T, 30, 3, 300, 0)
    verdicts = evaluation.scores.set_index(["model", "metric"]).verdict
    assert verdicts["item to item", "hit_rate_at_3"] != "better"
    assert evaluation.chosen in ("popularity", "recent popularity")
    sentence = report.describe_recommender(evaluation)
    assert "not significantly more often" in sentence or "less often" in sentence


def test_what_happens_after_the_window_never_matters(write_study):
    rows = draw_shop(True)
    far = rows[rows.ordered_at == "2024-07-10"].assign(ordered_at="2024-09-01", product="p03")
    scores = [
        recommender.evaluate_recommender(write_shop(write_study, table)[1], T, 30, 3, 200, 0).scores
        for table in (rows, pd.concat([rows, far]))
    ]
    pd.testing.assert_frame_equal(*scores)


def test_nobody_buying_a_further_product_is_one_sentence(write_study):
    rows = draw_shop(False)
    _, tables = write_shop(write_study, rows[rows.ordered_at < "2024-06-30"])
    with pytest.raises(StudyError, match="in the 30 days after 2024-06-30, got none of 1500"):
        recommender.evaluate_recommender(tables, T, 30, 3, 200, 0)


def test_a_study_without_products_is_explained_and_judged_on_nothing(write_study):
    study, tables = write_shop(write_study, draw_shop(False, n=20).drop(columns="product"))
    evaluation = recommender.evaluate_study(tables, study, T, 3, 200, 0)
    assert "names no products" in evaluation.missing
    assert evaluation.scores.empty
    assert report.describe_recommender(evaluation) == ""


def test_lists_are_judged_up_to_a_quarter_of_the_products():
    assert recommender.list_lengths(2) == [1]
    assert recommender.list_lengths(12) == [1, 3]
    assert recommender.list_lengths(40) == [1, 3, 10]


def test_a_horizon_of_months_is_judged_on_the_days_of_the_calendar(write_study):
    study, tables = write_shop(write_study, draw_shop(True))
    churn = study.churn.model_copy(update={"horizon": "2 months"})
    months = study.model_copy(update={"churn": churn})
    days = [recommender.evaluate_study(tables, each, T, 3, 20, 0).days for each in (study, months)]
    # 30 June to 31 August has 62 days: the end of a month stays one
    assert days == [study.churn.horizon_days, 62]
